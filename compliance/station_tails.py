"""What the live pass keeps of a station's past: the recent readings of its points, and the runs of a state since its checkpoint."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import numpy as np

from compliance.heat import PointSeries, Runs
from compliance.kernel import F64, I64


class Tail:
    """The recent good readings of one point, in order of time; of two at one instant the one received last stays."""

    def __init__(self) -> None:
        self.at: I64 = np.empty(0, np.int64)
        self.received: I64 = np.empty(0, np.int64)
        self.value: F64 = np.empty(0, np.float64)

    def add(self, at: I64, received: I64, value: F64) -> None:
        """Takes readings in order of arrival."""
        in_order = len(at) < 2 or bool(np.all(at[1:] > at[:-1]))
        if in_order and (not len(self.at) or at[0] > self.at[-1]):
            self.at, self.received = np.concatenate([self.at, at]), np.concatenate([self.received, received])
            self.value = np.concatenate([self.value, value])
            return
        at, received, value = np.concatenate([self.at, at]), np.concatenate([self.received, received]), np.concatenate([self.value, value])
        order = np.lexsort((received, at))
        order = order[np.append(at[order][1:] != at[order][:-1], True)]
        self.at, self.received, self.value = at[order], received[order], value[order]

    def drop_before(self, instant_ms: int) -> None:
        """Keeps what is younger, and the newest reading in any case."""
        low = min(int(np.searchsorted(self.at, instant_ms)), len(self.at) - 1)
        if low > 0:
            self.at, self.received, self.value = self.at[low:], self.received[low:], self.value[low:]

    @property
    def series(self) -> PointSeries:
        """The readings as the rules take them."""
        return PointSeries(self.at, self.value)


@dataclass
class RunTail:
    """The runs of one state since the checkpoint, the end of which is judged again as readings come in."""

    at: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)

    def replace_from(self, from_ms: int, runs: Runs) -> None:
        """Forgets what began at or after ``from_ms`` and puts the runs judged anew in its place."""
        keep = bisect_left(self.at, from_ms)
        del self.at[keep:], self.state[keep:]
        for at, state in zip(runs.at.tolist(), runs.state.tolist(), strict=True):
            if not self.state or self.state[-1] != state:
                self.at.append(at)
                self.state.append(state)

    def until(self, until_ms: int) -> Runs:
        """The runs up to ``until_ms``."""
        keep = bisect_left(self.at, until_ms)
        return Runs(np.array(self.at[:keep], np.int64), np.array(self.state[:keep], np.int8), until_ms)

    def settle(self, before_ms: int) -> None:
        """Drops what lies before ``before_ms``."""
        keep = bisect_right(self.at, before_ms) - 1
        if keep >= 0:
            self.at = [before_ms, *self.at[keep + 1 :]]
            self.state = self.state[keep:]

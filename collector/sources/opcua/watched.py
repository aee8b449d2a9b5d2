"""What the subscription to one OPC UA server has said of each item, in columns by handle; and whether it still says all there is.

notified ──▶ take ──▶ readings                re-read of what was quiet ──▶ compare ──▶ readings, and which items are doubted, dead
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from collector.scaling import Scaling
from collector.sources.opcua.values import UNSTAMPED, Answer, marked, settle
from domain.reading import Quality, Readings

Handles = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Compared:
    """What a re-read shows of items that were quiet: the readings, and the handles by what is to be done.

    ``gone``: the server has no such node; ``back``: it has it again; ``dead``: changed at two re-reads on end without being notified.
    """

    readings: Readings
    gone: Handles
    back: Handles
    dead: Handles


class Watched:
    """The watched items of one server. Handles count from 0 over all its stations.

    ``missing`` are those that the server does not have, ``refused`` those that it has and will not watch.
    """

    def __init__(self, points: NDArray[np.int32], scales: Sequence[float], adds: Sequence[float], deadbands: Sequence[float]) -> None:
        self._points = points
        self._scaling = Scaling.of(scales, adds)
        self._deadband = np.array(deadbands, np.float64)
        self.forget()

    def forget(self) -> None:
        """Begins anew, as a new subscription does."""
        count = len(self._points)
        self._stamped = np.full(count, UNSTAMPED, np.int64)
        self._raw, self._quality = np.full(count, np.nan), np.full(count, Quality.NOT_A_NUMBER, np.uint8)
        self._heard, self._doubted = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        self.missing, self.refused = np.zeros(count, np.bool_), np.zeros(count, np.bool_)

    def take(self, handles: NDArray[np.uint32], answer: Answer, received_ms: int) -> Readings:
        """The readings in one notification. The same item may be in it several times, in the order of its samples."""
        rows = handles.astype(np.intp)
        measured, clock_off, _ = settle(answer.stamped_ms, received_ms, answer.stamped_ms, np.full(len(rows), received_ms), 0)
        self._stamped[rows], self._raw[rows], self._quality[rows] = answer.stamped_ms, answer.value, answer.quality
        self._heard[rows] = True
        return self._readings(rows, answer, measured, marked(answer.quality, clock_off), received_ms)

    def unwatched(self, of: slice) -> Handles:
        """The items in this range of which the server can't tell."""
        return self._rows(of, self.missing[of] | self.refused[of])

    @staticmethod
    def _rows(of: slice, which: NDArray[np.bool_]) -> Handles:
        rows: Handles = np.flatnonzero(which) + of.start
        return rows

    def quiet(self, of: slice) -> Handles:
        """The items in this range that have not been heard of since the last re-read; the next one counts from now."""
        rows = self._rows(of, ~self._heard[of])
        self._doubted[of] &= ~self._heard[of]
        self._heard[of] = False
        return rows

    def compare(self, rows: Handles, answer: Answer, received_ms: int, *, quiet: bool) -> Compared:
        """What reading these items shows. A source time known before is no news: the server vouches for the value now.

        Only ``quiet`` items can be doubted: a change of another may be on its way.
        """
        measured, clock_off, _ = settle(answer.stamped_ms, received_ms, self._stamped[rows], np.full(len(rows), received_ms - 1), 0)
        was_missing = self.missing[rows]
        apart = ~(np.abs(answer.value - self._raw[rows]) <= self._deadband[rows]) & ~(np.isnan(answer.value) & np.isnan(self._raw[rows]))
        changed = (apart | (answer.quality != self._quality[rows])) & ~answer.missing
        dead = changed & self._doubted[rows] & ~was_missing & ~self.refused[rows] if quiet else np.zeros(len(rows), np.bool_)
        if quiet:
            self._doubted[rows] = changed & ~dead
        self.missing[rows] = answer.missing
        readings = self._readings(rows, answer, measured, marked(answer.quality, clock_off), received_ms)
        return Compared(readings, rows[answer.missing & ~was_missing], rows[~answer.missing & was_missing], rows[dead])

    def _readings(
        self, rows: Handles, answer: Answer, measured: NDArray[np.int64], quality: NDArray[np.uint8], received_ms: int
    ) -> Readings:
        received = np.full(len(rows), received_ms, np.int64)
        return Readings(self._points[rows], measured, received, self._scaled(rows, answer.value), quality)

    def _scaled(self, rows: Handles, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        scaling = self._scaling
        if scaling.idle:
            return raw
        return replace(scaling, multiplier=scaling.multiplier[rows], divisor=scaling.divisor[rows], add=scaling.add[rows]).apply(raw)

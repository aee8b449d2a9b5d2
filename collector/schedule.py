"""When each device is polled, and how long it is waited for. Instants here are the event loop's monotonic seconds.

Not the clock's: a host whose clock jumps back an hour must not stop polling for an hour.
"""

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Generic, TypeVar

from domain.clock import Clock

T = TypeVar("T")

GOLDEN = 0.618_033_988_749_895
SHORTEST_WAIT_S = 0.25


class Turn:
    """The polls of one device: at ``due``, then every ``interval_s``; a poll never begins before the last one has ended."""

    def __init__(self, phase_s: float, interval_s: float) -> None:
        """``phase_s``: how long after the start the first poll is due."""
        self._phase_s = phase_s
        self.due = phase_s
        self.interval_s = interval_s

    def start(self, now: float) -> None:
        """Counts from ``now`` on."""
        self.due = now + self._phase_s

    def begin(self, now: float) -> int:
        """Takes the turn that is due at ``now`` and sets the next; returns how many turns were overrun since the last (skipped)."""
        skipped = max(0, int((now - self.due) / self.interval_s))
        self.due += (skipped + 1) * self.interval_s
        return skipped


class Rota(Generic[T]):
    """Who is next: devices that one task polls one after the other, each at its own turns."""

    def __init__(self, members: Iterable[tuple[Turn, T]]) -> None:
        """Starts each turn now."""
        self._order = count()
        now = asyncio.get_running_loop().time()
        self._turns: list[tuple[float, int, Turn, T]] = []
        for turn, member in members:
            turn.start(now)
            heapq.heappush(self._turns, (turn.due, next(self._order), turn, member))

    async def next(self) -> tuple[T, int]:
        """Waits for the next turn; returns whose it is and how many of its turns were overrun before."""
        loop = asyncio.get_running_loop()
        due, _, turn, member = self._turns[0]
        await asyncio.sleep(due - loop.time())
        skipped = turn.begin(loop.time())
        heapq.heapreplace(self._turns, (turn.due, next(self._order), turn, member))
        return member, skipped


def phases(intervals_s: Sequence[float]) -> list[float]:
    """The first poll of each device, in seconds from the start: spread evenly, in the whole and within every run of neighbours."""
    return [index * GOLDEN % 1.0 * interval_s for index, interval_s in enumerate(intervals_s)]


class Patience:
    """How long one unit is waited for, and when it is asked again after a silence. All in wall seconds.

    A unit with a connection of its own costs nobody anything. One that shares its gateway delays its neighbours: it is given a
    multiple of what it usually takes; once silent, it is probed with growing patience, and so seldom that the probes take at most
    an eighth of the gateway's time.
    """

    def __init__(self, timeout_s: float, interval_s: float, *, shared: bool, clock: Clock) -> None:
        self._shared = shared
        self._interval_s = interval_s
        self._first_s = min(timeout_s, max(SHORTEST_WAIT_S, interval_s / 4))
        cap_s = max(interval_s, 0.6) if shared else max(1.0, 3 * interval_s)
        self.cap_s = min(timeout_s, cap_s)
        self._most_s = min(30.0, max(2.0, clock.wall_s(120)))
        self._usual_s = 0.0
        self.silences = 0

    @property
    def wait_s(self) -> float:
        """How long to wait for the next reply."""
        if not self._shared:
            return self.cap_s
        if self.silences:
            return min(self.cap_s, max(self._first_s, 8 * self._usual_s) * 2.0 ** min(self.silences, 16))
        if not self._usual_s:
            return self.cap_s
        return min(self.cap_s, max(self._first_s, 8 * self._usual_s))

    def answered(self, latency_s: float) -> None:
        """Takes note of a reply: the usual latency rises at once and falls slowly."""
        self.silences = 0
        self._usual_s = max(latency_s, 0.9 * self._usual_s + 0.1 * latency_s)

    def silent(self) -> float:
        """Takes note of a silence; returns how long to leave the unit alone."""
        cost_s = self.wait_s
        self.silences += 1
        rest_s = min(self._most_s, self._interval_s * 2.0 ** min(self.silences - 1, 16))
        return max(rest_s, 8 * cost_s) if self._shared else rest_s

"""A stretch of the past read whole, in portions that fit into memory: day by day, of each day some points at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.reading import Readings
from store.history.parts import DAY_MS
from store.history.protocol import Points, sorted_points

AT_ONCE: Final = 1_000_000  # readings of a portion, about
_UNSEEN: Final = DAY_MS / 10_000  # readings of a day expected of a point that none are known of: one every 10 s
_FEWEST: Final = 64  # expected of a point of which there were hardly any
_POINTS: Final = 1_000  # at most so many at a time: should all of them begin to speak every 10 s, it still fits

Read = Callable[[Points, int, int], Readings]


class Portion(NamedTuple):
    """What these points did in [from_ms, to_ms), sorted by (point, measured_at); ``share`` of the whole is read with it (0 to 1)."""

    points: NDArray[np.int32]
    from_ms: int
    to_ms: int
    readings: Readings
    share: float


def walk(read: Read, points: Points, days: Sequence[int], from_ms: int, to_ms: int, at_once: int = AT_ONCE) -> Iterator[Portion]:
    """All readings of these points measured in [from_ms, to_ms) on these UTC days, by day, and within a day by point; empty portions too.

    ``read`` is a history's, or ``store.readings.read_readings``. How many points are read at a time follows from what the day
    before had of them.
    """
    wanted = sorted_points(points)
    expected = np.full(len(wanted), _UNSEEN)
    days = [day for day in days if day * DAY_MS < to_ms and from_ms < (day + 1) * DAY_MS]
    for done, day in enumerate(days):
        start, stop = max(from_ms, day * DAY_MS), min(to_ms, (day + 1) * DAY_MS)
        first = 0
        while first < len(wanted):
            last = first + max(1, min(_POINTS, int(np.searchsorted(np.cumsum(expected[first:]), at_once))))
            some = wanted[first:last]
            readings = read(some, start, stop)
            counts = np.bincount(np.searchsorted(some, readings.point), minlength=len(some))
            expected[first:last] = np.maximum(np.maximum(counts, _FEWEST), expected[first:last] / 4)
            first = last
            yield Portion(some, start, stop, readings, (done + first / len(wanted)) / len(days))

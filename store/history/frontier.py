"""What a server need not be asked about: how far its readings of each point reach.

A server keeps one value for a point and an instant, the one written last (InfluxDB), or all of them (VictoriaMetrics); the rule is
another: the one received last, and a usable one always (R2). So what might replace something is compared with what stands there first.
That costs a query only for readings that are not newer than all others of their point: late ones, and those sent twice.
"""

import numpy as np
from numpy.typing import NDArray

from domain.reading import FIRST_BAD, Readings

_NOTHING = -(2**63)


class Frontier:
    """The newest instant that the server may hold of each point; grows with the points."""

    def __init__(self) -> None:
        self._newest = np.empty(0, np.int64)
        self._known = np.empty(0, np.bool_)

    def unknown(self, points: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of these points that nothing is known of yet."""
        self._grow(points)
        return points[~self._known[points]]

    def learn(self, points: NDArray[np.int32], newest: Readings) -> None:
        """Of these points, ``newest`` are all that the server has; a point not in it has none."""
        self._grow(points)
        self._known[points] = True
        self.reach(newest)

    def reach(self, readings: Readings) -> None:
        """The server may hold these from now on."""
        self._grow(readings.point)
        np.maximum.at(self._newest, readings.point, readings.measured_at)

    def beyond(self, readings: Readings) -> NDArray[np.bool_]:
        """Which of these are newer than everything that the server may hold of their point."""
        found: NDArray[np.bool_] = readings.measured_at > self._newest[readings.point]
        return found

    def _grow(self, points: NDArray[np.int32]) -> None:
        size = int(points.max()) + 1 if len(points) else 0
        if size > len(self._newest):
            more = max(size, 2 * len(self._newest)) - len(self._newest)
            self._newest = np.append(self._newest, np.full(more, _NOTHING, np.int64))
            self._known = np.append(self._known, np.zeros(more, np.bool_))


def replacing(stored: Readings, late: Readings) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which of ``late`` must be written where ``stored`` is, and the row of ``stored`` that each would replace (−1 for none).

    Both have one reading of each point and instant.
    """
    point, at = np.append(stored.point, late.point), np.append(stored.measured_at, late.measured_at)
    order = np.lexsort((np.arange(len(point)), at, point))  # of one point and instant: stored, then late
    first, second = order[:-1], order[1:]
    same = (point[first] == point[second]) & (at[first] == at[second])
    rows = np.full(len(late), -1, np.intp)
    rows[second[same] - len(stored)] = first[same]
    wins = np.ones(len(late), np.bool_)
    met = np.flatnonzero(rows >= 0)
    wins[met] = _better(late.take(met), stored.take(rows[met]))
    return wins, rows


def _better(late: Readings, there: Readings) -> NDArray[np.bool_]:
    """Whether each late reading takes the place of the one beside it, which it must not if it is the same."""
    late_usable, there_usable = _usable(late), _usable(there)
    wins = np.where(late_usable == there_usable, late.received_at >= there.received_at, late_usable)
    equal = (late.value == there.value) | (np.isnan(late.value) & np.isnan(there.value))
    result: NDArray[np.bool_] = wins & ~(equal & (late.quality == there.quality) & (late.received_at == there.received_at))
    return result


def _usable(readings: Readings) -> NDArray[np.bool_]:
    return (readings.quality < FIRST_BAD) & np.isfinite(readings.value)

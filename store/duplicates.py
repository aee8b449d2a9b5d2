"""Which reading counts when several have one point and one ``measured_at`` (R2)."""

import numpy as np
from numpy.typing import NDArray

from domain.reading import FIRST_BAD, Readings

_KEY_LIMIT = 2**62
_RADIX = 2**16


def resolve(readings: Readings) -> Readings:
    """The readings sorted by (point, measured_at), one of each: the one received last; of those received together, the later row.

    A usable reading always beats a bad one: what is bad counts as if it had never arrived, and is set aside before duplicates are
    looked at (R2).
    """
    if not len(readings):
        return readings
    order = _order(readings.point, readings.measured_at)
    point, measured_at = readings.point[order], readings.measured_at[order]
    same = np.append((point[1:] == point[:-1]) & (measured_at[1:] == measured_at[:-1]), False)  # as the next row
    if same.any():
        # Only rows that share an instant are compared in full: they are few, and keep their place among the others.
        shared = same.copy()
        shared[1:] |= same[:-1]
        rows = order[shared]
        usable = (readings.quality[rows] < FIRST_BAD) & np.isfinite(readings.value[rows])
        better = np.lexsort((rows, readings.received_at[rows], usable, readings.measured_at[rows], readings.point[rows]))
        order[shared] = rows[better]
        order, point, measured_at = order[~same], point[~same], measured_at[~same]
    return Readings(point, measured_at, readings.received_at[order], readings.value[order], readings.quality[order])


def newest(readings: Readings) -> Readings:
    """The newest reading of each point, duplicates resolved, sorted by point."""
    one = resolve(readings)
    return one.take(np.append(one.point[1:] != one.point[:-1], True)[: len(one)])


def _order(point: NDArray[np.int32], measured_at: NDArray[np.int64]) -> NDArray[np.intp]:
    """The rows in the order of (point, measured_at); any order among equals."""
    by_point = _by_point(point)
    ordered_point, ordered_at = point[by_point], measured_at[by_point]
    if np.all((ordered_at[1:] >= ordered_at[:-1]) | (ordered_point[1:] != ordered_point[:-1])):
        return by_point  # readings come in the order of time, but for late ones: sorting by point is nine tenths of the way
    first, first_at, last_at = int(ordered_point[0]), int(measured_at.min()), int(measured_at.max())
    span = last_at - first_at + 1
    if (int(ordered_point[-1]) - first + 1) * span >= _KEY_LIMIT:
        return np.lexsort((measured_at, point))
    return np.argsort((point.astype(np.int64) - first) * span + (measured_at - first_at))


def _by_point(point: NDArray[np.int32]) -> NDArray[np.intp]:
    """The rows in the order of the points, those of one point as they came."""
    if np.all(point[1:] >= point[:-1]):
        return np.arange(len(point))
    first = int(point.min())
    if int(point.max()) - first < _RADIX:
        return np.argsort((point - first).astype(np.uint16), kind="stable")  # numpy sorts 16 bits by radix: five times as fast
    return np.argsort(point, kind="stable")

"""Readings as they count (R2): good ones only, one for each instant, calibrated, by room (or any other row) and then by time.

readings in order of arrival ─▶ bad ones out ─▶ by row, by instant ─▶ the one received last of each instant ─▶ Series
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import F64, I64, kernel
from domain.reading import FIRST_BAD, Readings

NEVER_MS = -(1 << 60)  # before every reading


class Series(NamedTuple):
    """Good readings of R rooms, by room and then by time, each instant once, calibration added.

    Room r has the rows ``starts[r]`` to ``starts[r + 1]`` of ``at`` (UTC ms) and ``value`` (°C).
    """

    starts: I64
    at: I64
    value: F64


def clean_series(room_row: NDArray[np.integer], readings: Readings, offset_k: F64) -> Series:
    """The readings that count, in order (R2).

    ``room_row`` (n,) says which room each reading belongs to (−1: to none); ``offset_k`` (R,) is added to its values. Bad and non-finite
    readings are left out first; of two with the same ``measured_at`` the one received last stays, ties go to the later row.
    """
    columns = (readings.measured_at, readings.received_at, readings.value, readings.quality)
    counted = np.empty(len(readings), np.int64), np.empty(len(readings), np.float64)  # numpy's memory has larger pages than numba's
    return _clean(np.ascontiguousarray(room_row, np.int32), *columns, offset_k, *counted)


@kernel
def _clean(
    room_row: NDArray[np.int32], measured_at: I64, received_at: I64, value: F64, quality: NDArray[np.uint8], offset_k: F64,
    at: I64, values: F64,
) -> Series:  # fmt: skip
    """Sorts the rows by room in one pass over them, then within a room where its readings did not come in order.

    ``at`` and ``values`` are room for as many rows.
    """
    rooms = len(offset_k)
    starts = np.zeros(rooms + 1, np.int64)
    newest = np.full(rooms, NEVER_MS, np.int64)
    ordered = True
    for k in range(len(room_row)):
        if room_row[k] >= 0 and quality[k] < FIRST_BAD and np.isfinite(value[k]):
            room = room_row[k]
            starts[room + 1] += 1
            ordered &= measured_at[k] > newest[room]
            newest[room] = max(newest[room], measured_at[k])
    for room in range(rooms):
        starts[room + 1] += starts[room]
    at, values = at[: starts[rooms]], values[: starts[rooms]]
    received = np.empty(0 if ordered else starts[rooms], np.int64)
    place = starts[:rooms].copy()
    for k in range(len(room_row)):
        if room_row[k] >= 0 and quality[k] < FIRST_BAD and np.isfinite(value[k]):
            room = room_row[k]
            row = place[room]
            at[row] = measured_at[k]
            values[row] = value[k] + offset_k[room]
            if not ordered:
                received[row] = received_at[k]
            place[room] = row + 1
    return Series(starts, at, values) if ordered else _once_each(starts, at, received, values)


@kernel
def _once_each(starts: I64, at: I64, received: I64, value: F64) -> Series:
    """Puts each room's rows in order of time and leaves one of those at one instant: received last, then the later row."""
    kept = np.zeros(len(starts), np.int64)
    count = 0
    for room in range(len(starts) - 1):
        low, high = starts[room], starts[room + 1]
        order = low + np.argsort(at[low:high], kind="mergesort")  # stable
        room_at, room_received, room_value = at[order], received[order], value[order]
        for k in range(high - low):
            if k > 0 and room_at[k] == room_at[k - 1]:
                if room_received[k] < received[count - 1]:
                    continue
                count -= 1
            at[count], received[count], value[count] = room_at[k], room_received[k], room_value[k]
            count += 1
        kept[room + 1] = count
    return Series(kept, at[:count], value[:count])

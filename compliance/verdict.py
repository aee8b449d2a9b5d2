"""The verdict of a room: compliant, breach or unknown (R2), exact to the millisecond.

One code for the live pass, daily totals, ``audit`` and ``replay``:

    readings ─▶ clean_series ─▶ cut (segments of one limit and one standing value) ─▶ judge (figures)
                                                                                  └▶ room_alarm (R3)

The kernels are compiled by numba; ``python -m compliance.warm`` fills their cache at set-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numba import njit
from numpy.typing import NDArray

from domain.policy import Policy
from domain.reading import Readings
from domain.site import Exclusion, Room

AT_LIMIT_K = 1e-9  # a value this close to a limit is at the limit
FOREVER_MS = 1 << 60

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Good readings of R rooms, by room and then by time, each instant once, calibration added.

    Room r has the rows ``starts[r]`` to ``starts[r + 1]`` of ``at`` (UTC ms) and ``value`` (°C).
    """

    starts: I64
    at: I64
    value: F64


@dataclass(frozen=True)
class RoomRules:
    """What each of R rooms is held to: ``hold_ms`` (R,), its timeline of limits and its excluded intervals, packed.

    Room r uses timeline ``table[r]``: rows ``step_starts[t]`` to ``step_starts[t + 1]`` of the steps, and the exclusions
    ``exclusion_starts[r]`` to ``exclusion_starts[r + 1]``, disjoint and in order.
    """

    hold_ms: I64
    table: I64
    step_starts: I64
    step_at: I64
    step_limit_c: F64
    step_day: NDArray[np.bool_]
    exclusion_starts: I64
    exclusion_from: I64
    exclusion_to: I64


@dataclass(frozen=True)
class Totals:
    """R2 over B periods for R rooms; every array is (R, B). Times in ms, ``deficit_kms`` and ``integral_kms`` in kelvin-ms.

    ``integral_kms`` is the integral of the value over known judged time; ``min_c`` and ``max_c`` are NaN when nothing is known.
    """

    compliant_ms: I64
    breach_ms: I64
    unknown_ms: I64
    breach_day_ms: I64
    breach_night_ms: I64
    longest_breach_ms: I64
    readings: I64
    readings_breach: I64
    deficit_kms: F64
    integral_kms: F64
    min_c: F64
    max_c: F64

    @property
    def judged_ms(self) -> I64:
        """Time in season and not excluded; it splits into compliant, breach and unknown without rest."""
        return self.compliant_ms + self.breach_ms + self.unknown_ms


def clean_series(room_row: NDArray[np.integer], readings: Readings, offset_k: F64) -> Series:
    """The readings that count, in order (R2).

    ``room_row`` (n,) says which room each reading belongs to; ``offset_k`` (R,) is added to its values. Bad and non-finite
    readings are left out first; of two with the same ``measured_at`` the one received last stays, ties go to the later row.
    """
    usable = (readings.quality < 64) & np.isfinite(readings.value)
    rows = np.flatnonzero(usable)
    room = np.asarray(room_row, np.int64)[rows]
    at = readings.measured_at[rows]
    received = readings.received_at[rows]
    ordered = len(rows) < 2 or bool(np.all((room[1:] > room[:-1]) | ((room[1:] == room[:-1]) & (at[1:] > at[:-1]))))
    if not ordered:
        order = np.lexsort((received, at, room))  # stable: equal keys stay in the order of the rows
        rows, room, at = rows[order], room[order], at[order]
        last = np.ones(len(rows), np.bool_)
        last[:-1] = (room[1:] != room[:-1]) | (at[1:] != at[:-1])
        rows, room, at = rows[last], room[last], at[last]
    starts = np.searchsorted(room, np.arange(len(offset_k) + 1)).astype(np.int64)
    return Series(starts, np.ascontiguousarray(at), readings.value[rows] + offset_k[room])


def room_rules(
    rooms: Sequence[Room],
    exclusions: Sequence[Exclusion],
    policy: Policy,
    zone: ZoneInfo,
    hold_ms: I64,
    from_ms: int,
    to_ms: int,
) -> RoomRules:
    """The rules of these rooms for any period inside [from_ms, to_ms). ``hold_ms`` is (R,)."""
    tables = sorted({room.table for room in rooms})
    timelines = [policy.timeline(table, zone, from_ms, to_ms) for table in tables]
    number = {table: index for index, table in enumerate(tables)}
    excluded = _merged_exclusions(exclusions)
    spans = [excluded.get(room.room_id, []) for room in rooms]
    return RoomRules(
        hold_ms=np.asarray(hold_ms, np.int64),
        table=np.array([number[room.table] for room in rooms], np.int64),
        step_starts=_starts([len(timeline.at) for timeline in timelines]),
        step_at=_joined([timeline.at for timeline in timelines], np.int64),
        step_limit_c=_joined([timeline.limit_c for timeline in timelines], np.float64),
        step_day=_joined([timeline.day for timeline in timelines], np.bool_),
        exclusion_starts=_starts([len(part) for part in spans]),
        exclusion_from=np.array([span[0] for part in spans for span in part], np.int64),
        exclusion_to=np.array([span[1] for part in spans for span in part], np.int64),
    )


def judge(series: Series, rules: RoomRules, edges_ms: I64) -> Totals:
    """R2 for every room over the B periods [edges_ms[b], edges_ms[b + 1]); the rules must cover them all."""
    rooms, periods = len(series.starts) - 1, len(edges_ms) - 1
    whole = np.zeros((8, rooms, periods), np.int64)
    real = np.zeros((4, rooms, periods), np.float64)
    real[2:] = np.nan
    if rooms and periods:
        _judge(*_packed(series, rules), np.asarray(edges_ms, np.int64), whole, real)
    return Totals(*whole, *real)


def _packed(series: Series, rules: RoomRules) -> tuple[NDArray[np.generic], ...]:
    """The kernels' common arguments."""
    return (
        series.starts, series.at, series.value,
        rules.hold_ms, rules.table, rules.step_starts, rules.step_at, rules.step_limit_c, rules.step_day,
        rules.exclusion_starts, rules.exclusion_from, rules.exclusion_to,
    )  # fmt: skip


def _starts(lengths: Sequence[int]) -> I64:
    return np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)


def _joined(parts: Sequence[NDArray[np.generic]], kind: type) -> NDArray[np.generic]:  # type: ignore[type-arg]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _merged_exclusions(exclusions: Sequence[Exclusion]) -> dict[str, list[tuple[int, int]]]:
    """Each room's excluded intervals, in order, those that touch or overlap joined."""
    by_room: dict[str, list[tuple[int, int]]] = {}
    for one in sorted(exclusions, key=lambda exclusion: exclusion.from_ms):
        end_ms = FOREVER_MS if one.to_ms is None else one.to_ms
        spans = by_room.setdefault(one.room_id, [])
        if spans and one.from_ms <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end_ms))
        else:
            spans.append((one.from_ms, end_ms))
    return by_room


@njit(cache=True, nogil=True)
def last_at_or_before(values, low, high, instant):  # type: ignore[no-untyped-def]
    """Index of the last of values[low:high] that is not after the instant, low − 1 when there is none."""
    first = low
    while first < high:
        middle = (first + high) // 2
        if values[middle] <= instant:
            first = middle + 1
        else:
            high = middle
    return first - 1


@njit(cache=True, nogil=True)
def cut(  # type: ignore[no-untyped-def]
    at, value, low, high, hold_ms, step_at, step_limit, step_day, step_low, step_high,
    exclusion_from, exclusion_to, exclusion_low, exclusion_high, from_ms, to_ms,
    out_at, out_limit, out_value, out_day, out_first,
):  # fmt: skip
    """Cuts [from_ms, to_ms) of one room into segments in which neither limit nor standing value changes; returns their number.

    Segment k runs from out_at[k] to out_at[k + 1] (out_at has the end as well). A NaN limit is unjudged, a NaN value
    unknown; out_first tells that a reading was measured at the segment's start.
    """
    reading = last_at_or_before(at, low, high, from_ms)
    step = max(step_low, last_at_or_before(step_at, step_low, step_high, from_ms))
    exclusion = exclusion_low
    while exclusion < exclusion_high and exclusion_to[exclusion] <= from_ms:
        exclusion += 1
    now = from_ms
    count = 0
    while now < to_ms:
        until = to_ms
        out_value[count] = np.nan
        out_first[count] = False
        if reading + 1 < high:
            until = min(until, at[reading + 1])
        if reading >= low and now < at[reading] + hold_ms:
            until = min(until, at[reading] + hold_ms)
            out_value[count] = value[reading]
            out_first[count] = at[reading] == now
        limit = step_limit[step]
        if step + 1 < step_high:
            until = min(until, step_at[step + 1])
        if exclusion < exclusion_high:
            if exclusion_from[exclusion] <= now:
                limit = np.nan
                until = min(until, exclusion_to[exclusion])
            else:
                until = min(until, exclusion_from[exclusion])
        out_at[count] = now
        out_limit[count] = limit
        out_day[count] = step_day[step]
        count += 1
        now = until
        while reading + 1 < high and at[reading + 1] <= now:
            reading += 1
        while step + 1 < step_high and step_at[step + 1] <= now:
            step += 1
        while exclusion < exclusion_high and exclusion_to[exclusion] <= now:
            exclusion += 1
    out_at[count] = to_ms
    return count


@njit(cache=True, nogil=True)
def scratch_size(starts, step_starts, table, exclusion_starts):  # type: ignore[no-untyped-def]
    """How many segments one room can have at most: every boundary there is, twice for readings (begin and end of a stand)."""
    size = 0
    for room in range(len(starts) - 1):
        steps = step_starts[table[room] + 1] - step_starts[table[room]]
        exclusions = exclusion_starts[room + 1] - exclusion_starts[room]
        size = max(size, 2 * (starts[room + 1] - starts[room]) + steps + 2 * exclusions)
    return size + 4


@njit(cache=True, nogil=True)
def _judge(  # type: ignore[no-untyped-def]
    starts, at, value, hold_ms, table, step_starts, step_at, step_limit, step_day,
    exclusion_starts, exclusion_from, exclusion_to, edges, whole, real,
):  # fmt: skip
    size = scratch_size(starts, step_starts, table, exclusion_starts)
    seg_at = np.empty(size + 1, np.int64)
    seg_limit = np.empty(size, np.float64)
    seg_value = np.empty(size, np.float64)
    seg_day = np.empty(size, np.bool_)
    seg_first = np.empty(size, np.bool_)
    for room in range(len(starts) - 1):
        kind = table[room]
        for period in range(len(edges) - 1):
            count = cut(
                at, value, starts[room], starts[room + 1], hold_ms[room], step_at, step_limit, step_day,
                step_starts[kind], step_starts[kind + 1], exclusion_from, exclusion_to,
                exclusion_starts[room], exclusion_starts[room + 1], edges[period], edges[period + 1],
                seg_at, seg_limit, seg_value, seg_day, seg_first,
            )  # fmt: skip
            _total(count, seg_at, seg_limit, seg_value, seg_day, seg_first, whole[:, room, period], real[:, room, period])


@njit(cache=True, nogil=True)
def _total(count, seg_at, seg_limit, seg_value, seg_day, seg_first, whole, real):  # type: ignore[no-untyped-def]
    """Adds one room's segments up, in the order of the fields of Totals."""
    run_ms = 0
    for k in range(count):
        limit = seg_limit[k]
        value = seg_value[k]
        length_ms = seg_at[k + 1] - seg_at[k]
        if np.isnan(limit) or np.isnan(value):
            run_ms = 0
            if not np.isnan(limit):
                whole[2] += length_ms
            continue
        real[1] += value * length_ms
        real[2] = value if np.isnan(real[2]) else min(real[2], value)
        real[3] = value if np.isnan(real[3]) else max(real[3], value)
        breach = value < limit - AT_LIMIT_K
        if seg_first[k]:
            whole[6] += 1
            whole[7] += breach
        if value < limit:
            real[0] += (limit - value) * length_ms
        if not breach:
            whole[0] += length_ms
            run_ms = 0
            continue
        whole[1] += length_ms
        whole[3 if seg_day[k] else 4] += length_ms
        run_ms += length_ms
        whole[5] = max(whole[5], run_ms)

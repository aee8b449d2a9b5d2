"""The verdict of a room: compliant, breach or unknown (R2), exact to the millisecond.

One code for the live pass, daily totals, ``audit`` and ``replay``:

    readings ─▶ clean_series ─▶ cut (segments of one limit and one standing value) ─▶ judge (figures)
                                                                                  └▶ room_alarm (R3)

The kernels are compiled by numba; ``python -m compliance.warm`` fills their cache at set-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import B1, F64, I64, kernel
from compliance.series import Series
from domain.policy import Policy
from domain.site import Exclusion, Room

AT_LIMIT_K = 1e-9  # a value this close to a limit is at the limit
FOREVER_MS = 1 << 60


class RoomRules(NamedTuple):
    """What each of R rooms is held to: ``hold_ms`` (R,), its timeline of limits and its excluded intervals, packed.

    Room r uses timeline ``table[r]``: rows ``step_starts[t]`` to ``step_starts[t + 1]`` of the steps, and the exclusions
    ``exclusion_starts[r]`` to ``exclusion_starts[r + 1]``, disjoint and in order.
    """

    hold_ms: I64
    table: I64
    step_starts: I64
    step_at: I64
    step_limit_c: F64
    step_day: B1
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
        step_at=np.concatenate([np.empty(0, np.int64), *(timeline.at for timeline in timelines)]),
        step_limit_c=np.concatenate([np.empty(0, np.float64), *(timeline.limit_c for timeline in timelines)]),
        step_day=np.concatenate([np.empty(0, np.bool_), *(timeline.day for timeline in timelines)]),
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
        _judge(series, rules, np.asarray(edges_ms, np.int64), whole, real)
    return Totals(*whole, *real)


def _starts(lengths: Sequence[int]) -> I64:
    return np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))]).astype(np.int64)


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


class Segments(NamedTuple):
    """Scratch for the segments of one room: segment k runs from ``at[k]`` to ``at[k + 1]`` (``at`` has the end as well).

    A NaN limit is unjudged, a NaN value unknown; ``first`` tells that a reading was measured at the segment's start.
    """

    at: I64
    limit_c: F64
    value_c: F64
    day: B1
    first: B1


@kernel
def segments_of(size: int) -> Segments:
    """Room for ``size`` segments."""
    return Segments(
        np.empty(size + 1, np.int64),
        np.empty(size, np.float64),
        np.empty(size, np.float64),
        np.empty(size, np.bool_),
        np.empty(size, np.bool_),
    )


@kernel
def last_at_or_before(values: I64, low: int, high: int, instant: int) -> int:
    """Index of the last of values[low:high] that is not after the instant, low − 1 when there is none."""
    first = low
    while first < high:
        middle = (first + high) // 2
        if values[middle] <= instant:
            first = middle + 1
        else:
            high = middle
    return first - 1


@kernel
def most_segments(rules: RoomRules, room: int, readings: int) -> int:
    """How many segments a room can have at most: every boundary there is, twice for readings (begin and end of a stand)."""
    steps = rules.step_starts[rules.table[room] + 1] - rules.step_starts[rules.table[room]]
    return int(2 * readings + steps + 2 * (rules.exclusion_starts[room + 1] - rules.exclusion_starts[room]) + 4)


@kernel
def cut(at: I64, value: F64, low: int, high: int, rules: RoomRules, room: int, from_ms: int, to_ms: int, out: Segments) -> int:
    """Cuts [from_ms, to_ms) of one room into segments in which neither limit nor standing value changes; returns their number.

    The room's readings are the rows ``low`` to ``high`` of ``at`` and ``value``.
    """
    hold_ms = rules.hold_ms[room]
    step_high = rules.step_starts[rules.table[room] + 1]
    step = max(
        rules.step_starts[rules.table[room]], last_at_or_before(rules.step_at, rules.step_starts[rules.table[room]], step_high, from_ms)
    )
    exclusion_high = rules.exclusion_starts[room + 1]
    exclusion = rules.exclusion_starts[room]
    while exclusion < exclusion_high and rules.exclusion_to[exclusion] <= from_ms:
        exclusion += 1
    reading = last_at_or_before(at, low, high, from_ms)
    now = from_ms
    count = 0
    while now < to_ms:
        until = to_ms
        out.value_c[count] = np.nan
        out.first[count] = False
        if reading + 1 < high:
            until = min(until, at[reading + 1])
        if reading >= low and now < at[reading] + hold_ms:
            until = min(until, at[reading] + hold_ms)
            out.value_c[count] = value[reading]
            out.first[count] = at[reading] == now
        limit = rules.step_limit_c[step]
        if step + 1 < step_high:
            until = min(until, rules.step_at[step + 1])
        if exclusion < exclusion_high:
            if rules.exclusion_from[exclusion] <= now:
                limit = np.nan
                until = min(until, rules.exclusion_to[exclusion])
            else:
                until = min(until, rules.exclusion_from[exclusion])
        out.at[count] = now
        out.limit_c[count] = limit
        out.day[count] = rules.step_day[step]
        count += 1
        now = until
        while reading + 1 < high and at[reading + 1] <= now:
            reading += 1
        while step + 1 < step_high and rules.step_at[step + 1] <= now:
            step += 1
        while exclusion < exclusion_high and rules.exclusion_to[exclusion] <= now:
            exclusion += 1
    out.at[count] = to_ms
    return count


@kernel
def _judge(series: Series, rules: RoomRules, edges: I64, whole: NDArray[np.int64], real: NDArray[np.float64]) -> None:
    size = 0
    for room in range(len(series.starts) - 1):
        size = max(size, most_segments(rules, room, series.starts[room + 1] - series.starts[room]))
    cuts = segments_of(size)
    for room in range(len(series.starts) - 1):
        low, high = series.starts[room], series.starts[room + 1]
        for period in range(len(edges) - 1):
            count = cut(series.at, series.value, low, high, rules, room, edges[period], edges[period + 1], cuts)
            _total(count, cuts, whole[:, room, period], real[:, room, period])


@kernel
def _total(count: int, cuts: Segments, whole: I64, real: F64) -> None:
    """Adds one room's segments up, in the order of the fields of Totals."""
    run_ms = 0
    for k in range(count):
        limit = cuts.limit_c[k]
        value = cuts.value_c[k]
        length_ms = cuts.at[k + 1] - cuts.at[k]
        if np.isnan(limit) or np.isnan(value):
            run_ms = 0
            if not np.isnan(limit):
                whole[2] += length_ms
            continue
        real[1] += value * length_ms
        real[2] = value if np.isnan(real[2]) else min(real[2], value)
        real[3] = value if np.isnan(real[3]) else max(real[3], value)
        breach = value < limit - AT_LIMIT_K
        if cuts.first[k]:
            whole[6] += 1
            whole[7] += breach
        if not breach:
            whole[0] += length_ms
            run_ms = 0
            continue
        real[0] += (limit - value) * length_ms
        whole[1] += length_ms
        whole[3 if cuts.day[k] else 4] += length_ms
        run_ms += length_ms
        whole[5] = max(whole[5], run_ms)

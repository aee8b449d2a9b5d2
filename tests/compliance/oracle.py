"""R2 of rules.md once more, slow and obvious: time is cut at every second, and each piece is judged by asking the local clock.

Nothing here is shared with the program: limits are looked up in plain tables, times are whole milliseconds, sums are fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

BAD_FROM = 64
AT_THE_LIMIT = Fraction(1, 10**9)


@dataclass(frozen=True)
class Law:
    """One version of a policy: local day it is valid from, season ((month, day) inclusive, None: always), limits by class.

    A class's limits are (from, to, limit) of local time; a window with from after to goes over midnight.
    """

    valid_from: date
    season: tuple[tuple[int, int], tuple[int, int]] | None
    limits: dict[str, list[tuple[time, time, float]]]


@dataclass(frozen=True)
class OracleReading:
    """One row of a readings file."""

    measured_at: int
    value: float
    received_at: int
    quality: int = 0


@dataclass(frozen=True)
class OracleRoom:
    """A room with its readings (in the order of the file) and the spans it is excluded in (None: until further notice)."""

    held_to: str
    hold_ms: int
    offset_k: float = 0.0
    readings: Sequence[OracleReading] = ()
    excluded: Sequence[tuple[int, int | None]] = ()


@dataclass
class Figures:
    """The figures of R2; milliseconds, kelvin-milliseconds."""

    judged_ms: int = 0
    compliant_ms: int = 0
    breach_ms: int = 0
    unknown_ms: int = 0
    breach_day_ms: int = 0
    breach_night_ms: int = 0
    longest_breach_ms: int = 0
    deficit_kms: Fraction = field(default_factory=Fraction)
    integral_kms: Fraction = field(default_factory=Fraction)
    values: list[Fraction] = field(default_factory=list)
    readings: int = 0
    readings_breach: int = 0


def local_time(instant_ms: int, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)).astimezone(zone)


def limit_at(instant_ms: int, held_to: str, laws: Sequence[Law], zone: ZoneInfo) -> Fraction | None:
    """The limit in ℃ at an instant, None when nothing is judged then (R1)."""
    local = local_time(instant_ms, zone)
    in_force = [law for law in laws if law.valid_from <= local.date()]
    if not in_force:
        return None
    law = max(in_force, key=lambda version: version.valid_from)
    if law.season is not None:
        first, last = law.season
        today = (local.month, local.day)
        inside = first <= today <= last if first <= last else today >= first or today <= last
        if not inside:
            return None
    clock = local.time()
    for start, stop, limit_c in law.limits[held_to]:
        inside = start <= clock < stop if start < stop else clock >= start or clock < stop
        if inside:
            return Fraction(limit_c)
    raise AssertionError("limits cover the day")


def good_readings(room: OracleRoom) -> list[tuple[int, Fraction]]:
    """(measured_at, value with offset) of the readings that count, in order of time; one for each instant."""
    chosen: dict[int, tuple[tuple[int, int], Fraction]] = {}
    for row, reading in enumerate(room.readings):
        if reading.quality >= BAD_FROM or reading.value != reading.value or reading.value in (float("inf"), float("-inf")):
            continue
        rank = (reading.received_at, row)
        before = chosen.get(reading.measured_at)
        if before is None or rank > before[0]:
            chosen[reading.measured_at] = (rank, Fraction(reading.value + room.offset_k))
    return sorted((at, value) for at, (_, value) in chosen.items())


def judge_slowly(room: OracleRoom, laws: Sequence[Law], zone: ZoneInfo, from_ms: int, to_ms: int) -> Figures:
    """R2 for one room over [from_ms, to_ms)."""
    good = good_readings(room)
    stands = [
        (at, min(at + room.hold_ms, good[index + 1][0] if index + 1 < len(good) else at + room.hold_ms), value)
        for index, (at, value) in enumerate(good)
    ]
    cuts = {from_ms, to_ms}
    cuts.update(range(-(-from_ms // 1000) * 1000, to_ms, 1000))
    for start, stop, _ in stands:
        cuts.update((start, stop))
    for start, end in room.excluded:
        cuts.update((start, to_ms if end is None else end))
    edges = sorted(cut for cut in cuts if from_ms <= cut <= to_ms)
    figures = Figures()
    run_ms = 0
    for start, stop in pairwise(edges):
        run_ms = _add_piece(figures, room, laws, zone, start, stop, stands, run_ms)
    for at, value in good:
        limit = _limit_of(room, at, laws, zone)
        if from_ms <= at < to_ms and limit is not None:
            figures.readings += 1
            figures.readings_breach += value < limit - AT_THE_LIMIT
    return figures


def _limit_of(room: OracleRoom, instant_ms: int, laws: Sequence[Law], zone: ZoneInfo) -> Fraction | None:
    if any(start <= instant_ms and (end is None or instant_ms < end) for start, end in room.excluded):
        return None
    return limit_at(instant_ms, room.held_to, laws, zone)


def _add_piece(
    figures: Figures,
    room: OracleRoom,
    laws: Sequence[Law],
    zone: ZoneInfo,
    start: int,
    stop: int,
    stands: Sequence[tuple[int, int, Fraction]],
    run_ms: int,
) -> int:
    """Adds one piece of time in which nothing changes; returns how long the breach has run at its end."""
    length = stop - start
    limit = _limit_of(room, start, laws, zone)
    if limit is None:
        return 0
    figures.judged_ms += length
    value = next((value for begin, end, value in stands if begin <= start < end), None)
    if value is None:
        figures.unknown_ms += length
        return 0
    figures.values.append(value)
    figures.integral_kms += value * length
    if value >= limit - AT_THE_LIMIT:
        figures.compliant_ms += length
        return 0
    figures.breach_ms += length
    figures.deficit_kms += (limit - value) * length
    if time(6) <= local_time(start, zone).time() < time(21):
        figures.breach_day_ms += length
    else:
        figures.breach_night_ms += length
    figures.longest_breach_ms = max(figures.longest_breach_ms, run_ms + length)
    return run_ms + length

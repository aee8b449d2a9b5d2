"""R1–R3 of rules.md once more, slow and obvious: what stands, what the limit is, when a room's alarm comes and goes.

What stands between quotation marks in the comments is the text of rules.md; "read as:" marks where it can be read in two ways.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.policy import PolicyVersion
from domain.site import Room, Site

MINUTE = 60_000
HOUR = 60 * MINUTE
CUT = 15 * MINUTE  # windows of the policy, midnights and changes of the clock all lie on quarters of an hour
TINY = Fraction(1, 10**9)  # "a value (with its offset) within 1e-9 K of a limit is at the limit"
FIRST_BAD = 64

Row = tuple[str, int, float, int, int | None]  # point, measured_at, value, quality, received_at
Series = list[tuple[int, float]]


class Said(NamedTuple):
    """One event that must follow."""

    at: int
    event: str
    subject: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Input:
    """A site, the readings that count by point (a point with bad ones only has none), and the span looked at."""

    site: Site
    series: dict[str, Series]
    from_ms: int
    to_ms: int


def read(site: Site, rows: Sequence[Row], to_ms: int | None) -> Input:
    """The rows as series: sorted, without bad readings, one for each instant."""
    best: dict[str, dict[int, tuple[tuple[int, int], float]]] = {}
    for number, (point, at, value, quality, received) in enumerate(rows):
        points = best.setdefault(point, {})
        # "A reading of bad quality (or an empty or non-finite value) is treated as if it had never arrived; it is filtered before
        # duplicates are." "Suspect values count as good in every rule; only bad ones do not."
        if quality >= FIRST_BAD or not isfinite(value):
            continue
        # "two readings with the same measured_at: the one received last wins." "A missing received_at is measured_at; ties go to the
        # later row."
        rank = (at if received is None else received, number)
        if at not in points or rank > points[at][0]:
            points[at] = (rank, value)
    series = {point: sorted((at, value) for at, (_, value) in of.items()) for point, of in best.items()}
    judged = {point: of for point, of in series.items() if of and (point.startswith("station/") or point.endswith("/indoor_temp_c"))}
    ends = [of[-1][0] + hold_ms(site, point) for point, of in judged.items()]
    starts = [of[0][0] for of in judged.values()]
    end = to_ms if to_ms is not None else max(ends, default=0)  # "by default the latest end of a stand"
    return Input(site, series, min(starts, default=0), end)


def hold_ms(site: Site, point: str) -> int:
    """How long a reading of the point stands: "at most hold_max = 30 min (per site; per room …)", "station hold 5 min"."""
    kind, _, rest = point.partition("/")
    room = site.rooms.get(rest.rpartition("/")[0])
    if kind != "room":
        return round(site.station_hold_min * MINUTE)
    minutes = site.hold_max_min if room is None or room.hold_max_min is None else room.hold_max_min
    return round(minutes * MINUTE)


def standing(series: Series, at: int, hold: int) -> float | None:
    """The value that stands at an instant: "from its measured_at until the next reading …, but at most hold_max"."""
    found = bisect_right(series, (at, float("inf"))) - 1
    return series[found][1] if found >= 0 and at < series[found][0] + hold else None


def edges(given: Input, more: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The pieces between the cuts given and the quarters of an hour.

    Read as: an event "up to --to" may be at that very instant, so the last piece begins there.
    """
    last = given.to_ms + 1
    cuts = {given.from_ms, last, *range(-(-given.from_ms // CUT) * CUT, last, CUT), *more}
    return pairwise(sorted(cut for cut in cuts if given.from_ms <= cut <= last))


# ── R1 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def local(at: int, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(zone)


def in_force(site: Site, at: int) -> PolicyVersion | None:
    """By "The version in force at the instant judged applies" (``valid_from``, local date)."""
    today = local(at, site.timezone).date()
    valid = [version for version in site.policy.versions if version.valid_from <= today]
    return max(valid, key=lambda version: version.valid_from) if valid else None


def in_season(site: Site, at: int) -> PolicyVersion | None:
    """The version in force, None when nothing is judged: "[15 Nov 00:00, 16 Mar 00:00) local", both days included."""
    version = in_force(site, at)
    if version is None or version.season is None:
        return version
    today = local(at, site.timezone).date()
    (month, day), (last_month, last_day) = version.season
    for year in (today.year - 1, today.year):
        first, last = date(year, month, day), date(year, last_month, last_day)
        if last < first:
            last = date(year + 1, last_month, last_day)
        if first <= today <= last:
            return version
    return None


def limit_at(site: Site, table: str, at: int) -> float | None:
    """The limit of R1's table, None outside the season."""
    version = in_season(site, at)
    if version is None:
        return None
    clock = local(at, site.timezone)
    second = clock.hour * 3600 + clock.minute * 60 + clock.second
    return next(window.limit_c for window in version.schedules[table] if window.from_s <= second < window.to_s)  # "half open"


# ── R2, R3 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Piece(NamedTuple):
    """Time in which nothing changes for a room: why it is not judged (or ""), what stands, the limit."""

    start: int
    stop: int
    unjudged: str
    value: Fraction | None
    limit: Fraction


def rooms_of(given: Input) -> dict[str, Room]:
    """Every room with a temperature in the file; one that rooms.csv does not name is a residential one of no building."""
    names = [point.split("/") for point in given.series]
    return {name[1]: given.site.rooms.get(name[1], Room(name[1])) for name in names if name[0] == "room" and name[2] == "indoor_temp_c"}


def room_pieces(given: Input, room: Room) -> Iterator[Piece]:
    """R2: the room's time, cut wherever reading, stand, limit, season or exclusion changes."""
    point = f"room/{room.room_id}/indoor_temp_c"
    series, hold = given.series[point], hold_ms(given.site, point)
    # "inside a room's excluded intervals (…; each with reason, who, when), nothing is judged"
    excluded = [one for one in given.site.exclusions if one.room_id == room.room_id]
    cuts = [cut for at, _ in series for cut in (at, at + hold)]
    cuts += [cut for one in excluded for cut in (one.from_ms, one.to_ms) if cut is not None]
    table = room.schedule if room.premises == "contract" and room.schedule else room.premises
    for start, stop in edges(given, cuts):
        limit = limit_at(given.site, table, start)
        inside = any(one.from_ms <= start and (one.to_ms is None or start < one.to_ms) for one in excluded)
        unjudged = "excluded" if inside else "season_ended" if limit is None else ""
        value = standing(series, start, hold)
        # "The room's offset_k (calibration) is added first."
        known = None if value is None else Fraction(value + room.offset_k)
        yield Piece(start, stop, unjudged, known, Fraction(limit or 0))


@dataclass
class Alarm:
    """One pending or raised alarm of a room, and its clocks."""

    highest: Fraction
    raised: bool = False
    breach: int = 0
    unknown: int = 0
    cured: int = 0
    silence: int = 0
    silence_said: bool = False


def room_alarm(given: Input, room: Room) -> list[Said]:
    """R3 for one room."""
    said: list[Said] = []
    alarm: Alarm | None = None
    subject = f"room/{room.room_id}"

    def say(at: int, event: str, **body: Any) -> None:
        said.append(Said(at, f"alarm.{event}", subject, body))

    for piece in room_pieces(given, room):
        start, length = piece.start, piece.stop - piece.start
        if piece.unjudged:
            # "End of season or start of an exclusion clears it (a pending one is forgotten), with that reason."
            if alarm is not None:
                say(start, "cleared" if alarm.raised else "forgotten", reason=piece.unjudged)
            alarm = None
            continue
        if alarm is not None:
            # "L is the highest limit the room has been held to since pending began": it is held to it, known or not
            alarm.highest = max(alarm.highest, piece.limit)
        if piece.value is None:
            alarm = _unknown_time(alarm, start, length, say)
            continue
        breach = piece.value < piece.limit - TINY  # "A breach is value < limit"; "within 1e-9 K of a limit is at the limit"
        if alarm is None:
            if not breach:
                continue
            # "pending from the first instant of breach."
            alarm = Alarm(piece.limit)
            say(start, "pending")
        alarm.silence, alarm.silence_said = 0, False
        if not alarm.raised:
            if not breach:
                # "It is forgotten at the first instant of compliance"
                say(start, "forgotten", reason="compliant")
                alarm = None
                continue
            # "raised at the instant at which breach time since pending began reaches raise_after = 60 min."
            if alarm.breach + length >= 60 * MINUTE:
                alarm.raised = True
                say(start + 60 * MINUTE - alarm.breach, "raised")
            alarm.breach += length
            continue
        if piece.value < alarm.highest + Fraction(3, 10) - TINY:
            alarm.cured = 0  # "without interruption by a lower value"
            continue
        # "cleared at the instant at which time with value ≥ L + 0.3 K … reaches clear_after = 30 min"
        if alarm.cured + length >= 30 * MINUTE:
            say(start + 30 * MINUTE - alarm.cured, "cleared", reason="recovered")
            alarm = None
            continue
        alarm.cured += length
    return said


def _unknown_time(alarm: Alarm | None, start: int, length: int, say: Any) -> Alarm | None:
    """By "Timers run on known judged time only; unknown time freezes them." """
    if alarm is None:
        return None
    if not alarm.raised:
        # "forgotten … when unknown time in it adds up to more than 2 h": not at 2 h, but at the first instant after them
        if alarm.unknown + length > 2 * HOUR:
            say(start + 2 * HOUR - alarm.unknown, "forgotten", reason="unknown")
            return None
        alarm.unknown += length
        return alarm
    # "it stays raised, and is marked no_data, once per silence, when unknown for 2 h on end."
    alarm.silence += length
    if alarm.silence >= 2 * HOUR and not alarm.silence_said:
        alarm.silence_said = True
        say(start + length - (alarm.silence - 2 * HOUR), "no_data")
    return alarm

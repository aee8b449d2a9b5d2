"""The exact rate of compliance of a file of readings: ``keepwarm audit`` (R1, R2).

readings ─▶ rooms ─▶ clean_series ─▶ period ─▶ room_rules ─▶ judge ─▶ figures of rooms, groups, totals
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from compliance.series import Series, clean_series
from compliance.verdict import Totals, judge, room_rules
from domain.clock import iso
from domain.policy import Policy
from domain.quantity import parse_point
from domain.reading import Readings
from domain.screening import Surroundings, screened
from domain.site import Exclusion, Room
from store.site_folder.policies import check_schedules

ROOM_QUANTITY = "indoor_temp_c"
KNOWN_SHARE = 2  # a room is known when at least one part in so many of its judged time is (coverage ≥ 0.5)

ROWS_AT_ONCE = 1 << 17

By = Literal["room", "building", "station", "day"]
Figure = int | float | str | None
Figures = dict[str, Figure]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Question:
    """What is asked of the readings. ``from_ms`` None: from the first reading; ``to_ms`` None: to the latest end of a stand."""

    policy: Policy
    zone: ZoneInfo
    rooms: Sequence[Room] = ()
    exclusions: Sequence[Exclusion] = ()
    hold_max_min: float = 30.0
    from_ms: int | None = None
    to_ms: int | None = None
    by: By = "room"
    screen: bool = False


@dataclass(frozen=True)
class Audit:
    """The answer, as it is written: figures in order, times in seconds, None for a rate of nothing.

    ``groups`` is None where none were asked for; ``from_ms`` and ``to_ms`` are None where neither question nor readings give one.
    """

    policy: Policy
    zone: ZoneInfo
    from_ms: int | None
    to_ms: int | None
    rooms: list[Figures]
    groups: list[Figures] | None
    totals: Figures

    def document(self) -> dict[str, object]:
        """The contract's JSON document, its keys in order."""
        document: dict[str, object] = {
            "policy": {"name": self.policy.name, "sha256": self.policy.sha256},
            "from": None if self.from_ms is None else iso(self.from_ms, self.zone),
            "to": None if self.to_ms is None else iso(self.to_ms, self.zone),
            "rooms": self.rooms,
        }
        if self.groups is not None:
            document["groups"] = self.groups
        return {**document, "totals": self.totals}


def audit(names: Sequence[str], readings: Readings, question: Question) -> Audit:
    """Judges every room of the question, then those that are only in the readings (as ``residential``), in order of appearance.

    ``readings.point`` is an index of ``names``; points other than ``room/ID/indoor_temp_c`` are not looked at.
    Raises ConfigError when the policy lacks the schedule of a room in the period.
    """
    if question.screen:
        readings = screened(names, readings, Surroundings(rooms={room.room_id: room for room in question.rooms}))
    rooms, series = _series(names, readings, question)
    hold_ms = np.array([_hold_ms(room, question) for room in rooms], np.int64)
    from_ms, to_ms = _period(series, hold_ms, question)
    edges = np.array((0, 0) if from_ms is None or to_ms is None else (from_ms, to_ms), np.int64)  # no period: every room, nothing judged
    totals = _judged(rooms, series, hold_ms, edges, question)
    return Audit(
        question.policy,
        question.zone,
        from_ms,
        to_ms,
        [_room_figures(room, totals, row) for row, room in enumerate(rooms)],
        _groups(rooms, series, hold_ms, totals, edges, question),
        _sums(totals, slice(None)),
    )


def _series(names: Sequence[str], readings: Readings, question: Question) -> tuple[list[Room], Series]:
    """The rooms and their good readings."""
    rooms = {room.room_id: room for room in question.rooms}
    number = {room_id: row for row, room_id in enumerate(rooms)}
    seen = np.zeros(len(names), np.bool_)
    for rows in _stretches(len(readings)):
        seen[readings.point[rows]] = True
    row_of = np.full(len(names), -1, np.int32)
    for point in np.flatnonzero(seen):
        kind, room_id, quantity = parse_point(names[int(point)])
        if kind == "room" and quantity == ROOM_QUANTITY:
            rooms.setdefault(room_id, Room(room_id))
            row_of[point] = number.setdefault(room_id, len(number))
    row = np.empty(len(readings), np.int32)
    for rows in _stretches(len(readings)):
        row[rows] = row_of[readings.point[rows]]
    mine = row >= 0
    if not mine.all():
        row, readings = row[mine], readings.take(mine)
    offset_k = np.array([room.offset_k for room in rooms.values()], np.float64)
    return list(rooms.values()), clean_series(row, readings, offset_k)


def _stretches(rows: int) -> list[slice]:
    """All rows, a part after the other: numpy turns indices into its own kind first, and a part of them stays in the cache."""
    return [slice(low, low + ROWS_AT_ONCE) for low in range(0, rows, ROWS_AT_ONCE)]


def _hold_ms(room: Room, question: Question) -> int:
    return round((question.hold_max_min if room.hold_max_min is None else room.hold_max_min) * 60_000)


def _period(series: Series, hold_ms: I64, question: Question) -> tuple[int | None, int | None]:
    """The period asked for, an end that is not given taken from the readings, None where there are none."""
    from_ms, to_ms = question.from_ms, question.to_ms
    heard = np.flatnonzero(series.starts[1:] > series.starts[:-1])
    if heard.size:
        first_ms = int(series.at[series.starts[heard]].min())
        last_ms = int((series.at[series.starts[heard + 1] - 1] + hold_ms[heard]).max())
        if from_ms is None:
            from_ms = first_ms if to_ms is None else min(first_ms, to_ms)
        if to_ms is None:
            to_ms = max(last_ms, from_ms)
    return from_ms, to_ms


def _judged(rooms: Sequence[Room], series: Series, hold_ms: I64, edges_ms: I64, question: Question) -> Totals:
    from_ms, to_ms = int(edges_ms[0]), int(edges_ms[-1])
    if from_ms >= to_ms:
        return Totals(*np.zeros((8, len(rooms), 1), np.int64), *np.zeros((4, len(rooms), 1)))
    _check_schedules(rooms, question, from_ms, to_ms)
    rules = room_rules(rooms, question.exclusions, question.policy, question.zone, hold_ms, from_ms, to_ms)
    return judge(series, rules, edges_ms)


def _check_schedules(rooms: Sequence[Room], question: Question, from_ms: int, to_ms: int) -> None:
    """Raises ConfigError when a version of the policy in force in the period lacks the schedule of a room."""
    check_schedules(question.policy, rooms, *(_local_day(instant_ms, question.zone) for instant_ms in (from_ms, to_ms - 1)))


def _local_day(instant_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(instant_ms // 1000, zone).date()


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def seconds(duration_ms: int) -> int | float:
    """Milliseconds as seconds, a whole number where there is no fraction."""
    whole, rest = divmod(int(duration_ms), 1000)
    return whole if rest == 0 else int(duration_ms) / 1000


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _tidy(value: float) -> float:
    """Without the noise of adding up in binary."""
    return round(float(value), 9)


def _room_figures(room: Room, totals: Totals, row: int) -> Figures:
    """One room over the whole period, in the contract's order."""
    known_ms = int(totals.compliant_ms[row, 0] + totals.breach_ms[row, 0])
    judged_ms = int(totals.judged_ms[row, 0])
    return {
        "room_id": room.room_id,
        "building_id": room.building_id,
        "station_id": room.station_id,
        "judged_s": seconds(judged_ms),
        "compliant_s": seconds(totals.compliant_ms[row, 0]),
        "breach_s": seconds(totals.breach_ms[row, 0]),
        "unknown_s": seconds(totals.unknown_ms[row, 0]),
        "breach_day_s": seconds(totals.breach_day_ms[row, 0]),
        "breach_night_s": seconds(totals.breach_night_ms[row, 0]),
        "deficit_kh": _tidy(totals.deficit_kms[row, 0] / 3_600_000),
        "longest_breach_s": seconds(totals.longest_breach_ms[row, 0]),
        "min_c": _tidy(totals.min_c[row, 0]) if known_ms else None,
        "max_c": _tidy(totals.max_c[row, 0]) if known_ms else None,
        "mean_c": _tidy(totals.integral_kms[row, 0] / known_ms) if known_ms else None,
        "readings": int(totals.readings[row, 0]),
        "readings_breach": int(totals.readings_breach[row, 0]),
        "compliance_rate": _rate(int(totals.compliant_ms[row, 0]), known_ms),
        "coverage": _rate(known_ms, judged_ms),
    }


def _sums(totals: Totals, rows: slice | I64, period: int = 0) -> Figures:
    """Some rooms over one period, in the contract's order."""

    def total_s(array: I64) -> int | float:
        return seconds(array[rows, period].sum())

    judged_ms, compliant_ms, breach_ms = (array[rows, period] for array in (totals.judged_ms, totals.compliant_ms, totals.breach_ms))
    known = (KNOWN_SHARE * (compliant_ms + breach_ms) >= judged_ms) & (judged_ms > 0)
    known_rooms, without_breach = int(known.sum()), int((known & (breach_ms == 0)).sum())
    known_ms = int((compliant_ms + breach_ms).sum())
    return {
        "judged_s": total_s(totals.judged_ms),
        "compliant_s": total_s(totals.compliant_ms),
        "breach_s": total_s(totals.breach_ms),
        "unknown_s": total_s(totals.unknown_ms),
        "breach_day_s": total_s(totals.breach_day_ms),
        "breach_night_s": total_s(totals.breach_night_ms),
        "deficit_kh": _tidy(totals.deficit_kms[rows, period].sum() / 3_600_000),
        "readings": int(totals.readings[rows, period].sum()),
        "readings_breach": int(totals.readings_breach[rows, period].sum()),
        "compliance_rate": _rate(int(compliant_ms.sum()), known_ms),
        "coverage": _rate(known_ms, int(judged_ms.sum())),
        "rooms": len(judged_ms),
        "rooms_known": known_rooms,
        "rooms_without_breach": without_breach,
        "households_rate": _rate(without_breach, known_rooms),
    }


def _groups(rooms: Sequence[Room], series: Series, hold_ms: I64, totals: Totals, edges_ms: I64, question: Question) -> list[Figures] | None:
    """The figures by building, station or local day; rooms that are in none come under the key None."""
    if question.by == "day":
        return _day_groups(rooms, series, hold_ms, edges_ms, question)
    if question.by == "room":
        return None
    members: dict[str | None, list[int]] = {}
    for row, room in enumerate(rooms):
        members.setdefault(room.building_id if question.by == "building" else room.station_id, []).append(row)
    return [{"key": key, **_sums(totals, np.array(rows, np.int64))} for key, rows in members.items()]


def _day_groups(rooms: Sequence[Room], series: Series, hold_ms: I64, edges_ms: I64, question: Question) -> list[Figures]:
    days = _day_edges(edges_ms, question.zone)
    by_day = _judged(rooms, series, hold_ms, days, question)
    keys = [_local_day(int(start_ms), question.zone).isoformat() for start_ms in days[:-1]]
    return [{"key": key, **_sums(by_day, slice(None), period)} for period, key in enumerate(keys)]


def _day_edges(edges_ms: I64, zone: ZoneInfo) -> I64:
    """The period's ends with every local midnight between them."""
    from_ms, to_ms = int(edges_ms[0]), int(edges_ms[-1])
    if from_ms >= to_ms:
        return edges_ms[:1]
    midnights = []
    day = _local_day(from_ms, zone) + timedelta(days=1)
    while (midnight_ms := _midnight_ms(day, zone)) < to_ms:
        midnights.append(midnight_ms)
        day += timedelta(days=1)
    return np.array([from_ms, *midnights, to_ms], np.int64)


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def excluded_nowhere(question: Question, answer: Audit) -> list[str]:
    """Ids of rooms that are excluded and are not among the rooms judged: most likely slips of the pen."""
    judged = {room["room_id"] for room in answer.rooms}
    return list(dict.fromkeys(exclusion.room_id for exclusion in question.exclusions if exclusion.room_id not in judged))

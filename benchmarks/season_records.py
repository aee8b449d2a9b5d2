"""The records of a town towards the end of a season, as watch and people leave them behind: seeded, in proportion to its rooms.

rooms ─▶ a fifth as many alarms, a twentieth as many complaints with their steps, calls and rooms, a fiftieth as many visits, the audit
stations ─▶ outages that are over and some that go on, with their notices
"""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, Table, insert

from domain.site import Room, Site
from domain.visit import Visit
from store.records import open_records, tables
from store.records.visits import append_visit

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
PEOPLE: Final = ("王", "李", "张", "赵", "陈")
LIFE: Final = ("accepted", "dispatched", "on_site", "resolved", "called_back", "closed")
OPEN: Final = (0, 0, 1, 1, 2, 3)  # how many steps of its life an open complaint has behind it
Row = dict[str, Any]


def write_records(site: Site, now_ms: int, season_days: int) -> None:
    """Fills the records of a site that has none."""
    records = open_records(site.data / "records.db")
    span_ms, rng = season_days * DAY_MS, np.random.default_rng(11)
    with records.begin() as connection:
        write_alarms(connection, site, now_ms, span_ms, rng)
        write_outages(connection, list(site.stations), now_ms, span_ms)
        write_complaints(connection, site, now_ms, span_ms, rng)
        write_visits(connection, site, now_ms, span_ms)
        write_audit(connection, len(site.rooms) // 5, now_ms, span_ms)
        connection.execute(insert(tables.room_days), list(room_days(site, now_ms)))
    records.dispose()


def happen(records: Engine, site: Site, now_ms: int, number: int) -> None:
    """What watch writes down meanwhile: an alarm, and with each fifth a complaint."""
    room = site.rooms[list(site.rooms)[number * 977 % len(site.rooms)]]
    alarm = {key: value for key, value in _alarm(0, room, now_ms).items() if key != "id"}
    step: Row = {"from_state": "normal", "at": now_ms, "who": "watch", "why": ""}
    with records.begin() as connection:
        (alarm_id,) = connection.execute(insert(tables.alarms).values(alarm)).inserted_primary_key or (0,)
        connection.execute(insert(tables.alarm_transitions).values(step | {"alarm_id": alarm_id, "to_state": "unacknowledged"}))
        body = {"value_c": 16.9, "limit_c": 18.0}
        connection.execute(insert(tables.events).values(at=now_ms, event="alarm.raised", subject=alarm["subject"], body=body, queued=True))
        if number % 5 == 0:
            row = {key: value for key, value in _complaint(0, room, now_ms, "new", resident=False).items() if key != "id"}
            (complaint_id,) = connection.execute(insert(tables.complaints).values(row)).inserted_primary_key or (0,)
            connection.execute(insert(tables.complaint_transitions).values(step | {"complaint_id": complaint_id, "to_state": "new"}))


def write_alarms(connection: Connection, site: Site, now_ms: int, span_ms: int, rng: np.random.Generator) -> None:
    """A fiftieth of the rooms with an alarm that stands, raised today; ten times as many that are over, spread over the season."""
    rooms = list(site.rooms.values())
    standing = [(room, now_ms - HOUR_MS - n * 1_000) for n, room in enumerate(rooms) if n % 48 == 0]
    over_at = np.sort(rng.integers(now_ms - span_ms, now_ms - 12 * HOUR_MS, len(rooms) * 9 // 50))
    over = [(rooms[int(rng.integers(len(rooms)))], int(at)) for at in over_at]
    rows, steps, events = [], [], []
    for number, (room, at) in enumerate([*over, *standing], 1):
        row, is_over = _alarm(number, room, at), number <= len(over)
        if is_over:
            row |= {"state": "normal", "cleared_at": at + 3 * HOUR_MS, "cleared_reason": "recovered", "acknowledged_at": at + HOUR_MS}
            row["acknowledged_by"] = PEOPLE[number % len(PEOPLE)]
        rows.append(row)
        for gone_ms, before, after in (
            (0, "normal", "unacknowledged"),
            (1, "unacknowledged", "acknowledged"),
            (3, "acknowledged", "normal"),
        ):
            if is_over or not gone_ms:
                step = {"alarm_id": number, "from_state": before, "to_state": after, "at": at + gone_ms * HOUR_MS}
                steps.append(step | {"who": PEOPLE[0] if gone_ms == 1 else "watch", "why": ""})
        for gone_ms, word in ((0, "alarm.raised"), (3 * HOUR_MS, "alarm.cleared")):
            if is_over or not gone_ms:
                event = {"at": at + gone_ms, "event": word, "subject": row["subject"], "body": {"value_c": 16.9, "limit_c": 18.0}}
                events.append(event | {"queued": True})
    _insert(connection, tables.alarms, rows)
    _insert(connection, tables.alarm_transitions, steps)
    _insert(connection, tables.events, list({(one["event"], one["subject"], one["at"]): one for one in events}.values()))


def _alarm(number: int, room: Room, at: int) -> Row:
    row = {"id": number, "kind": "room_low", "subject": f"room/{room.room_id}", "station_id": room.station_id}
    row |= {"building_id": room.building_id, "pending_at": at - HOUR_MS, "raised_at": at, "value": 16.9, "limit_value": 18.0}
    row |= {"policy": "default", "state": "unacknowledged", "cleared_at": None, "cleared_reason": None}
    return row | {"acknowledged_at": None, "acknowledged_by": None}


def write_outages(connection: Connection, stations: Sequence[str], now_ms: int, span_ms: int) -> None:
    """One that goes on for each four hundredth station, and one that is over for each twentieth, with its notice."""
    rows, notices, steps = [], [], []
    for number, n in enumerate(range(3, len(stations), 400), 1):
        rows.append(_outage(number, stations[n], now_ms - 6 * HOUR_MS - n * 1_000))
    for number, n in enumerate(range(0, len(stations), 20), len(rows) + 1):
        started = now_ms - DAY_MS - n * (span_ms - 2 * DAY_MS) // len(stations)
        rows.append(_outage(number, stations[n], started) | {"state": "ended", "ended_at": started + 9 * HOUR_MS})
        words = {"title_zh": "停热通告", "title_en": "Heating notice", "text_zh": "正在抢修。", "text_en": "Repairs are under way."}
        notice: Row = {"id": number, "outage_id": number, "subject": f"station/{stations[n]}", "state": "closed", **words}
        notice |= {"due_at": started + 8 * HOUR_MS, "published_at": started + 8 * HOUR_MS, "closed_at": started + 9 * HOUR_MS, "version": 2}
        notices.append(notice | {"stations": [stations[n]], "households": 600, "changed_at": started + 9 * HOUR_MS})
        for version, (before, after) in enumerate((("due", "published"), ("published", "closed")), 1):
            step = {"notice_id": number, "from_state": before, "to_state": after, "at": started + (7 + version) * HOUR_MS, **words}
            steps.append(step | {"who": "watch", "why": "", "version": version, "queued": True})
    _insert(connection, tables.outages, rows)
    _insert(connection, tables.notices, notices)
    _insert(connection, tables.notice_transitions, steps)


def _outage(number: int, station_id: str, started: int) -> Row:
    row = {"id": number, "subject": f"station/{station_id}", "station_id": station_id, "source_id": None, "state": "open"}
    row |= {"cause": "pump_trip", "started_at": started, "started_earliest": started, "opened_at": started + 15 * MINUTE_MS}
    evidence = [{"quantity": "pump1_running", "at": started, "value": 0.0}]
    return row | {"ended_at": None, "evidence": evidence, "stations": [station_id]}


def write_complaints(connection: Connection, site: Site, now_ms: int, span_ms: int, rng: np.random.Generator) -> None:
    """A twentieth as many as rooms; of these a twentieth open, of the last two days, the others worked through step by step."""
    rooms = list(site.rooms.values())
    rows, steps, deeds, attached = [], [], [], []
    for number in range(1, len(rooms) // 20 + 1):
        is_open, resident = number % 20 == 0, number % 2 == 1
        room = rooms[number * 19 % len(rooms)]
        opened = now_ms - int(rng.integers(HOUR_MS, 2 * DAY_MS if is_open else span_ms)) - number
        taken = ["new", *LIFE[: OPEN[number // 20 % len(OPEN)] if is_open else len(LIFE)]]
        rows.append(_complaint(number, room, opened, taken[-1], resident=resident))
        evidence = {"limit_c": 18.0, "min_c": 16.4, "last_c": 16.9, "readings": [[opened - k * 600_000, 16.9] for k in range(24)]}
        attached.append({"complaint_id": number, "room_id": room.room_id, "raised_at": opened, "attached_at": opened, "evidence": evidence})
        for place, (before, after) in enumerate(pairwise(taken)):
            step = {"complaint_id": number, "from_state": before, "to_state": after, "at": opened + (place + 1) * 20 * MINUTE_MS}
            steps.append(step | {"who": PEOPLE[number % len(PEOPLE)], "why": ""})
        if resident and not is_open:
            deed = {"complaint_id": number, "kind": "call_back", "at": opened + 100 * MINUTE_MS, "who": PEOPLE[1], "why": "热了"}
            deeds.append(deed | {"body": {"reached": True, "satisfied": True}})
    _insert(connection, tables.complaints, rows)
    _insert(connection, tables.complaint_rooms, attached)
    _insert(connection, tables.complaint_transitions, steps)
    _insert(connection, tables.complaint_deeds, deeds)


def _complaint(number: int, room: Room, opened: int, state: str, *, resident: bool) -> Row:
    row = {"id": number, "kind": "room", "origin": "resident" if resident else "sensor", "subject": f"room/{room.room_id}"}
    row |= {"station_id": room.station_id, "building_id": room.building_id, "opened_at": opened, "state": state}
    row |= {"source": "phone" if resident else "", "reporter": "张女士" if resident else "", "contact": "13900000000" if resident else ""}
    return row | {"assignee": PEOPLE[number % len(PEOPLE)], "evidence": {"limit_c": 18.0, "policy": "default"}}


def write_visits(connection: Connection, site: Site, now_ms: int, span_ms: int) -> None:
    """A fiftieth as many as rooms, in their chain."""
    rooms = list(site.rooms)
    count = len(rooms) // 50
    for number in range(count):
        at = now_ms - span_ms + number * (span_ms // max(1, count))
        visit = Visit(
            room_id=rooms[number * 47 % len(rooms)], measured_at=at, measured_by=PEOPLE[number % len(PEOPLE)], instrument="TH-7",
            calibrated_on=date(2025, 9, 1), calibrated_until=date(2026, 8, 31), windows_shut_min=35.0, at_centre=True, height_m=1.4,
            readings_c=(18.1, 18.2, 18.2),
        )  # fmt: skip
        append_visit(connection, visit, at + HOUR_MS, visit.measured_by)


def write_audit(connection: Connection, count: int, now_ms: int, span_ms: int) -> None:
    """What people did, evenly over the season."""
    deed = {"action": "acknowledge_alarm", "before": {"state": "unacknowledged"}, "after": {"state": "acknowledged"}}
    rows: list[Row] = []
    for number in range(count):
        row = deed | {"at": now_ms - span_ms + number * (span_ms // count), "who": PEOPLE[number % len(PEOPLE)]}
        rows.append(row | {"subject": f"alarm/{number + 1}", "refused": number % 50 == 0})
    _insert(connection, tables.audit, rows)


def room_days(site: Site, now_ms: int) -> Iterable[Row]:
    """Today and yesterday of every room."""
    judged = round(14.38 * HOUR_MS)
    for day in ("2026-01-14", "2026-01-15"):
        for room in site.rooms.values():
            row: Row = {"day": day, "room_id": room.room_id, "building_id": room.building_id, "station_id": room.station_id}
            row |= {"judged_ms": judged, "compliant_ms": judged - HOUR_MS, "breach_ms": HOUR_MS, "unknown_ms": 0, "breach_day_ms": HOUR_MS}
            row |= {"breach_night_ms": 0, "deficit_kh": 0.5, "longest_breach_ms": HOUR_MS, "readings": 80, "readings_breach": 6}
            yield row | {"computed_at": now_ms}


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(insert(table), rows)

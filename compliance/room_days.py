"""R2 of every room by local day, kept in the records: recomputed from the stored readings whenever a day changes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from importlib.metadata import version
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, Engine, delete, select

from compliance.series import clean_series
from compliance.verdict import Totals, judge, room_rules
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings
from store.records import tables

SOFTWARE = version("keepwarm")
ORIGIN = ("computed_at", "reason", "policy_sha256", "software")
FIGURES = (
    "judged_ms", "compliant_ms", "breach_ms", "unknown_ms", "breach_day_ms", "breach_night_ms", "deficit_kh", "longest_breach_ms",
    "min_c", "max_c", "mean_c", "readings", "readings_breach",
)  # fmt: skip


def day_span(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The local day as [from, to) in UTC ms."""
    midnights = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    start, stop = (round(midnight.timestamp() * 1000) for midnight in midnights)
    return start, stop


def local_days(from_ms: int, to_ms: int, zone: ZoneInfo) -> list[date]:
    """The local days that [from_ms, to_ms] touches."""
    day, last = (datetime.fromtimestamp(one / 1000, zone).date() for one in (from_ms, to_ms))
    days = []
    while day <= last:
        days.append(day)
        day += timedelta(days=1)
    return days


LATE = "late readings"
_AT_ONCE = 10_000  # SQLite takes 32 766 parameters in a statement


def record_days(
    site: Site,
    records: Engine,
    stores: tuple[History, Journal, PointRegistry],
    days: Iterable[date],
    now_ms: int,
    reasons: Mapping[date, str] | None = None,
) -> None:
    """Judges these days up to ``now_ms`` and replaces their rows. Raises StoreError when the readings can't be read.

    A day that was over and comes out otherwise gets another version, with the reason (by default late readings); what it said before
    is kept.
    """
    rooms = list(site.rooms.values())
    if not rooms:
        return
    for day in days:
        start, stop = day_span(day, site.timezone)
        stop = min(stop, now_ms)
        if start >= stop:
            continue
        totals = _judge_day(site, stores, start, stop)
        rows = _rows(site, day, totals, now_ms)
        with records.begin() as connection:
            stored = _keep_versions(connection, day, rows, day_span(day, site.timezone)[1], (reasons or {}).get(day, LATE))
            _remove(connection, day, list(site.rooms), stored)
            connection.execute(tables.room_days.insert(), rows)


def _remove(connection: Connection, day: date, rooms: Sequence[str], stored: Collection[str]) -> None:
    """Makes place for the day's rows of these rooms. Those of rooms taken out of the site stay, and those of other nodes."""
    of_day = tables.room_days.c.day == day.isoformat()
    if set(rooms).issuperset(stored):
        connection.execute(delete(tables.room_days).where(of_day))
        return
    for at in range(0, len(rooms), _AT_ONCE):
        connection.execute(delete(tables.room_days).where(of_day, tables.room_days.c.room_id.in_(rooms[at : at + _AT_ONCE])))


def _keep_versions(connection: Connection, day: date, rows: list[dict[str, object]], end_ms: int, reason: str) -> Collection[str]:
    """Numbers the rows, and keeps those of a day that was over which they replace with other figures; returns the rooms that had rows."""
    columns = tables.room_days.c
    before = {
        row["room_id"]: dict(row) for row in connection.execute(select(tables.room_days).where(columns.day == day.isoformat())).mappings()
    }
    replaced = []
    for row in rows:
        old = before.get(row["room_id"])
        if old is None:
            continue
        row["version"], row["reason"] = old["version"], old["reason"]
        if old["computed_at"] < end_ms:
            continue
        if any(old[name] != row[name] for name in FIGURES):
            figures = {name: old[name] for name in (*FIGURES, *ORIGIN)}
            key = {"day": old["day"], "room_id": old["room_id"], "version": old["version"]}
            replaced.append({**key, "figures": figures, "replaced_at": row["computed_at"]})
            row["version"], row["reason"] = old["version"] + 1, reason
        else:
            row.update({name: old[name] for name in ORIGIN})
    if replaced:
        connection.execute(tables.room_day_versions.insert(), replaced)
    return before


def held_to(site: Site) -> dict[str, list[object]]:
    """What each room's figures depend on besides its readings: calibration, hold, schedule, excluded time. As JSON gives it back."""
    excluded: dict[str, list[list[int | None]]] = {}
    for one in site.exclusions:
        excluded.setdefault(one.room_id, []).append([one.from_ms, one.to_ms])
    return {room.room_id: [room.offset_k, site.hold_ms(room), room.table, excluded.get(room.room_id, [])] for room in site.rooms.values()}


def days_of_changed_rooms(
    records: Engine, zone: ZoneInfo, before: Mapping[str, list[Any]], now: Mapping[str, list[Any]]
) -> dict[date, str]:
    """The stored days of rooms that are held to something else than before, with the reason to compute them anew.

    Other calibration, hold or schedule concerns every day; other excluded time those that it lies in.
    """
    known = [room_id for room_id in now if room_id in before and before[room_id] != now[room_id]]
    held = [room_id for room_id in known if before[room_id][:3] != now[room_id][:3]]
    spans = {room_id: _in_one_only(before[room_id][3:], now[room_id][3:]) for room_id in known}
    if not known:
        return {}
    with records.connect() as connection:
        days = [date.fromisoformat(day) for day in connection.scalars(select(tables.room_days.c.day).distinct())]
    found: dict[date, str] = {}
    for day in days:
        start, stop = day_span(day, zone)
        excluded = [one for one in known if any(low < stop and (high is None or high > start) for low, high in spans[one])]
        whys = [("calibration, hold or schedule changed", held), ("excluded time changed", excluded)]
        reasons = [f"{why}: {', '.join(sorted(rooms)[:5])}" for why, rooms in whys if rooms]
        if reasons:
            found[day] = "; ".join(reasons)
    return found


def _in_one_only(before: Sequence[Any], now: Sequence[Any]) -> list[Any]:
    """The excluded intervals, [from, to] in UTC ms (no end: None), that stand in one of two lists only."""
    old, new = (part[0] if part else [] for part in (before, now))
    return [one for one in old if one not in new] + [one for one in new if one not in old]


def _judge_day(site: Site, stores: tuple[History, Journal, PointRegistry], start: int, stop: int) -> Totals:
    history, journal, points = stores
    rooms = list(site.rooms.values())
    hold_ms = np.array([site.hold_ms(room) for room in rooms], np.int64)
    found = {point: row for row, room in enumerate(rooms) if (point := points.find(f"room/{room.room_id}/indoor_temp_c")) is not None}
    readings = read_readings(history, journal, list(found), start - int(hold_ms.max()), stop)
    row_of = np.full(max(found, default=-1) + 1, -1, np.int64)
    row_of[list(found)] = list(found.values())
    series = clean_series(row_of[readings.point], readings, np.array([room.offset_k for room in rooms]))
    rules = room_rules(rooms, site.exclusions, site.policy, site.timezone, hold_ms, start, stop)
    return judge(series, rules, np.array([start, stop]))


def _rows(site: Site, day: date, totals: Totals, now_ms: int) -> list[dict[str, object]]:
    known_ms = totals.compliant_ms + totals.breach_ms
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_c = totals.integral_kms / known_ms
    columns = {
        "judged_ms": totals.judged_ms, "compliant_ms": totals.compliant_ms, "breach_ms": totals.breach_ms,
        "unknown_ms": totals.unknown_ms, "breach_day_ms": totals.breach_day_ms, "breach_night_ms": totals.breach_night_ms,
        "deficit_kh": totals.deficit_kms / 3_600_000, "longest_breach_ms": totals.longest_breach_ms,
        "min_c": totals.min_c, "max_c": totals.max_c, "mean_c": mean_c,
        "readings": totals.readings, "readings_breach": totals.readings_breach,
    }  # fmt: skip
    plain = {name: column[:, 0].tolist() for name, column in columns.items()}
    rows: list[dict[str, object]] = []
    for row, room in enumerate(site.rooms.values()):
        building = site.buildings.get(room.building_id or "")
        values = {name: (None if column[row] != column[row] else column[row]) for name, column in plain.items()}
        station_id = room.station_id or (building.station_id if building else None)
        keys = {"day": day.isoformat(), "room_id": room.room_id, "building_id": room.building_id, "station_id": station_id}
        origin = {"computed_at": now_ms, "version": 1, "reason": "", "policy_sha256": site.policy.sha256, "software": SOFTWARE}
        rows.append({**keys, **values, **origin})
    return rows

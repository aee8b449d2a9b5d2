"""A small town written with the real stores: what collect and watch would have left behind on a cold January afternoon.

``python -m tests.dashboard.sample_town FOLDER PORT SPEED`` writes it and serves its dashboard.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Table, insert

from compliance.notice_text import Facts, closing_texts
from dashboard.accounts import make_invitation, wall_ms
from dashboard.healthz import EXPECTED
from dashboard.server import run_dashboard
from domain.clock import Clock
from domain.curve import FiledCurve
from domain.reading import Quality, Readings
from domain.site import Building, Device, Room, Site, Station
from store.health import write_health
from store.history import open_history
from store.journal import Journal
from store.live import write_live
from store.points import PointRegistry
from store.records import open_records, tables
from store.records.notices import first_step, next_step
from store.site_folder import load_policy
from tests.compliance.curve_tuning.stations import Truth, live
from tests.compliance.curve_tuning.stations import outdoor as season_outdoor
from tests.dashboard.sample_complaints import write_complaints, write_residents

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
NOW_MS = round(datetime(2026, 1, 15, 14, 23, 5, tzinfo=ZONE).timestamp() * 1000)
POLICY = Path(__file__).parents[2] / "domain" / "policies" / "default.toml"

NAMES = ("城南", "城北", "东湖", "西关", "人民路", "解放路", "建设街", "铁西", "光明", "和平里", "滨河", "新华")
STOPPED, PLANNED, SILENT, COLD, OVERDUE, TOO_WARM = "S03", "S09", "S07", "S05", "S12", "S10"
FAILING, NEVER_HEARD = "S06", "S11"  # as sources
EVIL = '<img src=x onerror="window.hurt=1"><script>window.hurt=2</script>'
COLD_BUILDING = "S05-B11"
STATION_EVERY_MS = 5 * MINUTE_MS


@dataclass(frozen=True)
class SampleTown:
    """The town and the clock it is looked at by."""

    site: Site
    clock: Clock


def sample_site(data: Path, *, evil: bool = False) -> Site:
    """Twelve stations, thirty buildings, 400 rooms; with ``evil`` one building and one station carry HTML in their names."""
    stations = {
        f"S{n:02}": Station(
            f"S{n:02}",
            f"{name}换热站",
            f"R{1 + n % 2}",
            "一区" if n < 7 else "二区",
            lat=round(41.80 + 0.006 * n**0.5 * np.sin(2.4 * n), 4),
            lon=round(123.40 + 0.009 * n**0.5 * np.cos(2.4 * n), 4),
            design_flow_m3h=120.0,
        )
        for n, name in enumerate(NAMES, 1)
    }
    buildings: dict[str, Building] = {}
    rooms: dict[str, Room] = {}
    for n in range(30):
        station_id = f"S{1 + n * 12 // 30:02}"
        building_id = f"{station_id}-B{n:02}"
        name = f"{stations[station_id].name.removesuffix('换热站')}小区{1 + n % 9}号楼"
        buildings[building_id] = Building(building_id, station_id, name, f"{NAMES[n % 12]}街", floors=6 + n % 5, households=60 + n)
        for k in range(14 if n < 10 else 13):
            floor, flat = 1 + k // 3, 1 + k % 3
            room_id = f"{building_id}-{floor}{flat:02}"
            rooms[room_id] = Room(room_id, building_id, station_id, floor=floor, unit=f"{flat:02}")
    if evil:
        stations["S01"] = replace(stations["S01"], name=EVIL)
        first = next(iter(buildings))
        buildings[first] = Building(first, "S01", EVIL, "街", floors=6, households=60)
    devices = {
        f"D{station_id}": Device(f"D{station_id}", station_id, "modbus_tcp", "127.0.0.1:1502", "xd100n", interval_s=300)
        for station_id in stations
    }
    curve = ((-25.0, -15.0, -5.0, 5.0), (62.0, 54.0, 46.0, 38.0))
    curves: dict[str, tuple[FiledCurve, ...]] = {station_id: (FiledCurve(station_id, 0, *curve),) for station_id in stations}
    return Site(
        name="示范城供热",
        timezone=ZONE,
        policy=load_policy(POLICY),
        folder=data.parent,
        data=data,
        stations=stations,
        buildings=buildings,
        rooms=rooms,
        devices=devices,
        curves=curves,
        hotline="96069",
        publish="review",
    )


def write_town(folder: Path, *, evil: bool = False, speed: float = 1.0, rooms: bool = True) -> SampleTown:
    """Writes the town's data under ``folder`` and gives it with a clock that shows a January afternoon now.

    Without ``rooms`` no readings are written, which is quicker.
    """
    site = sample_site(folder / "data", evil=evil)
    site.data.mkdir(parents=True, exist_ok=True)
    clock = Clock.starting_at(NOW_MS, speed)
    points = PointRegistry(site.data / "points.db")
    written = (_station_readings, _room_readings, _season, _source_readings) if rooms else ()
    readings = [Readings.empty(), *(write(site, points) for write in written)]
    history = open_history(site, points)
    old = [part.take(part.measured_at < NOW_MS - HOUR_MS) for part in readings]
    new = [part.take(part.measured_at >= NOW_MS - HOUR_MS) for part in readings]
    history.write(Readings.concat(old))
    history.close()
    journal = Journal(site.data / "journal.db")
    journal.append(Readings.concat(new))
    journal.close()
    points.close()
    _write_live(site)
    records = open_records(site.data / "records.db")
    _write_records(records, site)
    records.dispose()
    for component in EXPECTED:
        write_health(site.data, component, NOW_MS, {"readings": 1234})
    return SampleTown(site, clock)


def outdoor_c(at_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """A cold January: −12 ℃ on average, warmest after noon."""
    hour = (at_ms / HOUR_MS + 8) % 24
    return -12.0 + 4.0 * np.cos((hour - 14.0) / 24 * 2 * np.pi)


def _station_readings(site: Site, points: PointRegistry) -> Readings:
    parts = []
    for number, station_id in enumerate(site.stations):
        at = np.arange(NOW_MS - 48 * HOUR_MS, NOW_MS, STATION_EVERY_MS) + number * 7_000
        if station_id == SILENT:
            at = at[at < NOW_MS - 25 * MINUTE_MS]
        rng = np.random.default_rng(number)
        wobble = np.cumsum(rng.normal(0, 0.05, len(at)))
        wobble -= np.linspace(0, wobble[-1], len(at))
        outdoor = outdoor_c(at)
        supply = site.curves[station_id][0].target_c(outdoor) + wobble + rng.normal(0, 0.2, len(at))
        flow = 118.0 + rng.normal(0, 0.8, len(at))
        drop = np.full(len(at), 9.0) + rng.normal(0, 0.2, len(at))
        stopped_h = {STOPPED: 6.2, PLANNED: 3.0, OVERDUE: 8.2}.get(station_id)
        if stopped_h:
            off = at >= NOW_MS - stopped_h * HOUR_MS
            hours = (at[off] - (NOW_MS - stopped_h * HOUR_MS)) / HOUR_MS
            supply[off] = 24.0 + (supply[off] - 24.0) * np.exp(-hours / 3)
            flow[off] = np.maximum(0.0, flow[off] * np.exp(-hours * 20))
            drop[off] *= np.exp(-hours)
        running = (flow > 5).astype(float)
        columns = {
            "outdoor_temp_c": outdoor + rng.normal(0, 0.1, len(at)),
            "secondary_supply_temp_c": supply,
            "secondary_return_temp_c": supply - drop,
            "primary_supply_temp_c": 92.0 - outdoor / 2 + rng.normal(0, 0.3, len(at)),
            "primary_return_temp_c": supply - drop + 4,
            "secondary_supply_pressure_mpa": 0.42 * running + 0.22 * (1 - running) + rng.normal(0, 0.002, len(at)),
            "secondary_return_pressure_mpa": 0.28 * running + 0.21 * (1 - running) + rng.normal(0, 0.002, len(at)),
            "primary_supply_pressure_mpa": 0.85 + rng.normal(0, 0.003, len(at)),
            "primary_return_pressure_mpa": 0.55 + rng.normal(0, 0.003, len(at)),
            "primary_flow_m3h": 42 * running + rng.normal(0, 0.3, len(at)) * running,
            "secondary_flow_m3h": flow,
            "makeup_flow_m3h": np.abs(rng.normal(0.35, 0.05, len(at))),
            "heat_power_gjh": 4.1868 * flow * drop / 1000,
            "heat_energy_gj": np.cumsum(4.1868 * flow * drop / 1000 / 12) + 18_000,
            "pump1_running": running,
            "pump1_frequency_hz": 43.5 * running,
            "valve_position_pct": 56 + rng.normal(0, 0.5, len(at)),
            "tank_level_m": 1.35 + rng.normal(0, 0.01, len(at)),
        }
        for name, value in columns.items():
            point = points.ids([f"station/{station_id}/{name}"])[0]
            quality = np.zeros(len(at), np.uint8)
            if station_id == "S04" and name == "tank_level_m":
                quality[-30:] = Quality.STUCK
            parts.append(Readings.of(np.full(len(at), point, np.int32), at, value, quality=quality))
    return Readings.concat(parts)


def _season(site: Site, points: PointRegistry) -> Readings:
    """Three weeks by the hour at one station before the last two days: its rooms are too warm, its supply was moved by hand."""
    days = 21
    outdoor = season_outdoor(days, 5)
    by_hand = np.repeat(np.random.default_rng(3).choice([-3.0, 0.0, 3.0], days * 2), 12)
    supply = site.curves[TOO_WARM][0].target_c(outdoor) + by_hand
    rooms = [room_id for room_id, room in site.rooms.items() if room.station_id == TOO_WARM]
    hours = live(Truth(heater=0.56), outdoor, supply, np.zeros(len(outdoor), np.bool_), rooms=len(rooms), start_c=21.0)
    at = NOW_MS - 48 * HOUR_MS - (np.arange(len(hours))[::-1] + 1) * HOUR_MS
    power_gjh = 4.1868 * 118.0 * (hours.supply_c - hours.return_c) / 1000
    fouled_k = np.where(at >= NOW_MS - 7 * 24 * HOUR_MS, 2.6, 0.0)  # its exchanger, in the last week
    columns = {
        "primary_return_temp_c": hours.return_c + 1.0 + 0.25 * power_gjh + fouled_k,
        "heat_power_gjh": power_gjh,
        "outdoor_temp_c": hours.outdoor_c,
        "secondary_supply_temp_c": hours.supply_c,
        "secondary_return_temp_c": hours.return_c,
        "secondary_flow_m3h": np.full(len(hours), 118.0),
        "heat_energy_gj": 15_000 + np.cumsum(np.full(len(hours), 4.0)),
    }
    names = [f"station/{TOO_WARM}/{name}" for name in columns] + [f"room/{room_id}/indoor_temp_c" for room_id in rooms]
    values = [*columns.values(), *hours.room_c.T]
    return Readings.concat(
        [Readings.of(np.full(len(at), point, np.int32), at, value) for point, value in zip(points.ids(names), values, strict=True)]
    )


def _source_readings(site: Site, points: PointRegistry) -> Readings:
    """How each device stands, as the collector notes it: one silent, one failing at its last try, one never heard."""
    parts = []
    for number, device in enumerate(site.devices.values()):
        good_at = NOW_MS - (25 * MINUTE_MS if device.station_id == SILENT else 9_000)
        failing = device.station_id in {SILENT, FAILING}
        values = {"exchange_ok": 0.0 if failing else 1.0, "latency_ms": 40.0 + number, "failures": 3.0 * failing, "overruns": 1.0 * failing}
        values |= {"received_bytes": 1e6, "silence_s": (NOW_MS - 5_000 - good_at) / 1000}
        if device.station_id == NEVER_HEARD:
            values = {"exchange_ok": 0.0, "failures": 40.0, "overruns": 0.0, "received_bytes": 0.0}
        ids = points.ids([f"source/{device.device_id}/{name}" for name in values])
        parts.append(Readings.of(ids, np.full(len(ids), NOW_MS - 5_000), list(values.values())))
    return Readings.concat(parts)


def _room_base(site: Site, room_id: str, number: int) -> float:
    room = site.rooms[room_id]
    if room.building_id == COLD_BUILDING:
        return 16.6 + (number % 5) * 0.25
    if room.station_id in {STOPPED, OVERDUE}:
        return 18.6 + (number % 7) * 0.2
    return 19.4 + (number % 11) * 0.25


def dead(number: int) -> bool:
    """Whether this room's sensor is silent."""
    return number % 37 == 5


def _room_readings(site: Site, points: PointRegistry) -> Readings:
    parts = []
    for number, room_id in enumerate(site.rooms):
        at = np.arange(NOW_MS - 48 * HOUR_MS, NOW_MS, 10 * MINUTE_MS) + (number * 1_777) % (9 * MINUTE_MS)
        at = at[at < NOW_MS - (5 * HOUR_MS if dead(number) else 0)]
        rng = np.random.default_rng(1_000 + number)
        hour = (at / HOUR_MS + 8) % 24
        value = _room_base(site, room_id, number) + 0.5 * np.sin((hour - 9) / 24 * 2 * np.pi) + rng.normal(0, 0.06, len(at))
        point = points.ids([f"room/{room_id}/indoor_temp_c"])[0]
        parts.append(Readings.of(np.full(len(at), point, np.int32), at, np.round(value, 1)))
    return Readings.concat(parts)


def _write_live(site: Site) -> None:
    rooms: dict[str, list[object]] = {name: [] for name in ("room_id", "verdict", "since_ms", "value_c", "measured_at", "limit_c")}
    rooms |= {"alarm": [], "alarm_since_ms": [], "no_data": []}
    for number, room_id in enumerate(site.rooms):
        base = _room_base(site, room_id, number) + 0.5 * np.sin((14.4 - 9) / 24 * 2 * np.pi)
        verdict = "unknown" if dead(number) else "breach" if base < 18.0 else "compliant"
        alarm = "raised" if verdict == "breach" else "normal"
        row = (room_id, verdict, NOW_MS - 3 * HOUR_MS, round(base, 1), NOW_MS - (5 * HOUR_MS if dead(number) else 4 * MINUTE_MS), 18.0)
        for name, value in zip(rooms, (*row, alarm, NOW_MS - 2 * HOUR_MS, dead(number)), strict=True):
            rooms[name].append(value)
    stations: dict[str, list[object]] = {name: [] for name in ("station_id", "heat", "heat_since_ms", "comm", "comm_since_ms", "data")}
    stations |= {"target_c": [], "outage_id": [], "planned": []}
    for station_id in site.stations:
        heat = "stopped" if station_id in {STOPPED, PLANNED, OVERDUE} else "unknown" if station_id == SILENT else "supplying"
        comm = "lost" if station_id == SILENT else "degraded" if station_id == "S06" else "ok"
        outage = {STOPPED: 1, OVERDUE: 2}.get(station_id)
        target = float(site.curves[station_id][0].target_c(outdoor_c(np.array([NOW_MS])))[0])
        of_station = (
            station_id,
            heat,
            NOW_MS - 6 * HOUR_MS,
            comm,
            NOW_MS - 25 * MINUTE_MS,
            "suspect" if station_id == "S04" else "good",
            target,
        )
        for name, value in zip(stations, (*of_station, outage, station_id == PLANNED), strict=True):
            stations[name].append(value)
    write_live(site.data / "live", rooms, stations, NOW_MS - 2_000)


def _write_records(records: Engine, site: Site) -> None:
    with records.begin() as connection:
        _write_alarms(connection, site)
        _write_outages(connection, site)
        write_complaints(connection, site, NOW_MS)
        _write_events(connection)
        connection.execute(insert(tables.room_days), _room_days(site))
    write_residents(records, site, NOW_MS)


def _write_alarms(connection: Connection, site: Site) -> None:
    cold = [room for room in site.rooms.values() if room.building_id == COLD_BUILDING]
    rows = []
    for number, room in enumerate(cold):
        row = {
            "kind": "room_low",
            "subject": f"room/{room.room_id}",
            "station_id": room.station_id,
            "building_id": room.building_id,
            "pending_at": NOW_MS - 4 * HOUR_MS,
            "raised_at": NOW_MS - 3 * HOUR_MS + number * MINUTE_MS,
            "value": 16.6 + (number % 5) * 0.25,
            "limit_value": 18.0,
            "policy": "default",
            "state": "unacknowledged",
        }
        if number % 4 == 1:
            row |= {"state": "acknowledged", "acknowledged_at": NOW_MS - 2 * HOUR_MS, "acknowledged_by": "王调度", "comment": "已派人"}
        if number % 5 == 2:
            row |= {"state": "returned_unacknowledged", "cleared_at": NOW_MS - 20 * MINUTE_MS, "cleared_reason": "recovered"}
        if number % 6 == 3:
            row |= {"no_data_at": NOW_MS - 30 * MINUTE_MS}
        rows.append(row)
    for kind, station_id, value, limit in (
        ("curve_off", "S02", 49.8, 52.4),
        ("water_high", "S08", 1.6, 1.0),
        ("water_escalated", SILENT, 1.4, 1.0),
    ):
        rows.append(
            {
                "kind": kind,
                "subject": f"station/{station_id}",
                "station_id": station_id,
                "pending_at": NOW_MS - HOUR_MS,
                "raised_at": NOW_MS - 24 * MINUTE_MS,
                "value": value,
                "limit_value": limit,
                "state": "unacknowledged",
            }
        )
    for row in rows:
        connection.execute(insert(tables.alarms).values(row))


def _write_outages(connection: Connection, site: Site) -> None:
    def outage(station_id: str, started_h: float, **more: object) -> dict[str, object]:
        started = round(NOW_MS - started_h * HOUR_MS)
        return {
            "subject": f"station/{station_id}",
            "station_id": station_id,
            "source_id": None,
            "state": "open",
            "started_at": started,
            "started_earliest": started,
            "opened_at": started + 15 * MINUTE_MS,
            "cause": "pump_trip",
            "evidence": [
                {"quantity": "pump1_running", "at": started, "value": 0.0},
                {"quantity": "alarm_word", "at": started, "value": 256.0},
            ],
            "stations": [station_id],
            **more,
        }

    ended = {"state": "ended", "ended_at": NOW_MS - 20 * HOUR_MS, "ended_seen_at": NOW_MS - 20 * HOUR_MS, "cause": "power_loss"}
    for row in (
        outage(STOPPED, 6.2, started_earliest=round(NOW_MS - 6.4 * HOUR_MS)),
        outage(OVERDUE, 8.2, cause="valve_shut"),
        outage("S11", 30, **ended),
    ):
        connection.execute(insert(tables.outages).values(row))
    text_zh = (
        "因新华换热站一次侧阀门关闭，新华小区1、2、3号楼供热自今日06:11起中断，涉及住户261户。"
        "我公司正在组织抢修，预计今日18:00前恢复。\n服务热线：96069"
    )
    text_en = (
        "Heating of Xinhua estate, buildings 1, 2 and 3 (261 households), has been interrupted since 06:11 today because a primary valve "
        "at Xinhua station is shut. Repair is under way; we expect to restore heating by 18:00 today.\nHotline: 96069"
    )
    titles = {"title_zh": "停热通告：新华换热站", "title_en": "Heating interruption: Xinhua station"}
    texts = {"text_zh": text_zh, "text_en": text_en, **titles, "households": 261}

    def facts(station_id: str, started_h: float, cause: str) -> dict[str, object]:
        started = round(NOW_MS - started_h * HOUR_MS)
        return Facts((station_id,), started, started, cause).kept()

    stop = {"from_ms": NOW_MS - 3 * HOUR_MS, "to_ms": NOW_MS + 7 * HOUR_MS, "reason": "更换循环泵"}
    rows: tuple[dict[str, Any], ...] = (
        {
            "facts": facts(OVERDUE, 8.2, "valve_shut"),
            "outage_id": 2,
            "subject": f"station/{OVERDUE}",
            "due_at": round(NOW_MS - 0.2 * HOUR_MS),
            "stations": [OVERDUE],
            **texts,
        },
        {
            "facts": facts("S11", 30, "power_loss"),
            "outage_id": 3,
            "subject": "station/S11",
            "due_at": NOW_MS - 22 * HOUR_MS,
            "published_at": NOW_MS - 22 * HOUR_MS,
            "closing": "restored",
            "closed_at": NOW_MS - 20 * HOUR_MS,
            "stations": ["S11"],
            "households": 190,
            "title_zh": "停热通告：滨河换热站",
            "title_en": "Heating interruption: Binhe station",
            "text_zh": "因停电，滨河小区供热于1月14日08:23起中断，现已于1月14日18:23恢复。",
            "text_en": "Heating of Binhe estate was interrupted by a power cut on 14 January at 08:23 and was restored at 18:23.",
        },
        {
            "facts": stop,
            "planned_stop": f"S09@{NOW_MS - 3 * HOUR_MS}",
            "subject": f"station/{PLANNED}",
            "due_at": NOW_MS - 60 * HOUR_MS,
            "published_at": NOW_MS - 60 * HOUR_MS,
            "stations": [PLANNED],
            "households": 233,
            "title_zh": "计划停热通告：光明换热站",
            "title_en": "Planned heating stop: Guangming station",
            "text_zh": "光明换热站更换循环泵，1月15日11:00至21:00停热，请提前做好准备。",
            "text_en": "A circulation pump is replaced at Guangming station: no heating on 15 January from 11:00 to 21:00.",
        },
    )
    waiting: list[dict[str, Any]] = [dict(row) for row in rows]
    for one in waiting:
        at, closed_at = one["due_at"], one.pop("closed_at", None)
        published_at, closing = one.pop("published_at", None), one.pop("closing", "")
        number = first_step(connection, one, at)
        if published_at is not None:
            next_step(connection, number, 1, "published", published_at, {"published_at": published_at}, why="auto")
        if closed_at is not None:
            values = {"closed_at": closed_at, **closing_texts(site, closing, closed_at)}
            next_step(connection, number, 2, "closed", closed_at, values, why="heat is back")


def _key(connection: Connection, table: Table, row: Mapping[str, object]) -> int:
    key = connection.execute(insert(table).values(dict(row))).inserted_primary_key
    assert key is not None
    return int(key[0])


def _write_events(connection: Connection) -> None:
    rows: tuple[tuple[int, str, str, dict[str, object]], ...] = (
        (2, "notice.due", f"station/{OVERDUE}", {"stations": [OVERDUE]}),
        (4, "alarm.raised", f"room/{COLD_BUILDING}-101", {"value_c": 16.6, "limit_c": 18.0}),
        (7, "complaint.attached", f"building/{COLD_BUILDING}", {"kind": "building"}),
        (9, "water.high", "station/S08", {}),
        (13, "alarm.cleared", f"room/{COLD_BUILDING}-103", {"reason": "recovered"}),
        (24, "curve.off", "station/S02", {}),
        (12 + 60, "notice.warning", f"station/{STOPPED}", {"hours": 6}),
        (357, "outage.opened", f"station/{STOPPED}", {"cause": "pump_trip"}),
        (477, "outage.opened", f"station/{OVERDUE}", {"cause": "valve_shut"}),
    )
    for minutes, event, subject, body in rows:
        connection.execute(insert(tables.events).values(at=NOW_MS - minutes * MINUTE_MS, event=event, subject=subject, body=body))


def _room_days(site: Site) -> list[dict[str, object]]:
    judged = round(14.38 * HOUR_MS)
    found = []
    for number, (room_id, room) in enumerate(site.rooms.items()):
        unknown = 5 * HOUR_MS if dead(number) else 0
        breach = 8 * HOUR_MS if room.building_id == COLD_BUILDING else 0
        breach = min(breach, judged - unknown)
        row: dict[str, object] = {"day": "2026-01-15", "room_id": room_id, "building_id": room.building_id, "station_id": room.station_id}
        row |= {"judged_ms": judged, "compliant_ms": judged - unknown - breach, "breach_ms": breach, "unknown_ms": unknown}
        row |= {"breach_day_ms": breach, "breach_night_ms": 0, "deficit_kh": 1.0, "longest_breach_ms": breach}
        found.append(row | {"readings": 80, "readings_breach": 10, "computed_at": NOW_MS})
    return found


if __name__ == "__main__":
    # python -m tests.dashboard.sample_town FOLDER PORT SPEED: writes the town if need be, prints port and one-time link, serves.
    folder, port, speed = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    town = write_town(folder, speed=speed)
    made = open_records(town.site.data / "records.db")
    print(make_invitation(made, "visitor", "admin", wall_ms()), flush=True)  # noqa: T201 - for the person who started it
    made.dispose()
    run_dashboard(town.site, town.clock, "127.0.0.1", port)

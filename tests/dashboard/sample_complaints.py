"""The complaints of the sample town: what watch opened, with its evidence, and what residents called about."""

from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, insert

from dashboard.actions.complaints import ResidentReport, move_complaint, open_resident_complaint, record_call_back, record_deed
from dashboard.roles import Account
from domain.clock import iso
from domain.site import Site
from store.records import tables

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
COLD = "S05-B11"
DESK = Account("客服李", "service")


def snapshot(site: Site, station_id: str, at: int, *, base_c: float | None = 17.0) -> dict[str, Any]:
    """Evidence as ``compliance.evidence`` takes it: 24 h of a room that grows cold, or around a home without a sensor."""
    around = {
        "limit_c": 18.0,
        "policy": site.policy.name,
        "policy_valid_from": "2000-01-01",
        "policy_sha256": site.policy.sha256,
        "station_id": station_id,
        "station": {"heat": "stopped" if station_id == "S03" else "supplying", "comm": "ok", "data": "good", "outage_id": None},
        "outdoor_c": -9.4,
    }
    if base_c is None:
        return around
    instants = np.arange(at - 24 * HOUR_MS, at + 1, 10 * MINUTE_MS)
    hours = (instants - instants[0]) / HOUR_MS
    values = base_c + 2.4 * np.exp(-hours / 9) + 0.25 * np.sin(hours / 24 * 2 * np.pi)
    span = {"from": iso(at - 24 * HOUR_MS, site.timezone), "to": iso(at, site.timezone), "offset_k": 0.0}
    readings = [[int(instant), round(float(value), 2)] for instant, value in zip(instants, values, strict=True)]
    return {**span, **around, "min_c": round(float(values.min()), 2), "last_c": readings[-1][1], "readings": readings}


def write_complaints(connection: Connection, site: Site, now_ms: int) -> None:
    """What watch opened: a cold building, a room, a suspect sensor, and one that is over."""
    cold = [room for room in site.rooms.values() if room.building_id == COLD]
    warm = next(iter(site.rooms.values()))
    rows = (
        ("building", "sensor", f"building/{COLD}", COLD, cold, "new", 2.6),
        ("room", "resident", f"room/{warm.room_id}", warm.building_id, [warm], "dispatched", 5.0),
        ("maintenance", "sensor", f"room/{cold[0].room_id}", COLD, cold[:1], "accepted", 1.0),
        ("room", "sensor", "room/S08-B19-201", "S08-B19", [site.rooms["S08-B19-201"]], "closed", 50.0),
    )
    for kind, origin, subject, building_id, rooms, state, opened_h in rows:
        opened = round(now_ms - opened_h * HOUR_MS)
        station_id = str(rooms[0].station_id)
        row = {
            "kind": kind,
            "origin": origin,
            "subject": subject,
            "station_id": station_id,
            "building_id": building_id,
            "opened_at": opened,
            "state": state,
            "reason": "battery" if kind == "maintenance" else "",
            "evidence": {key: value for key, value in snapshot(site, station_id, opened).items() if key != "readings"},
        }
        key = connection.execute(insert(tables.complaints).values(row)).inserted_primary_key
        assert key is not None
        number = int(key[0])
        step = {"complaint_id": number, "from_state": "", "to_state": "new", "at": opened, "who": "keepwarm", "why": ""}
        connection.execute(insert(tables.complaint_transitions).values(step))
        if state == "closed":
            walked = {
                "complaint_id": number,
                "from_state": "new",
                "to_state": "closed",
                "at": opened + HOUR_MS,
                "who": DESK.name,
                "why": "",
            }
            connection.execute(insert(tables.complaint_transitions).values(walked))
        for k, room in enumerate(rooms):
            attached = {"complaint_id": number, "room_id": room.room_id, "raised_at": opened + k, "attached_at": opened + k * MINUTE_MS}
            evidence = snapshot(site, station_id, opened + k * MINUTE_MS, base_c=16.6 + k % 5 * 0.25)
            connection.execute(insert(tables.complaint_rooms).values({**attached, "evidence": evidence}))


def write_residents(records: Engine, site: Site, now_ms: int) -> None:
    """What residents called about: cured and to be called back, called back and closed, in a town with an outage, a leak."""

    def opened(building_id: str, hours: float, category: str = "low_temperature", **more: str) -> tuple[int, int]:
        at = round(now_ms - hours * HOUR_MS)
        report = ResidentReport(f"building/{building_id}", category, **{"source": "phone", **more}, reported_at=at)
        evidence = snapshot(site, str(site.buildings[building_id].station_id), at, base_c=None)
        return open_resident_complaint(records, DESK, site, report, evidence, at), at

    def walk(number: int, at: int, *states: str, cause: str = "") -> None:
        seen = "new"
        for k, state in enumerate(states, 1):
            move_complaint(records, DESK, number, seen, state, "", at + k * 12 * MINUTE_MS, cause=cause if state == "resolved" else "")
            seen = state

    number, at = opened("S02-B04", 30, told="客厅只有 16 度", address="2单元301", reporter="张女士", contact="13800000001")
    walk(number, at, "accepted", "dispatched", "on_site", "resolved", cause="air_lock")
    record_call_back(records, DESK, number, "resolved", None, "无人接听", at + 4 * HOUR_MS)
    number, at = opened("S06-B14", 60, told="暖气不热", address="1单元102", reporter="刘先生", contact="13800000002")
    walk(number, at, "accepted", "resolved", cause="hydraulic_imbalance")
    record_call_back(records, DESK, number, "resolved", True, "已恢复，满意", at + 8 * HOUR_MS)
    move_complaint(records, DESK, number, "called_back", "closed", "", at + 9 * HOUR_MS)
    opened("S03-B06", 0.3, told="早上起来暖气是凉的", address="4单元601", reporter="陈先生", contact="13800000003", source="hotline_12345")
    number, at = opened("S08-B18", 1.5, "leak", told="楼道暖气管漏水", address="1单元楼道", reporter="王大爷", contact="13800000004")
    move_complaint(records, DESK, number, "new", "accepted", "", at + 5 * MINUTE_MS)
    record_deed(records, DESK, number, "contacted", "已电话安抚，请先关阀门", at + 6 * MINUTE_MS)

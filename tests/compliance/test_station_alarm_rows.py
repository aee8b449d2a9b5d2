"""A station's alarms in the records: raised once, cleared by their end, silenced where a person silenced them."""

import sqlite3
from math import nan
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Engine, insert, select

from compliance.adherence import Turn, told_at
from compliance.events import Event
from compliance.heat import PointSeries, StationRules
from compliance.recording.alarm_rows import KIND, data_is_back, station_alarm
from domain.curve import FiledCurve
from store.records import open_records
from store.records.tables import alarms, out_of_service

MINUTE_MS = 60_000


@pytest.fixture
def records(tmp_path: Path) -> Engine:
    return open_records(tmp_path / "records.db")


def tell(records: Engine, at: int, event: str, **body: object) -> None:
    with records.begin() as connection:
        station_alarm(connection, Event(at, event, "station/S1", dict(body)), lambda: (1.6, nan))


def stored(records: Engine) -> list[tuple[object, ...]]:
    columns = alarms.c
    with records.connect() as connection:
        query = select(columns.kind, columns.raised_at, columns.cleared_at, columns.state, columns.suppressed_by)
        return [tuple(row) for row in connection.execute(query.order_by(columns.id))]


def test_water_raises_once_and_its_end_clears_both_alarms(records: Engine) -> None:
    tell(records, 10, "water.high")
    tell(records, 11, "water.high")
    tell(records, 20, "water.escalated")
    tell(records, 30, "water.normal")
    assert stored(records) == [
        ("water_high", 10, 30, "returned_unacknowledged", None),
        ("water_escalated", 20, 30, "returned_unacknowledged", None),
    ]
    with records.connect() as connection:
        said = connection.execute(select(alarms.c.value, alarms.c.limit_value)).all()
    assert [tuple(row) for row in said] == [(1.6, None)] * 2


@pytest.mark.parametrize(
    ("event", "minute", "value", "limit"),
    [
        ("curve.off", 60, 50.0, 58.0),  # the reading of minute 60 begins when the half hour is full
        ("curve.off", 61, 57.0, 58.0),
        ("water.high", 60, 3.0, 1.0),
        ("water.escalated", 60, 2.0, 1.0),
        ("water.high", 90, nan, 1.0),  # nothing stands any more
    ],
)
def test_what_an_alarm_was_judged_by(event: str, minute: int, value: float, limit: float) -> None:
    def series(*values: float) -> PointSeries:
        return PointSeries(np.array([56, 60]) * MINUTE_MS, np.array(values))

    readings = {
        "secondary_supply_temp_c": series(50.0, 57.0),
        "outdoor_temp_c": series(-10.0, -10.0),
        "makeup_flow_m3h": series(2.0, 3.0),
        "secondary_flow_m3h": series(100.0, 100.0),
    }
    curve = FiledCurve("S1", 0, (-20.0, 0.0), (66.0, 50.0))
    found = told_at(Turn(minute * MINUTE_MS, event), readings, StationRules(120.0, (curve,), 5 * MINUTE_MS, ZoneInfo("Asia/Shanghai")))
    assert found == pytest.approx((value, limit), nan_ok=True)


def test_a_whole_town_may_have_data_again_at_once(records: Engine) -> None:
    rooms = [f"room/R{number}" for number in range(1_300)]
    rows = [{"kind": KIND, "subject": one, "pending_at": 1, "raised_at": 2, "no_data_at": 3, "state": "unacknowledged"} for one in rooms]
    with records.begin() as connection:
        connection.execute(insert(alarms), rows)
        database = connection.connection.dbapi_connection
        assert isinstance(database, sqlite3.Connection)
        database.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        data_is_back(connection, {one: one != "room/R7" for one in rooms})
        assert connection.scalars(select(alarms.c.subject).where(alarms.c.no_data_at.is_not(None))).all() == ["room/R7"]


def test_what_is_out_of_service_is_raised_and_suppressed(records: Engine) -> None:
    row = {"kind": "curve_off", "subject": "station/S1", "since": 5, "who": "李", "reason": "检修"}
    with records.begin() as connection:
        connection.execute(insert(out_of_service).values(row))
    tell(records, 4, "curve.off")
    tell(records, 5, "curve.on", reason="recovered")
    tell(records, 6, "curve.off")
    tell(records, 7, "water.high")
    assert [(kind, at, by) for kind, at, _, _, by in stored(records)] == [
        ("curve_off", 4, None),
        ("curve_off", 6, "out_of_service"),
        ("water_high", 7, None),
    ]

"""A station's alarms in the records: raised once, cleared by their end, silenced where a person silenced them."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from compliance.events import Event
from compliance.recording.alarm_rows import station_alarm
from store.records import open_records
from store.records.tables import alarms, out_of_service


@pytest.fixture
def records(tmp_path: Path) -> Engine:
    return open_records(tmp_path / "records.db")


def tell(records: Engine, at: int, event: str, **body: object) -> None:
    with records.begin() as connection:
        station_alarm(connection, Event(at, event, "station/S1", dict(body)))


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

"""What was decided and done can be added to, never altered or removed: the database refuses, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from compliance.escalation import Escalation
from compliance.events import Event
from compliance.recording.duty_rows import store_escalation
from compliance.recording.event_rows import record_event
from store.records import open_records, tables

AT = 1_768_440_000_000
STEP = {"from_state": "new", "to_state": "accepted", "at": AT, "who": "wang", "why": ""}
# One row of each table, after those it points at.
ROWS: list[tuple[Table, dict[str, object]]] = [
    (tables.alarms, {"kind": "room_low", "subject": "room/R1", "pending_at": AT, "raised_at": AT}),
    (tables.outages, {"subject": "station/S1", "state": "open", "started_at": AT, "started_earliest": AT, "opened_at": AT}),
    (tables.notices, {"outage_id": 1, "subject": "station/S1", "state": "due", "due_at": AT}),
    (tables.complaints, {"kind": "room", "origin": "sensor", "subject": "room/R1", "opened_at": AT, "state": "new"}),
    (tables.events, {"at": AT, "event": "alarm.raised", "subject": "room/R1"}),
    (tables.audit, {"at": AT, "who": "wang", "action": "acknowledge"}),
    (tables.alarm_transitions, {"alarm_id": 1, **STEP}),
    (tables.outage_transitions, {"outage_id": 1, **STEP}),
    (tables.notice_transitions, {"notice_id": 1, **STEP}),
    (tables.complaint_transitions, {"complaint_id": 1, **STEP}),
    (tables.complaint_deeds, {"complaint_id": 1, "kind": "contacted", "at": AT, "who": "wang"}),
    (
        tables.escalations,
        {"subject": "complaint/1", "duty": "on_site", "started_at": AT, "step": 1, "due_at": AT, "at": AT, "told": "manager"},
    ),
    (tables.outage_versions, {"outage_id": 1, "version": 1, "facts": {}, "replaced_at": AT}),
    (tables.room_day_versions, {"day": "2026-01-14", "room_id": "R1", "version": 1, "figures": {}, "replaced_at": AT}),
]
GUARDED = [table for table, _ in ROWS if table.name not in ("alarms", "outages", "notices", "complaints")]
QUEUED = [table for table in GUARDED if "queued" in table.c]


def filled(engine: Engine) -> Engine:
    with engine.begin() as connection:
        for table, row in ROWS:
            connection.execute(insert(table).values(row))
    return engine


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = filled(open_records(Path(tmp_path_factory.mktemp("records")) / "records.db"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def on_postgresql(postgresql: str) -> Iterator[Engine]:
    server = create_engine(postgresql.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE append_only"))
    server.dispose()
    engine = filled(open_records(postgresql.replace("/postgres?", "/append_only?")))
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "on_postgresql"])
def records(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.mark.parametrize("table", GUARDED, ids=lambda table: table.name)
def test_no_row_is_altered_or_removed(records: Engine, table: Table) -> None:
    column = next(column for column in table.c if column.name in ("at", "replaced_at"))
    with records.connect() as connection:
        before = connection.execute(select(table)).all()
    for statement in (table.update().values({column.name: AT + 1}), table.delete()):
        with pytest.raises(IntegrityError, match="append-only"), records.begin() as connection:
            connection.execute(statement)
    with records.connect() as connection:
        assert connection.execute(select(table)).all() == before


@pytest.mark.parametrize("table", QUEUED, ids=lambda table: table.name)
def test_the_outbox_marks_what_it_has_taken_and_nothing_else(records: Engine, table: Table) -> None:
    with records.begin() as connection:
        assert connection.execute(table.update().values(queued=True)).rowcount >= 1
    with pytest.raises(IntegrityError, match="append-only"), records.begin() as connection:
        connection.execute(table.update().values(queued=False, at=AT + 1))


def test_postgresql_refuses_to_empty_a_table(on_postgresql: Engine) -> None:
    with pytest.raises(IntegrityError, match="append-only"), on_postgresql.begin() as connection:
        connection.execute(text("TRUNCATE events"))


def test_a_duty_row_is_stored_once_and_says_so(records: Engine) -> None:
    step = Escalation("cured", AT, 1, AT + 1, AT + 2, "manager")
    with records.begin() as connection:
        assert [store_escalation(connection, "complaint/1", step) for _ in range(3)] == [True, False, False]
    event = Event(AT + 5, "outage.opened", "station/S1", {"cause": "unknown"})
    with records.begin() as connection:
        assert [record_event(connection, event) for _ in range(3)] == [True, False, False]

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
from store.records.append_only import APPEND_ONLY, unguarded

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


# ── that the guards still stand (``keepwarm verify-records``) ────────────────────────────────────────────────────────


def weakened_on_sqlite(table: str) -> dict[str, list[str]]:
    """Statements by the guard that they take away, switch off or hollow out."""
    update, delete = f"{table}_no_update", f"{table}_no_delete"
    body = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only: a correction is a new record that names the old one'); END"
    return {
        f"removed: {update}": [f"DROP TRIGGER {update}"],
        f"removed: {delete}": [f"DROP TRIGGER {delete}"],
        f"removed: {delete}, {update}": [f"DROP TRIGGER {update}", f"DROP TRIGGER {delete}"],
        f"weakened: {delete}": [f"DROP TRIGGER {delete}", f"CREATE TRIGGER {delete} BEFORE DELETE ON {table} BEGIN SELECT 1; END"],
        f"weakened: {update}": [f"DROP TRIGGER {update}", f"CREATE TRIGGER {update} BEFORE UPDATE ON {table} WHEN 0 {body}"],
    }


def weakened_on_postgresql(table: str) -> dict[str, list[str]]:
    change, truncate, function = f"{table}_no_change", f"{table}_no_truncate", f"{table}_append_only"
    hollow = f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
    deletes_only = f"CREATE TRIGGER {change} BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
    never = f"CREATE TRIGGER {change} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW WHEN (false) EXECUTE FUNCTION {function}()"
    return {
        f"removed: {change}": [f"DROP TRIGGER {change} ON {table}"],
        f"removed: {truncate}": [f"DROP TRIGGER {truncate} ON {table}"],
        f"removed: {change}, {truncate}": [f"DROP FUNCTION {function} CASCADE"],
        f"weakened: {truncate}": [f"ALTER TABLE {table} DISABLE TRIGGER {truncate}"],
        f"weakened: {change}": [f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {change}"],
        f"weakened: {change} ": [f"DROP TRIGGER {change} ON {table}", deletes_only],
        f"weakened: {change}  ": [f"DROP TRIGGER {change} ON {table}", never],
        f"weakened: {change}, {truncate}": [hollow],
    }


def test_every_table_that_refuses_is_looked_at(records: Engine) -> None:
    with records.connect() as connection:
        assert list(unguarded(connection)) == []
    assert {table.name for table in GUARDED} | {"visits", "shift_entries"} == set(APPEND_ONLY)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_a_guard_that_is_gone_or_hollow_is_named(records: Engine, table: str) -> None:
    on_postgresql = records.dialect.name == "postgresql"
    for words, statements in (weakened_on_postgresql if on_postgresql else weakened_on_sqlite)(table).items():
        with records.connect() as connection:
            change = connection.begin()
            for statement in statements:
                connection.execute(text(statement))
            assert list(unguarded(connection)) == [f"the database's own protection was {words.strip()}"], statements
            assert list(unguarded(connection, [one for one in APPEND_ONLY if one != table])) == []
            change.rollback()
    with records.connect() as connection:
        assert list(unguarded(connection)) == []

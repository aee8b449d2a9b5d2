"""The records on a real PostgreSQL: the same tables, and the same refusal to alter a visit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from domain.visit import Visit
from store.records import open_records
from store.records.shift_entries import add_entry, entry_rows
from store.records.tables import metadata
from store.records.visits import append_visit, broken_visits, chain_head, filed_visits

VISIT = Visit("R1", 1_768_440_000_000, "王工", "Testo 925", date(2025, 6, 1), date(2026, 5, 31), 35.0, True, 1.2, (18.4, 18.25), b"png")


@pytest.fixture(scope="module")
def records(postgresql: str) -> Iterator[Engine]:
    engine = open_records(postgresql)
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_tables(records: Engine) -> None:
    with records.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []


def test_visits_filed_at_once_are_one_chain(records: Engine) -> None:
    def file(number: int) -> int:
        with records.begin() as connection:
            return append_visit(connection, VISIT, 1_768_440_000_000 + number, "李").id

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(file, range(12))) == list(range(1, 13))
    with records.connect() as connection:
        assert list(broken_visits(connection)) == []
        assert chain_head(connection) == (12, filed_visits(connection)[-1].hash)
        assert filed_visits(connection)[0].visit == VISIT


@pytest.mark.parametrize("statement", ["UPDATE visits SET remark = 'x'", "DELETE FROM visits", "TRUNCATE visits CASCADE"])
def test_the_database_itself_refuses(records: Engine, statement: str) -> None:
    with records.begin() as connection:
        append_visit(connection, VISIT, 1, "李")
    with pytest.raises(IntegrityError, match="append-only"), records.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("statement", ["UPDATE shift_entries SET text = 'x'", "DELETE FROM shift_entries", "TRUNCATE shift_entries"])
def test_the_shift_log_is_only_added_to(records: Engine, statement: str) -> None:
    with records.begin() as connection:
        add_entry(connection, 1, "note", "王", "x")
    with pytest.raises(IntegrityError, match="append-only"), records.begin() as connection:
        connection.execute(text(statement))


def test_one_hand_over_is_taken_once(records: Engine) -> None:
    with records.begin() as connection:
        handed = add_entry(connection, 1, "handed_over", "王", "")
        add_entry(connection, 2, "took_over", "赵", "", handed)
    with pytest.raises(IntegrityError), records.begin() as connection:
        add_entry(connection, 3, "took_over", "钱", "", handed)
    with records.connect() as connection:
        takers = [row["who"] for row in entry_rows(connection) if row["refers_to"] == handed]
    assert takers == ["赵"]


def test_what_was_altered_with_the_triggers_away_is_named(records: Engine) -> None:
    with records.begin() as connection:
        connection.execute(text("ALTER TABLE visits DISABLE TRIGGER visits_no_change"))
        connection.execute(text("UPDATE visits SET height_m = 1.25 WHERE id = 3"))
        found = list(broken_visits(connection))
        connection.rollback()
    assert found[0] == "visit 3: this record was altered after it was filed"
    assert "visits_no_change" in found[-1]

"""Records that end at the districts of who asks: PostgreSQL tells every table of the sample town as SQLite does, row by row."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Select, Table, create_engine, func, insert, select, text, update

from dashboard.actions.acting import RefusedError
from dashboard.actions.alarms import acknowledge_alarms
from dashboard.facts.limited_town import NOWHERE
from dashboard.roles import Account
from domain.errors import StoreError
from domain.reach import Reach
from store.records import open_records
from store.records.narrowed import narrowed
from store.records.tables import alarms, audit, complaint_transitions, complaints, metadata, outages, room_days
from tests.dashboard.sample_town import OVERDUE, STOPPED, SampleTown

DISTRICTS = (frozenset({"一区"}), frozenset({"二区"}), frozenset({"一区", "二区"}), NOWHERE)


@pytest.fixture(scope="module")
def on_sqlite(sample: SampleTown) -> Iterator[Engine]:
    engine = open_records(sample.site.data / "records.db")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def on_postgresql(postgresql: str, on_sqlite: Engine) -> Iterator[Engine]:
    """The same rows in a database of its own."""
    server = create_engine(postgresql.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text("CREATE DATABASE districts"))
    server.dispose()
    engine = open_records(postgresql.replace("/postgres?", "/districts?"))
    with on_sqlite.connect() as written, engine.begin() as connection:
        for table in metadata.sorted_tables:
            written_rows = [dict(row._mapping) for row in written.execute(select(table).order_by(*table.primary_key.columns))]
            if not written_rows:
                continue
            connection.execute(insert(table), written_rows)
            if "id" in table.c:
                last = connection.execute(select(func.max(table.c.id))).scalar_one()
                connection.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), last)))
    yield engine
    engine.dispose()


def rows(engine: Engine, query: Select[Any]) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return sorted((tuple(row) for row in connection.execute(query)), key=repr)


@pytest.mark.parametrize("districts", DISTRICTS, ids=lambda one: "+".join(sorted(one)))
@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda one: one.name)
def test_both_databases_show_the_same_rows_of_a_table(
    sample: SampleTown, on_sqlite: Engine, on_postgresql: Engine, table: Table, districts: frozenset[str]
) -> None:  # fmt: skip
    reach = Reach.of(sample.site, districts)
    assert rows(narrowed(on_postgresql, reach), select(table)) == rows(narrowed(on_sqlite, reach), select(table))


def test_the_sample_has_rows_on_either_side_of_the_border(sample: SampleTown, on_postgresql: Engine) -> None:
    for table in (alarms, outages, complaints, complaint_transitions, room_days):
        counted = select(func.count()).select_from(table)
        east, west, nowhere = (
            rows(narrowed(on_postgresql, Reach.of(sample.site, one)), counted)[0][0] for one in (DISTRICTS[0], DISTRICTS[1], NOWHERE)
        )
        whole = rows(on_postgresql, counted)[0][0]
        assert (east + west, nowhere) == (whole, 0), table.name
        assert min(east, west) > 0, table.name


def test_joins_and_what_is_nested_end_at_the_border_too(sample: SampleTown, on_sqlite: Engine, on_postgresql: Engine) -> None:
    steps = complaint_transitions
    joined = select(complaints.c.station_id, steps.c.to_state).join(steps, steps.c.complaint_id == complaints.c.id)
    other = alarms.alias()
    aliased = select(other.c.id, other.c.subject).where(other.c.id.in_(select(alarms.c.id)))
    beside = select(outages.c.subject).union_all(select(complaints.c.subject))
    reach = Reach.of(sample.site, DISTRICTS[0])
    east, same = narrowed(on_postgresql, reach), narrowed(on_sqlite, reach)
    for query in (joined, aliased, beside):
        found = rows(east, query)  # type: ignore[arg-type]
        assert found == rows(same, query)  # type: ignore[arg-type]
        assert 0 < len(found) < len(rows(on_postgresql, query))  # type: ignore[arg-type]
    assert rows(east, select(outages.c.station_id)) == [(STOPPED,)]
    with pytest.raises(StoreError, match="limited to districts"), east.connect() as connection:
        connection.execute(text("SELECT * FROM alarms"))


def test_acts_end_at_the_border_and_are_audited(sample: SampleTown, on_postgresql: Engine) -> None:
    reach, who = Reach.of(sample.site, DISTRICTS[0]), Account("东", "dispatcher", DISTRICTS[0])
    east, now_ms = narrowed(on_postgresql, reach), sample.clock.now_ms()
    with east.begin() as connection:
        changed = update(complaints).where(complaints.c.station_id == "S08").values(reason="mine")
        assert connection.execute(changed).rowcount == 0
    unseen = alarms.c.state == "unacknowledged"
    ours = rows(east, select(alarms.c.id).where(unseen))[0][0]
    theirs = rows(on_postgresql, select(alarms.c.id).where(alarms.c.station_id == "S08"))[0][0]
    with pytest.raises(RefusedError, match="districts"):
        acknowledge_alarms(east, who, [ours, theirs], "", now_ms)
    assert acknowledge_alarms(east, who, [ours], "seen", now_ms) == 1
    kept = rows(on_postgresql, select(audit.c.refused).where(audit.c.who == "东"))
    assert sorted(kept) == [(False,), (True,)]
    assert OVERDUE not in {row[0] for row in rows(east, select(outages.c.station_id))}

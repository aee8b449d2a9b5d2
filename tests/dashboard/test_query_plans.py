"""What the pages ask of the records again and again never reads a table through that grows with the years: by the database's own plan."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, event, text

from dashboard.facts.accounts import AuditWanted, audit_rows, audited_people
from dashboard.facts.alarm_system import flood_now
from dashboard.facts.alarms import UNACKNOWLEDGED, Wanted, alarm_counts, alarm_rows, alarms_found, out_of_service_rows
from dashboard.facts.complaints import attached_rooms, complaint_queue, complaint_rows, complaint_steps, dossier
from dashboard.facts.desk import call_back_rows
from dashboard.facts.events import lately
from dashboard.facts.notices import notice_rows
from dashboard.facts.off_curve import off_curve
from dashboard.facts.outages import outage_rows
from dashboard.facts.town import Town
from tests.dashboard.sample_town import write_town

# They grow with every season; what is small for ever (accounts, curves, who is out of service) may be read through.
GROW: Final = (
    "alarms", "alarm_transitions", "complaints", "complaint_transitions", "complaint_deeds", "events", "outages", "room_days", "audit",
    "escalations", "deliveries",
)  # fmt: skip

# An index of which no more is used than a word that very many rows share.
COARSE: Final = re.compile(r"^SEARCH .*\((kind|event|origin|to_state)=\?\)$")

ASKED: Final[dict[str, Callable[[Town], object]]] = {
    "alarm counts": alarm_counts,
    "open alarms": lambda town: alarm_rows(town, Wanted("open")),
    "open alarms of a station": lambda town: alarm_rows(town, Wanted("open", station_id="S03")),
    "unacknowledged alarms": lambda town: alarm_rows(town, Wanted("unacknowledged")),
    "shelved alarms": lambda town: alarm_rows(town, Wanted("shelved")),
    "number of open alarms": lambda town: alarms_found(town, Wanted("open")),
    "flood": flood_now,
    "out of service": out_of_service_rows,
    "complaints": complaint_rows,
    "queue": complaint_queue,
    "call-backs": call_back_rows,
    "a complaint": lambda town: [dossier(town, 1), attached_rooms(town, 1), complaint_steps(town, 1)],
    "events": lately,
    "outages": outage_rows,
    "notices": notice_rows,
    "stations off their curve": off_curve,
    "audit": audit_rows,
    "audit of one": lambda town: audit_rows(town, AuditWanted("admin")),
}


@contextmanager
def plans(engine: Engine, explain: Callable[[Connection, str, Any], list[str]]) -> Iterator[list[tuple[str, list[str]]]]:
    """Each statement executed meanwhile with its plan."""
    found: list[tuple[str, list[str]]] = []

    def note(connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            found.append((statement, explain(connection, statement, parameters)))

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


def by_sqlite(connection: Connection, statement: str, parameters: Any) -> list[str]:
    cursor = connection.connection.cursor()
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return [str(row[3]) for row in cursor.fetchall()]


def by_postgresql(connection: Connection, statement: str, parameters: Any) -> list[str]:
    cursor = connection.connection.cursor()
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    plan = cursor.fetchall()[0][0]
    return [f"SCAN {name}" for name in read_through(plan if isinstance(plan, list) else json.loads(plan))]


def read_through(plan: Any) -> Iterator[str]:
    """The tables of a plan of PostgreSQL that are read from end to end."""
    if isinstance(plan, list):
        for part in plan:
            yield from read_through(part)
    elif isinstance(plan, dict):
        if plan.get("Node Type") == "Seq Scan":
            yield str(plan["Relation Name"])
        for part in plan.values():
            yield from read_through(part)


def scanned(statement: str, lines: list[str]) -> set[str]:
    """The growing tables that a plan reads through, or all of one kind of them.

    One read in the order of an index (or of its key) until a limit is reached is not.
    """
    ordered = "LIMIT" in statement and not any("TEMP B-TREE FOR ORDER BY" in line for line in lines)
    through = [line for line in lines if (line.startswith("SCAN ") and not ordered) or COARSE.search(line)]
    return {line.split()[1] for line in through} & set(GROW)


@pytest.mark.parametrize("asked", list(ASKED))
def test_no_page_reads_through_what_grows(town: Town, asked: str) -> None:
    town.shared.life_s = 0.0
    town.shared.forget()
    with plans(town.records, by_sqlite) as found:
        ASKED[asked](town)
    assert found
    for statement, lines in found:
        assert not scanned(statement, lines), (statement, lines)


def test_what_waits_is_found_by_its_state_not_by_its_age(town: Town) -> None:
    town.shared.life_s = 0.0
    with plans(town.records, by_sqlite) as found:
        alarm_counts(town)
        complaint_rows(town)
    used = "\n".join(line for _, lines in found for line in lines)
    for index in ("ix_alarms_state", "ix_alarms_cleared_at", "ix_alarms_shelved_until", "ix_complaints_state"):
        assert index in used
    assert set(UNACKNOWLEDGED) == {"unacknowledged", "returned_unacknowledged"}


def test_who_acted_is_read_from_an_index(town: Town) -> None:
    with plans(town.records, by_sqlite) as found:
        audited_people(town)
    assert any("ix_audit_who" in line for line in found[0][1])


@pytest.fixture(scope="module")
def on_postgresql(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The sample town without its records, which are empty ones of PostgreSQL: it must choose indices wherever it could."""
    sample = write_town(tmp_path_factory.mktemp("plans"), rooms=False)
    town = Town(replace(sample.site, records_url=postgresql), sample.clock)
    yield town
    town.close()


@pytest.mark.parametrize("asked", list(ASKED))
def test_postgresql_finds_an_index_for_each_of_them(on_postgresql: Town, asked: str) -> None:
    town = on_postgresql
    town.shared.forget()
    event.listen(town.records, "begin", indices_only)
    with plans(town.records, by_postgresql) as found:
        ASKED[asked](town)
    event.remove(town.records, "begin", indices_only)
    assert found
    for statement, lines in found:
        assert not scanned(statement, lines), (statement, lines)


def indices_only(connection: Connection) -> None:
    connection.execute(text("SET LOCAL enable_seqscan = off"))

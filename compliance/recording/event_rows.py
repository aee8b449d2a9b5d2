"""The log of decisions: each event once, however often it is found."""

import math
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from compliance.events import Event
from store.records import tables


def record_event(connection: Connection, event: Event) -> bool:
    """Adds the event to the log; False when it stands there already, so that what follows from it is not done twice."""
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    which = f"{event.body['hours']:g} h" if "hours" in event.body else ""
    row = {"at": event.at, "event": event.event, "subject": event.subject, "which": which, "body": plain(event.body)}
    statement = insert(tables.events).values(row).on_conflict_do_nothing(index_elements=["event", "subject", "at", "which"])
    return connection.scalar(statement.returning(tables.events.c.at)) is not None  # no rowcount: PostgreSQL tells none of an insert


def recorded(connection: Connection, event: str, subject: str, since_ms: int) -> list[int]:
    """The instants of this event of this subject since ``since_ms``, in order."""
    log = tables.events.c
    found = select(log.at).where(log.event == event, log.subject == subject, log.at >= since_ms).order_by(log.at)
    return [int(at) for at in connection.scalars(found)]


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """The body as JSON can hold it: a value that is not a number is null."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in body.items()}


def add_transition(
    connection: Connection, of: str, row_id: int, change: tuple[str, str], at: int, who: str = "keepwarm", why: str = ""
) -> None:
    """Stores a transition of an alarm, outage, notice or complaint: ``change`` is (from, to), ``at`` UTC ms."""
    table = tables.metadata.tables[f"{of}_transitions"]
    row = {f"{of}_id": row_id, "from_state": change[0], "to_state": change[1], "at": at, "who": who, "why": why}
    connection.execute(table.insert().values(row))

"""What every act of a person shares: the right is checked here on the server, and each act is audited, also when it is refused.

A state is only changed where it still is what the person saw (compare and set); the change, its transition and its audit row are
one transaction.
"""

from typing import Final

from sqlalchemy import Connection, Engine, Table, insert, select, update

from dashboard.accounts import record
from dashboard.roles import Account, Right
from dashboard.text import N_
from store.records import reading
from store.records.narrowed import reach_of
from store.records.tables import audit, metadata

SITE_WIDE: Final = frozenset({"instrument", "shift"})  # subjects that belong to no district
COMMENT_MOST: Final = 2_000


class RefusedError(Exception):
    """An action that is not done: ``why`` is a message for the person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def demand(engine: Engine, who: Account, right: Right, action: str, subject: str, now_ms: int) -> None:
    """Raises RefusedError, and audits the refusal, unless the account has the right, and the subject lies in its districts."""
    if not who.may(right):
        record(engine, now_ms, who.name, action, subject, refused=True, after={"role": who.role})
        raise RefusedError(N_("Your role may not do this."))
    if who.districts and not _reaches(engine, subject):
        record(engine, now_ms, who.name, action, subject, refused=True, after={"districts": sorted(who.districts)})
        raise RefusedError(N_("This is not in your districts."))


def _reaches(engine: Engine, subject: str) -> bool:
    """Whether the records as this account sees them hold all of a subject: a place, or rows such as ``alarms/3,4``.

    An outage or a notice of a heat source is seen by whoever sees one of its stations; to act on it takes all of them.
    """
    reach = reach_of(engine)
    if reach is None:  # an account that is limited, and records that are not: somebody forgot
        return False
    if reach.sees(subject) or subject.partition("/")[0] in SITE_WIDE:
        return True
    kind, _, numbers = subject.partition("/")
    table = metadata.tables.get(kind, metadata.tables.get(f"{kind}s"))
    ids = [int(one) for one in numbers.split(",") if one.isdecimal()]
    if table is None or "id" not in table.c or not ids:
        return False
    columns = [table.c.id, *([table.c.stations] if "stations" in table.c else [])]
    with reading(engine).connect() as connection:
        rows = connection.execute(select(*columns).where(table.c.id.in_(ids))).all()
    stations = {station_id for row in rows for station_id in (row[1] if len(row) > 1 else ())}
    return len(rows) == len(set(ids)) and stations <= reach.stations


def change(connection: Connection, table: Table, row_id: int, seen_state: str, values: dict[str, object]) -> bool:
    """Sets values of a row that is still in the state the person saw; tells whether it was."""
    changed = connection.execute(update(table).where(table.c.id == row_id, table.c.state == seen_state).values(values))
    return changed.rowcount == 1


def step(
    connection: Connection, table: Table, key: str, row_id: int, from_state: str, to_state: str, at: int, who: Account, why: str
) -> None:
    """Stores a transition: from, to, at, who, why. ``key`` is the column that names the row it belongs to."""
    row = {key: row_id, "from_state": from_state, "to_state": to_state, "at": at, "who": who.name, "why": why}
    connection.execute(insert(table).values(row))


def note(connection: Connection, at: int, who: Account, action: str, subject: str, before: object, after: object) -> None:
    """Stores what was done, with what was there before and after."""
    row = {"at": at, "who": who.name, "action": action, "subject": subject, "before": before, "after": after}
    connection.execute(insert(audit).values(row))

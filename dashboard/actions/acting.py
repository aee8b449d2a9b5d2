"""What every act of a person shares: the right is checked here on the server, and each act is audited, also when it is refused.

A state is only changed where it still is what the person saw (compare and set); the change, its transition and its audit row are
one transaction.
"""

from typing import Final

from sqlalchemy import Connection, Engine, Table, insert, update

from dashboard.accounts import record
from dashboard.roles import Account, Right
from dashboard.text import N_
from store.records.tables import audit

COMMENT_MOST: Final = 2_000


class RefusedError(Exception):
    """An action that is not done: ``why`` is a message for the person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def demand(engine: Engine, who: Account, right: Right, action: str, subject: str, now_ms: int) -> None:
    """Raises RefusedError, and audits the refusal, unless the account has the right."""
    if not who.may(right):
        record(engine, now_ms, who.name, action, subject, refused=True, after={"role": who.role})
        raise RefusedError(N_("Your role may not do this."))


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

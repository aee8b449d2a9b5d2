"""What people do on the pages. Each action checks the right here, on the server, and is audited, also when it is refused.

A state is only changed where it still is what the person saw (compare and set); the change, its transition and its audit row are
one transaction.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, Table, insert, select, update

from dashboard.accounts import record
from dashboard.facts.complaints import NEEDS_REASON, NEXT_STATES
from dashboard.roles import Account, Right
from dashboard.text import N_
from store.records.tables import alarm_transitions, alarms, audit, complaint_transitions, complaints, notice_transitions, notices

COMMENT_MOST = 2_000
MOST_AT_ONCE = 1_000
# An acknowledged alarm whose cause is gone is over (ISA-18.2).
ACKNOWLEDGED_TO: Final = {"unacknowledged": "acknowledged", "returned_unacknowledged": "normal"}


class RefusedError(Exception):
    """An action that is not done: ``why`` is a message for the person."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def acknowledge_alarms(engine: Engine, who: Account, alarm_ids: Sequence[int], comment: str, now_ms: int) -> int:
    """Acknowledges these alarms; returns how many were still unacknowledged.

    ``now_ms`` is the site's clock. Raises RefusedError without the right.
    """
    comment = comment.strip()[:COMMENT_MOST]
    wanted = list(dict.fromkeys(alarm_ids))[:MOST_AT_ONCE]
    _demand(engine, who, "acknowledge", "acknowledge", f"alarms/{','.join(map(str, wanted))}", now_ms)
    done = 0
    with engine.begin() as connection:
        for alarm_id in wanted:
            state = connection.execute(select(alarms.c.state).where(alarms.c.id == alarm_id)).scalar()
            if state not in ACKNOWLEDGED_TO:
                continue
            following = ACKNOWLEDGED_TO[state]
            values = {"state": following, "acknowledged_at": now_ms, "acknowledged_by": who.name, "comment": comment}
            if _change(connection, alarms, alarm_id, state, values):
                _step(connection, alarm_transitions, "alarm_id", alarm_id, state, following, now_ms, who, comment)
                after = {"state": following, "comment": comment}
                _audit(connection, now_ms, who, "acknowledge", f"alarm/{alarm_id}", {"state": state}, after)
                done += 1
    return done


def confirm_notice(engine: Engine, who: Account, notice_id: int, now_ms: int) -> None:
    """Publishes a due notice that waits for a dispatcher (R5, ``publish = "review"``).

    Raises RefusedError without the right, or when the notice is not due any more.
    """
    _demand(engine, who, "confirm_notice", "confirm_notice", f"notice/{notice_id}", now_ms)
    with engine.begin() as connection:
        if not _change(connection, notices, notice_id, "due", {"state": "published", "published_at": now_ms}):
            raise RefusedError(N_("This notice is not waiting for confirmation any more."))
        _step(connection, notice_transitions, "notice_id", notice_id, "due", "published", now_ms, who, "confirmed")
        _audit(connection, now_ms, who, "confirm_notice", f"notice/{notice_id}", {"state": "due"}, {"state": "published"})


def move_complaint(engine: Engine, who: Account, complaint_id: int, seen_state: str, to_state: str, why: str, now_ms: int) -> None:
    """Takes a complaint from the state the person saw to a following one (R6).

    Raises RefusedError without the right, for a step that can't be taken, without a needed reason, or when somebody was faster.
    """
    why = why.strip()[:COMMENT_MOST]
    _demand(engine, who, "move_complaint", "move_complaint", f"complaint/{complaint_id}", now_ms)
    if to_state not in NEXT_STATES.get(seen_state, ()):
        raise RefusedError(N_("This step does not follow the complaint's state."))
    if to_state in NEEDS_REASON and not why:
        raise RefusedError(N_("This step needs a reason."))
    with engine.begin() as connection:
        if not _change(connection, complaints, complaint_id, seen_state, {"state": to_state}):
            raise RefusedError(N_("Somebody changed this complaint meanwhile."))
        _step(connection, complaint_transitions, "complaint_id", complaint_id, seen_state, to_state, now_ms, who, why)
        before, after = {"state": seen_state}, {"state": to_state, "why": why}
        _audit(connection, now_ms, who, "move_complaint", f"complaint/{complaint_id}", before, after)


def _demand(engine: Engine, who: Account, right: Right, action: str, subject: str, now_ms: int) -> None:
    if not who.may(right):
        record(engine, now_ms, who.name, action, subject, refused=True, after={"role": who.role})
        raise RefusedError(N_("Your role may not do this."))


def _change(connection: Connection, table: Table, row_id: int, seen_state: str, values: dict[str, object]) -> bool:
    changed = connection.execute(update(table).where(table.c.id == row_id, table.c.state == seen_state).values(values))
    return changed.rowcount == 1


def _step(
    connection: Connection, table: Table, key: str, row_id: int, from_state: str, to_state: str, at: int, who: Account, why: str
) -> None:
    row = {key: row_id, "from_state": from_state, "to_state": to_state, "at": at, "who": who.name, "why": why}
    connection.execute(insert(table).values(row))


def _audit(connection: Connection, at: int, who: Account, action: str, subject: str, before: object, after: object) -> None:
    row = {"at": at, "who": who.name, "action": action, "subject": subject, "before": before, "after": after}
    connection.execute(insert(audit).values(row))

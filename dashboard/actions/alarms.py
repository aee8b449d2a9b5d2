"""What people do with alarms (R3, ISA-18.2)."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, insert, select, update

from dashboard.actions.acting import COMMENT_MOST, RefusedError, change, demand, note, step
from dashboard.roles import Account
from dashboard.text import N_
from store.records.tables import alarm_transitions, alarms, out_of_service

MOST_AT_ONCE: Final = 1_000
SHELVED_MOST_MS: Final = 24 * 3_600_000  # nobody forgets an alarm for longer than a day (R3)
# An acknowledged alarm whose cause is gone is over (ISA-18.2).
ACKNOWLEDGED_TO: Final = {"unacknowledged": "acknowledged", "returned_unacknowledged": "normal"}


def acknowledge_alarms(engine: Engine, who: Account, alarm_ids: Sequence[int], comment: str, now_ms: int) -> int:
    """Acknowledges these alarms; returns how many were still unacknowledged.

    ``now_ms`` is the site's clock. Raises RefusedError without the right.
    """
    comment = comment.strip()[:COMMENT_MOST]
    wanted = list(dict.fromkeys(alarm_ids))[:MOST_AT_ONCE]
    demand(engine, who, "acknowledge", "acknowledge", f"alarms/{','.join(map(str, wanted))}", now_ms)
    done = 0
    with engine.begin() as connection:
        for alarm_id in wanted:
            state = connection.execute(select(alarms.c.state).where(alarms.c.id == alarm_id)).scalar()
            if state not in ACKNOWLEDGED_TO:
                continue
            following = ACKNOWLEDGED_TO[state]
            values = {"state": following, "acknowledged_at": now_ms, "acknowledged_by": who.name, "comment": comment}
            if change(connection, alarms, alarm_id, state, values):
                step(connection, alarm_transitions, "alarm_id", alarm_id, state, following, now_ms, who, comment)
                after = {"state": following, "comment": comment}
                note(connection, now_ms, who, "acknowledge", f"alarm/{alarm_id}", {"state": state}, after)
                done += 1
    return done


def comment_alarm(engine: Engine, who: Account, alarm_id: int, comment: str, now_ms: int) -> None:
    """Adds a comment to an alarm's journal; the newest one stands on the alarm.

    Raises RefusedError without the right, without words, or for an alarm that is not there.
    """
    comment = comment.strip()[:COMMENT_MOST]
    demand(engine, who, "acknowledge", "comment_alarm", f"alarm/{alarm_id}", now_ms)
    if not comment:
        raise RefusedError(N_("A comment needs words."))
    with engine.begin() as connection:
        state = _state(connection, alarm_id)
        if not change(connection, alarms, alarm_id, state, {"comment": comment}):
            raise RefusedError(N_("Somebody changed this alarm meanwhile."))
        step(connection, alarm_transitions, "alarm_id", alarm_id, state, state, now_ms, who, comment)
        note(connection, now_ms, who, "comment_alarm", f"alarm/{alarm_id}", None, {"comment": comment})


def shelve_alarm(engine: Engine, who: Account, alarm_id: int, reason: str, until_ms: int, now_ms: int) -> None:
    """Shelves an alarm until an instant within 24 h: it goes on being evaluated, and its subject makes no complaint meanwhile (R3).

    Raises RefusedError without the right or a reason, for a time that is past or too far, or for an alarm that is over or shelved.
    """
    reason = reason.strip()[:COMMENT_MOST]
    demand(engine, who, "acknowledge", "shelve_alarm", f"alarm/{alarm_id}", now_ms)
    if not reason:
        raise RefusedError(N_("An alarm is shelved with a reason."))
    if not now_ms < until_ms <= now_ms + SHELVED_MOST_MS:
        raise RefusedError(N_("A shelf ends later than now, within 24 hours."))
    with engine.begin() as connection:
        state = _state(connection, alarm_id)
        values: dict[str, object] = {"shelved_until": until_ms, "shelved_by": who.name, "shelved_reason": reason}
        statement = update(alarms).where(alarms.c.id == alarm_id, alarms.c.state == state, alarms.c.state != "normal")
        free = alarms.c.shelved_until.is_(None) | (alarms.c.shelved_until <= now_ms)
        if connection.execute(statement.where(free).values(values)).rowcount != 1:
            raise RefusedError(N_("This alarm is over, or shelved already."))
        step(connection, alarm_transitions, "alarm_id", alarm_id, state, "shelved", now_ms, who, reason)
        note(connection, now_ms, who, "shelve_alarm", f"alarm/{alarm_id}", None, {"until": until_ms, "reason": reason})


def unshelve_alarm(engine: Engine, who: Account, alarm_id: int, now_ms: int) -> None:
    """Takes an alarm off the shelf before its time.

    Raises RefusedError without the right, or when it is not shelved any more.
    """
    demand(engine, who, "acknowledge", "unshelve_alarm", f"alarm/{alarm_id}", now_ms)
    with engine.begin() as connection:
        state = _state(connection, alarm_id)
        shelved = update(alarms).where(alarms.c.id == alarm_id, alarms.c.state == state, alarms.c.shelved_until > now_ms)
        if connection.execute(shelved.values(shelved_until=None, shelved_by=None, shelved_reason=None)).rowcount != 1:
            raise RefusedError(N_("This alarm is not shelved any more."))
        step(connection, alarm_transitions, "alarm_id", alarm_id, "shelved", state, now_ms, who, "")
        note(connection, now_ms, who, "unshelve_alarm", f"alarm/{alarm_id}", None, {"state": state})


def take_out_of_service(engine: Engine, who: Account, kind: str, subject: str, reason: str, now_ms: int) -> int:
    """Takes the alarms of one kind of a subject (``room/ID``, ``station/ID``) out of service until they are returned; returns the id.

    Raises RefusedError without the right or a reason, or where they are out of service already.
    """
    reason = reason.strip()[:COMMENT_MOST]
    demand(engine, who, "acknowledge", "out_of_service", subject, now_ms)
    if not reason:
        raise RefusedError(N_("An alarm is taken out of service with a reason."))
    with engine.begin() as connection:
        columns = out_of_service.c
        here = (columns.kind == kind) & (columns.subject == subject) & columns.returned_at.is_(None)
        if connection.execute(select(columns.id).where(here)).first() is not None:
            raise RefusedError(N_("This alarm is out of service already."))
        row = {"kind": kind, "subject": subject, "since": now_ms, "who": who.name, "reason": reason}
        key = connection.execute(insert(out_of_service).values(row)).inserted_primary_key
        assert key is not None
        note(connection, now_ms, who, "out_of_service", subject, None, {"kind": kind, "reason": reason})
        return int(key[0])


def return_to_service(engine: Engine, who: Account, row_id: int, now_ms: int) -> None:
    """Returns alarms to service. Raises RefusedError without the right, or where somebody returned them before."""
    demand(engine, who, "acknowledge", "return_to_service", f"out_of_service/{row_id}", now_ms)
    with engine.begin() as connection:
        columns = out_of_service.c
        here = update(out_of_service).where(columns.id == row_id, columns.returned_at.is_(None))
        if connection.execute(here.values(returned_at=now_ms, returned_by=who.name)).rowcount != 1:
            raise RefusedError(N_("This alarm is in service already."))
        note(connection, now_ms, who, "return_to_service", f"out_of_service/{row_id}", None, None)


def _state(connection: Connection, alarm_id: int) -> str:
    state = connection.execute(select(alarms.c.state).where(alarms.c.id == alarm_id)).scalar()
    if state is None:
        raise RefusedError(N_("There is no such alarm."))
    return str(state)

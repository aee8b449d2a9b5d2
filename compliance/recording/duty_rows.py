"""What overdue duties and cured rooms lead to, in the records (R6, R7): each once, whatever dies in between."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from compliance.complaint_cases import calendar_of, read_cases, states_of, table_of
from compliance.complaint_life import NOT_OVER, WORKED_ON
from compliance.escalation import Escalation, escalations
from compliance.notice import REVIEW_DUTY
from compliance.service_duties import DAY_MS, WATER, DutyState, span_ms
from domain.deadlines import Deadline, Within
from domain.site import Site
from store.records.tables import alarms, complaint_deeds, complaint_rooms, complaint_transitions, complaints, notices
from store.records.tables import escalations as table

CALL_BACKS_FOR_MS = 60 * DAY_MS  # a closed complaint may owe its call-back for so long


def overdue(connection: Connection, site: Site, now_ms: int) -> list[tuple[str, Escalation]]:
    """The steps that overdue duties have reached and that are not stored yet, with their subject. Only reads."""
    columns = complaints.c
    steps = complaint_transitions.c
    lately = select(steps.complaint_id).where(steps.to_state == "closed", steps.at > now_ms - CALL_BACKS_FOR_MS)
    owing = or_(columns.state.in_(NOT_OVER), (columns.state == "closed") & columns.id.in_(lately))
    cases = read_cases(connection, owing & (columns.kind != "maintenance"))
    found = [
        (f"complaint/{complaint_id}", one)
        for complaint_id, states in states_of(site, cases, now_ms).items()
        for one in escalations(states, now_ms)
    ]
    others = [*_water(connection, site, now_ms), *_reviews(connection, site, now_ms)]
    found += [(subject, one) for subject, state in others for one in escalations([state], now_ms)]
    since_ms = min((one.started_at for _, one in found), default=now_ms)
    told = select(table.c.subject, table.c.duty, table.c.started_at, table.c.step).where(table.c.started_at >= since_ms)
    known = {tuple(row) for row in connection.execute(told)} if found else set()
    return [(subject, one) for subject, one in found if (subject, one.duty, one.started_at, one.step) not in known]


def store_escalation(connection: Connection, subject: str, one: Escalation) -> bool:
    """Stores a step; False where another process was faster."""
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    row = {"subject": subject, "duty": one.duty, "started_at": one.started_at, "step": one.step}
    row |= {"due_at": one.due_at, "at": one.at, "told": one.told}
    once = insert(table).values(row).on_conflict_do_nothing(index_elements=["subject", "duty", "started_at", "step"])
    return connection.scalar(once.returning(table.c.at)) is not None


def _water(connection: Connection, site: Site, now_ms: int) -> list[tuple[str, DutyState]]:
    """Make-up water loss that nobody handles: neither acknowledged nor over (R7)."""
    columns = alarms.c
    standing = (columns.kind == "water_high") & columns.cleared_at.is_(None) & (columns.state == "unacknowledged")
    rows = connection.execute(select(columns.id, columns.raised_at).where(standing)).all()
    calendar, found = calendar_of(site), []
    for row in rows:
        table = table_of(site.policy, calendar, row.raised_at)
        duty = table.duties.get(WATER) if table else None
        if duty is None:
            continue
        due_at = duty.within.due_ms(row.raised_at, calendar.zone, lambda _: True)
        if due_at < now_ms:
            found.append((f"alarm/{row.id}", DutyState(duty, row.raised_at, due_at, None, 0, "overdue")))
    return found


def _reviews(connection: Connection, site: Site, now_ms: int) -> list[tuple[str, DutyState]]:
    """Notices that wait for a dispatcher longer than they may (R5)."""
    duty = Deadline(REVIEW_DUTY, "reported", "done", Within(site.review_min, "min"))
    waiting = select(notices.c.id, notices.c.due_at).where(notices.c.state == "due", notices.c.due_at < now_ms - span_ms(duty))
    return [
        (f"notice/{row.id}", DutyState(duty, row.due_at, row.due_at + span_ms(duty), None, 0, "overdue"))
        for row in connection.execute(waiting)
    ]


def rooms_to_cure(connection: Connection) -> dict[int, tuple[int, bool, tuple[str, ...]]]:
    """Complaints of cold rooms that are worked on: id → when it was opened, whether it is proposed resolved, and its rooms."""
    columns = complaints.c
    query = (
        select(columns.id, columns.opened_at, columns.proposed_at, complaint_rooms.c.room_id)
        .join(complaint_rooms, complaint_rooms.c.complaint_id == columns.id)
        .where(columns.state.in_(WORKED_ON), columns.category == "low_temperature", columns.kind != "maintenance")
        .order_by(columns.id, complaint_rooms.c.room_id)
    )
    found: dict[int, tuple[int, bool, tuple[str, ...]]] = {}
    for row in connection.execute(query.distinct()):
        rooms = found[row.id][2] if row.id in found else ()
        found[row.id] = (row.opened_at, row.proposed_at is not None, (*rooms, row.room_id))
    return found


def propose(connection: Connection, complaint_id: int, at: int, evidence: Mapping[str, Any]) -> bool:
    """Proposes a complaint as resolved, with the evidence; False where that was done or it is no longer worked on.

    ``at`` is when its last room was cured. One that was reopened after that is proposed from its reopening on.
    """
    columns, steps = complaints.c, complaint_transitions.c
    reopened = select(func.max(steps.at)).where(steps.complaint_id == complaint_id, steps.to_state == "reopened")
    at = max(at, connection.scalar(reopened) or at)
    free = (columns.id == complaint_id) & columns.proposed_at.is_(None) & columns.state.in_(WORKED_ON)
    if connection.execute(update(complaints).where(free).values(proposed_at=at)).rowcount != 1:
        return False
    _deed(connection, complaint_id, "proposed", at, dict(evidence))
    return True


def withdraw(connection: Connection, complaint_id: int, at: int, rooms: tuple[str, ...]) -> bool:
    """Takes a proposal back because rooms are below their limit again; False where there is none."""
    columns = complaints.c
    standing = (columns.id == complaint_id) & columns.proposed_at.is_not(None) & columns.state.in_(WORKED_ON)
    if connection.execute(update(complaints).where(standing).values(proposed_at=None)).rowcount != 1:
        return False
    _deed(connection, complaint_id, "withdrawn", at, {"rooms": list(rooms)})
    return True


def _deed(connection: Connection, complaint_id: int, kind: str, at: int, body: dict[str, Any]) -> None:
    row = {"complaint_id": complaint_id, "kind": kind, "at": at, "who": "keepwarm", "body": body}
    connection.execute(complaint_deeds.insert().values(row))

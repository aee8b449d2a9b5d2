"""Notices of planned stops (R5): owed when the stop is registered, closed when it is over or called off, each once."""

from sqlalchemy import Connection, select, update

from compliance.events import Event
from compliance.notice_text import planned_texts
from compliance.recording.event_rows import add_transition, record_event
from compliance.replay import duty_at
from compliance.verdict import FOREVER_MS
from domain.site import PlannedStop, Site
from store.records import tables

HOUR_MS = 3_600_000
LATE_NOTICE_H = 48
NOTICES = tables.notices


def planned_notices(connection: Connection, site: Site, now_ms: int) -> int:
    """Owes and closes what is due by now; returns the instant at which something will be due again.

    A stop of the policy's hours or more owes a notice; less than 48 h ahead it is a late one. What was known as planned and is not any
    more, or ends earlier than it was announced, is closed with that reason.
    """
    planned = {f"{stop.station_id}@{stop.from_ms}": stop for stop in site.planned_stops}
    known = {row.planned_stop: row for row in connection.execute(select(NOTICES).where(NOTICES.c.planned_stop.is_not(None)))}
    next_ms = FOREVER_MS
    for key, stop in planned.items():
        duty = duty_at(site.policy, site, stop.from_ms)
        owed = stop.to_ms > now_ms and stop.to_ms - stop.from_ms >= duty.notice_after_h * HOUR_MS
        if key not in known and owed:
            _owe(connection, site, key, stop, now_ms)
        if stop.to_ms > now_ms:
            next_ms = min(next_ms, stop.to_ms)
    for key, row in known.items():
        if row.state == "closed":
            continue
        if key not in planned:
            _close(connection, row.id, row.state, row.subject, now_ms, "called_off", "called off")
        elif planned[key].to_ms <= now_ms:
            _close(connection, row.id, row.state, row.subject, planned[key].to_ms, "planned_over", "the planned stop is over")
    return next_ms


def _owe(connection: Connection, site: Site, key: str, stop: PlannedStop, now_ms: int) -> None:
    auto = site.publish == "auto"
    late = stop.from_ms - now_ms < LATE_NOTICE_H * HOUR_MS
    row = {"planned_stop": key, "subject": f"station/{stop.station_id}", "state": "due", "due_at": now_ms, "late": late}
    made = connection.execute(NOTICES.insert().values({**row, **planned_texts(site, stop)})).inserted_primary_key
    assert made is not None
    add_transition(connection, "notice", int(made[0]), ("none", "due"), now_ms, who=stop.who or "keepwarm", why=stop.reason)
    if auto:
        connection.execute(update(NOTICES).where(NOTICES.c.id == made[0]).values(state="published", published_at=now_ms))
        add_transition(connection, "notice", int(made[0]), ("due", "published"), now_ms, why="auto")


def _close(connection: Connection, row_id: int, state: str, subject: str, at: int, closing: str, why: str) -> None:
    connection.execute(update(NOTICES).where(NOTICES.c.id == row_id).values(state="closed", closed_at=at, closing=closing))
    add_transition(connection, "notice", row_id, (state, "closed"), at, why=why)
    record_event(connection, Event(at, "notice.closed", subject, {"reason": why}))

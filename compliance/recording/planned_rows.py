"""Notices of planned stops (R5): owed when the stop is registered, amended when it is shortened, closed at its end or when called off."""

from typing import Any

from sqlalchemy import Connection, Row, select

from compliance.events import Event
from compliance.notice_text import Said, closing_texts, planned_texts
from compliance.recording.event_rows import record_event
from compliance.replay import duty_at
from compliance.verdict import FOREVER_MS
from domain.site import PlannedStop, Site
from store.records import tables
from store.records.notices import first_step, next_step

HOUR_MS = 3_600_000
LATE_NOTICE_H = 48
ENDS_SOON_MS = 5 * 60_000  # then its closing says so, and nobody is told twice
NOTICES = tables.notices


def planned_notices(connection: Connection, site: Site, now_ms: int) -> int:
    """Owes and closes what is due by now; returns the instant at which something will be due again.

    A stop of the policy's hours or more owes a notice; less than 48 h ahead it is a late one. What was known as planned and is not any
    more is closed with that reason; a stop that was shortened amends its notice.
    """
    planned = {stop.key: stop for stop in site.planned_stops}
    known = {row.planned_stop: row for row in connection.execute(select(NOTICES).where(NOTICES.c.planned_stop.is_not(None)))}
    next_ms = FOREVER_MS
    for key, stop in planned.items():
        duty = duty_at(site.policy, site, stop.from_ms)
        owed = stop.to_ms > now_ms and stop.to_ms - stop.from_ms >= duty.notice_after_h * HOUR_MS
        if key not in known and owed:
            _owe(connection, site, stop, now_ms)
        if stop.to_ms > now_ms:
            next_ms = min(next_ms, stop.to_ms)
    for key, row in known.items():
        if row.state == "closed":
            continue
        if key not in planned:
            _close(connection, site, row, now_ms, "called_off", "called off")
        elif planned[key].to_ms <= now_ms:
            _close(connection, site, row, planned[key].to_ms, "planned_over", "the planned stop is over")
        elif row.facts != stop_facts(planned[key]) and planned[key].to_ms > now_ms + ENDS_SOON_MS:
            _amend(connection, site, row, planned[key], now_ms)
    return next_ms


def stop_facts(stop: PlannedStop) -> dict[str, Any]:
    """What the notice of a planned stop rests on."""
    return {"from_ms": stop.from_ms, "to_ms": stop.to_ms, "reason": stop.reason}


def _owe(connection: Connection, site: Site, stop: PlannedStop, now_ms: int) -> None:
    late = stop.from_ms - now_ms < LATE_NOTICE_H * HOUR_MS
    row = {"planned_stop": stop.key, "subject": f"station/{stop.station_id}", "due_at": now_ms, "late": late, "facts": stop_facts(stop)}
    notice_id = first_step(connection, row | planned_texts(site, stop, Said()), now_ms, stop.who or "keepwarm", stop.reason)
    if site.publish == "auto":
        next_step(connection, notice_id, 1, "published", now_ms, {"published_at": now_ms}, why="auto")


def _amend(connection: Connection, site: Site, row: Row[tuple[Any, ...]], stop: PlannedStop, now_ms: int) -> None:
    values = planned_texts(site, stop, Said.of(row.said)) | {"facts": stop_facts(stop)}
    to_state = "due" if row.published_at is None else "amended"
    why = "correction: the plan has changed"
    if next_step(connection, row.id, row.version, to_state, now_ms, values, why=why) and to_state == "amended":
        record_event(connection, Event(now_ms, "notice.amended", row.subject, {"reason": why}))


def _close(connection: Connection, site: Site, row: Row[tuple[Any, ...]], at: int, closing: str, why: str) -> None:
    next_step(connection, row.id, row.version, "closed", at, {"closed_at": at, **closing_texts(site, closing, at)}, why=why)
    record_event(connection, Event(at, "notice.closed", row.subject, {"reason": why}))

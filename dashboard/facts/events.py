"""What changed lately: the events that the rules decided, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from dashboard.facts.town import Town
from dashboard.moments import MINUTE_MS
from store.records.tables import events

LATELY_MS = 15 * MINUTE_MS
MOST = 60
# A room that dips below its limit and comes back is no news for a whole town; its alarm is.
QUIET = ("alarm.pending", "alarm.forgotten")


@dataclass(frozen=True)
class Happened:
    """One event: when its condition was completed, what, about whom."""

    at: int
    event: str
    subject: str
    body: dict[str, Any]


def lately(town: Town, *, least: int = 8) -> Sequence[Happened]:
    """The events of the last 15 minutes; where these are few, as many before them as make ``least``."""
    return town.shared.of(("lately", least), lambda: _lately(town, least))


def _lately(town: Town, least: int) -> list[Happened]:
    rows = town.of_records("newest_events", lambda: _newest(town))
    since_ms = town.now_ms() - LATELY_MS
    recent = [row for row in rows if row.at >= since_ms]
    return rows[: max(len(recent), least)]


def _newest(town: Town) -> list[Happened]:
    query = select(events.c.at, events.c.event, events.c.subject, events.c.body).where(events.c.event.not_in(QUIET))
    return [Happened(*row) for row in town.rows(query.order_by(events.c.at.desc(), events.c.id.desc()).limit(MOST))]


def about(town: Town, subjects: Sequence[str], *, most: int = 20) -> Sequence[Happened]:
    """The newest events about any of these subjects."""
    query = (
        select(events.c.at, events.c.event, events.c.subject, events.c.body)
        .where(or_(events.c.subject.in_(subjects)), events.c.event.not_in(QUIET))
        .order_by(events.c.at.desc(), events.c.id.desc())
        .limit(most)
    )
    return town.shared.of(("about", tuple(subjects), most), lambda: [Happened(*row) for row in town.rows(query)])

"""Outages and the notices they owe (R4, R5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from compliance.notice_text import closing_word
from dashboard.facts.town import Town
from dashboard.moments import DAY_MS, HOUR_MS
from store.records.tables import notice_transitions, notices, outages

SHOWN_ENDED_MS = 7 * DAY_MS
MOST = 200


@dataclass(frozen=True)
class NoticeRow:
    """What users are owed. ``state`` is due, published, amended or closed; ``said`` is what a dispatcher said for it.

    ``over_zh`` and ``over_en`` are the word of its end, of a closed notice.
    """

    id: int
    outage_id: int | None
    planned_stop: str | None
    subject: str
    state: str
    due_at: int
    published_at: int | None
    closed_at: int | None
    closed_by: str | None
    late: bool
    stations: list[str]
    households: int | None
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    closing: str
    closing_zh: str
    closing_en: str
    version: int
    facts: dict[str, Any]
    said: dict[str, Any]
    over_zh: str = ""
    over_en: str = ""


@dataclass(frozen=True)
class OutageRow:
    """Heat not delivered. Duty clocks run from ``started_earliest``, reports use ``started_at``."""

    id: int
    subject: str
    station_id: str | None
    source_id: str | None
    state: str
    started_at: int
    started_earliest: int
    opened_at: int
    ended_at: int | None
    cause: str
    evidence: list[Any]
    parent_id: int | None
    stations: list[str]


@dataclass(frozen=True)
class Transition:
    """One stored step: from, to, at, who, why."""

    from_state: str
    to_state: str
    at: int
    who: str
    why: str


def notice_due_ms(town: Town, outage: OutageRow) -> int:
    """When the outage owes its users a notice: the policy's hours after its earliest start (R5)."""
    started = datetime.fromtimestamp(outage.started_earliest / 1000, town.site.timezone)
    version = town.site.policy.version_at(started.date())
    hours = version.notice_after_h if version else 8.0
    return outage.started_earliest + round(hours * HOUR_MS)


def outage_rows(town: Town) -> Sequence[OutageRow]:
    """Open outages, oldest first; then those ended within seven days, newest first."""
    return town.shared.of("outages", lambda: _outage_rows(town))


def _outage_rows(town: Town) -> list[OutageRow]:
    columns = [outages.c[name] for name in OutageRow.__dataclass_fields__]
    lately = or_(outages.c.state == "open", outages.c.ended_at > town.now_ms() - SHOWN_ENDED_MS)
    query = select(*columns).where(lately).order_by(outages.c.started_at.desc()).limit(MOST)
    rows = [OutageRow(*row) for row in town.rows(query)]
    still = sorted((row for row in rows if row.state == "open"), key=lambda row: row.started_earliest)
    return [*still, *(row for row in rows if row.state != "open")]


def open_outages(town: Town) -> list[OutageRow]:
    """Outages that go on, oldest first. The parts of a source's outage are counted with it."""
    return [row for row in outage_rows(town) if row.state == "open" and row.parent_id is None]


def notice_rows(town: Town) -> Sequence[NoticeRow]:
    """Notices not yet closed, and those closed within seven days; the newest first."""
    return town.shared.of("notices", lambda: _notice_rows(town))


def _notice_rows(town: Town) -> list[NoticeRow]:
    columns = [notices.c[name] for name in NoticeRow.__dataclass_fields__ if name in notices.c]
    lately = or_(notices.c.state != "closed", notices.c.closed_at > town.now_ms() - SHOWN_ENDED_MS)
    query = select(*columns).where(lately).order_by(notices.c.due_at.desc(), notices.c.id.desc()).limit(MOST)
    found = [NoticeRow(*row) for row in town.rows(query)]
    words = {row.closing: closing_word(town.site, row.closing) for row in found if row.state == "closed"}
    return [replace(row, over_zh=words[row.closing][0], over_en=words[row.closing][1]) if row.state == "closed" else row for row in found]


def public_notices(town: Town) -> list[NoticeRow]:
    """What the public board shows: published and amended notices, then those closed within seven days."""
    published = [notice for notice in notice_rows(town) if notice.published_at is not None]
    return sorted(published, key=lambda notice: notice.state == "closed")


def notice_steps(town: Town, notice_id: int) -> list[Transition]:
    """The notice's stored transitions, oldest first."""
    steps = notice_transitions.c
    query = select(steps.from_state, steps.to_state, steps.at, steps.who, steps.why).where(steps.notice_id == notice_id).order_by(steps.id)
    return town.shared.of(("notice_steps", notice_id), lambda: [Transition(*row) for row in town.rows(query)])

"""The notices that users are owed (R5): as they stand, their steps with the words of each, and how the channels took them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, select

from compliance.notice_text import closing_word
from dashboard.facts.town import Town
from dashboard.moments import DAY_MS, MINUTE_MS
from store.records.tables import deliveries, notice_transitions, notices

SHOWN_CLOSED_MS = 7 * DAY_MS
STANDING_MOST, CLOSED_MOST = 5_000, 200


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
    changed_at: int
    facts: dict[str, Any]
    said: dict[str, Any]
    over_zh: str = ""
    over_en: str = ""

    def waits_too_long(self, town: Town) -> bool:
        """Whether a dispatcher should have confirmed it by now (R5)."""
        return self.state == "due" and town.now_ms() > self.due_at + round(town.site.review_min * MINUTE_MS)


@dataclass(frozen=True)
class NoticeStep:
    """One stored step, with the words that the notice had from then on."""

    from_state: str
    to_state: str
    at: int
    who: str
    why: str
    version: int
    title_zh: str
    text_zh: str
    text_en: str
    closing_zh: str


@dataclass(frozen=True)
class DeliveryRow:
    """One message to one channel. ``state`` is waiting, sent or refused; ``next_at`` and ``done_at`` are life's time in UTC ms."""

    key: str
    channel: str
    title: str
    state: str
    attempts: int
    next_at: int
    done_at: int | None
    result: str


def notice_rows(town: Town) -> Sequence[NoticeRow]:
    """Notices that wait for somebody, the longest first; then those that stand and those closed within seven days, newest first."""
    return town.of_records("notices", lambda: _notice_rows(town))


def _notice_rows(town: Town) -> list[NoticeRow]:
    """Two questions: however many are closed, none that waits or stands is left out."""
    columns = notices.c
    standing = _rows_where(town, columns.state != "closed", most=STANDING_MOST)
    lately = (columns.state == "closed") & (columns.closed_at > town.now_ms() - SHOWN_CLOSED_MS)
    found = _rows_where(town, lately, most=CLOSED_MOST)
    words = {row.closing: closing_word(town.site, row.closing) for row in found}
    over = [replace(row, over_zh=words[row.closing][0], over_en=words[row.closing][1]) for row in found]
    return [*(row for row in standing[::-1] if row.state == "due"), *(row for row in standing if row.state != "due"), *over]


def _rows_where(town: Town, which: ColumnElement[bool], *, most: int) -> list[NoticeRow]:
    columns = [notices.c[name] for name in NoticeRow.__dataclass_fields__ if name in notices.c]
    query = select(*columns).where(which).order_by(notices.c.due_at.desc(), notices.c.id.desc()).limit(most)
    return [NoticeRow(*row) for row in town.rows(query)]


def notice(town: Town, notice_id: int) -> NoticeRow | None:
    """One of them, by its id."""
    return next((row for row in notice_rows(town) if row.id == notice_id), None)


def public_notices(town: Town) -> list[NoticeRow]:
    """What the public board shows: published and amended notices, then those closed within seven days."""
    published = [row for row in notice_rows(town) if row.published_at is not None and row.state != "due"]
    return sorted(published, key=lambda row: row.state == "closed")


def notice_steps(town: Town, notice_id: int) -> list[NoticeStep]:
    """The notice's stored transitions, oldest first."""
    columns = [notice_transitions.c[name] for name in NoticeStep.__dataclass_fields__]
    query = select(*columns).where(notice_transitions.c.notice_id == notice_id).order_by(notice_transitions.c.version)
    return town.shared.of(("notice_steps", notice_id), lambda: [NoticeStep(*row) for row in town.rows(query)])


def notice_deliveries(town: Town, notice_id: int) -> list[DeliveryRow]:
    """How each channel took each of its messages, oldest first."""
    columns = [deliveries.c[name] for name in DeliveryRow.__dataclass_fields__]
    query = select(*columns).where(deliveries.c.notice_id == notice_id).order_by(deliveries.c.id)
    return town.shared.of(("notice_deliveries", notice_id), lambda: [DeliveryRow(*row) for row in town.rows(query)])

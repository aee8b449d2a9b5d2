"""What is due next in the whole town, in one list: notices (R5), duties of complaints, call-backs (R6, R7), shelves that end.

open outages ─▶ notice at 8 h ─▶ its review     complaints ─▶ the duty that presses     cured ─▶ call-back     shelved alarms ─▶ end
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import select

from dashboard.facts.complaints import complaint_queue
from dashboard.facts.desk import call_back_rows
from dashboard.facts.notices import notice_rows
from dashboard.facts.outages import notice_due_ms, open_outages
from dashboard.facts.subjects import Subject, address, subject
from dashboard.facts.town import Town
from dashboard.moments import HOUR_MS, MINUTE_MS
from store.records.tables import alarms

SHELVES_MOST: Final = 200
SOON_MS: Final = HOUR_MS

What = Literal["notice", "review", "duty", "call_back", "shelf"]
NOTICES: Final = ("notice", "review")


@dataclass(frozen=True)
class Due:
    """One thing that is due ``at`` an instant (UTC ms), of a subject, and the page where it is done.

    ``what``: a ``notice`` is owed by then, its ``review`` by a dispatcher, a complaint's ``duty`` (of a ``category``, whose
    ``target`` has to be reached), a ``call_back``; a ``shelf`` of an alarm ends. ``number`` is the complaint's, 0 for what is none.
    """

    at: int
    what: What
    subject: str
    address: str
    category: str = ""
    target: str = ""
    number: int = 0


@dataclass(frozen=True)
class DueList:
    """The first of them by time, with whom they concern; how many are over, how many follow within an hour, how many there are."""

    rows: list[tuple[Due, Subject]]
    overdue: int
    soon: int
    all: int


def due_list(town: Town, most: int) -> DueList:
    """What is due, the earliest first. Neither crowds the other out: half of the room is for notices, the rest for what comes first."""
    found = town.shared.of("due", lambda: sorted(_due(town), key=lambda one: one.at))
    now_ms = town.now_ms()
    notices = [one for one in found if one.what in NOTICES][: (most + 1) // 2]
    rest = [one for one in found if one not in notices][: most - len(notices)]
    shown = sorted([*notices, *rest], key=lambda one: one.at)
    over = sum(one.at < now_ms for one in found)
    soon = sum(now_ms <= one.at < now_ms + SOON_MS for one in found)
    return DueList([(one, subject(town, one.subject)) for one in shown], over, soon, len(found))


def _due(town: Town) -> Iterator[Due]:
    yield from _notices(town)
    called = set()
    for row in call_back_rows(town):
        if row.done is None and row.due_at is not None:
            called.add(row.complaint.id)
            yield Due(row.due_at, "call_back", row.complaint.subject, _complaint(row.complaint.id), number=row.complaint.id)
    for one in complaint_queue(town):
        duty = one.duty
        # What waits for the resident is due at no instant; a call-back is listed as one.
        if duty is None or duty.standing == "held" or (duty.duty.target == "done" and one.complaint.id in called):
            continue
        yield Due(
            duty.due_at,
            "duty",
            one.complaint.subject,
            _complaint(one.complaint.id),
            one.complaint.category,
            duty.duty.target,
            one.complaint.id,
        )
    now_ms = town.now_ms()
    columns = (alarms.c.id, alarms.c.subject, alarms.c.shelved_until)
    shelved = select(*columns).where(alarms.c.shelved_until > now_ms, alarms.c.state != "normal").order_by(alarms.c.shelved_until)
    for number, of, until in town.rows(shelved.limit(SHELVES_MOST)):
        yield Due(until, "shelf", of, address("alarms", alarm=str(number)))


def _notices(town: Town) -> Iterator[Due]:
    """The notices of open outages before they are due, and those that wait for a dispatcher since."""
    rows = notice_rows(town)
    noticed = {row.outage_id for row in rows}
    for outage in open_outages(town):
        if outage.id not in noticed:
            yield Due(notice_due_ms(town, outage), "notice", outage.subject, address("outages", outage=str(outage.id)))
    reviewed = town.site.publish == "review"
    for row in rows:
        if row.state == "due":
            until = row.due_at + (round(town.site.review_min * MINUTE_MS) if reviewed else 0)
            yield Due(until, "review" if reviewed else "notice", row.subject, address("outages", notice=str(row.id)))


def _complaint(number: int) -> str:
    return f"complaints?complaint={number}"

"""What is due next in the whole town, in one list: notices (R5), duties of complaints, call-backs (R6, R7), shelves that end.

open outages ─▶ notice at 8 h ─▶ its review     complaints ─▶ the duty that presses     cured ─▶ call-back     shelved alarms ─▶ end
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from sqlalchemy import BigInteger, bindparam, select

from dashboard.facts.complaints import ComplaintRow, Pressing, pressing
from dashboard.facts.desk import call_back_rows
from dashboard.facts.notices import notice_rows
from dashboard.facts.outages import notice_due_ms, open_outages
from dashboard.facts.subjects import Subject, address, subject
from dashboard.facts.town import Town
from dashboard.moments import HOUR_MS, MINUTE_MS
from store.records.tables import alarms

SHELVES_MOST: Final = 200
SOON_MS: Final = HOUR_MS

DUE_KEPT_S: Final = 60.0

What = Literal["notice", "review", "duty", "call_back", "shelf"]
NOTICES: Final = ("notice", "review")

_SHELVED: Final = (
    select(alarms.c.id, alarms.c.subject, alarms.c.shelved_until)
    .where(alarms.c.shelved_until > bindparam("now_ms", type_=BigInteger), alarms.c.state != "normal")
    .order_by(alarms.c.shelved_until)
    .limit(SHELVES_MOST)
)


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
    found = town.shared.of("due", lambda: sorted(_due(town), key=_at))
    now_ms = town.now_ms()
    notices = list(islice((one for one in found if one.what in NOTICES), (most + 1) // 2))
    first = {id(one) for one in notices}
    rest = islice((one for one in found if id(one) not in first), most - len(notices))
    shown = sorted([*notices, *rest], key=_at)
    over = bisect_left(found, now_ms, key=_at)
    soon = bisect_left(found, now_ms + SOON_MS, key=_at) - over
    return DueList([(one, subject(town, one.subject)) for one in shown], over, soon, len(found))


def _at(one: Due) -> int:
    return one.at


def _due(town: Town) -> Iterator[Due]:
    yield from _notices(town)
    calls = [(row.complaint, row.due_at) for row in call_back_rows(town) if row.done is None and row.due_at is not None]
    duties = pressing(town)
    yield from town.shared.of("complaints_due", lambda: [*_complaints(calls, duties)], life_s=DUE_KEPT_S, mark=(calls, duties))
    now_ms = town.now_ms()
    for number, of, until in town.of_records("shelved", lambda: town.rows(_SHELVED, now_ms=now_ms)):
        if until > now_ms:
            yield Due(until, "shelf", of, address("alarms", alarm=str(number)))


def _complaints(calls: Sequence[tuple[ComplaintRow, int]], duties: Pressing) -> Iterator[Due]:
    called = set()
    for complaint, due_at in calls:
        called.add(complaint.id)
        yield Due(due_at, "call_back", complaint.subject, _complaint(complaint.id), number=complaint.id)
    for complaint, duty in duties:
        # What waits for the resident is due at no instant; a call-back is listed as one.
        if duty is None or duty.standing == "held" or (duty.duty.target == "done" and complaint.id in called):
            continue
        address_of = _complaint(complaint.id)
        yield Due(duty.due_at, "duty", complaint.subject, address_of, complaint.category, duty.duty.target, complaint.id)


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

"""The service desk's lists: the queue as it is asked for, who is to be called back, and what is like a complaint.

queue ─▶ mine? overdue? this duty, area, origin? ─▶ rows          cured ─▶ called back? ─▶ call-back list
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import case, select

from compliance.complaint_life import OVER
from dashboard.facts.complaints import ComplaintRow, Dossier, QueueRow, complaint_queue, complaint_rows, rows_where
from dashboard.facts.duties import complaints_mark, kept_s, standing_duties
from dashboard.facts.town import Town
from dashboard.moments import DAY_MS
from store.records.tables import complaint_deeds, complaints

PAGE: Final = 60
SIMILAR_MS: Final = 30 * DAY_MS
SIMILAR_MOST: Final = 12
CALLED_MS: Final = 7 * DAY_MS
CALLED_MOST: Final = 500


@dataclass(frozen=True)
class Wanted:
    """What of the queue is asked for. ``show`` is open, mine, overdue or over; ``area`` is ``district/NAME`` or ``station/ID``."""

    show: str = "open"
    duty: str = ""
    area: str = ""
    origin: str = ""


def queue_rows(town: Town, wanted: Wanted, me: str) -> list[QueueRow]:
    """The queue's rows that are asked for, the least time left first; those that are over, newest first."""
    whose = me if wanted.show == "mine" else ""
    return town.shared.of(("queue_rows", wanted, whose), lambda: _queue_rows(town, wanted, me))


def _queue_rows(town: Town, wanted: Wanted, me: str) -> list[QueueRow]:
    if wanted.show == "over":
        rows: Sequence[QueueRow] = [QueueRow(row, None, None) for row in complaint_rows(town) if row.over]
    else:
        rows = [row for row in complaint_queue(town) if not row.complaint.over or row.duty is not None]
    return [row for row in rows if _is_wanted(town, row, wanted, me)]


def _is_wanted(town: Town, row: QueueRow, wanted: Wanted, me: str) -> bool:
    complaint = row.complaint
    return (
        (wanted.show != "mine" or complaint.assignee == me)
        and (wanted.show != "overdue" or (row.left_ms is not None and row.left_ms < 0))
        and (not wanted.duty or (row.duty is not None and row.duty.duty.duty == wanted.duty))
        and (not wanted.area or wanted.area in areas_of(town, complaint.station_id))
        and (not wanted.origin or complaint.origin == wanted.origin)
    )


def areas_of(town: Town, station_id: str | None) -> tuple[str, ...]:
    """The areas a station lies in, as ``Wanted.area`` names them."""
    station = town.site.stations.get(station_id or "")
    if station is None:
        return ()
    return (f"station/{station_id}", *((f"district/{station.district}",) if station.district else ()))


def areas(town: Town) -> list[str]:
    """All areas of the site: districts, then stations."""
    districts = dict.fromkeys(f"district/{one.district}" for one in town.site.stations.values() if one.district)
    return [*districts, *(f"station/{station_id}" for station_id in town.site.stations)]


@dataclass(frozen=True)
class QueueCounts:
    """How many complaints each view of the queue shows."""

    open: int
    mine: int
    overdue: int
    call_back: int


def queue_counts(town: Town, me: str) -> QueueCounts:
    """The counts at this moment."""
    rows = complaint_queue(town)
    return QueueCounts(
        len(rows),
        sum(row.complaint.assignee == me for row in rows),
        sum(row.left_ms is not None and row.left_ms < 0 for row in rows),
        sum(row.done is None for row in call_back_rows(town)),
    )


@dataclass(frozen=True)
class CallBack:
    """One call: who called when; ``satisfied`` is None when nobody answered."""

    at: int
    who: str
    reached: bool
    satisfied: bool | None
    remark: str


@dataclass(frozen=True)
class CallBackRow:
    """A resident's complaint that is cured: the calls so far, the one that reached somebody, and until when it is owed."""

    complaint: ComplaintRow
    calls: tuple[CallBack, ...]
    done: CallBack | None
    due_at: int | None
    left_ms: int | None


def call_back_rows(town: Town) -> list[CallBackRow]:
    """Residents to be called back, the least time left first; then those called within seven days, the latest first."""
    return town.shared.of("call_backs", lambda: _call_back_rows(town))


def _call_back_rows(town: Town) -> list[CallBackRow]:
    now_ms = town.now_ms()
    found, calls = town.shared.of("cured", lambda: _cured(town, now_ms), life_s=kept_s(town), mark=complaints_mark(town))
    duties = standing_duties(town, "cured", [row.id for row in found], now_ms)
    rows = []
    for row in found:
        own = calls.get(row.id, ())
        done = next((call for call in reversed(own) if call.reached), None) if row.state != "resolved" else None
        owed = [one.due_at for one in duties.get(row.id, ()) if one.duty.target == "done" and one.standing in ("open", "held", "overdue")]
        until = min(owed, default=None) if done is None else None
        rows.append(CallBackRow(row, own, done, until, None if until is None else until - now_ms))
    to_do = sorted((row for row in rows if row.done is None), key=lambda row: (row.left_ms is None, row.left_ms or 0, row.complaint.id))
    called = sorted((row for row in rows if row.done is not None), key=lambda row: -(row.done.at if row.done else 0))
    return [*to_do, *called]


def _cured(town: Town, now_ms: int) -> tuple[list[ComplaintRow], dict[int, tuple[CallBack, ...]]]:
    """Residents' complaints that are resolved or were called back lately, and the calls of each."""
    columns, calls = complaints.c, _calls(town, now_ms - CALLED_MS)
    cured = (columns.origin == "resident") & columns.state.in_(("resolved", "called_back", "closed"))
    recent = (columns.state == "resolved") | columns.id.in_(calls)
    return rows_where(town, cured & recent, columns.opened_at, columns.id, most=CALLED_MOST), calls


def _calls(town: Town, since_ms: int) -> dict[int, tuple[CallBack, ...]]:
    """The calls of each complaint, those before ``since_ms`` left out, oldest first."""
    deed = complaint_deeds.c
    query = select(deed.complaint_id, deed.at, deed.who, deed.body, deed.why).where(deed.kind == "call_back", deed.at >= since_ms)
    found: dict[int, tuple[CallBack, ...]] = {}
    for complaint_id, at, who, body, why in town.rows(query.order_by(deed.id)):
        call = CallBack(at, who, bool(body.get("reached", True)), body.get("satisfied"), why)
        found[complaint_id] = (*found.get(complaint_id, ()), call)
    return found


@dataclass(frozen=True)
class Similar:
    """A complaint that may be about the same: of the same ``place``, of the same ``building``, or of the ``station`` and category."""

    complaint: ComplaintRow
    how: str


def similar_complaints(town: Town, complaint: ComplaintRow) -> list[Similar]:
    """Complaints within 30 days of this one that may be about the same thing, the nearest place first."""
    return town.shared.of(("similar", complaint.id), lambda: _similar(town, complaint))


def _similar(town: Town, complaint: ComplaintRow) -> list[Similar]:
    columns = complaints.c
    place = columns.subject == complaint.subject
    building = columns.building_id == complaint.building_id if complaint.building_id else columns.id == -1
    station = (columns.station_id == complaint.station_id) & (columns.category == complaint.category) if complaint.station_id else place
    near = columns.opened_at.between(complaint.opened_at - SIMILAR_MS, complaint.opened_at + SIMILAR_MS)
    order: Any = case((place, 0), (building, 1), else_=2)
    which = (place | building | station) & near & (columns.id != complaint.id)
    rows = rows_where(town, which, order, columns.state.in_(OVER), columns.opened_at.desc(), most=SIMILAR_MOST)
    return [Similar(row, _how(row, complaint)) for row in rows]


def _how(row: ComplaintRow, complaint: ComplaintRow) -> str:
    if row.subject == complaint.subject:
        return "place"
    return "building" if row.building_id is not None and row.building_id == complaint.building_id else "station"


@dataclass(frozen=True)
class Happening:
    """One line of a complaint's time line: a ``step``, a ``deed``, or somebody ``told`` of an overdue duty."""

    at: int
    kind: str
    row: Any


def time_line(found: Dossier) -> list[Happening]:
    """Everything stored of a complaint, in the order in which it happened."""
    happened = [
        *(Happening(step.at, "step", step) for step in found.steps),
        *(Happening(deed.at, "deed", deed) for deed in found.deeds),
        *(Happening(told.at, "told", told) for told in found.escalations),
    ]
    return sorted(happened, key=lambda one: one.at)

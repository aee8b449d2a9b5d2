"""What people do with complaints (R6): open a resident's, move, merge, hold, call back; each a stored row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from compliance.complaint_life import (
    CATEGORIES,
    CAUSES,
    DEEDS,
    NEEDS_REASON,
    OVER,
    SEVERITIES,
    SOURCES,
    WORKED_ON,
    following,
)
from dashboard.actions.acting import COMMENT_MOST, RefusedError, change, demand, note, step
from dashboard.roles import Account
from dashboard.text import N_
from domain.site import Site
from store.records.tables import complaint_deeds, complaint_transitions, complaints, outages

SHORT_MOST: Final = 128
MEANWHILE: Final = N_("Somebody changed this complaint meanwhile.")
NO_SUCH: Final = N_("There is no such complaint.")


@dataclass(frozen=True)
class ResidentReport:
    """What a resident complains of. ``subject`` is ``room/ID``, ``building/ID`` or ``station/ID``; ``address`` says where else.

    ``category`` is one of CATEGORIES, ``source`` one of SOURCES; ``external_id`` is its number in the system that posts it: the same
    number of the same source makes one complaint. ``reported_at`` (UTC ms) is when the resident said it; None is now.
    """

    subject: str
    category: str
    source: str
    told: str = ""
    address: str = ""
    reporter: str = ""
    contact: str = ""
    severity: str = "ordinary"
    external_id: str | None = None
    reported_at: int | None = None


def open_resident_complaint(
    engine: Engine, who: Account, site: Site, report: ResidentReport, evidence: Mapping[str, Any], now_ms: int
) -> int:
    """Opens a resident's complaint and returns its id; the one opened before when the other system posts it again.

    ``evidence`` is ``dashboard.facts.complaints.evidence_now``. Raises RefusedError without the right, or for a report that can't be one.
    """
    demand(engine, who, "open_complaint", "open_complaint", report.subject, now_ms)
    fault = _fault(report, site, now_ms)
    if fault:
        raise RefusedError(fault)
    opened_at = now_ms if report.reported_at is None else report.reported_at
    row = {
        **_place(report, site),
        "origin": "resident",
        "subject": report.subject,
        "opened_at": opened_at,
        "state": "new",
        "reason": report.told.strip()[:COMMENT_MOST],
        "evidence": dict(evidence),
        "category": report.category,
        "severity": report.severity,
        "source": report.source,
        "external_id": report.external_id,
        "address": report.address.strip()[:COMMENT_MOST],
        "reporter": report.reporter.strip()[:SHORT_MOST],
        "contact": report.contact.strip()[:SHORT_MOST],
    }
    try:
        with engine.begin() as connection:
            known = _posted(connection, report)
            if known is not None:
                return known
            key = connection.execute(insert(complaints).values(row)).inserted_primary_key
            assert key is not None
            complaint_id = int(key[0])
            step(connection, complaint_transitions, "complaint_id", complaint_id, "none", "new", opened_at, who, report.source)
            after = {name: row[name] for name in ("category", "source", "external_id", "opened_at")}
            note(connection, now_ms, who, "open_complaint", f"complaint/{complaint_id}", None, after)
    except IntegrityError as error:  # posted twice at once: the other was first
        with engine.connect() as connection:
            known = _posted(connection, report)
        if known is None:  # it is of another district
            raise RefusedError(N_("The other system's number is taken by another complaint.")) from error
        return known
    return complaint_id


def _fault(report: ResidentReport, site: Site, now_ms: int) -> str:
    """What is wrong with the report, empty when nothing is."""
    kind, _, name = report.subject.partition("/")
    places: dict[str, Mapping[str, object]] = {"room": site.rooms, "building": site.buildings, "station": site.stations}
    if name not in places.get(kind, {}):
        return N_("A complaint is about a room, building or station of the site.")
    if report.category not in CATEGORIES or report.severity not in SEVERITIES:
        return N_("No such category of complaint.")
    if report.source not in SOURCES:
        return N_("A resident's complaint comes by phone, counter, app or hotline 12345.")
    if report.external_id is not None and not 0 < len(report.external_id) <= SHORT_MOST:
        return N_("The other system's number has 1 to 128 characters.")
    if report.reported_at is not None and report.reported_at > now_ms:
        return N_("A complaint can't be reported in the future.")
    return ""


def _place(report: ResidentReport, site: Site) -> dict[str, str | None]:
    """Kind, building and station. A home without a measuring point is a household: it takes in no sensor's alarm."""
    kind, _, name = report.subject.partition("/")
    if kind == "station":
        return {"kind": "station", "station_id": name, "building_id": None}
    room = site.rooms.get(name) if kind == "room" else None
    building_id = room.building_id if room else name if kind == "building" else None
    building = site.buildings.get(building_id or "")
    station_id = (room.station_id if room else None) or (building.station_id if building else None)
    return {"kind": "room" if room else "household", "station_id": station_id, "building_id": building_id}


def _posted(connection: Connection, report: ResidentReport) -> int | None:
    if report.external_id is None:
        return None
    columns = complaints.c
    return connection.execute(select(columns.id).where(columns.source == report.source, columns.external_id == report.external_id)).scalar()


def move_complaint(
    engine: Engine,
    who: Account,
    complaint_id: int,
    seen_state: str,
    to_state: str,
    why: str,
    now_ms: int,
    *,
    cause: str = "",
    assignee: str = "",
) -> None:
    """Takes a complaint from the state the person saw to a following one (R6); ``cause`` is what was found (one of CAUSES).

    Who accepts it has it in hand; with ``assignee`` somebody else has it from this step on.
    Raises RefusedError without the right, for a step that can't be taken, without a needed reason, or when somebody was faster.
    """
    why = why.strip()[:COMMENT_MOST]
    assignee = assignee.strip()[:SHORT_MOST] or (who.name if to_state == "accepted" else "")
    demand(engine, who, "move_complaint", "move_complaint", f"complaint/{complaint_id}", now_ms)
    if cause and cause not in CAUSES:
        raise RefusedError(N_("No such cause of a complaint."))
    with engine.begin() as connection:
        row = _row(connection, complaint_id)
        if to_state not in following(seen_state, row.origin):
            raise RefusedError(N_("This step does not follow the complaint's state."))
        if to_state in NEEDS_REASON and not why:
            raise RefusedError(N_("This step needs a reason."))
        if to_state == "called_back" and row.origin == "resident":
            raise RefusedError(N_("A call-back says whether the resident was reached and is satisfied."))
        values: dict[str, object] = {"state": to_state}
        if cause:
            values["cause"] = cause
        if to_state not in WORKED_ON or to_state == "reopened":
            values["proposed_at"] = None
        if assignee:
            values["assignee"] = assignee
        _step(connection, row, seen_state, values, who, why, now_ms)
        if cause:  # of this round: the next may find another
            _deed(connection, complaint_id, "found", who, "", {"cause": cause}, now_ms)
        if assignee and assignee != row.assignee:
            _deed(connection, complaint_id, "assigned", who, "", {"to": assignee}, now_ms)


def assign_complaint(engine: Engine, who: Account, complaint_id: int, seen_assignee: str, to: str, why: str, now_ms: int) -> None:
    """Gives a complaint that is worked on into other hands. Raises RefusedError without the right, or when somebody was faster."""
    why, to = why.strip()[:COMMENT_MOST], to.strip()[:SHORT_MOST]
    demand(engine, who, "move_complaint", "assign_complaint", f"complaint/{complaint_id}", now_ms)
    if not to:
        raise RefusedError(N_("Say who has it in hand from now on."))
    with engine.begin() as connection:
        row = _row(connection, complaint_id)
        if row.state not in WORKED_ON:
            raise RefusedError(N_("This complaint is not worked on any more."))
        columns = complaints.c
        mine = (columns.id == complaint_id) & (columns.assignee == seen_assignee) & (columns.state == row.state)
        if connection.execute(update(complaints).where(mine).values(assignee=to)).rowcount != 1:
            raise RefusedError(MEANWHILE)
        _deed(connection, complaint_id, "assigned", who, why, {"to": to}, now_ms)
        note(connection, now_ms, who, "assign_complaint", f"complaint/{complaint_id}", {"assignee": seen_assignee}, {"assignee": to})


def attach_to_outage(engine: Engine, who: Account, complaint_id: int, outage_id: int, why: str, now_ms: int) -> None:
    """Ties a complaint to the outage that it comes from (R6), once; its own clocks run on.

    Raises RefusedError without the right, for an outage that is none or of other stations, or when it belongs to one already.
    """
    why = why.strip()[:COMMENT_MOST]
    demand(engine, who, "move_complaint", "attach_to_outage", f"complaint/{complaint_id}", now_ms)
    with engine.begin() as connection:
        row = _row(connection, complaint_id)
        outage = connection.execute(select(outages.c.stations, outages.c.state).where(outages.c.id == outage_id)).first()
        if outage is None or outage.state == "erased":
            raise RefusedError(N_("There is no such outage."))
        if row.station_id is not None and row.station_id not in outage.stations:
            raise RefusedError(N_("This outage is of other stations than the complaint's."))
        columns = complaints.c
        free = (columns.id == complaint_id) & columns.outage_id.is_(None)
        if connection.execute(update(complaints).where(free).values(outage_id=outage_id)).rowcount != 1:
            raise RefusedError(N_("This complaint belongs to an outage already."))
        _deed(connection, complaint_id, "of_outage", who, why, {"outage": outage_id}, now_ms)
        note(connection, now_ms, who, "attach_to_outage", f"complaint/{complaint_id}", {"outage_id": None}, {"outage_id": outage_id})


def merge_complaint(engine: Engine, who: Account, complaint_id: int, seen_state: str, into_id: int, why: str, now_ms: int) -> None:
    """Merges a complaint that is worked on into another one: its clocks end, and the other is held to the earlier report (R6, R7).

    Raises RefusedError without the right, when either is over, or when somebody was faster.
    """
    why = why.strip()[:COMMENT_MOST]
    demand(engine, who, "move_complaint", "merge_complaint", f"complaint/{complaint_id}", now_ms)
    with engine.begin() as connection:
        row, into = _row(connection, complaint_id), _row(connection, into_id)
        if complaint_id == into_id or into.state in OVER or seen_state not in WORKED_ON:
            raise RefusedError(N_("A complaint is merged while it is worked on, into another open one."))
        _step(connection, row, seen_state, {"state": "merged", "merged_into": into_id, "proposed_at": None}, who, why, now_ms)
        _deed(connection, into_id, "attached", who, why, {"complaint": complaint_id}, now_ms)


def record_deed(engine: Engine, who: Account, complaint_id: int, deed: str, why: str, now_ms: int) -> None:
    """Records what was done for a complaint beside its states: one of DEEDS. Holding needs its reason, and something to hold.

    Raises RefusedError without the right, or where it can't be done.
    """
    why = why.strip()[:COMMENT_MOST]
    demand(engine, who, "move_complaint", f"complaint_{deed}"[:64], f"complaint/{complaint_id}", now_ms)
    if deed not in DEEDS:
        raise RefusedError(N_("No such deed."))
    if deed == "held" and not why:
        raise RefusedError(N_("This step needs a reason."))
    with engine.begin() as connection:
        row = _row(connection, complaint_id)
        if row.state == "merged" or (deed in ("held", "resumed") and row.state not in WORKED_ON):
            raise RefusedError(N_("This complaint is not worked on any more."))
        _deed(connection, complaint_id, deed, who, why, {}, now_ms)
        note(connection, now_ms, who, f"complaint_{deed}", f"complaint/{complaint_id}", None, {"why": why})


def record_call_back(
    engine: Engine, who: Account, complaint_id: int, seen_state: str, satisfied: bool | None, remark: str, now_ms: int
) -> None:
    """Records a call-back: ``satisfied`` None means that nobody answered, which is kept and tried again.

    Of a resolved complaint it is the step to called_back; of a closed one it is recorded. Raises RefusedError where it can't be.
    """
    remark = remark.strip()[:COMMENT_MOST]
    demand(engine, who, "move_complaint", "call_back", f"complaint/{complaint_id}", now_ms)
    with engine.begin() as connection:
        row = _row(connection, complaint_id)
        if row.state != seen_state:
            raise RefusedError(MEANWHILE)
        if seen_state not in ("resolved", "called_back", "closed"):
            raise RefusedError(N_("A call-back follows the cure."))
        body = {"reached": satisfied is not None, "satisfied": satisfied}
        _deed(connection, complaint_id, "call_back", who, remark, body, now_ms)
        if seen_state == "resolved" and satisfied is not None:
            _step(connection, row, seen_state, {"state": "called_back"}, who, remark, now_ms)
        else:
            note(connection, now_ms, who, "call_back", f"complaint/{complaint_id}", None, {**body, "remark": remark})


def _row(connection: Connection, complaint_id: int) -> Row[Any]:
    row = connection.execute(select(complaints).where(complaints.c.id == complaint_id)).first()
    if row is None:
        raise RefusedError(NO_SUCH)
    return row


def _step(connection: Connection, row: Row[Any], seen_state: str, values: dict[str, object], who: Account, why: str, now_ms: int) -> None:
    """The state changes where it still is what the person saw, with its transition and its audit row."""
    if not change(connection, complaints, row.id, seen_state, values):
        raise RefusedError(MEANWHILE)
    to_state = str(values["state"])
    step(connection, complaint_transitions, "complaint_id", row.id, seen_state, to_state, now_ms, who, why)
    note(connection, now_ms, who, "move_complaint", f"complaint/{row.id}", {"state": seen_state}, {**values, "why": why})


def _deed(connection: Connection, complaint_id: int, kind: str, who: Account, why: str, body: dict[str, Any], now_ms: int) -> None:
    row = {"complaint_id": complaint_id, "kind": kind, "at": now_ms, "who": who.name, "why": why, "body": body}
    connection.execute(insert(complaint_deeds).values(row))

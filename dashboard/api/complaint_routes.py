"""What other systems do with complaints (R6): open a resident's, take it a step on, give, merge and tie it, record deeds and call-backs."""

from collections.abc import Callable, Sequence
from typing import Final

from fastapi import APIRouter, Response
from pydantic import Field

from compliance.complaint_life import CATEGORIES, CAUSES, DEEDS, NEXT_STATES, SEVERITIES, SOURCES
from dashboard.actions.complaints import (
    ResidentReport,
    assign_complaint,
    attach_to_outage,
    merge_complaint,
    move_complaint,
    open_resident_complaint,
    record_call_back,
    record_deed,
)
from dashboard.actions.visit_complaints import open_visit_complaint
from dashboard.api.answers import ProblemError, check_seen
from dashboard.api.asked import PLAIN, Body, Call, Desk, IfMatch, Instant, Plain, RowId, Text
from dashboard.api.record_routes import COMPLAINT, row_of
from dashboard.api.shapes import answers
from dashboard.facts.complaints import evidence_at, evidence_now
from dashboard.facts.visits import complained_of, visit_row

router = APIRouter()

ONE: Final = answers("ComplaintInFull", 201)

_MOVES: Final = "; ".join(f"{state} → {', '.join(after)}" for state, after in NEXT_STATES.items() if after)
HOW_TO_MOVE: Final = f"""Stored with who and why; refused where the complaint is in another state by now. What may follow: {_MOVES};
what a sensor or a visit found goes from resolved to closed, too. rejected and reopened need `why`. That a resident was called back is
recorded by `/complaints/{{row_id}}/call-backs`."""


def _one_of(words: Sequence[str]) -> str:
    return f"^({'|'.join(words)})$"


class Report(Body):
    """What a resident complains of. `subject` is room/ID, building/ID or station/ID; `external_id` is the caller's own number."""

    subject: Text = Field(max_length=160)
    category: str = Field(pattern=_one_of(CATEGORIES))
    source: str = Field(pattern=_one_of(SOURCES))
    told: Text = Field("", max_length=2_000)
    address: Text = Field("", max_length=500)
    reporter: Text = Field("", max_length=100)
    contact: Text = Field("", max_length=100)
    severity: str = Field("ordinary", pattern=_one_of(SEVERITIES))
    external_id: Plain | None = Field(None, min_length=1, max_length=100)
    reported_at: Instant | None = None


@router.post("/complaints", status_code=201, summary="Open a resident's complaint (scope complaints)", responses=ONE)
def report(call: Desk, new: Report) -> Response:
    """Opened with what the instruments say now; the same `external_id` of a source posted again gives the one opened before."""
    town = call.town
    told = ResidentReport(**(new.model_dump() | {"reported_at": call.instant_ms("reported_at", new.reported_at)}))
    evidence = evidence_now(town, new.subject)
    row_id = call.do(
        "the complaint is not opened",
        lambda: open_resident_complaint(town.records, call.key.actor("complaints"), town.site, told, evidence, town.now_ms()),
    )
    return call.answer(row_of(call, COMPLAINT, row_id), 201)


@router.post(
    "/visits/{row_id}/complaint",
    status_code=201,
    summary="Open a complaint from a measuring visit (scope complaints)",
    responses=ONE,
)
def report_visit(call: Desk, row_id: RowId) -> Response:
    """Of an official measurement below the limit; asked for again, or where the home has an open complaint, that one is answered."""
    town = call.town
    found = visit_row(town, row_id)
    if found is None:
        raise ProblemError(404, "there is no such visit")
    evidence = evidence_at(town, complained_of(town.site, found.visit.room_id), found.visit.measured_at)
    complaint_id = call.do(
        "the complaint is not opened",
        lambda: open_visit_complaint(town.records, call.key.actor("complaints"), town.site, row_id, evidence, town.now_ms()),
    )
    return call.answer(row_of(call, COMPLAINT, complaint_id), 201)


class Why(Body):
    """The reason or remark that the records keep."""

    why: Text = Field("", max_length=2_000)


class Step(Why):
    """A step of a complaint: from the state that the caller saw to a following one; `cause` is what was found."""

    from_state: str = Field(max_length=32, pattern=PLAIN)
    to_state: str = Field(max_length=32, pattern=PLAIN)
    cause: str = Field("", pattern=_one_of(("", *CAUSES)))
    assignee: Plain = Field("", max_length=100)


@router.post(
    "/complaints/{row_id}/transitions",
    status_code=201,
    summary="Take a complaint a step on (scope complaints)",
    description=HOW_TO_MOVE,
    responses=ONE,
)
def move(call: Desk, row_id: RowId, to: Step, if_match: IfMatch = None) -> Response:
    """One step of its life (R6)."""
    town, who = call.town, call.key.actor("complaints")
    more = {"cause": to.cause, "assignee": to.assignee}
    deed = lambda: move_complaint(town.records, who, row_id, to.from_state, to.to_state, to.why, town.now_ms(), **more)  # noqa: E731
    return _done(call, row_id, if_match, "the step is not taken", deed)


class Assignment(Why):
    """Into whose hands a complaint goes, from whose the caller saw it in."""

    from_assignee: Plain = Field("", max_length=100)
    assignee: Plain = Field(min_length=1, max_length=100)


@router.post(
    "/complaints/{row_id}/assignments",
    status_code=201,
    summary="Give a complaint into other hands (scope complaints)",
    responses=ONE,
)
def assign(call: Desk, row_id: RowId, to: Assignment, if_match: IfMatch = None) -> Response:
    """Refused where somebody else has it by now."""
    town, who = call.town, call.key.actor("complaints")
    deed = lambda: assign_complaint(town.records, who, row_id, to.from_assignee, to.assignee, to.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the complaint is not given", deed)


class OfOutage(Why):
    """The outage that a complaint comes from."""

    outage_id: int = Field(ge=1, le=2**53)


@router.post(
    "/complaints/{row_id}/outage",
    status_code=201,
    summary="Tie a complaint to its outage (scope complaints)",
    responses=ONE,
)
def attach(call: Desk, row_id: RowId, to: OfOutage, if_match: IfMatch = None) -> Response:
    """Once; its own clocks run on."""
    town, who = call.town, call.key.actor("complaints")
    deed = lambda: attach_to_outage(town.records, who, row_id, to.outage_id, to.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the complaint is not tied to it", deed)


class Merge(Why):
    """The complaint that another one goes into, from the state that the caller saw."""

    from_state: str = Field(max_length=32, pattern=PLAIN)
    into_id: int = Field(ge=1, le=2**53)


@router.post(
    "/complaints/{row_id}/merge",
    status_code=201,
    summary="Merge a complaint into another one (scope complaints)",
    responses=ONE,
)
def merge(call: Desk, row_id: RowId, to: Merge, if_match: IfMatch = None) -> Response:
    """Its clocks end, and the other is held to the earlier report."""
    town, who = call.town, call.key.actor("complaints")
    deed = lambda: merge_complaint(town.records, who, row_id, to.from_state, to.into_id, to.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the complaint is not merged", deed)


class Deed(Why):
    """What was done for a complaint beside its states."""

    deed: str = Field(pattern=_one_of(DEEDS))


@router.post(
    "/complaints/{row_id}/deeds",
    status_code=201,
    summary="Record what was done for a complaint (scope complaints)",
    responses=ONE,
)
def record(call: Desk, row_id: RowId, done: Deed, if_match: IfMatch = None) -> Response:
    """contacted, handed_over, answered, verified, filed; held and resumed where its clocks stand still."""
    town, who = call.town, call.key.actor("complaints")
    deed = lambda: record_deed(town.records, who, row_id, done.deed, done.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the deed is not recorded", deed)


class CallBack(Why):
    """A call-back: `satisfied` is null where nobody answered."""

    from_state: str = Field(max_length=32, pattern=PLAIN)
    satisfied: bool | None


@router.post(
    "/complaints/{row_id}/call-backs",
    status_code=201,
    summary="Record a call-back (scope complaints)",
    responses=ONE,
)
def call_back(call: Desk, row_id: RowId, done: CallBack, if_match: IfMatch = None) -> Response:
    """Of a resolved complaint it is the step to called_back; of a closed one it is recorded."""
    town, who = call.town, call.key.actor("complaints")
    deed = lambda: record_call_back(town.records, who, row_id, done.from_state, done.satisfied, done.why, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the call-back is not recorded", deed)


def _done(call: Call, row_id: int, if_match: str | None, refused: str, deed: Callable[[], None]) -> Response:
    check_seen(if_match, row_of(call, COMPLAINT, row_id), needed=False)
    call.do(refused, deed)
    return call.answer(row_of(call, COMPLAINT, row_id), 201)

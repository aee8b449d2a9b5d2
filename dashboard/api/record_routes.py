"""What was decided and done: verdicts by day, alarms, outages, notices, complaints."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Table, select

from dashboard.actions.acting import RefusedError
from dashboard.actions.complaints import ResidentReport, move_complaint, open_resident_complaint
from dashboard.api.answers import ProblemError, answer, page, shown
from dashboard.api.asked import LIMIT, Desk, Reader, TownOf, instant_ms
from dashboard.api.town_routes import After, Limit
from dashboard.facts.complaints import evidence_now
from dashboard.facts.town import Town
from store.records.tables import (
    alarm_transitions,
    alarms,
    complaint_rooms,
    complaint_transitions,
    complaints,
    notice_transitions,
    notices,
    outage_transitions,
    outages,
    room_days,
)

router = APIRouter()

RowId = Annotated[int, Path(ge=1, le=2**53)]
Station = Annotated[str | None, Query(max_length=128)]
State = Annotated[str | None, Query(max_length=32)]


@router.get("/verdicts", summary="Rooms' verdicts of one local day (R2)")
def verdicts(
    request: Request, _: Reader, town: TownOf, day: str, limit: Limit = LIMIT, after: After = None, station: Station = None
) -> Response:
    """Judged, compliant, breach and unknown time of each room in milliseconds, by room id."""
    try:
        date.fromisoformat(day)
    except ValueError:
        raise ProblemError(422, "day is no date", f"{day!r}: a local day such as 2026-01-15") from None
    query = select(room_days).where(room_days.c.day == day).order_by(room_days.c.room_id).limit(limit + 1)
    if after is not None:
        query = query.where(room_days.c.room_id > after)
    if station is not None:
        query = query.where(room_days.c.station_id == station)
    return answer(request, page(_rows(town, query), limit, "room_id", town.site.timezone))


@router.get("/alarms", summary="Alarms, newest first (R3, R9)")
def alarm_list(
    request: Request, _: Reader, town: TownOf, limit: Limit = LIMIT, after: After = None, station: Station = None, state: State = None
) -> Response:
    """`state` is unacknowledged, acknowledged, returned_unacknowledged or normal (ISA-18.2)."""
    return _list(request, town, alarms, limit, after, station, state)


@router.get("/alarms/{row_id}", summary="One alarm with its transitions")
def alarm(request: Request, _: Reader, town: TownOf, row_id: RowId) -> Response:
    """An alarm and what became of it."""
    return _one(request, town, alarms, alarm_transitions, "alarm_id", row_id)


@router.get("/outages", summary="Outages, newest first (R4)")
def outage_list(
    request: Request, _: Reader, town: TownOf, limit: Limit = LIMIT, after: After = None, station: Station = None, state: State = None
) -> Response:
    """`state` is open, ended or erased (by late readings). Duty clocks run from `started_earliest`, reports use `started_at`."""
    return _list(request, town, outages, limit, after, station, state)


@router.get("/outages/{row_id}", summary="One outage with its transitions")
def outage(request: Request, _: Reader, town: TownOf, row_id: RowId) -> Response:
    """An outage, its cause and evidence, and what became of it."""
    return _one(request, town, outages, outage_transitions, "outage_id", row_id)


@router.get("/notices", summary="Notices, newest first (R5)")
def notice_list(request: Request, _: Reader, town: TownOf, limit: Limit = LIMIT, after: After = None, state: State = None) -> Response:
    """`state` is due, published, amended or closed."""
    return _list(request, town, notices, limit, after, None, state)


@router.get("/notices/{row_id}", summary="One notice with its transitions")
def notice(request: Request, _: Reader, town: TownOf, row_id: RowId) -> Response:
    """A notice and what became of it."""
    return _one(request, town, notices, notice_transitions, "notice_id", row_id)


@router.get("/complaints", summary="Complaints, newest first (R6)")
def complaint_list(
    request: Request, _: Reader, town: TownOf, limit: Limit = LIMIT, after: After = None, station: Station = None, state: State = None
) -> Response:
    """`origin` is sensor, resident or visit; `kind` room, building, station or maintenance."""
    return _list(request, town, complaints, limit, after, station, state)


@router.get("/complaints/{row_id}", summary="One complaint with its rooms and transitions")
def complaint(request: Request, _: Reader, town: TownOf, row_id: RowId) -> Response:
    """A complaint, its evidence, the rooms in it and what became of it."""
    members = select(complaint_rooms).where(complaint_rooms.c.complaint_id == row_id).order_by(complaint_rooms.c.room_id)
    rooms = [shown({key: value for key, value in row.items() if key != "complaint_id"}, town.site.timezone) for row in _rows(town, members)]
    return _one(request, town, complaints, complaint_transitions, "complaint_id", row_id, rooms=rooms)


class Report(BaseModel):
    """What a resident complains of. `subject` is room/ID, building/ID or station/ID; `external_id` is the caller's own number."""

    subject: str = Field(max_length=160)
    category: str = Field(max_length=32)
    source: str = Field(max_length=32)
    told: str = Field(default="", max_length=2_000)
    address: str = Field(default="", max_length=500)
    reporter: str = Field(default="", max_length=100)
    contact: str = Field(default="", max_length=100)
    severity: str = Field(default="ordinary", max_length=32)
    external_id: str | None = Field(default=None, max_length=100)
    reported_at: str | None = Field(default=None, max_length=40)


@router.post("/complaints", status_code=201, summary="Open a resident's complaint (scope complaints)")
def report(request: Request, key: Desk, town: TownOf, new: Report) -> Response:
    """Opened with what the instruments say now; the same `external_id` of a source posted again gives the one opened before."""
    values = new.model_dump() | {"reported_at": instant_ms("reported_at", new.reported_at, town)}
    try:
        evidence = evidence_now(town, new.subject)
        row_id = open_resident_complaint(
            town.records, key.actor("complaints"), town.site, ResidentReport(**values), evidence, town.now_ms()
        )
    except RefusedError as error:
        raise ProblemError(409, "the complaint is not opened", error.why) from error
    town.shared.forget()
    return _one(request, town, complaints, complaint_transitions, "complaint_id", row_id, status=201)


class Step(BaseModel):
    """A step of a complaint: from the state that the caller saw to a following one."""

    from_state: str = Field(max_length=32)
    to_state: str = Field(max_length=32)
    why: str = Field(default="", max_length=2_000)


@router.post("/complaints/{row_id}/transitions", status_code=201, summary="Take a complaint a step on (scope complaints)")
def move(request: Request, key: Desk, town: TownOf, row_id: RowId, step: Step) -> Response:
    """Stored with who and why; refused where the complaint is in another state by now."""
    if not _rows(town, select(complaints.c.id).where(complaints.c.id == row_id)):
        raise ProblemError(404, "there is no such row")
    try:
        move_complaint(town.records, key.actor("complaints"), row_id, step.from_state, step.to_state, step.why, town.now_ms())
    except RefusedError as error:
        raise ProblemError(409, "the step is not taken", error.why) from error
    town.shared.forget()
    return _one(request, town, complaints, complaint_transitions, "complaint_id", row_id, status=201)


def _list(request: Request, town: Town, table: Table, limit: int, after: str | None, station: str | None, state: str | None) -> Response:
    """A page of a table, newest first; the cursor is an id."""
    query = select(table).order_by(table.c.id.desc()).limit(limit + 1)
    if after is not None:
        if not after.isascii() or not after.isdecimal() or len(after) > 18:
            raise ProblemError(422, "after is no cursor", "the `next` of the page before")
        query = query.where(table.c.id < int(after))
    if station is not None:
        query = query.where(table.c.station_id == station)
    if state is not None:
        query = query.where(table.c.state == state)
    return answer(request, page(_rows(town, query), limit, "id", town.site.timezone))


def _one(request: Request, town: Town, table: Table, transitions: Table, key: str, row_id: int, status: int = 200, **more: Any) -> Response:
    found = _rows(town, select(table).where(table.c.id == row_id))
    if not found:
        raise ProblemError(404, "there is no such row")
    zone = town.site.timezone
    steps = _rows(town, select(transitions).where(transitions.c[key] == row_id).order_by(transitions.c.id))
    kept = [shown({name: value for name, value in step.items() if name not in ("id", key)}, zone) for step in steps]
    return answer(request, {**shown(found[0], zone), **more, "transitions": kept}, status)


def _rows(town: Town, query: Any) -> list[dict[str, Any]]:
    names = [str(column.name) for column in query.selected_columns]  # names of columns are a kind of str of their own
    return [dict(zip(names, row, strict=True)) for row in town.rows(query)]

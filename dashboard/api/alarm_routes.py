"""What other systems do with alarms (R3, ISA-18.2): acknowledge, comment, shelve, take out of service and return."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select

from dashboard.actions.alarms import (
    MOST_AT_ONCE,
    acknowledge_alarms,
    comment_alarm,
    return_to_service,
    shelve_alarm,
    take_out_of_service,
    unshelve_alarm,
)
from dashboard.api.answers import check_seen
from dashboard.api.asked import AlarmDesk, Body, Call, IfMatch, Instant, Reader, RowId, Text
from dashboard.api.record_routes import ALARM, PartOfRows, row_of
from dashboard.api.shapes import answers
from store.records.tables import out_of_service as table

router = APIRouter()


class Acknowledgement(Body):
    """The alarms that somebody has seen."""

    alarms: list[int] = Field(min_length=1, max_length=MOST_AT_ONCE)
    comment: Text = Field("", max_length=2_000)


@router.post("/acknowledgements", summary="Acknowledge alarms (scope alarms)", responses=answers("Acknowledged"))
def acknowledge(call: AlarmDesk, seen: Acknowledgement) -> Response:
    """How many of them were still unacknowledged; one of another district refuses them all."""
    town, who = call.town, call.key.actor("alarms")
    known = [one for one in seen.alarms if 0 < one <= 2**53]
    done = call.do("nothing is acknowledged", lambda: acknowledge_alarms(town.records, who, known, seen.comment, town.now_ms()))
    return call.answer({"acknowledged": done})


class Comment(Body):
    """Words for the alarm's journal."""

    comment: Text = Field(min_length=1, max_length=2_000)


@router.post("/alarms/{row_id}/comments", summary="Comment an alarm (scope alarms)", responses=answers("AlarmInFull"))
def comment(call: AlarmDesk, row_id: RowId, said: Comment, if_match: IfMatch = None) -> Response:
    """The newest one stands on the alarm."""
    town, who = call.town, call.key.actor("alarms")
    deed = lambda: comment_alarm(town.records, who, row_id, said.comment, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the comment is not kept", deed)


class Reason(Body):
    """Why, for the records."""

    reason: Text = Field(min_length=1, max_length=2_000)


class Shelf(Reason):
    """Until when an alarm is shelved, within 24 hours."""

    until: Instant


@router.post("/alarms/{row_id}/shelve", summary="Shelve an alarm (scope alarms)", responses=answers("AlarmInFull"))
def shelve(call: AlarmDesk, row_id: RowId, shelf: Shelf, if_match: IfMatch = None) -> Response:
    """It goes on being evaluated, and makes no complaint meanwhile."""
    town, who, until_ms = call.town, call.key.actor("alarms"), call.instant_ms("until", shelf.until)
    assert until_ms is not None
    deed = lambda: shelve_alarm(town.records, who, row_id, shelf.reason, until_ms, town.now_ms())  # noqa: E731
    return _done(call, row_id, if_match, "the alarm is not shelved", deed)


@router.post("/alarms/{row_id}/unshelve", summary="Take an alarm off the shelf (scope alarms)", responses=answers("AlarmInFull"))
def unshelve(call: AlarmDesk, row_id: RowId, if_match: IfMatch = None) -> Response:
    """Before its time."""
    town, who = call.town, call.key.actor("alarms")
    return _done(call, row_id, if_match, "the alarm stays as it is", lambda: unshelve_alarm(town.records, who, row_id, town.now_ms()))


@router.post(
    "/alarms/{row_id}/out-of-service",
    status_code=201,
    summary="Take an alarm out of service (scope alarms)",
    responses=answers("TakenOut", 201),
)
def out_of_service(call: AlarmDesk, row_id: RowId, why: Reason, if_match: IfMatch = None) -> Response:
    """Alarms of this kind and subject, until they are returned; `id` is what returns them."""
    town, who = call.town, call.key.actor("alarms")
    alarm = row_of(call, ALARM, row_id)
    check_seen(if_match, alarm, needed=False)
    kind, subject = alarm["kind"], alarm["subject"]
    taken = call.do("the alarm stays in service", lambda: take_out_of_service(town.records, who, kind, subject, why.reason, town.now_ms()))
    return call.answer({"id": taken, "kind": kind, "subject": subject}, 201)


@router.get("/out-of-service", summary="Alarms that are out of service", responses=answers("OutOfService", many=True))
def taken_out(call: Reader, part: PartOfRows) -> Response:
    """Newest first; those that were returned are left out."""
    query = select(table).where(table.c.returned_at.is_(None)).order_by(table.c.id.desc()).limit(part.limit + 1)
    if part.after:
        query = query.where(table.c.id < int(part.after))
    return call.page(call.rows(query), part, "id")


@router.post("/out-of-service/{row_id}/return", summary="Return alarms to service (scope alarms)", responses=answers("Returned"))
def back_in_service(call: AlarmDesk, row_id: RowId) -> Response:
    """Refused where somebody returned them before."""
    town, who = call.town, call.key.actor("alarms")
    call.do("nothing is returned", lambda: return_to_service(town.records, who, row_id, town.now_ms()))
    return call.answer({"id": row_id})


def _done(call: Call, row_id: int, if_match: str | None, refused: str, deed: Callable[[], None]) -> Response:
    check_seen(if_match, row_of(call, ALARM, row_id), needed=False)
    call.do(refused, deed)
    return call.answer(row_of(call, ALARM, row_id))

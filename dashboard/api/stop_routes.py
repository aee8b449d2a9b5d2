"""Planned stops (计划停热, R4, R5) registered on a page or here: the list, and what other systems do with them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import select

from dashboard.actions.planned_stops import call_off, plan_stop, shorten_stop
from dashboard.api.answers import ProblemError, check_seen
from dashboard.api.asked import Body, Call, IfMatch, Instant, Plain, Planner, Reader, RowId, Text
from dashboard.api.record_routes import RowsOfStation
from dashboard.api.shapes import answers
from domain.site import PlannedStop
from store.records.tables import planned_stops

router = APIRouter()


@router.get("/planned-stops", summary="Planned stops that were registered, newest first", responses=answers("PlannedStop", many=True))
def stops(call: Reader, asked: Annotated[RowsOfStation, Query()]) -> Response:
    """Those called off too (`cancelled_at`); those of the site's folder (planned_stops.csv) stand there alone."""
    query = select(planned_stops).order_by(planned_stops.c.id.desc()).limit(asked.limit + 1)
    if asked.after:
        query = query.where(planned_stops.c.id < int(asked.after))
    if asked.station:
        query = query.where(planned_stops.c.station_id == asked.station)
    return call.page(call.rows(query), asked, "id")


@router.get("/planned-stops/{row_id}", summary="One planned stop", responses=answers("PlannedStop"))
def stop(call: Reader, row_id: RowId) -> Response:
    """As it stands."""
    return call.answer(_one(call, row_id))


class NewStop(Body):
    """A stop that is planned: it begins in a minute at the soonest, and ends within 60 days."""

    station_id: Plain = Field(min_length=1, max_length=128)
    from_: Instant = Field(alias="from")
    to: Instant
    reason: Text = Field(min_length=1, max_length=2_000)


@router.post(
    "/planned-stops",
    status_code=201,
    summary="Register a planned stop (scope stops)",
    responses=answers("PlannedStop", 201),
)
def plan(call: Planner, new: NewStop) -> Response:
    """From eight hours on its users are owed a notice at once. The same stop posted again by this key gives the one registered before."""
    town, who = call.town, call.key.actor("stops")
    if new.station_id not in town.site.stations:
        raise ProblemError(404, "there is no such station")
    from_ms, to_ms = call.instant_ms("from", new.from_), call.instant_ms("to", new.to)
    assert from_ms is not None
    assert to_ms is not None
    planned = PlannedStop(new.station_id, from_ms, to_ms, new.reason, who.name)
    row_id = call.do("the stop is not registered", lambda: plan_stop(town.records, who, planned, town.now_ms()))
    return call.answer(_one(call, row_id), 201)


class Shortened(Body):
    """The end that a stop has from now on, earlier than the one it had."""

    to: Instant


@router.post(
    "/planned-stops/{row_id}/shorten",
    summary="End a planned stop earlier (scope stops)",
    responses=answers("PlannedStop"),
)
def shorten(call: Planner, row_id: RowId, new: Shortened, if_match: IfMatch = None) -> Response:
    """A minute from now at the soonest; what lasts beyond is an outage from then."""
    check_seen(if_match, _one(call, row_id), needed=False)
    town, who, to_ms = call.town, call.key.actor("stops"), call.instant_ms("to", new.to)
    assert to_ms is not None
    call.do("the stop is not shortened", lambda: shorten_stop(town.records, who, row_id, to_ms, town.now_ms()))
    return call.answer(_one(call, row_id))


@router.post("/planned-stops/{row_id}/call-off", summary="Call a planned stop off (scope stops)", responses=answers("PlannedStop"))
def off(call: Planner, row_id: RowId, if_match: IfMatch = None) -> Response:
    """As a whole before it begins, else from now on."""
    check_seen(if_match, _one(call, row_id), needed=False)
    town, who = call.town, call.key.actor("stops")
    call.do("the stop is not called off", lambda: call_off(town.records, who, row_id, town.now_ms()))
    return call.answer(_one(call, row_id))


def _one(call: Call, row_id: int) -> dict[str, Any]:
    found = call.rows(select(planned_stops).where(planned_stops.c.id == row_id))
    if not found:
        raise ProblemError(404, "there is no such planned stop")
    return call.shown(found[0])

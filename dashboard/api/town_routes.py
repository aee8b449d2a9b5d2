"""The town as it is laid out, and as it stands now: the site, its stations, buildings and rooms, their states, filed curves."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from dashboard.actions.curves import file
from dashboard.api.answers import ProblemError
from dashboard.api.asked import PLAIN, Body, Call, CurveFiler, Instant, Part, Plain, Reader
from dashboard.api.shapes import answers
from dashboard.facts.rooms import room_states
from dashboard.facts.stations import UNSEEN
from dashboard.facts.town import Town
from domain.curve import FiledCurve

router = APIRouter()

Id = Annotated[str, Path(max_length=128)]
PartAsked = Annotated[Part, Query()]


class RoomsAsked(Part):
    """Rooms of a station, of a building, or all."""

    station: Plain = ""
    building: Plain = ""


class BuildingsAsked(Part):
    """Buildings of a station, or all."""

    station: Plain = ""


@router.get(
    "/sites",
    summary="The site behind this address: name, zone, clock, policy, how much it holds",
    responses=answers("Site", many=True),
)
def sites(call: Reader) -> Response:
    """One, since a dashboard shows one site; `now` is its clock, which a demo's runs faster than life."""
    town = call.town
    one = town.site
    counts = {"stations": len(one.stations), "buildings": len(one.buildings), "rooms": len(one.rooms), "devices": len(one.devices)}
    policy = {"name": one.policy.name, "sha256": one.policy.sha256}
    now = call.shown({"at": town.now_ms()})["at"]
    return call.answer({"items": [{"name": one.name, "timezone": one.timezone.key, "policy": policy, "now": now, **counts}], "next": None})


@router.get("/stations", summary="Stations with their state (R4)", responses=answers("Station", many=True))
def stations(call: Reader, part: PartAsked) -> Response:
    """Stations by id; `heat` is supplying, stopped, unknown or unjudged, `comm` ok, degraded, lost or unknown, `data` good, suspect, bad or
    unknown; `planned` says that it stands still by a planned stop.
    """
    states = _states(call.town)
    return call.page([_station(call.town, one, states) for one in _next_ids(call.town.site.stations, part)], part, "station_id")


@router.get("/stations/{station_id}", summary="One station", responses=answers("Station"))
def station(call: Reader, station_id: Id) -> Response:
    """A station with its state."""
    _known(call.town.site.stations, station_id, "station")
    return call.answer(call.shown(_station(call.town, station_id, _states(call.town))))


@router.get("/buildings", summary="Buildings", responses=answers("Building", many=True))
def buildings(call: Reader, asked: Annotated[BuildingsAsked, Query()]) -> Response:
    """Buildings by id, of a station where one is named."""
    found = call.town.site.buildings
    wanted = [one for one, building in found.items() if asked.station in ("", building.station_id)]
    return call.page([asdict(found[one]) for one in _next_ids(wanted, asked)], asked, "building_id")


@router.get("/rooms", summary="Rooms with their verdict (R2) and alarm (R3)", responses=answers("Room", many=True))
def rooms(call: Reader, asked: Annotated[RoomsAsked, Query()]) -> Response:
    """Rooms by id, of a station or a building where one is named; `verdict` is compliant, breach, unknown or unjudged."""
    town = call.town
    wanted = [
        room_id
        for room_id, room in town.site.rooms.items()
        if asked.building in ("", room.building_id) and asked.station in ("", town.station_of_room.get(room_id))
    ]
    return call.page(_rooms(town, _next_ids(wanted, asked)), asked, "room_id")


@router.get("/rooms/{room_id}", summary="One room", responses=answers("Room"))
def room(call: Reader, room_id: Id) -> Response:
    """A room with its verdict and alarm."""
    _known(call.town.site.rooms, room_id, "room")
    return call.answer(call.shown(_rooms(call.town, [room_id])[0]))


@router.get("/stations/{station_id}/curves", summary="Filed supply curves of a station (R9)", responses=answers("Curve", many=True))
def curves(call: Reader, station_id: Id) -> Response:
    """All versions in the order in which they are in force."""
    _known(call.town.site.stations, station_id, "station")
    return call.answer({"items": [_curve(call, one) for one in call.town.curves(station_id)], "next": None})


class NewCurve(Body):
    """A curve to file: 2 to 12 points, strictly rising in outdoor, never rising in supply temperature."""

    effective_from: Instant
    outdoor_c: list[float] = Field(min_length=2, max_length=12)
    supply_c: list[float] = Field(min_length=2, max_length=12)
    offsets_k: list[float] = Field(default_factory=list, max_length=12)
    reason: str = Field(min_length=1, max_length=500, pattern=PLAIN)


@router.post(
    "/stations/{station_id}/curves",
    status_code=201,
    summary="File a supply curve (scope curves)",
    responses=answers("Curve", 201),
)
def file_curve(call: CurveFiler, station_id: Id, new: NewCurve) -> Response:
    """Files a curve that is in force from a later instant on."""
    town = call.town
    _known(town.site.stations, station_id, "station")
    at_ms = call.instant_ms("effective_from", new.effective_from)
    assert at_ms is not None
    if len(new.outdoor_c) != len(new.supply_c):
        raise ProblemError(422, "outdoor_c and supply_c are of one length")
    curve = FiledCurve(station_id, at_ms, tuple(new.outdoor_c), tuple(new.supply_c), "", new.reason, tuple(new.offsets_k))
    call.do("the curve is not filed", lambda: file(town.records, call.key.actor("curves"), curve, town.now_ms()))
    filed = next(one for one in town.curves(station_id) if one.effective_from_ms == at_ms)
    return call.answer(_curve(call, filed), 201)


def _curve(call: Call, curve: FiledCurve) -> dict[str, Any]:
    return call.shown(asdict(curve))


def _states(town: Town) -> dict[str, dict[str, Any]]:
    return {row["station_id"]: row for row in town.live().stations.to_pylist()}


def _station(town: Town, station_id: str, states: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return asdict(town.site.stations[station_id]) | dict(states.get(station_id, UNSEEN))


def _rooms(town: Town, room_ids: list[str]) -> list[dict[str, Any]]:
    found = []
    for room_id, state in room_states(town, room_ids).items():
        one = town.site.rooms[room_id]
        place = {"building_id": one.building_id, "station_id": town.station_of_room.get(room_id), "floor": one.floor, "unit": one.unit}
        found.append({**asdict(state), **place, "premises": one.premises})
    return found


def _known(known: Iterable[str], name: str, what: str) -> None:
    if name not in known:
        raise ProblemError(404, f"there is no such {what}")


def _next_ids(ids: Iterable[str], part: Part) -> list[str]:
    """The next ids in order, one more than the limit where there are."""
    return [one for one in sorted(ids) if one > part.after][: part.limit + 1]

"""The town as it is laid out, and as it stands now: site, stations, rooms, newest values, readings, curves."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from dashboard.actions.acting import RefusedError
from dashboard.actions.curves import file
from dashboard.api.answers import ProblemError, answer, page, shown
from dashboard.api.asked import LIMIT, LIMIT_MOST, CurveFiler, Reader, TownOf, instant_ms
from dashboard.facts.town import Town
from domain.curve import FiledCurve

router = APIRouter()

READINGS_MOST: Final = 200_000
POINTS_MOST: Final = 200
STRETCHES_MOST: Final = 20_000
DAY_MS: Final = 86_400_000
UNSEEN_STATION: Final[dict[str, Any]] = {"heat": "unknown", "comm": "unknown", "data": "unknown"}
UNSEEN_ROOM: Final[dict[str, Any]] = {"verdict": "unknown", "alarm": "normal", "no_data": False}

Limit = Annotated[int, Query(ge=1, le=LIMIT_MOST, description="Rows of a page at most.")]
After = Annotated[str | None, Query(max_length=200, description="The cursor `next` of the page before.")]


@router.get("/site", summary="The site: name, zone, clock, policy, how much it holds")
def site(request: Request, _: Reader, town: TownOf) -> Response:
    """Name, time zone, policy and its hash, the clock, counts."""
    one = town.site
    policy = {"name": one.policy.name, "sha256": one.policy.sha256}
    counts = {"stations": len(one.stations), "buildings": len(one.buildings), "rooms": len(one.rooms), "devices": len(one.devices)}
    now = shown({"at": town.now_ms()}, one.timezone)
    return answer(request, {"name": one.name, "timezone": one.timezone.key, "policy": policy, "now": now["at"], **counts})


@router.get("/stations", summary="Stations with their state (R4)")
def stations(request: Request, _: Reader, town: TownOf, limit: Limit = LIMIT, after: After = None) -> Response:
    """Stations by id; `heat` is supplying, stopped, unknown or unjudged; `comm` and `data` stand beside it."""
    states = {row["station_id"]: row for row in town.live().stations.to_pylist()}
    rows = [_station(town, station_id, states) for station_id in _next_ids(town.site.stations, after, limit)]
    return answer(request, page(rows, limit, "station_id", town.site.timezone))


@router.get("/stations/{station_id}", summary="One station")
def station(request: Request, _: Reader, town: TownOf, station_id: str) -> Response:
    """A station with its state."""
    if station_id not in town.site.stations:
        raise ProblemError(404, "there is no such station")
    states = {row["station_id"]: row for row in town.live().stations.to_pylist()}
    return answer(request, shown(_station(town, station_id, states), town.site.timezone))


@router.get("/rooms", summary="Rooms with their verdict (R2) and alarm (R3)")
def rooms(
    request: Request, _: Reader, town: TownOf, limit: Limit = LIMIT, after: After = None,
    station: Annotated[str | None, Query(max_length=128)] = None, building: Annotated[str | None, Query(max_length=128)] = None,
) -> Response:  # fmt: skip
    """Rooms by id, of a station or a building where one is named; `verdict` is compliant, breach, unknown or unjudged."""
    wanted = [
        room_id
        for room_id, room in town.site.rooms.items()
        if building in (None, room.building_id) and (station is None or town.station_of_room.get(room_id) == station)
    ]
    ids = _next_ids(wanted, after, limit)
    live = town.live().rooms
    place = {room_id: row for row, room_id in enumerate(live["room_id"].to_pylist())} if len(live) else {}
    found = []
    for room_id in ids:
        room = town.site.rooms[room_id]
        state = live.slice(place[room_id], 1).to_pylist()[0] if room_id in place else UNSEEN_ROOM
        place_of = {
            "building_id": room.building_id,
            "station_id": town.station_of_room.get(room_id),
            "floor": room.floor,
            "unit": room.unit,
        }
        found.append({**state, "room_id": room_id, **place_of, "premises": room.premises})
    return answer(request, page(found, limit, "room_id", town.site.timezone))


@router.get("/latest", summary="The newest reading of points, in columns")
def latest(
    request: Request, _: Reader, town: TownOf,
    point: Annotated[list[str] | None, Query(max_length=POINTS_MOST, description="Names; without any, all points.")] = None,
) -> Response:  # fmt: skip
    """Columns of equal length. `measured_at` is in UTC milliseconds (0: never), `value` null where there is none, `quality` 0 for good,
    1–63 suspect, from 64 on bad.
    """
    names = point or _all_points(town)
    newest = town.newest(names)
    value = np.where(newest.known, newest.value, np.nan)
    return answer(request, {"point": names, "measured_at": newest.measured_at, "value": value, "quality": newest.quality})


@router.get("/readings", summary="Readings of points over a span, in columns, or what they did in each step")
def readings(
    request: Request, _: Reader, town: TownOf, point: Annotated[list[str], Query(min_length=1, max_length=POINTS_MOST)],
    from_: Annotated[str | None, Query(alias="from")] = None, to: Annotated[str | None, Query()] = None,
    step_s: Annotated[int | None, Query(ge=1, le=31_622_400, description="Give low, mean, high and count of each so many seconds.")] = None,
) -> Response:  # fmt: skip
    """From (default: a day before `to`) up to, not including, `to` (default: now)."""
    to_ms = instant_ms("to", to, town) or town.now_ms()
    from_ms = instant_ms("from", from_, town)
    from_ms = to_ms - DAY_MS if from_ms is None else from_ms
    if from_ms >= to_ms:
        raise ProblemError(422, "from is not before to")
    if step_s is not None:
        return answer(request, _steps(town, point, from_ms, to_ms, step_s * 1000))
    ids, found = town.readings(point, from_ms, to_ms)
    if len(found) > READINGS_MOST:
        raise ProblemError(422, "too many readings", f"{len(found)} in this span, at most {READINGS_MOST}: ask for less, or with step_s")
    names = dict(zip(ids, point, strict=True))
    columns = {"measured_at": found.measured_at, "received_at": found.received_at, "value": found.value, "quality": found.quality}
    return answer(request, {"point": [names[one] for one in found.point.tolist()], **columns})


def _steps(town: Town, point: list[str], from_ms: int, to_ms: int, step_ms: int) -> dict[str, Any]:
    if (to_ms - from_ms) // step_ms * len(point) > STRETCHES_MOST:
        raise ProblemError(422, "too many steps", f"at most {STRETCHES_MOST} over all points: a longer step_s")
    ids, rollup = town.rollup(point, from_ms, to_ms, step_ms)
    names = dict(zip(ids, point, strict=True))
    columns = {"at": rollup.at, "low": rollup.low, "mean": rollup.mean, "high": rollup.high, "count": rollup.count}
    return {"point": [names[one] for one in rollup.point.tolist()], **columns}


@router.get("/stations/{station_id}/curves", summary="Filed supply curves of a station (R9)")
def curves(request: Request, _: Reader, town: TownOf, station_id: str) -> Response:
    """All versions in the order in which they are in force."""
    if station_id not in town.site.stations:
        raise ProblemError(404, "there is no such station")
    return answer(request, {"items": [_curve(town, one) for one in town.curves(station_id)], "next": None})


class NewCurve(BaseModel):
    """A curve to file: 2 to 12 points, strictly rising in outdoor, never rising in supply temperature."""

    effective_from: str = Field(max_length=40)
    outdoor_c: list[float] = Field(min_length=2, max_length=12)
    supply_c: list[float] = Field(min_length=2, max_length=12)
    offsets_k: list[float] = Field(default_factory=list, max_length=12)
    reason: str = Field(min_length=1, max_length=500)


@router.post("/stations/{station_id}/curves", status_code=201, summary="File a supply curve (scope curves)")
def file_curve(request: Request, key: CurveFiler, town: TownOf, station_id: str, new: NewCurve) -> Response:
    """Files a curve that is in force from a later instant on."""
    if station_id not in town.site.stations:
        raise ProblemError(404, "there is no such station")
    at_ms = instant_ms("effective_from", new.effective_from, town)
    assert at_ms is not None
    if len(new.outdoor_c) != len(new.supply_c):
        raise ProblemError(422, "outdoor_c and supply_c are of one length")
    curve = FiledCurve(station_id, at_ms, tuple(new.outdoor_c), tuple(new.supply_c), "", new.reason, tuple(new.offsets_k))
    try:
        file(town.records, key.actor("curves"), curve, town.now_ms())
    except RefusedError as error:
        raise ProblemError(409, "the curve is not filed", error.why) from error
    town.shared.forget()
    filed = next(one for one in town.curves(station_id) if one.effective_from_ms == at_ms)
    return answer(request, _curve(town, filed), 201)


def _curve(town: Town, curve: FiledCurve) -> dict[str, Any]:
    row = asdict(curve)
    row["effective_from"] = row.pop("effective_from_ms")
    return shown(row, town.site.timezone)


def _station(town: Town, station_id: str, states: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return asdict(town.site.stations[station_id]) | states.get(station_id, UNSEEN_STATION)


def _next_ids(ids: Any, after: str | None, limit: int) -> list[str]:
    """The next ids in order, one more than the limit where there are."""
    return [one for one in sorted(ids) if after is None or one > after][: limit + 1]


def _all_points(town: Town) -> list[str]:
    town.points.refresh()
    return sorted(town.points.names().values())

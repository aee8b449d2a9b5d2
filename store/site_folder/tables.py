"""The tables of a site folder, row by row: stations, buildings, rooms, planned stops, exclusions, curves."""

from collections.abc import Collection
from datetime import date, datetime
from math import inf
from typing import cast
from zoneinfo import ZoneInfo

from domain.curve import FiledCurve, curve_faults
from domain.policy import Policy
from domain.site import Building, Exclusion, Heating, PlannedStop, Premises, Room, Station
from store.site_folder.cells import Cells
from store.site_folder.policies import schedule_gap
from store.site_folder.table import Columns, Table

STATIONS = Columns(
    ("station_id",),
    (
        "name", "source_id", "district", "lat", "lon", "design_flow_m3h", "heated_area_m2", "heating", "primary_meter_m3h",
        "secondary_meter_m3h",
    ),
)  # fmt: skip
BUILDINGS = Columns(("building_id",), ("station_id", "name", "street", "floors", "households", "lat", "lon"))
ROOMS = Columns(
    ("room_id",),
    ("building_id", "station_id", "premises", "schedule", "offset_k", "hold_max_min", "floor", "unit", "sensor_id"),
)
CURVES = Columns(("station_id", "effective_from", "outdoor_c", "supply_c"), ("filed_by", "reason", "offsets_k"))
PLANNED_STOPS = Columns(("station_id", "from", "to"), ("reason", "who"))
EXCLUSIONS = Columns(("room_id", "from"), ("to", "reason", "who"))
WORKDAYS = Columns(("date", "working"), ("reason",))

HEATINGS = ("radiators", "floor")
PREMISES = ("residential", "bungalow", "contract")
HOLD_MAX_MIN = 10_080  # a week: no sensor reports less often
OFFSET_MAX_K = 20


def read_stations(table: Table) -> dict[str, Station]:
    """Stations by id; nothing but the id is needed."""
    seen: dict[str, int] = {}
    stations = {}
    for row in table.rows:
        cells = Cells(table, row)
        station_id = cells.identity("station_id", seen)
        lat, lon = cells.position()
        flow_m3h = cells.number("design_flow_m3h", 0, 100_000, None, above_low=True)
        area_m2 = cells.number("heated_area_m2", 0, inf, None, above_low=True)
        heating = cast("Heating | None", cells.choice("heating", HEATINGS, "radiators")) or "radiators"
        meters = [cells.number(f"{side}_meter_m3h", 0, 100_000, None, above_low=True) for side in ("primary", "secondary")]
        if station_id is not None:
            name, source_id, district = cells.text("name"), cells.text("source_id") or None, cells.text("district")
            stations[station_id] = Station(station_id, name, source_id, district, lat, lon, flow_m3h, area_m2, heating, *meters)
    return stations


def read_buildings(table: Table, stations: Collection[str] | None, *, complete: bool = True) -> dict[str, Building]:
    """Buildings by id. ``stations`` are the known ones, None where there is no table of them; ``complete``: each must have one then."""
    needed = complete and stations is not None and "station_id" in table.columns
    seen: dict[str, int] = {}
    buildings = {}
    for row in table.rows:
        cells = Cells(table, row)
        building_id = cells.identity("building_id", seen)
        station_id = cells.reference("station_id", stations, "station", needed=needed)
        lat, lon = cells.position()
        floors = cells.whole("floors", 1, 200, None)
        households = cells.whole("households", 0, 100_000, None)
        if building_id is not None:
            name, street = cells.text("name"), cells.text("street")
            buildings[building_id] = Building(building_id, station_id, name, street, floors, households, lat, lon)
    return buildings


def read_rooms(
    table: Table,
    policy: Policy | None,
    buildings: dict[str, Building] | None = None,
    stations: Collection[str] | None = None,
    *,
    complete: bool = True,
) -> dict[str, Room]:
    """Rooms by id. A room without a station of its own has its building's.

    ``buildings`` and ``stations`` are the known ones, None where there is no table of them; ``complete``: each room must have a
    building then. Without ``policy`` the schedules are not looked up in it.
    """
    needed = complete and buildings is not None and "building_id" in table.columns
    seen: dict[str, int] = {}
    sensors: dict[str, int] = {}
    rooms = {}
    for row in table.rows:
        cells = Cells(table, row)
        room_id = cells.identity("room_id", seen)
        building_id = cells.reference("building_id", buildings, "building", needed=needed)
        station_id = _room_station(cells, buildings, building_id, stations)
        premises, schedule = _held_to(cells, policy)
        offset_k = cells.number("offset_k", -OFFSET_MAX_K, OFFSET_MAX_K, 0.0)
        hold_max_min = cells.number("hold_max_min", 0, HOLD_MAX_MIN, None, above_low=True)
        floor = cells.whole("floor", -10, 200, None)
        sensor_id = cells.text("sensor_id") or None
        if sensor_id is not None and sensors.setdefault(sensor_id, row.line) != row.line:
            cells.wrong("sensor_id", f"this sensor is in the room of line {sensors[sensor_id]} already")
        if room_id is not None:
            unit = cells.text("unit")
            rooms[room_id] = Room(
                room_id, building_id, station_id, premises, schedule, offset_k, hold_max_min, floor, unit, sensor_id
            )  # fmt: skip
    return rooms


def _room_station(
    cells: Cells, buildings: dict[str, Building] | None, building_id: str | None, stations: Collection[str] | None
) -> str | None:
    own = cells.reference("station_id", stations, "station", needed=False)
    of_building = buildings[building_id].station_id if buildings and building_id else None
    if own is not None and of_building is not None and own != of_building:
        cells.wrong("station_id", f"building {building_id} is fed by {of_building}; write that, or leave the cell empty")
    return own or of_building


def _held_to(cells: Cells, policy: Policy | None) -> tuple[Premises, str | None]:
    """The class of premises, and a contract room's schedule."""
    premises = cast("Premises | None", cells.choice("premises", PREMISES, "residential"))
    schedule = cells.text("schedule") or None
    if premises is None:
        return "residential", None
    if premises == "contract" and schedule is None:
        cells.wrong("schedule", "a contract room needs the name of a schedule of the policy")
    elif schedule is not None and premises not in ("contract", schedule):
        cells.wrong("schedule", f"only contract rooms have a schedule of their own, this one is {premises}; leave it empty")
    elif policy is not None and (gap := schedule_gap(policy, Room("", premises=premises, schedule=schedule))) is not None:
        cells.wrong("schedule" if schedule else "premises", gap)
    return premises, schedule


def read_planned_stops(table: Table, stations: Collection[str] | None, zone: ZoneInfo) -> tuple[PlannedStop, ...]:
    """Planned stops (计划停热), in the order of the file. They may overlap: their union counts."""
    stops = []
    for row in table.rows:
        cells = Cells(table, row)
        station_id = cells.reference("station_id", stations, "station", needed=True)
        span = cells.span(zone, open_end=False)
        if station_id is not None and span is not None and span[1] is not None:
            stops.append(PlannedStop(station_id, span[0], span[1], cells.text("reason"), cells.text("who")))
    return tuple(stops)


def read_exclusions(table: Table, rooms: Collection[str] | None, zone: ZoneInfo) -> tuple[Exclusion, ...]:
    """Excluded intervals of rooms, in the order of the file; an empty ``to`` means until further notice."""
    exclusions = []
    for row in table.rows:
        cells = Cells(table, row)
        room_id = cells.reference("room_id", rooms, "room", needed=True)
        span = cells.span(zone, open_end=True)
        if room_id is not None and span is not None:
            exclusions.append(Exclusion(room_id, span[0], span[1], cells.text("reason"), cells.text("who")))
    return tuple(exclusions)


def read_workdays(table: Table, zone: ZoneInfo) -> dict[date, bool]:
    """Days that are worked or off whatever the calendar says (调休): ``working`` is yes or no."""
    seen: dict[str, int] = {}
    days = {}
    for row in table.rows:
        cells = Cells(table, row)
        instant_ms = cells.instant("date", zone, needed=True)
        working = cells.choice("working", ("yes", "no"), None)
        if instant_ms is not None and working is not None and cells.identity("date", seen) is not None:
            days[datetime.fromtimestamp(instant_ms / 1000, zone).date()] = working == "yes"
    return days


def read_curves(table: Table, stations: Collection[str] | None, zone: ZoneInfo) -> dict[str, tuple[FiledCurve, ...]]:
    """Filed curves by station, in order of ``effective_from``; the file has a row for each point of each curve.

    ``offsets_k`` of any of its rows are twelve offsets by time of day, parted by blanks.
    """
    points: dict[tuple[str, int], list[tuple[Cells, float, float]]] = {}
    for row in table.rows:
        cells = Cells(table, row)
        station_id = cells.reference("station_id", stations, "station", needed=True)
        effective_ms = cells.instant("effective_from", zone, needed=True)
        outdoor_c = cells.number("outdoor_c", -60, 60, None)
        supply_c = cells.number("supply_c", 0, 160, None)
        for column in ("outdoor_c", "supply_c"):
            if not cells.text(column):
                cells.wrong(column, "a temperature in ℃ is missing")
        if station_id is not None and effective_ms is not None and outdoor_c is not None and supply_c is not None:
            points.setdefault((station_id, effective_ms), []).append((cells, outdoor_c, supply_c))
    curves: dict[str, tuple[FiledCurve, ...]] = {}
    for (station_id, effective_ms), curve in sorted(points.items()):
        filed = _curve(station_id, effective_ms, curve)
        if filed is not None:
            curves[station_id] = (*curves.get(station_id, ()), filed)
    return curves


def _curve(station_id: str, effective_ms: int, points: list[tuple[Cells, float, float]]) -> FiledCurve | None:
    outdoor_c = tuple(point[1] for point in points)
    supply_c = tuple(point[2] for point in points)
    first = points[0][0]
    offsets_k = next((found for cells, *_ in points if (found := _offsets(cells))), ())
    faults = curve_faults(outdoor_c, supply_c, offsets_k)
    for fault in faults:
        first.table.wrong(first.row.line, "station_id", station_id, f"in the curve that begins here, {fault}")
    if faults:
        return None
    filed_by = next((cells.text("filed_by") for cells, *_ in points if cells.text("filed_by")), "")
    reason = next((cells.text("reason") for cells, *_ in points if cells.text("reason")), "")
    return FiledCurve(station_id, effective_ms, outdoor_c, supply_c, filed_by, reason, offsets_k)


def _offsets(cells: Cells) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in cells.text("offsets_k").split())
    except ValueError:
        cells.wrong("offsets_k", "twelve numbers of K parted by blanks, one for every two hours from midnight")
        return ()

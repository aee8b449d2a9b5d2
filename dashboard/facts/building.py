"""One building: its rooms as floors × flats, and one room in detail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.facts.rooms import Counts, RoomState, room_states
from dashboard.facts.subjects import room_label
from dashboard.facts.town import Town
from dashboard.facts.trend import Trend, limit_trend, trends
from dashboard.facts.values import room_is_stale
from dashboard.moments import HOUR_MS
from domain.site import Room

ROOM_TREND_H = 48


@dataclass(frozen=True)
class Cell:
    """A room in the grid. ``stale`` when its value is older than twice the interval of room sensors."""

    room: Room
    label: str
    state: RoomState
    stale: bool


@dataclass(frozen=True)
class Grid:
    """Floors from the top, each with a cell or None for each column."""

    columns: Sequence[str]
    floors: Sequence[tuple[int | None, Sequence[Cell | None]]]
    rooms: Counts


def room_grid(town: Town, building_id: str) -> Grid:
    """The rooms of a building. Rooms with the same unit stand in one column; rooms without a unit fill the columns in order."""
    return town.shared.of(("grid", building_id), lambda: _room_grid(town, building_id))


def _room_grid(town: Town, building_id: str) -> Grid:
    rooms = town.rooms_of_building.get(building_id, ())
    states = room_states(town, [room.room_id for room in rooms])
    by_floor: dict[int | None, dict[str, Cell]] = {}
    columns: set[str] = set()
    for room in rooms:
        state = states[room.room_id]
        floor = by_floor.setdefault(room.floor, {})
        column = room.unit if room.unit and room.unit not in floor else f"{len(floor) + 1:02}"
        while column in floor:
            column += "'"
        floor[column] = Cell(room, room_label(room), state, room_is_stale(town, state.measured_at))
        columns.add(column)
    order = sorted(columns)
    floors = [(number, [cells.get(column) for column in order]) for number, cells in by_floor.items()]
    floors.sort(key=lambda floor: (floor[0] is None, -(floor[0] or 0)))
    return Grid(order, floors, _counts(states))


def worst_room(town: Town, building_id: str) -> str:
    """The room that needs somebody most: the one furthest below its limit, else the coldest one known; empty without rooms."""
    cells = [cell for _, row in room_grid(town, building_id).floors for cell in row if cell is not None]

    def need(cell: Cell) -> tuple[bool, float]:
        value, limit = cell.state.value_c, cell.state.limit_c
        return cell.stale or value is None, (99.0 if value is None else value) - (0.0 if limit is None else limit)

    return min(cells, key=need).room.room_id if cells else ""


def _counts(states: Mapping[str, RoomState]) -> Counts:
    verdicts = [state.verdict for state in states.values()]
    return Counts(*(verdicts.count(name) for name in ("compliant", "breach", "unknown", "unjudged")))


@dataclass(frozen=True)
class RoomTrend:
    """A room's temperature and the limit it is held to, over [from_ms, to_ms)."""

    from_ms: int
    to_ms: int
    value: Trend
    limit: Trend


def room_trend(town: Town, room_id: str, to_ms: int | None = None, hours: int = ROOM_TREND_H) -> RoomTrend:
    """The last hours of a room, its calibration offset applied (R2). Raises StoreError when the history can't be read."""
    return town.shared.of(("room_trend", room_id, to_ms, hours), lambda: _room_trend(town, room_id, to_ms, hours), life_s=5.0)


def _room_trend(town: Town, room_id: str, to_ms: int | None, hours: int) -> RoomTrend:
    room = town.site.rooms[room_id]
    end_ms = town.now_ms() if to_ms is None else to_ms
    from_ms = end_ms - hours * HOUR_MS
    line = trends(town, [f"room/{room_id}/indoor_temp_c"], from_ms, end_ms, town.site.hold_ms(room))[0]
    return RoomTrend(from_ms, end_ms, Trend(line.at_ms, line.value + room.offset_k), limit_trend(town, room.table, from_ms, end_ms))

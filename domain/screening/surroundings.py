"""What a reading is compared with: its own limits, the instruments of its circuit, its neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from domain.quantity import PointName, Quantity, parse_point, quantity
from domain.site import Room, Station

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
FLOOR_MOST_C = 60.0
METER_OVERRANGE = 1.5
ROOM_STEP_K = 3.0
STATION_STUCK_H, ROOM_STUCK_H = 6, 24


class Role(IntEnum):
    """What an instrument is to its circuit; the value is its place in the circuit's row."""

    NONE = -1
    PRIMARY_SUPPLY = 0
    PRIMARY_RETURN = 1
    SUPPLY = 2
    RETURN = 3
    SUPPLY_PRESSURE = 4
    RETURN_PRESSURE = 5
    FLOW = 6
    VALVE = 7
    VALVE_COMMAND = 8
    PUMP = 9  # and the three numbered ones after it
    PUMP_HZ = 13
    PUMP_COMMAND_HZ = 17


ROLES = 21
PUMPS = [Role.PUMP + number for number in range(4)]
PUMPS_HZ = [Role.PUMP_HZ + number for number in range(4)]

_ROLES = {
    "primary_supply_temp_c": Role.PRIMARY_SUPPLY,
    "primary_return_temp_c": Role.PRIMARY_RETURN,
    "secondary_supply_temp_c": Role.SUPPLY,
    "secondary_return_temp_c": Role.RETURN,
    "secondary_supply_pressure_mpa": Role.SUPPLY_PRESSURE,
    "secondary_return_pressure_mpa": Role.RETURN_PRESSURE,
    "secondary_flow_m3h": Role.FLOW,
    "valve_position_pct": Role.VALVE,
    "valve_command_pct": Role.VALVE_COMMAND,
    "pump_running": Role.PUMP,
    "pump_frequency_hz": Role.PUMP_HZ,
    "pump_command_hz": Role.PUMP_COMMAND_HZ,
}


class Kind(NamedTuple):
    """What all points of one quantity (in like surroundings) have in common. No limit is an infinite one."""

    reject_low: float = -np.inf
    reject_high: float = np.inf
    suspect_low: float = -np.inf
    suspect_high: float = np.inf
    coded: float = 0.0  # 1 if codes for "no value" may stand in for it
    step: float = np.inf  # most change between readings at most 10 min apart
    stuck_ms: float = np.inf
    counter: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where one point stands: its kind, its circuit and role in it, the neighbours it moves with, and what else it is."""

    kind: Kind = field(default_factory=Kind)
    circuit: str = ""
    role: int = Role.NONE
    neighbours: str = ""
    outdoor: bool = False
    room: str = ""
    battery: bool = False


@dataclass(frozen=True)
class Surroundings:
    """The site as far as a reading is compared with it. What it does not know (a file's stations, say) has the usual limits."""

    stations: Mapping[str, Station] = field(default_factory=dict)
    rooms: Mapping[str, Room] = field(default_factory=dict)

    def place(self, name: str) -> Place:
        """Where the point of this name stands; nowhere for health of sources and quantities that nobody knows."""
        try:
            point = parse_point(name)
            found = quantity(point.quantity)
        except (KeyError, ValueError):
            return Place()
        if point.kind == "room":
            return self._in_room(point, found)
        return self._in_station(point, found) if point.kind == "station" else Place()

    def _in_room(self, point: PointName, found: Quantity) -> Place:
        kind = _kind(found)
        if point.quantity == "battery_pct":
            return Place(kind, room=point.subject_id, battery=True)
        if point.quantity != "indoor_temp_c":
            return Place(kind)
        room = self.rooms.get(point.subject_id)
        kind = kind._replace(step=ROOM_STEP_K, stuck_ms=ROOM_STUCK_H * HOUR_MS)
        building = room.building_id if room is not None else None  # who moves with a room of no building is not known
        return Place(kind, neighbours=f"building/{building}" if building else "", room=point.subject_id)

    def _in_station(self, point: PointName, found: Quantity) -> Place:
        station = self.stations.get(point.subject_id) or Station(point.subject_id)
        base, circuit, number = _parted(point.quantity)
        role = _ROLES.get(base, Role.NONE)
        kind = _kind(found)
        if role in (Role.SUPPLY, Role.RETURN) and station.heating == "floor":
            kind = kind._replace(suspect_high=FLOOR_MOST_C)
        if base.endswith("_flow_m3h") and not base.startswith("makeup"):
            meter = station.primary_meter_m3h if base.startswith("primary") else station.secondary_meter_m3h
            kind = kind._replace(reject_high=METER_OVERRANGE * meter) if meter else kind
        if role in (Role.SUPPLY, Role.PRIMARY_SUPPLY):
            kind = kind._replace(stuck_ms=STATION_STUCK_H * HOUR_MS)
        moves = role in (Role.PRIMARY_SUPPLY, Role.PRIMARY_RETURN, Role.SUPPLY, Role.RETURN)
        return Place(
            kind,
            circuit=f"{point.subject_id}/{circuit}",
            role=role + number if role >= Role.PUMP else role,
            neighbours=f"station/{point.subject_id}" if moves else "",
            outdoor=base == "outdoor_temp_c",
        )


def _kind(found: Quantity) -> Kind:
    (low, high), (least, most) = found.reject, found.suspect
    return Kind(
        -np.inf if low is None else low,
        np.inf if high is None else high,
        -np.inf if least is None else least,
        np.inf if most is None else most,
        coded=float(not found.counter and found.name != "alarm_word"),
        counter=float(found.counter),
    )


@lru_cache(maxsize=1024)
def _parted(name: str) -> tuple[str, int, int]:
    """``secondary2_supply_temp_c`` is the supply of circuit 2; ``pump3_running`` is pump 3 of circuit 1. Pumps beyond 3 are left out."""
    head, _, rest = name.partition("_")
    digits = head.lstrip("abcdefghijklmnopqrstuvwxyz")
    if not digits.isdigit():
        return name, 1, 0
    base, number = f"{head.removesuffix(digits)}_{rest}", int(digits)
    if base.startswith("secondary"):
        return base, number, 0
    return (base, 1, number) if base.startswith("pump") and number <= 3 else ("", 1, 0)

"""What the town's devices said before the demo began, as columns ready to be stored."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.profiles import station_quantities
from simulators.scenario import Scenario
from simulators.sensing import ROOM_INTERVAL_S, ROOM_QUANTITIES, RoomReadings, RoomSensors, StationInstruments, quantities_of
from simulators.town import Town
from simulators.world import HOUR_MS, STEP_S, World

STEP_MS = STEP_S * 1000
PROFILE_OF = {"modbus_tcp": "xd100n", "modbus_rtu_tcp": "xd100n", "opcua": "xd100n_opcua"}


class HistoryBlock(NamedTuple):
    """Readings in order of time. ``point`` is an index into ``names``, which is the same list in every block.

    ``measured_at`` is in UTC milliseconds; each was received when it was measured.
    """

    names: list[str]
    point: NDArray[np.int32]
    measured_at: NDArray[np.int64]
    value: NDArray[np.float64]


class PointNames:
    """The names of all points of the town, and where each station's and room's lie in the list of names."""

    def __init__(self, town: Town) -> None:
        self.names: list[str] = []
        self.station_quantities = sorted({name for profile in PROFILE_OF.values() for name in station_quantities(profile)})
        self._of_station = np.full((len(self.station_quantities), len(town.stations)), -1, np.int32)
        self._of_room = np.full((len(town.rooms), len(ROOM_QUANTITIES)), -1, np.int32)
        for place, (station, access) in enumerate(zip(town.stations, town.access, strict=True)):
            for quantity in station_quantities(PROFILE_OF[access.protocol]):
                self._of_station[self.station_quantities.index(quantity), place] = len(self.names)
                self.names.append(f"station/{station.station_id}/{quantity}")
        for place, (room, sensor_format) in enumerate(zip(town.rooms, town.formats, strict=True)):
            for column, quantity in enumerate(quantities_of(sensor_format)):
                self._of_room[place, column] = len(self.names)
                self.names.append(f"room/{room.room_id}/{quantity}")

    def of_stations(self) -> NDArray[np.int32]:
        """Index of [quantity, station] in the names, −1 where the station has no such quantity."""
        return self._of_station

    def of_rooms(self, rooms: NDArray[np.intp]) -> NDArray[np.int32]:
        """Index of [row, quantity] in the names, −1 where the sensor has no such quantity."""
        return self._of_room[rooms]


def history(town: Town, scenario: Scenario, start_ms: int, hours: float = 48.0) -> Iterator[HistoryBlock]:
    """The readings of the ``hours`` before ``start_ms`` (UTC ms), in blocks of at most an hour in order of time."""
    return record(World(town, scenario, start_ms, hours), start_ms)


def record(world: World, until_ms: int) -> Iterator[HistoryBlock]:
    """Moves the world on to ``until_ms`` (UTC ms) and gives what its devices say meanwhile; the world can go on from there."""
    names = PointNames(world.town)
    instruments, sensors = StationInstruments(world.town), RoomSensors(world.town)
    while world.at_ms + STEP_MS <= until_ms:
        hour_ends_ms = min(world.at_ms - world.at_ms % HOUR_MS + HOUR_MS, until_ms)
        parts = _hour(world, names, instruments, sensors, hour_ends_ms)
        point, measured_at, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.argsort(measured_at, kind="stable")
        yield HistoryBlock(names.names, point[order], measured_at[order], value[order])


_Part = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]


def _hour(world: World, names: PointNames, instruments: StationInstruments, sensors: RoomSensors, until_ms: int) -> list[_Part]:
    at_ms, outdoor_c, states, silent, air_c, dead, stuck = [], [], [], [], [], [], []
    begin_ms = world.at_ms
    while world.at_ms + STEP_MS <= until_ms:
        effects = world.effects
        world.step(STEP_S)
        at_ms.append(world.at_ms)
        outdoor_c.append(world.outdoor_c)
        states.append(world.plant.state(effects))
        silent.append(effects.silent | effects.refusing)
        air_c.append(world.rooms.air_c)
        dead.append(effects.sensor_dead)
        stuck.append(effects.sensor_stuck)
    at = np.array(at_ms, np.int64)
    parts = [_station_part(instruments.read(at, np.array(outdoor_c), np.stack(states)), at, np.stack(silent), names)]
    air, flags = np.stack(air_c), (np.stack(dead), np.stack(stuck))
    for after_ms in range(begin_ms, int(at[-1]), ROOM_INTERVAL_S * 1000):
        rooms, measured_at = sensors.due(after_ms, min(after_ms + ROOM_INTERVAL_S * 1000, int(at[-1])))
        step = (measured_at - begin_ms - 1) // STEP_MS  # the first state not before the report
        parts.append(_room_part(sensors.read(rooms, measured_at, air[step, rooms], *(flag[step, rooms] for flag in flags)), names))
    return parts


def _station_part(read: dict[str, NDArray[np.float64]], at: NDArray[np.int64], silent: NDArray[np.bool_], names: PointNames) -> _Part:
    points = np.broadcast_to(names.of_stations(), (len(at), *names.of_stations().shape))  # [instant, quantity, station]
    values = np.stack([read[quantity] for quantity in names.station_quantities], axis=1)
    said = (points >= 0) & ~silent[:, None, :]
    times = np.broadcast_to(at[:, None, None], points.shape)
    return points[said], times[said], values[said]


def _room_part(readings: RoomReadings, names: PointNames) -> _Part:
    points = names.of_rooms(readings.room)
    said = points >= 0
    return points[said], np.broadcast_to(readings.measured_at[:, None], points.shape)[said], readings.values[said]

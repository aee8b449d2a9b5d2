"""The town as its devices show it now: the state that the servers answer from and the publisher sends."""

import numpy as np

from simulators.effects import Effects
from simulators.sensing import RoomReadings, RoomSensors, StationInstruments
from simulators.world import World

LIVE_STEP_S = 30


class Present:
    """Moves a world along with the clock in steps of half a minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.town = world.town
        self._instruments = StationInstruments(world.town)
        self._sensors = RoomSensors(world.town)
        self._effects = world.effects
        self._values: list[dict[str, float]] = []
        self._measure()

    @property
    def at_ms(self) -> int:
        """The instant (UTC ms) shown now."""
        return self.world.at_ms

    @property
    def effects(self) -> Effects:
        """The disturbances in force now."""
        return self._effects

    def values(self, station: int) -> dict[str, float]:
        """Every quantity of the station at this place of the town."""
        return self._values[station]

    def next_ms(self) -> int:
        """The instant (UTC ms) of the next step."""
        return self.world.at_ms + LIVE_STEP_S * 1000

    def step(self) -> RoomReadings:
        """Moves on by one step; gives what the room sensors report in it."""
        before_ms = self.world.at_ms
        self.world.step(LIVE_STEP_S)
        self._measure()
        rooms, measured_at = self._sensors.due(before_ms, self.world.at_ms)
        effects = self._effects
        return self._sensors.read(
            rooms, measured_at, self.world.rooms.air_c[rooms], effects.sensor_dead[rooms], effects.sensor_stuck[rooms]
        )

    def _measure(self) -> None:
        world = self.world
        self._effects = world.effects
        state = world.plant.state(self._effects)[None]
        read = self._instruments.read(np.array([world.at_ms]), np.array([world.outdoor_c]), state)
        names = list(read)
        table = np.stack([read[name][0] for name in names])
        self._values = [dict(zip(names, column, strict=True)) for column in table.T.tolist()]

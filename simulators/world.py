"""The town as it goes on: weather, stations and rooms moved in step, disturbed by a scenario."""

import numpy as np
from numpy.typing import NDArray

from simulators.effects import Disturbances, Effects
from simulators.rooms import FLOW, RoomHeat
from simulators.scenario import Scenario
from simulators.stations import StationPlant
from simulators.town import Town
from simulators.weather import Airings, Weather, internal_gains_k, solar_gain_k

Columns = NDArray[np.float64]

STEP_S = 60
HOUR_MS = 3_600_000
RUN_UP_H = 6  # lived through before anything is recorded, so that nothing remembers how it was set up


class World:
    """The town's state at ``at_ms``. The same town, scenario, start and steps always give the same states.

    ``start_ms`` is the instant (UTC ms) that the scenario's offsets count from; the world begins ``hours`` before it, in an
    ordinary winter day's balance, and further back where the scenario begins earlier.
    """

    def __init__(self, town: Town, scenario: Scenario, start_ms: int, hours: float = 48.0) -> None:
        self.town = town
        self.scenario = scenario
        self.start_ms = start_ms
        self.plant = StationPlant(town)
        self.rooms = RoomHeat(town)
        self._disturbances = Disturbances(town, scenario.spans, start_ms)
        self._weather = Weather(town.seed)
        self._airings = Airings(town.seed, len(town.rooms))
        self._rooms_of_station = np.bincount(town.station_of_room, minlength=len(town.stations))
        begin_ms = start_ms - round((hours + RUN_UP_H) * HOUR_MS)
        first_ms = self._disturbances.first_ms
        self.at_ms = begin_ms if first_ms is None else min(begin_ms, first_ms - HOUR_MS)
        self.at_ms -= self.at_ms % (STEP_S * 1000)
        self.outdoor_c = self._weather.outdoor_c(self.at_ms)
        self._settle()
        self.advance_to(start_ms - round(hours * HOUR_MS))

    @property
    def effects(self) -> Effects:
        """The disturbances in force now."""
        return self._disturbances.at(self.at_ms)

    def step(self, dt_s: float) -> None:
        """Moves the town on by ``dt_s`` seconds, at most 60."""
        effects = self.effects
        self.outdoor_c = self._weather.outdoor_c(self.at_ms)
        of_room = self.town.station_of_room
        flow = self.plant.flow_share[of_room] * effects.flow_share
        self.plant.step(dt_s, self.outdoor_c, self._returned_c(flow), effects)
        airing = self._airings.exchange(self.at_ms) + effects.window
        gains_k, sun_k = internal_gains_k(self.at_ms), solar_gain_k(self.at_ms)
        self.rooms.step(dt_s, self.outdoor_c, self.plant.supply_c[of_room], flow, gains_k, sun_k, airing)
        self.at_ms += round(dt_s * 1000)

    def advance_to(self, instant_ms: int, step_s: int = STEP_S) -> None:
        """Moves on in steps of ``step_s`` seconds until the next one would pass ``instant_ms``."""
        while self.at_ms + step_s * 1000 <= instant_ms:
            self.step(step_s)

    def _returned_c(self, flow: Columns) -> Columns:
        """The water each station gets back, mixed from its radiators by flow, °C."""
        count = len(self.town.stations)
        total = np.bincount(self.town.station_of_room, flow, count)
        mixed = np.bincount(self.town.station_of_room, flow * self.rooms.outlet_c, count)
        return np.where(total > 0, mixed / np.maximum(total, 1e-9), self.plant.return_c)

    def _settle(self) -> None:
        """Rooms and stations as days of the weather before would have left them."""
        outdoor_c = self._weather.mean_outdoor_c(self.at_ms)
        supply_c = self.plant.curve_target_c(outdoor_c)
        self.rooms.settle(outdoor_c, supply_c[self.town.station_of_room])
        self.plant.supply_c = supply_c
        self.plant.return_c = self._returned_c(np.ones(len(self.town.rooms)))
        self.plant.heat_kw = self.town.design_power_kw * float(np.mean(self.rooms.heat_k())) / (FLOW * 25.0)

"""Heat in the rooms: two time constants (air and furniture in about an hour, walls in about 150 h) and a radiator's two cells of water.

Everything is divided by the room's own loss coefficient, so heat is in kelvin (what it holds the room above the outdoors) and a
capacity is in hours. All arrays are over the town's rooms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.town import Town

Columns = NDArray[np.float64]

EXPONENT = 1.3  # of a radiator's heat over its mean temperature above the room's
FLOW = 42.0 / 25.0  # design flow in the same measure: 42 K of load cool the water by 25 K
COUPLING = 19.0  # air to walls
AIR_H = 20.0  # air, furniture and the walls' skin
WALLS_H = 150.0
WINDOWS_SHARE = 0.4  # of the losses that leave the air directly; the rest goes through the walls
WATER_H = 0.4  # water and iron of each of the radiator's two cells
RATED_OUTDOOR_C = -14.0
MEAN_GAINS_K = 2.8
HOME_C = 20.8
OFFICE_C = 22.2
STATION_SHIFT_K = (0.1, -0.1, 0.0, 0.4, 0.2, -0.2, 0.0, 0.1, 0.0, 0.1, -0.1, 0.2)  # no two are adjusted alike


@dataclass(frozen=True)
class Traits:
    """What makes one room differ from the next: the temperature it is heated to, its inertia, its share of sun, its heater."""

    inertia: Columns
    sun: Columns
    heater: Columns


class RoomHeat:
    """The state of all rooms: temperature of air, walls and the radiator's two cells, °C."""

    def __init__(self, town: Town) -> None:
        self._traits = _traits(town)
        count = len(town.rooms)
        self.air_c = np.full(count, HOME_C)
        self.walls_c = np.full(count, 17.0)
        self.inlet_c = np.full(count, 55.0)
        self.outlet_c = np.full(count, 45.0)

    def step(self, dt_s: float, outdoor_c: float, supply_c: Columns, flow: Columns, gains_k: float, sun_k: float, airing: Columns) -> None:
        """Moves on by ``dt_s`` seconds (at most 300). ``supply_c`` and ``flow`` (share of design) are what each radiator gets,
        ``airing`` what open windows add to the losses as a multiple of them.
        """
        dt_h = dt_s / 3600
        water = FLOW * flow * dt_h / WATER_H
        inlet_k, outlet_k = self._cells_k()
        inlet_c = self.inlet_c + water * (supply_c - self.inlet_c) - inlet_k * (dt_h / WATER_H)
        self.outlet_c = self.outlet_c + water * (self.inlet_c - self.outlet_c) - outlet_k * (dt_h / WATER_H)
        self.inlet_c = inlet_c
        to_walls = COUPLING * (self.air_c - self.walls_c)
        lost = (WINDOWS_SHARE + airing) * (self.air_c - outdoor_c)
        gained = inlet_k + outlet_k + gains_k
        if sun_k:
            gained += sun_k * self._traits.sun
        pace_h = dt_h / self._traits.inertia
        walls_k = to_walls - (1 - WINDOWS_SHARE) * (self.walls_c - outdoor_c)
        self.air_c = self.air_c + (gained - lost - to_walls) * (pace_h / AIR_H)
        self.walls_c = self.walls_c + walls_k * (pace_h / WALLS_H)

    def heat_k(self) -> Columns:
        """What each radiator gives now, in kelvin."""
        inlet_k, outlet_k = self._cells_k()
        return inlet_k + outlet_k

    def _cells_k(self) -> tuple[Columns, Columns]:
        """What the two cells of each radiator give, in kelvin: by their mean temperature, shared as each is above the room's."""
        inlet_k, outlet_k = np.maximum(1e-6, self.inlet_c - self.air_c), np.maximum(0.0, self.outlet_c - self.air_c)
        above_k = inlet_k + outlet_k
        per_k = self._traits.heater * (above_k / 2) ** EXPONENT / above_k
        return per_k * inlet_k, per_k * outlet_k

    def settle(self, outdoor_c: float, supply_c: Columns) -> None:
        """Brings the rooms to where days of this weather and this supply temperature would have brought them."""
        ones = np.ones_like(self.air_c)
        for _ in range(200):
            self.step(300.0, outdoor_c, supply_c, ones, MEAN_GAINS_K, 0.0, 0.0 * ones)
            self.walls_c = self.air_c - (1 - WINDOWS_SHARE) * (self.air_c - outdoor_c) / (COUPLING + 1 - WINDOWS_SHARE)


def _traits(town: Town) -> Traits:
    random = np.random.default_rng([town.seed, 303])
    count = len(town.rooms)
    target_c = _targets_c(town, random)
    supply_c = np.array([curve.target_c(np.array([RATED_OUTDOOR_C]))[0] for curve in town.curves])[town.station_of_room]
    needed_k = target_c - RATED_OUTDOOR_C - MEAN_GAINS_K
    outlet_k = supply_c - needed_k / FLOW - target_c
    inlet_k = outlet_k
    for _ in range(20):  # the cells share the heat as each is above the room's temperature
        inlet_k = supply_c - inlet_k / (inlet_k + outlet_k) * needed_k / FLOW - target_c
    return Traits(
        inertia=random.normal(1.0, 0.06, count).clip(0.85, 1.2),
        sun=random.choice([0.0, 0.25, 0.6], count),
        heater=needed_k / ((inlet_k + outlet_k) / 2) ** EXPONENT,
    )


def _targets_c(town: Town, random: np.random.Generator) -> Columns:
    """What each room settles at: cooler under the roof, on the ground floor and at the gables, as the heating engineers left it."""
    floors = {building.building_id: building.floors or 1 for building in town.buildings}
    target_c = np.array([OFFICE_C if room.premises == "contract" else HOME_C for room in town.rooms])
    target_c += np.array(STATION_SHIFT_K)[town.station_of_room]
    target_c += random.normal(0.0, 0.35, len(town.rooms)).clip(-0.7, 0.9)
    for index, room in enumerate(town.rooms):
        top = floors[str(room.building_id)]
        if top > 1 and room.floor == top:
            target_c[index] -= 0.45
        elif top > 1 and room.floor == 1:
            target_c[index] -= 0.25
    return target_c

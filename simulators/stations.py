"""The stations' machinery: exchanger, valve, pumps, pressures, make-up water, counters. All arrays are over the town's stations.

source ──▶ primary supply ─ valve ─┐ exchanger ┌─ secondary supply ──▶ buildings
source ◀── primary return ─────────┘           └─ pump ◀─ return ◀─ tank, make-up pump
"""

from bisect import bisect_right
from functools import lru_cache
from math import exp

import numpy as np
from numpy.typing import NDArray

from simulators.effects import Effects
from simulators.town import BRANCHES, DESIGN_OUTDOOR_C, WATER_KWH_M3K, Town

Columns = NDArray[np.float64]

PIT_C = 24.0  # what still water in the station drifts to
STILL = 0.12  # below this share of the design flow the probes see standing water
PRIMARY_DESIGN_K = 55.0
PRIMARY_CURVE = ((DESIGN_OUTDOOR_C, 110.0), (5.0, 76.0))
DESIGN_LMTD_K = 15.4  # 110/55 against 75/50
RETURN_PRESSURE_MPA = 0.30
TANK_AREA_M2 = 6.0
TANK_FULL_M = 1.8
GJ_PER_KWH = 0.0036


STATE = (
    "supply_c", "return_c", "primary_supply_c", "primary_return_c", "primary_flow_m3h", "secondary_flow_m3h",
    "heat_kw", "valve_pct", "pump_hz", "return_pressure_mpa", "makeup_m3h",
    "tank_level_m", "energy_gj", "primary_volume_m3", "secondary_volume_m3", "makeup_volume_m3",
    "supply_target_c", "source_drive", "pump_tripped", "power_lost",
)  # fmt: skip


class StationPlant:
    """The state of all stations, moved on step by step."""

    def __init__(self, town: Town) -> None:
        random = np.random.default_rng([town.seed, 404])
        count = len(town.stations)
        self._branch = town.branch_of_station
        self._design_m3h = town.design_flow_m3h
        self._primary_design_m3h = town.design_power_kw / (WATER_KWH_M3K * PRIMARY_DESIGN_K)
        self._exchanger_kw_k = town.design_power_kw / DESIGN_LMTD_K * random.uniform(1.05, 1.2, count)
        self._curve_outdoor_c = town.curves[0].outdoor_c  # the same in all
        self._curve_supply_c = np.array([curve.supply_c for curve in town.curves]).T.copy()
        self._along_branch_k = 0.4 * (np.arange(count) % 6)  # the far end of a branch is cooler
        self._usual_hz = random.uniform(41.0, 46.0, count).round(1)
        self._usual_leak_m3h = self._design_m3h * random.uniform(0.0022, 0.0042, count)
        self._error_k = np.zeros(count)
        self._dry = np.zeros(count, np.bool_)
        self.source_c = np.full(len(BRANCHES), 95.0)
        self.source_drive = np.ones(len(BRANCHES))
        self.supply_target_c = np.full(count, 60.0)
        self.supply_c = np.full(count, 60.0)
        self.return_c = np.full(count, 44.0)
        self.primary_supply_c = np.full(count, 95.0)
        self.primary_return_c = np.full(count, 50.0)
        self.primary_flow_m3h = self._primary_design_m3h.copy()
        self.secondary_flow_m3h = self._design_m3h.copy()
        self.heat_kw = np.zeros(count)
        self.valve_pct = np.full(count, 50.0)
        self.pump_hz = self._usual_hz.copy()
        self.return_pressure_mpa = np.full(count, RETURN_PRESSURE_MPA)
        self.makeup_m3h = self._usual_leak_m3h.copy()
        self.tank_level_m = np.full(count, TANK_FULL_M - 0.1)
        days = random.uniform(55, 62, count)  # since the meters began at the start of the season
        self.energy_gj = town.design_power_kw * 0.62 * 24 * days * GJ_PER_KWH
        self.primary_volume_m3 = self._primary_design_m3h * 0.8 * 24 * days
        self.secondary_volume_m3 = self._design_m3h * 24 * days
        self.makeup_volume_m3 = self._usual_leak_m3h * 24 * days

    @property
    def flow_share(self) -> Columns:
        """Secondary flow as a share of design."""
        return self.secondary_flow_m3h / self._design_m3h

    def curve_target_c(self, outdoor_c: float) -> Columns:
        """Each station's supply temperature by its filed curve, °C."""
        points = self._curve_outdoor_c
        place = min(max(bisect_right(points, outdoor_c) - 1, 0), len(points) - 2)
        share = min(max((outdoor_c - points[place]) / (points[place + 1] - points[place]), 0.0), 1.0)
        target_c: Columns = (1 - share) * self._curve_supply_c[place] + share * self._curve_supply_c[place + 1]
        return target_c

    def state(self, effects: Effects) -> Columns:
        """What instruments can see now: one row per name of ``STATE``, one column per station."""
        return np.array((
            self.supply_c, self.return_c, self.primary_supply_c, self.primary_return_c, self.primary_flow_m3h, self.secondary_flow_m3h,
            self.heat_kw, np.where(effects.valve_shut, 0.0, self.valve_pct), self.pump_hz, self.return_pressure_mpa, self.makeup_m3h,
            self.tank_level_m, self.energy_gj, self.primary_volume_m3, self.secondary_volume_m3, self.makeup_volume_m3,
            self.supply_target_c, self.source_drive[self._branch], effects.pump_tripped, effects.power_lost,
        ), np.float64)  # fmt: skip

    def step(self, dt_s: float, outdoor_c: float, from_rooms_c: Columns, effects: Effects) -> None:
        """Moves on by ``dt_s`` seconds (at most 60); ``from_rooms_c`` is the water the buildings send back."""
        self._source(dt_s, outdoor_c, effects)
        self._pumps(dt_s, effects)
        self._valve(dt_s, outdoor_c, effects)
        self._exchange(dt_s, from_rooms_c)
        self._water(dt_s, effects)
        dt_h = dt_s / 3600
        self.energy_gj += self.heat_kw * GJ_PER_KWH * dt_h
        self.primary_volume_m3 += self.primary_flow_m3h * dt_h
        self.secondary_volume_m3 += self.secondary_flow_m3h * dt_h
        self.makeup_volume_m3 += self.makeup_m3h * dt_h

    def _source(self, dt_s: float, outdoor_c: float, effects: Effects) -> None:
        (coldest_c, hottest_c), (mildest_c, coolest_c) = PRIMARY_CURVE
        share = min(max((outdoor_c - coldest_c) / (mildest_c - coldest_c), 0.0), 1.0)
        lost = effects.source_lost
        self.source_c += (np.where(lost, 34.0, hottest_c + share * (coolest_c - hottest_c)) - self.source_c) * _share(dt_s, 1500.0)
        self.source_drive += (np.where(lost, 0.04, 1.0) - self.source_drive) * _share(dt_s, 240.0)
        self.primary_supply_c += (self.source_c[self._branch] - self._along_branch_k - self.primary_supply_c) * _share(dt_s, 300.0)

    def _pumps(self, dt_s: float, effects: Effects) -> None:
        stopped = effects.pump_tripped | effects.power_lost
        ramp_hz = 20.0 * dt_s / 60
        self.pump_hz = np.where(stopped, 0.0, np.minimum(self._usual_hz, self.pump_hz + ramp_hz))
        wanted_m3h = self._design_m3h * self.pump_hz / self._usual_hz
        self.secondary_flow_m3h += (wanted_m3h - self.secondary_flow_m3h) * _share(dt_s, 12.0)

    def _valve(self, dt_s: float, outdoor_c: float, effects: Effects) -> None:
        """A PI controller that follows the curve; it shuts when the pump stops, and stays where it is without power."""
        minutes = dt_s / 60
        self.supply_target_c = self.curve_target_c(outdoor_c) - effects.setback_k
        error_k = self.supply_target_c - self.supply_c
        moved_pct = 0.7 * (error_k - self._error_k) + 0.22 * error_k * minutes
        self._error_k = error_k
        moved_pct = _within(moved_pct, -20.0 * minutes, 20.0 * minutes)
        moved_pct = np.where(effects.pump_tripped, -self.valve_pct, np.where(effects.power_lost, 0.0, moved_pct))
        self.valve_pct = _within(self.valve_pct + moved_pct, 2.0, 100.0)
        opening = np.where(effects.valve_shut, 0.0, self.valve_pct / 100)
        wanted_m3h = 1.6 * self._primary_design_m3h * opening * self.source_drive[self._branch]
        self.primary_flow_m3h += (wanted_m3h - self.primary_flow_m3h) * _share(dt_s, 30.0)

    def _exchange(self, dt_s: float, from_rooms_c: Columns) -> None:
        flowing = self.secondary_flow_m3h > STILL * self._design_m3h
        if flowing.all():  # the usual case, spared the choices
            self.return_c += (from_rooms_c - 0.3 - self.return_c) * _share(dt_s, 180.0)
        else:
            still = (PIT_C - self.return_c) * _share(dt_s, 14_400.0)
            self.return_c += np.where(flowing, (from_rooms_c - 0.3 - self.return_c) * _share(dt_s, 180.0), still)
        primary_kw_k = WATER_KWH_M3K * np.maximum(self.primary_flow_m3h, 1e-3)
        secondary_kw_k = WATER_KWH_M3K * np.maximum(self.secondary_flow_m3h, 1e-3)
        share = effectiveness(primary_kw_k, secondary_kw_k, self._exchanger_kw_k)
        heat_kw = share * np.minimum(primary_kw_k, secondary_kw_k) * np.maximum(0.0, self.primary_supply_c - self.return_c) * flowing
        self.heat_kw += (heat_kw - self.heat_kw) * _share(dt_s, 60.0)
        mixed_k = (self.return_c + self.heat_kw / secondary_kw_k - self.supply_c) * _share(dt_s, 60.0)
        self.supply_c += np.where(flowing, mixed_k, (PIT_C - self.supply_c) * _share(dt_s, 10_800.0))
        primary_flowing = self.primary_flow_m3h > 0.02 * self._primary_design_m3h
        mixed_k = (self.primary_supply_c - self.heat_kw / primary_kw_k - self.primary_return_c) * _share(dt_s, 120.0)
        self.primary_return_c += np.where(primary_flowing, mixed_k, (PIT_C - self.primary_return_c) * _share(dt_s, 7200.0))

    def _water(self, dt_s: float, effects: Effects) -> None:
        """Leaks lower the return pressure, the make-up pump holds it from the tank, the town's water fills the tank slowly."""
        dt_h = dt_s / 3600
        lost_m3h = (self._usual_leak_m3h + effects.leak_share * self._design_m3h) * (self.return_pressure_mpa / RETURN_PRESSURE_MPA)
        wanted_m3h = self._usual_leak_m3h + 60.0 * (RETURN_PRESSURE_MPA - self.return_pressure_mpa)
        self._dry = (self.tank_level_m < 0.05) | (self._dry & (self.tank_level_m < 0.4))  # the pump waits for some water
        self.makeup_m3h = _within(wanted_m3h, 0.0, 0.03 * self._design_m3h) * ~(self._dry | effects.power_lost)
        self.return_pressure_mpa = _within(self.return_pressure_mpa + 0.1 * (self.makeup_m3h - lost_m3h) * dt_h, 0.01, 1.0)
        filling_m3h = _within(3.0 * (TANK_FULL_M - self.tank_level_m), 0.0, 1.1)
        self.tank_level_m = _within(self.tank_level_m + (filling_m3h - self.makeup_m3h) / TANK_AREA_M2 * dt_h, 0.0, 2.0)


def effectiveness(primary_kw_k: Columns, secondary_kw_k: Columns, exchanger_kw_k: Columns) -> Columns:
    """The share of the greatest possible heat that a counter-flow exchanger passes on, by the NTU method.

    At equal capacity rates and one transfer unit: 0.5.
    """
    least, most = np.minimum(primary_kw_k, secondary_kw_k), np.maximum(primary_kw_k, secondary_kw_k)
    units = np.minimum(exchanger_kw_k / least, 50.0)
    ratio = np.minimum(least / most, 0.9999)  # at 1 the formula is 0/0
    rest = np.exp(-units * (1 - ratio))
    share: Columns = (1 - rest) / (1 - ratio * rest)
    return share


def _within(values: Columns, least: float, most: float | Columns) -> Columns:
    return np.minimum(np.maximum(values, least), most)  # half the time of clip on twelve values


@lru_cache(maxsize=64)
def _share(dt_s: float, time_constant_s: float) -> float:
    """How far a first-order lag comes in ``dt_s`` seconds."""
    return 1 - exp(-dt_s / time_constant_s)

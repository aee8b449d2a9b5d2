"""How a station's water is shared out: its buildings and risers, its exchanger; and all stations by return, spread and approach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compliance.balance import GroupBalance, balance
from compliance.exchanger import Signature, signature
from dashboard.facts.curves import DAY_MS, HOUR_MS, LIFE_S, hourly, station_hours
from dashboard.facts.point_states import station_holds_ms
from dashboard.facts.stations import FLOW, RETURN, SUPPLY
from dashboard.facts.town import Town

PRIMARY_RETURN: Final = "primary_return_temp_c"
POWER: Final = "heat_power_gjh"
EXCHANGER_DAYS: Final = 60
GJ_PER_M3K: Final = 4.1868e-3  # heat of a cubic metre of water by one kelvin
LEAST_ROOMS: Final = 2  # of a riser: one room is a room, not a riser

ORDERS: Final = ("return", "spread", "approach")


@dataclass(frozen=True)
class StationBalance:
    """A station's buildings and risers, the coldest first. ``key`` of a riser is ``building/unit``."""

    buildings: Sequence[GroupBalance]
    risers: Sequence[GroupBalance]


def station_balance(town: Town, station_id: str, days: int) -> StationBalance:
    """The balance over the last so many days. Raises StoreError when the history can't be read."""
    return town.shared.of(("balance", station_id, days), lambda: _station_balance(town, station_id, days), life_s=LIFE_S)


def _station_balance(town: Town, station_id: str, days: int) -> StationBalance:
    hours, _ = town.shared.of(("hours", station_id, days), lambda: station_hours(town, station_id, days), life_s=LIFE_S)
    rooms = town.rooms_of_station.get(station_id, ())  # in the order of the columns of its hours
    risers = balance(hours, [f"{room.building_id or ''}/{room.unit}" if room.unit else "" for room in rooms])
    return StationBalance(
        [one for one in balance(hours, hours.buildings) if one.key], [one for one in risers if one.key and one.rooms >= LEAST_ROOMS]
    )


def exchanger(town: Town, station_id: str) -> Signature:
    """The exchanger's signature over the last 60 days. Raises StoreError when the history can't be read."""
    return town.shared.of(("exchanger", station_id), lambda: _exchanger(town, station_id), life_s=LIFE_S)


def _exchanger(town: Town, station_id: str) -> Signature:
    to_ms = town.now_ms() // HOUR_MS * HOUR_MS
    quantities = (PRIMARY_RETURN, RETURN, SUPPLY, FLOW, POWER)
    names = [f"station/{station_id}/{name}" for name in quantities]
    primary_c, return_c, supply_c, flow_m3h, power_gjh = hourly(town, names, to_ms - EXCHANGER_DAYS * DAY_MS, to_ms)
    reckoned_gjh = GJ_PER_M3K * flow_m3h * (supply_c - return_c)
    return signature(np.where(np.isfinite(power_gjh), power_gjh, reckoned_gjh), primary_c, return_c)


@dataclass(frozen=True)
class StationWater:
    """One station's water now, °C and K; NaN for what has no fresh value. ``return_off_k`` is against the town's median."""

    station_id: str
    return_c: float
    return_off_k: float
    spread_k: float
    primary_return_c: float
    approach_k: float
    flow_share: float

    def badness(self, order: str) -> float:
        """The greater, the worse it stands by this order."""
        return {"return": self.return_c, "spread": -self.spread_k, "approach": self.approach_k}[order]


def town_water(town: Town, order: str, most: int = 100) -> list[StationWater]:
    """The worst stations by ``order``: the warmest return, the smallest spread, the greatest approach; unknown ones are left out."""
    rows = town.shared.of("town_water", lambda: _town_water(town), life_s=5.0)
    return sorted((row for row in rows if np.isfinite(row.badness(order))), key=lambda row: -row.badness(order))[:most]


def _town_water(town: Town) -> list[StationWater]:
    stations = list(town.site.stations.values())
    hold_ms = np.array(list(station_holds_ms(town.site).values()), np.int64)

    def now(quantity: str) -> NDArray[np.float64]:
        found = town.newest([f"station/{station.station_id}/{quantity}" for station in stations], usable=True)
        fresh = found.known & (town.now_ms() - found.measured_at <= hold_ms)
        return np.where(fresh, found.value, np.nan)

    supply_c, return_c, primary_c, flow_m3h = (now(name) for name in (SUPPLY, RETURN, PRIMARY_RETURN, FLOW))
    design = np.array([station.design_flow_m3h or np.nan for station in stations], np.float64)
    flowing = ~(flow_m3h < 0.1 * design)  # where nothing circulates the temperatures say nothing of balance
    return_c = np.where(flowing, return_c, np.nan)
    median_c = np.nanmedian(return_c) if np.isfinite(return_c).any() else np.nan
    columns = (return_c, return_c - median_c, supply_c - return_c, primary_c, primary_c - return_c, flow_m3h / design)
    return [
        StationWater(station.station_id, *(float(value) for value in values))
        for station, values in zip(stations, np.column_stack(columns).tolist(), strict=True)
    ]

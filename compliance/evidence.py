"""What the readings say around a room's alarm: doubts about its sensor, and the evidence a complaint carries (R6)."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from compliance.complaint import Estate
from compliance.heat import PointSeries
from compliance.sensor import sensor_suspicion
from compliance.verdict import clean_series
from domain.clock import iso
from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings

DAY_MS = 86_400_000
AROUND_MS = 30 * 60_000
NONE = PointSeries(np.empty(0, np.int64), np.empty(0, np.float64))


class RoomEvidence:
    """The readings of the buildings of some rooms around one instant, read once for all of them."""

    def __init__(self, site: Site, estate: Estate, series: Mapping[str, PointSeries], batteries: Mapping[str, PointSeries]) -> None:
        self._site = site
        self._estate = estate
        self._series = series
        self._batteries = batteries

    def suspicion(self, room_id: str, at: int) -> str | None:
        """Why the room's sensor is to be doubted, None when it is not."""
        building_id = self._estate.building_of.get(room_id)
        battery = self._batteries.get(room_id)
        if building_id is None:
            return sensor_suspicion(at, NONE, (), battery)
        neighbours = [one for one, home in self._estate.building_of.items() if home == building_id and one != room_id]
        others = [self._series.get(one, NONE) for one in neighbours]
        return sensor_suspicion(at, self._series.get(room_id, NONE), others, battery)

    def of_room(self, room_id: str, at: int) -> dict[str, Any]:
        """The 24 h before ``at``: readings as [UTC ms, °C], lowest and last value, policy."""
        own = self._series.get(room_id, NONE)
        rows = slice(int(np.searchsorted(own.at, at - DAY_MS)), int(np.searchsorted(own.at, at, "right")))
        readings = [[int(instant), round(float(value), 3)] for instant, value in zip(own.at[rows], own.value[rows], strict=True)]
        values = [value for _, value in readings]
        return {
            "from": iso(at - DAY_MS, self._site.timezone),
            "to": iso(at, self._site.timezone),
            "policy": self._site.policy.name,
            "policy_sha256": self._site.policy.sha256,
            "min_c": min(values, default=None),
            "last_c": values[-1] if values else None,
            "readings": readings,
        }


def gather(
    site: Site, estate: Estate, stores: tuple[History, Journal, PointRegistry], room_ids: Iterable[str], from_ms: int, to_ms: int
) -> RoomEvidence:
    """Reads what is needed to judge and document these rooms over [from_ms, to_ms]: all rooms of their buildings."""
    history, journal, points = stores
    homes = {estate.building_of.get(room_id) for room_id in room_ids} - {None}
    wanted = [*dict.fromkeys([*room_ids, *(one for one, home in estate.building_of.items() if home in homes)])]
    temperatures = {point: one for one in wanted if (point := points.find(f"room/{one}/indoor_temp_c")) is not None}
    batteries = {point: one for one in wanted if (point := points.find(f"room/{one}/battery_pct")) is not None}
    ids = [*temperatures, *batteries]
    span = (from_ms - DAY_MS - AROUND_MS, to_ms + AROUND_MS)
    try:
        readings = read_readings(history, journal, ids, *span)
    except StoreError:  # the history is down: the journal still has the last days
        readings = journal.read_measured(0, ids, *span)
    offsets = {point: site.rooms[one].offset_k if one in site.rooms else 0.0 for point, one in temperatures.items()}
    series = _by_point(readings, ids, offsets)
    return RoomEvidence(
        site, estate, {one: series[point] for point, one in temperatures.items()}, {one: series[point] for point, one in batteries.items()}
    )


def _by_point(readings: Readings, ids: list[int], offset_k: Mapping[int, float]) -> dict[int, PointSeries]:
    row = {point: index for index, point in enumerate(ids)}
    rows = np.array([row[point] for point in readings.point.tolist()], np.int64)
    series = clean_series(rows, readings, np.array([offset_k.get(point, 0.0) for point in ids]))
    bounds = list(zip(series.starts[:-1].tolist(), series.starts[1:].tolist(), strict=True))
    return {point: PointSeries(series.at[low:high], series.value[low:high]) for point, (low, high) in zip(ids, bounds, strict=True)}

"""What the readings say around a room's alarm: doubts about its sensor, and the evidence a complaint carries (R6)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from math import isnan
from typing import Any

import numpy as np

from compliance.complaint import Estate
from compliance.heat import PointSeries
from compliance.sensor import sensor_suspicion
from compliance.series import clean_series
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
OUTDOOR_STANDS_MS = 60 * 60_000  # weather is slow
NONE = PointSeries(np.empty(0, np.int64), np.empty(0, np.float64))

StationStates = Mapping[str, Mapping[str, Any]]  # station → its heat, comm, data and open outage, as they are known now


class RoomEvidence:
    """The readings of the buildings of some rooms around one instant, read once for all of them."""

    def __init__(
        self,
        site: Site,
        estate: Estate,
        series: Mapping[str, PointSeries],
        batteries: Mapping[str, PointSeries],
        outdoor: Mapping[str, PointSeries],
        stations: StationStates,
    ) -> None:
        self._site = site
        self._estate = estate
        self._series = series
        self._batteries = batteries
        self._outdoor = outdoor
        self._stations = stations
        self._held_to = cache(self._limit)
        self._neighbours: dict[str, list[str]] = {}
        for room_id in series:
            self._neighbours.setdefault(estate.building_of.get(room_id, ""), []).append(room_id)

    def suspicion(self, room_id: str, at: int) -> str | None:
        """Why the room's sensor is to be doubted, None when it is not."""
        building_id = self._estate.building_of.get(room_id)
        battery = self._batteries.get(room_id)
        if building_id is None:
            return sensor_suspicion(at, NONE, (), battery)
        others = [self._series.get(one, NONE) for one in self._neighbours.get(building_id, ()) if one != room_id]
        return sensor_suspicion(at, self._series.get(room_id, NONE), others, battery)

    def of_room(self, room_id: str, at: int) -> dict[str, Any]:
        """The 24 h before ``at``: readings as [UTC ms, °C], lowest and last value; limit and policy version, station, outdoors."""
        own = self._series.get(room_id, NONE)
        rows = slice(int(np.searchsorted(own.at, at - DAY_MS)), int(np.searchsorted(own.at, at, "right")))
        readings = [[int(instant), round(float(value), 3)] for instant, value in zip(own.at[rows], own.value[rows], strict=True)]
        values = [value for _, value in readings]
        room = self._site.rooms.get(room_id)
        return {
            "from": iso(at - DAY_MS, self._site.timezone),
            "to": iso(at, self._site.timezone),
            **self.around(self._estate.station_of.get(room_id), room.table if room else "residential", at),
            "offset_k": room.offset_k if room else 0.0,
            "min_c": min(values, default=None),
            "last_c": values[-1] if values else None,
            "readings": readings,
        }

    def around(self, station_id: str | None, table: str, at: int) -> dict[str, Any]:
        """What held at ``at`` whatever the room: limit (null where nothing is judged), policy and its version, station, outdoors."""
        policy = self._site.policy
        outdoor = self._outdoor.get(station_id or "", NONE)
        last = int(np.searchsorted(outdoor.at, at, "right")) - 1
        known = last >= 0 and outdoor.at[last] > at - OUTDOOR_STANDS_MS
        limit_c, valid_from = self._held_to(table, at)
        return {
            "limit_c": limit_c,
            "policy": policy.name,
            "policy_valid_from": valid_from,
            "policy_sha256": policy.sha256,
            "station_id": station_id,
            "station": dict(self._stations.get(station_id or "", {})),
            "outdoor_c": round(float(outdoor.value[last]), 1) if known else None,
        }

    def _limit(self, table: str, at: int) -> tuple[float | None, str | None]:
        zone, policy = self._site.timezone, self._site.policy
        version = policy.version_at(datetime.fromtimestamp(at / 1000, zone).date())
        if version is None or table not in version.schedules:
            return None, None
        limit_c = float(policy.timeline(table, zone, at, at + 1).limit_c[0])
        return None if isnan(limit_c) else limit_c, version.valid_from.isoformat()


def gather(
    site: Site,
    estate: Estate,
    stores: tuple[History, Journal, PointRegistry],
    room_ids: Iterable[str],
    span: tuple[int, int],
    stations: StationStates,
) -> RoomEvidence:
    """Reads what is needed to judge and document these rooms over the span [from, to]: all rooms of their buildings, and the weather."""
    history, journal, points = stores
    room_ids = list(room_ids)
    homes = {estate.building_of.get(room_id) for room_id in room_ids} - {None}
    wanted = [*dict.fromkeys([*room_ids, *(one for one, home in estate.building_of.items() if home in homes)])]
    temperatures = {point: one for one in wanted if (point := points.find(f"room/{one}/indoor_temp_c")) is not None}
    batteries = {point: one for one in wanted if (point := points.find(f"room/{one}/battery_pct")) is not None}
    fed_by = dict.fromkeys(estate.station_of[one] for one in wanted if one in estate.station_of) | dict.fromkeys(stations)
    weather = {point: one for one in fed_by if (point := points.find(f"station/{one}/outdoor_temp_c")) is not None}
    ids = [*temperatures, *batteries, *weather]
    wide = (span[0] - DAY_MS - AROUND_MS, span[1] + AROUND_MS)
    try:
        readings = read_readings(history, journal, ids, *wide)
    except StoreError:  # the history is down: the journal still has the last days
        readings = journal.read_measured(0, ids, *wide)
    offsets = {point: site.rooms[one].offset_k if one in site.rooms else 0.0 for point, one in temperatures.items()}
    series = _by_point(readings, ids, offsets)
    of_rooms, of_batteries, outdoor = ({one: series[point] for point, one in group.items()} for group in (temperatures, batteries, weather))
    return RoomEvidence(site, estate, of_rooms, of_batteries, outdoor, stations)


def _by_point(readings: Readings, ids: list[int], offset_k: Mapping[int, float]) -> dict[int, PointSeries]:
    row = {point: index for index, point in enumerate(ids)}
    rows = np.array([row[point] for point in readings.point.tolist()], np.int64)
    series = clean_series(rows, readings, np.array([offset_k.get(point, 0.0) for point in ids]))
    bounds = list(zip(series.starts[:-1].tolist(), series.starts[1:].tolist(), strict=True))
    return {point: PointSeries(series.at[low:high], series.value[low:high]) for point, (low, high) in zip(ids, bounds, strict=True)}

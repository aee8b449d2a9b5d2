"""The live pass over stations: which readings are whose, which stations to judge; the lines to their devices."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from compliance.comm_line import CommState
from compliance.heat import PointSeries, StationRules
from compliance.station_state import StationState
from compliance.station_tails import Tail
from compliance.verdict import FOREVER_MS
from domain.curve import FiledCurve
from domain.reading import Readings
from domain.site import Site, Station

HORIZON_MS = 3 * 86_400_000


class StationBook:
    """All stations' states; points of stations and of the devices' health records are taken by id."""

    def __init__(self, site: Site, start_ms: int) -> None:
        self.site = site
        self.hold_ms = round(site.station_hold_min * 60_000)
        self.stations = {station.station_id: self._fresh(station, start_ms) for station in site.stations.values()}
        self.comm: dict[str, CommState] = {device_id: CommState() for device_id in site.devices}
        self.seasons: list[tuple[int, int]] = []
        self.covered_to = 0
        self.too_late = 0

    def _fresh(self, station: Station, start_ms: int) -> StationState:
        curves = self.site.curves.get(station.station_id, ())
        rules = StationRules(station.design_flow_m3h, curves, self.hold_ms, self.site.timezone)
        return StationState(station.station_id, rules, checkpoint_at=start_ms, judged_to=start_ms)

    def refile(self, curves: Mapping[str, Sequence[FiledCurve]]) -> None:
        """Takes other filed curves by station, for what is judged from now on."""
        for station_id, state in self.stations.items():
            state.rules = replace(state.rules, curves=curves.get(station_id, ()))

    def measure(self, station_id: str, quantity: str) -> None:
        """Notes that a device of the station has this quantity, with or without readings (R4)."""
        if station_id in self.stations:
            self.stations[station_id].tails.setdefault(quantity, Tail())

    def advance(self, readings: Readings, subjects: Mapping[int, tuple[str, str]], now_ms: int) -> list[str]:
        """Takes new readings and judges to ``now_ms``; ``subjects`` names station or device and quantity by point id.

        Returns the ids of the stations judged.
        """
        if now_ms >= self.covered_to - HORIZON_MS // 3:
            start_ms = min((one.checkpoint_at for one in self.stations.values()), default=now_ms)
            self.covered_to = now_ms + HORIZON_MS
            self.seasons = self.site.policy.seasons(self.site.timezone, start_ms, self.covered_to)
        earliest = self._take(readings, subjects)
        judged = []
        for station_id, state in self.stations.items():
            from_ms = earliest.get(station_id)
            if from_ms is not None or state.due <= now_ms or state.outages:
                state.advance(self.seasons, self.site.planned_stops, now_ms if from_ms is None else from_ms, now_ms)
                judged.append(station_id)
        return judged

    def _take(self, readings: Readings, subjects: Mapping[int, tuple[str, str]]) -> dict[str, int]:
        """Adds the readings to their tails; returns the earliest new instant by station."""
        earliest: dict[str, int] = {}
        if not len(readings):
            return earliest
        order = np.argsort(readings.point, kind="stable")
        sorted_by_point = readings.take(order)
        points, starts = np.unique(sorted_by_point.point, return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        for point, start, end in zip(points.tolist(), starts.tolist(), ends, strict=True):
            subject, quantity = subjects.get(point, ("", ""))
            if subject in self.stations:
                from_ms, too_late = self.stations[subject].take(quantity, sorted_by_point.take(slice(start, end)))
                self.too_late += too_late
                if from_ms is not None:
                    earliest[subject] = min(earliest.get(subject, FOREVER_MS), from_ms)
            elif quantity == "exchange_ok" and subject in self.comm:
                self.comm[subject].take(sorted_by_point.measured_at[start:end], sorted_by_point.value[start:end])
        return earliest

    def late(self) -> list[str]:
        """The stations with readings that came too late for the pass: their stored readings must be judged again (R4)."""
        return [station_id for station_id, state in self.stations.items() if state.late_from is not None]

    def rejudge(self, station_id: str, series: Mapping[str, PointSeries]) -> None:
        """Judges a station again from the checkpoint before its late readings on."""
        state = self.stations[station_id]
        seasons = self.site.policy.seasons(self.site.timezone, state.checkpoint_before(state.late_from or 0), state.judged_to)
        state.rejudge(series, seasons, self.site.planned_stops)

    def comm_of(self, station_id: str, now_ms: int) -> tuple[str, int | None]:
        """``ok``, ``degraded`` or ``lost`` over the station's devices (the worst counts), and since when it is lost."""
        lines = [self.comm[device.device_id] for device in self.site.devices.values() if device.station_id == station_id]
        lost = [since for line in lines if (since := line.lost_since(now_ms)) is not None]
        if lost:
            return "lost", min(lost)
        return ("degraded", None) if any(line.failed for line in lines) else ("ok", None)

    def data_of(self, station_id: str, now_ms: int) -> str:
        """``good``, ``suspect`` or ``bad``: the worst quality among readings that stand or would stand now."""
        state = self.stations[station_id]
        if state.bad_at > now_ms - self.hold_ms:
            return "bad"
        return "suspect" if state.suspect_at > now_ms - self.hold_ms else "good"

    def dump(self) -> bytes:
        """Everything a restart needs, to be stored with the journal's cursor."""
        stations = {station_id: state.dump() for station_id, state in self.stations.items()}
        return json.dumps({"stations": stations, "comm": {name: asdict(line) for name, line in self.comm.items()}}).encode()

    def restore(self, dumped: bytes) -> None:
        """Takes up what was dumped, for the stations and devices that are still there."""
        kept = json.loads(dumped)
        for station_id, one in kept["stations"].items():
            if station_id in self.stations:
                self.stations[station_id].restore(one)
        for name, line in kept["comm"].items():
            if name in self.comm:
                self.comm[name] = CommState(**line)
        self.covered_to = 0

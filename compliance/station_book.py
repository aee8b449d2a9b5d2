"""The live pass over stations: recent readings, heat runs and outage timers of every station, advanced to now.

new readings ─▶ heat runs from the earliest new instant on ─▶ outages since the checkpoint
                                    ▲
                checkpoint: the outage timer before the oldest kept run
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from compliance.adherence import KeepingTimer, Turn, curve_runs, curve_turns, water_runs, water_turns
from compliance.heat import Heat, PointSeries, Runs, StationRules, curve_target_c, heat_runs
from compliance.kernel import F64, I64
from compliance.outage import Outage, StopTimer, station_outages
from compliance.verdict import FOREVER_MS
from domain.curve import FiledCurve
from domain.reading import FIRST_BAD, Readings
from domain.site import PlannedStop, Site, Station

WINDOW_MS = 3_600_000  # late readings up to this age change heat and outages
RUNS_MS = 86_400_000
HORIZON_MS = 3 * 86_400_000
COMM_POLLS = 3
COMM_AT_LEAST_MS = 60_000


class Tail:
    """The recent good readings of one point, in order of time; of two at one instant the one received last stays."""

    def __init__(self) -> None:
        self.at: I64 = np.empty(0, np.int64)
        self.received: I64 = np.empty(0, np.int64)
        self.value: F64 = np.empty(0, np.float64)

    def add(self, at: I64, received: I64, value: F64) -> None:
        """Takes readings in order of arrival."""
        in_order = len(at) < 2 or bool(np.all(at[1:] > at[:-1]))
        if in_order and (not len(self.at) or at[0] > self.at[-1]):
            self.at, self.received = np.concatenate([self.at, at]), np.concatenate([self.received, received])
            self.value = np.concatenate([self.value, value])
            return
        at, received, value = np.concatenate([self.at, at]), np.concatenate([self.received, received]), np.concatenate([self.value, value])
        order = np.lexsort((received, at))
        order = order[np.append(at[order][1:] != at[order][:-1], True)]
        self.at, self.received, self.value = at[order], received[order], value[order]

    def drop_before(self, instant_ms: int) -> None:
        """Keeps what is younger, and the newest reading in any case."""
        low = min(int(np.searchsorted(self.at, instant_ms)), len(self.at) - 1)
        if low > 0:
            self.at, self.received, self.value = self.at[low:], self.received[low:], self.value[low:]

    @property
    def series(self) -> PointSeries:
        """The readings as the rules take them."""
        return PointSeries(self.at, self.value)


@dataclass
class RunTail:
    """The runs of one state since the checkpoint, the end of which is judged again as readings come in."""

    at: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)

    def replace_from(self, from_ms: int, runs: Runs) -> None:
        """Forgets what began at or after ``from_ms`` and puts the runs judged anew in its place."""
        keep = bisect_left(self.at, from_ms)
        del self.at[keep:], self.state[keep:]
        for at, state in zip(runs.at.tolist(), runs.state.tolist(), strict=True):
            if not self.state or self.state[-1] != state:
                self.at.append(at)
                self.state.append(state)

    def until(self, until_ms: int) -> Runs:
        """The runs up to ``until_ms``."""
        keep = bisect_left(self.at, until_ms)
        return Runs(np.array(self.at[:keep], np.int64), np.array(self.state[:keep], np.int8), until_ms)

    def settle(self, before_ms: int) -> None:
        """Drops what lies before ``before_ms``."""
        keep = bisect_right(self.at, before_ms) - 1
        if keep >= 0:
            self.at = [before_ms, *self.at[keep + 1 :]]
            self.state = self.state[keep:]


@dataclass
class Timers:
    """The state of every rule over a station's runs at one instant."""

    stop: StopTimer = field(default_factory=StopTimer)
    curve: KeepingTimer = field(default_factory=KeepingTimer)
    water: KeepingTimer = field(default_factory=KeepingTimer)


@dataclass
class StationState:
    """One station: its points' tails by quantity, its runs since the checkpoint, and what the rules make of them."""

    station_id: str
    rules: StationRules
    checkpoint_at: int
    judged_to: int
    tails: dict[str, Tail] = field(default_factory=dict)
    heat_runs: RunTail = field(default_factory=RunTail)
    curve_runs: RunTail = field(default_factory=RunTail)
    water_runs: RunTail = field(default_factory=RunTail)
    timers: Timers = field(default_factory=Timers)
    outages: list[Outage] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    kept_from: int = 0  # from here on the tails are complete
    due: int = 0
    suspect_at: int = -1
    bad_at: int = -1

    def advance(self, seasons: Sequence[tuple[int, int]], planned: Sequence[PlannedStop], from_ms: int, now_ms: int) -> None:
        """Judges again from the instant of the earliest new reading to ``now_ms`` inclusive."""
        from_ms = max(self.checkpoint_at, min(from_ms, self.judged_to))
        series = {name: tail.series for name, tail in self.tails.items()}
        heat = heat_runs(series, self.rules, seasons, from_ms, now_ms + 1)
        self.heat_runs.replace_from(from_ms, heat)
        self.curve_runs.replace_from(from_ms, curve_runs(series, self.rules, heat))
        self.water_runs.replace_from(from_ms, water_runs(series, self.rules, seasons, from_ms, now_ms + 1))
        self.judged_to = now_ms + 1
        self.due = self._due(now_ms)
        if self.checkpoint_at < now_ms - 2 * RUNS_MS:
            self._settle(planned, now_ms - RUNS_MS)
        if self.kept_from < now_ms - 2 * WINDOW_MS:
            self.kept_from = now_ms - WINDOW_MS
            for tail in self.tails.values():
                tail.drop_before(self.kept_from)
        self.outages, self.turns = self._fold(planned, deepcopy(self.timers), self.judged_to)

    def _fold(self, planned: Sequence[PlannedStop], timers: Timers, until_ms: int) -> tuple[list[Outage], list[Turn]]:
        outages = station_outages(self.station_id, self.heat_runs.until(until_ms), planned, timers.stop)
        turns = curve_turns(self.curve_runs.until(until_ms), timers.curve) + water_turns(self.water_runs.until(until_ms), timers.water)
        return outages, turns

    def _due(self, now_ms: int) -> int:
        """When a stand ends next."""
        hold_ms = self.rules.hold_ms
        ends = [int(tail.at[-1]) + hold_ms for tail in self.tails.values() if len(tail.at) and tail.at[-1] + hold_ms > now_ms]
        return min(ends, default=FOREVER_MS)

    def _settle(self, planned: Sequence[PlannedStop], before_ms: int) -> None:
        """Folds the runs before ``before_ms`` into the timers."""
        self._fold(planned, self.timers, before_ms)
        for runs in (self.heat_runs, self.curve_runs, self.water_runs):
            runs.settle(before_ms)
        self.checkpoint_at = before_ms

    @property
    def heat(self) -> tuple[Heat, int]:
        """The heat state now and since when (UTC ms)."""
        runs = self.heat_runs
        return (Heat(runs.state[-1]), runs.at[-1]) if runs.state else (Heat.UNKNOWN, self.checkpoint_at)

    def standing(self, quantity: str, now_ms: int) -> float:
        """The value standing now, NaN when none does."""
        tail = self.tails.get(quantity)
        if tail is None or not len(tail.at):
            return float("nan")
        index = int(np.searchsorted(tail.at, now_ms, "right")) - 1
        return float(tail.value[index]) if index >= 0 and now_ms < tail.at[index] + self.rules.hold_ms else float("nan")

    def target_c(self, now_ms: int) -> float:
        """The filed curve's target now in °C, NaN when it is not known."""
        outdoor = np.array([self.standing("outdoor_temp_c", now_ms)])
        return float(curve_target_c(outdoor, self.rules, np.array([now_ms]))[0][0])


@dataclass
class CommState:
    """The line to one device: when an exchange last succeeded, and how the last polls went.

    Only polls made count: a collector that is late or stopped says nothing about the line.
    """

    last_ok_at: int = -1
    first_poll_at: int = -1
    failed: int = 0  # polls on end without an exchange
    third_failed_at: int = -1

    def take(self, at: I64, ok: F64) -> None:
        """Takes polls in order of arrival."""
        for instant, succeeded in zip(at.tolist(), (ok > 0).tolist(), strict=True):
            if self.first_poll_at < 0:
                self.first_poll_at = instant
            if succeeded:
                self.last_ok_at, self.failed = instant, 0
            else:
                self.failed += 1
                if self.failed == COMM_POLLS:
                    self.third_failed_at = instant

    def lost_since(self, now_ms: int) -> int | None:
        """Since when the line is lost, None while it is up or was never tried: no successful exchange for 3 polls, at least 60 s (R4)."""
        if self.failed < COMM_POLLS:
            return None
        since_ms = self.last_ok_at if self.last_ok_at >= 0 else self.first_poll_at
        lost_at = max(self.third_failed_at, since_ms + COMM_AT_LEAST_MS)
        return lost_at if lost_at <= now_ms else None


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
                self._take_point(self.stations[subject], quantity, sorted_by_point.take(slice(start, end)), earliest)
            elif quantity == "exchange_ok" and subject in self.comm:
                self.comm[subject].take(sorted_by_point.measured_at[start:end], sorted_by_point.value[start:end])
        return earliest

    def _take_point(self, state: StationState, quantity: str, readings: Readings, earliest: dict[str, int]) -> None:
        suspect = (readings.quality > 0) & (readings.quality < FIRST_BAD)
        state.suspect_at = max(state.suspect_at, int(readings.measured_at[suspect].max(initial=-1)))
        state.bad_at = max(state.bad_at, int(readings.measured_at[readings.quality >= FIRST_BAD].max(initial=-1)))
        usable = readings.usable()
        late = usable.measured_at < max(state.checkpoint_at, state.kept_from + self.hold_ms)
        self.too_late += int(late.sum())
        fresh = usable.take(~late)
        tail = state.tails.setdefault(quantity, Tail())
        if not len(fresh):
            return
        tail.add(fresh.measured_at, fresh.received_at, fresh.value)
        earliest[state.station_id] = min(earliest.get(state.station_id, FOREVER_MS), int(fresh.measured_at.min()))

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

    def outages(self) -> list[Outage]:
        """The outages of all stations since their checkpoints."""
        return [outage for state in self.stations.values() for outage in state.outages]

    def dump(self) -> bytes:
        """Everything a restart needs, to be stored with the journal's cursor."""
        stations = {
            state.station_id: {
                "tails": {name: [tail.at.tolist(), tail.received.tolist(), tail.value.tolist()] for name, tail in state.tails.items()},
                "runs": [asdict(runs) for runs in (state.heat_runs, state.curve_runs, state.water_runs)],
                "checkpoint_at": state.checkpoint_at,
                "timers": asdict(state.timers),
                "judged_to": state.judged_to,
                "kept_from": state.kept_from,
            }
            for state in self.stations.values()
        }
        return json.dumps({"stations": stations, "comm": {name: asdict(line) for name, line in self.comm.items()}}).encode()

    def restore(self, dumped: bytes) -> None:
        """Takes up what was dumped, for the stations and devices that are still there."""
        kept = json.loads(dumped)
        for station_id, one in kept["stations"].items():
            state = self.stations.get(station_id)
            if state is None:
                continue
            for name, (at, received, value) in one["tails"].items():
                state.tails.setdefault(name, Tail()).add(np.array(at, np.int64), np.array(received, np.int64), np.array(value, np.float64))
            state.checkpoint_at, state.judged_to, state.kept_from = one["checkpoint_at"], one["judged_to"], one["kept_from"]
            state.heat_runs, state.curve_runs, state.water_runs = (RunTail(**runs) for runs in one["runs"])
            timers = one["timers"]
            state.timers = Timers(_stop_timer(timers["stop"]), KeepingTimer(**timers["curve"]), KeepingTimer(**timers["water"]))
        for name, line in kept["comm"].items():
            if name in self.comm:
                self.comm[name] = CommState(**line)
        self.covered_to = 0


def _stop_timer(kept: dict[str, object]) -> StopTimer:
    timer = StopTimer(**{name: value for name, value in kept.items() if name not in ("current", "supplies")})  # type: ignore[arg-type]
    current = kept["current"]
    if isinstance(current, dict):
        timer.current = Outage(**{**current, "supplies": tuple(tuple(span) for span in current["supplies"])})
    supplies = kept["supplies"]
    assert isinstance(supplies, list)
    timer.supplies = [(int(start), int(stop)) for start, stop in supplies]
    return timer

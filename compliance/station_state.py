"""The live pass over one station: its readings' tails, its runs since the checkpoint, the outages and turns the rules make of them.

    new readings ─▶ runs from the earliest new instant on ─▶ outages and turns since the checkpoint
                                 ▲                                          │ a day later: past
             checkpoint: the timers before the oldest kept run ◀────────────┘ earlier checkpoints, a day or a week apart
                                 ▲
    readings older than the tails ── stored readings from the checkpoint before them on

What a pass finds does not depend on how passes were spread, nor on how late readings came.
"""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from compliance.adherence import KeepingTimer, Turn, curve_runs, curve_turns, water_runs, water_turns
from compliance.heat import Heat, PointSeries, StationRules, curve_target_c, heat_runs
from compliance.outage import Outage, StopTimer, station_outages
from compliance.station_tails import RunTail, Tail
from compliance.verdict import FOREVER_MS
from domain.reading import FIRST_BAD, Readings
from domain.site import PlannedStop

WINDOW_MS = 3_600_000  # readings up to this age are judged in the pass; for older ones the stored readings are read again
DAY_MS = 86_400_000
RUNS_MS = DAY_MS
DAILY = 8  # so many checkpoints a day apart: what late readings need as a rule
WEEK_MS = 7 * DAY_MS
SEASON_MS = 200 * DAY_MS  # and so far back a week apart

Seasons = Sequence[tuple[int, int]]


@dataclass
class Timers:
    """The state of every rule over a station's runs at one instant."""

    stop: StopTimer = field(default_factory=StopTimer)
    curve: KeepingTimer = field(default_factory=KeepingTimer)
    water: KeepingTimer = field(default_factory=KeepingTimer)

    def dump(self) -> str:
        """What differs from the state before everything, as JSON: nearly always little."""
        plain = asdict(Timers())
        return json.dumps(
            {
                rule: {name: value for name, value in timer.items() if value != plain[rule][name]}
                for rule, timer in asdict(self).items()
                if timer != plain[rule]
            }
        )

    @classmethod
    def load(cls, dumped: str) -> Self:
        """What was dumped."""
        kept = json.loads(dumped)
        stop = kept.get("stop", {})
        if stop.get("current"):
            stop["current"] = load_outage(stop["current"])
        if "supplies" in stop:
            stop["supplies"] = [(start, end) for start, end in stop["supplies"]]
        return cls(StopTimer(**stop), KeepingTimer(**kept.get("curve", {})), KeepingTimer(**kept.get("water", {})))


def load_outage(kept: Mapping[str, Any]) -> Outage:
    """An outage that was dumped as JSON."""
    return Outage(**{**kept, "supplies": tuple((start, stop) for start, stop in kept["supplies"])})


@dataclass
class StationState:
    """One station. ``past`` holds the outages that ended before the checkpoint; instants are UTC ms."""

    station_id: str
    rules: StationRules
    checkpoint_at: int
    judged_to: int
    tails: dict[str, Tail] = field(default_factory=dict)
    heat_runs: RunTail = field(default_factory=RunTail)
    curve_runs: RunTail = field(default_factory=RunTail)
    water_runs: RunTail = field(default_factory=RunTail)
    timers: Timers = field(default_factory=Timers)
    earlier: list[tuple[int, str]] = field(default_factory=list)  # checkpoints before this one, oldest first, their timers dumped
    past: list[Outage] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)  # those since the checkpoint
    turns: list[Turn] = field(default_factory=list)
    kept_from: int = 0  # from here on the tails are complete
    late_from: int | None = None  # the earliest reading that came too late for the tails and is not judged yet
    due: int = 0
    suspect_at: int = -1
    bad_at: int = -1

    # ── the pass ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, quantity: str, readings: Readings) -> tuple[int | None, int]:
        """Takes new readings of one point; returns the earliest instant to judge again, and how many nothing can be made of.

        Those older than the tails wait for ``rejudge``; those before everything ever judged are of no use.
        """
        suspect = (readings.quality > 0) & (readings.quality < FIRST_BAD)
        self.suspect_at = max(self.suspect_at, int(readings.measured_at[suspect].max(initial=-1)))
        self.bad_at = max(self.bad_at, int(readings.measured_at[readings.quality >= FIRST_BAD].max(initial=-1)))
        tail = self.tails.setdefault(quantity, Tail())
        usable = readings.usable()
        kept = usable.take(usable.measured_at >= max(self.kept_from, self.oldest_at))
        if len(kept):
            tail.add(kept.measured_at, kept.received_at, kept.value)
        late = usable.measured_at < max(self.checkpoint_at, self.kept_from + self.rules.hold_ms)
        reachable = usable.measured_at[late & (usable.measured_at >= self.oldest_at)]
        if len(reachable):
            self.late_from = min(self.late_from or FOREVER_MS, int(reachable.min()))
        fresh = usable.measured_at[~late]
        return int(fresh.min()) if len(fresh) else None, int(late.sum()) - len(reachable)

    def advance(self, seasons: Seasons, planned: Sequence[PlannedStop], from_ms: int, now_ms: int) -> None:
        """Judges again from the instant of the earliest new reading to ``now_ms`` inclusive."""
        self.settle(planned)
        from_ms = max(self.checkpoint_at, min(from_ms, self.judged_to))
        self._judge({name: tail.series for name, tail in self.tails.items()}, seasons, from_ms, now_ms + 1)
        self.due = self._due(now_ms)
        if self.kept_from < now_ms - 2 * WINDOW_MS:
            self.kept_from = now_ms - WINDOW_MS
            for tail in self.tails.values():
                tail.drop_before(self.kept_from)
        self.outages, self.turns = self._fold(planned, deepcopy(self.timers), self.judged_to)

    def _judge(self, series: Mapping[str, PointSeries], seasons: Seasons, from_ms: int, to_ms: int) -> None:
        heat = heat_runs(series, self.rules, seasons, from_ms, to_ms)
        self.heat_runs.replace_from(from_ms, heat)
        self.curve_runs.replace_from(from_ms, curve_runs(series, self.rules, heat))
        self.water_runs.replace_from(from_ms, water_runs(series, self.rules, seasons, from_ms, to_ms))
        self.judged_to = to_ms

    def _fold(self, planned: Sequence[PlannedStop], timers: Timers, until_ms: int) -> tuple[list[Outage], list[Turn]]:
        outages = station_outages(self.station_id, self.heat_runs.until(until_ms), planned, timers.stop)
        turns = curve_turns(self.curve_runs.until(until_ms), timers.curve) + water_turns(self.water_runs.until(until_ms), timers.water)
        return outages, turns

    def _due(self, now_ms: int) -> int:
        """When a stand ends next, or a reading begins that a device dated into the future."""
        due = FOREVER_MS
        for tail in self.tails.values():
            later = int(np.searchsorted(tail.at, now_ms, "right"))
            if later < len(tail.at):
                due = min(due, int(tail.at[later]))
            if later and tail.at[later - 1] + self.rules.hold_ms > now_ms:
                due = min(due, int(tail.at[later - 1]) + self.rules.hold_ms)
        return due

    # ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def oldest_at(self) -> int:
        """The oldest checkpoint: readings before it can't be judged any more."""
        return self.earlier[0][0] if self.earlier else self.checkpoint_at

    def settle(self, planned: Sequence[PlannedStop]) -> None:
        """Folds into the timers what passes before this one judged and recorded, but for the last day."""
        if self.checkpoint_at >= self.judged_to - 2 * RUNS_MS:
            return
        self.earlier = _thinned([*self.earlier, (self.checkpoint_at, self.timers.dump())], self.judged_to)
        before_ms = self.judged_to - RUNS_MS
        outages, _ = self._fold(planned, self.timers, before_ms)
        ended = [*self.past, *(one for one in outages if one.ended_seen_at is not None)]
        self.past = [one for one in ended if _ended_after(one, before_ms - SEASON_MS)]
        for runs in (self.heat_runs, self.curve_runs, self.water_runs):
            runs.settle(before_ms)
        self.checkpoint_at = before_ms

    def checkpoint_before(self, instant_ms: int) -> int:
        """The last checkpoint not after an instant, else the oldest."""
        return max((at for at, _ in [*self.earlier, (self.checkpoint_at, "")] if at <= instant_ms), default=self.oldest_at)

    def rejudge(self, series: Mapping[str, PointSeries], seasons: Seasons, planned: Sequence[PlannedStop]) -> None:
        """Judges again from the checkpoint before the late readings on, over stored readings of every measured quantity."""
        late_from = self.judged_to if self.late_from is None else self.late_from
        while self.earlier and self.checkpoint_at > late_from:
            self.checkpoint_at, dumped = self.earlier.pop()
            self.timers = Timers.load(dumped)
        self.past = [one for one in self.past if not _ended_after(one, self.checkpoint_at)]
        self.heat_runs, self.curve_runs, self.water_runs = RunTail(), RunTail(), RunTail()
        self._judge(series, seasons, self.checkpoint_at, self.judged_to)
        self.outages, self.turns = self._fold(planned, deepcopy(self.timers), self.judged_to)
        self.late_from = None

    # ── what holds now ────────────────────────────────────────────────────────────────────────────────────────────────

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

    def outages_after(self, instant_ms: int) -> list[Outage]:
        """The outages that are open or ended after an instant."""
        return [one for one in [*self.past, *self.outages] if _ended_after(one, instant_ms)]

    # ── restarts ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def dump(self) -> dict[str, Any]:
        """Everything a restart needs, as JSON can hold it."""
        return {
            "tails": {name: [tail.at.tolist(), tail.received.tolist(), tail.value.tolist()] for name, tail in self.tails.items()},
            "runs": [asdict(runs) for runs in (self.heat_runs, self.curve_runs, self.water_runs)],
            "checkpoint_at": self.checkpoint_at,
            "timers": self.timers.dump(),
            "earlier": self.earlier,
            "past": [asdict(one) for one in self.past],
            "judged_to": self.judged_to,
            "kept_from": self.kept_from,
            "late_from": self.late_from,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Takes up what was dumped."""
        for name, (at, received, value) in kept["tails"].items():
            self.tails.setdefault(name, Tail()).add(np.array(at, np.int64), np.array(received, np.int64), np.array(value, np.float64))
        self.checkpoint_at, self.judged_to = kept["checkpoint_at"], kept["judged_to"]
        self.kept_from, self.late_from = kept["kept_from"], kept["late_from"]
        self.heat_runs, self.curve_runs, self.water_runs = (RunTail(**runs) for runs in kept["runs"])
        self.timers = Timers.load(kept["timers"])
        self.earlier = [(at, timers) for at, timers in kept["earlier"]]
        self.past = [load_outage(one) for one in kept["past"]]


def _ended_after(outage: Outage, instant_ms: int) -> bool:
    return outage.ended_seen_at is None or outage.ended_seen_at > instant_ms


def _thinned(checkpoints: Sequence[tuple[int, str]], now_ms: int) -> list[tuple[int, str]]:
    """The newest of them, and of the older ones one a week."""
    kept: list[tuple[int, str]] = []
    for at, timers in checkpoints[:-DAILY]:
        if at >= now_ms - SEASON_MS and (not kept or at - kept[-1][0] >= WEEK_MS):
            kept.append((at, timers))
    return [*kept, *checkpoints[-DAILY:]]

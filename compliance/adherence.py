"""Whether a station keeps to its filed curve, and how much water it loses (R9).

    |supply − target(outdoor)| > 2 K for 30 min on end, while supplying ──▶ curve.off ──first instant back──▶ curve.on
    make-up > 1 % of circulation ──▶ water.high ──for 6 h──▶ water.escalated;  at or below 1 % ──▶ water.normal

Only standing values count. Time that does not count ends a run off the curve (it must be on end), and freezes the six hours of water.
The end of the season ends both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from compliance.heat import (
    Heat,
    PointSeries,
    Runs,
    StationRules,
    as_runs,
    boundaries,
    curve_target_c,
    in_order,
    inside,
    standing_values,
)
from compliance.verdict import AT_LIMIT_K

TOLERANCE_K = 2.0
OFF_AFTER_MS = 30 * 60_000
WATER_SHARE = 0.01
ESCALATE_AFTER_MS = 6 * 3_600_000


class Keeping(IntEnum):
    """Whether a station keeps to what it should."""

    UNJUDGED = 0
    NOT_COUNTED = 1
    WELL = 2
    BADLY = 3


@dataclass(frozen=True)
class Turn:
    """Something began or ended: its name, as in the events of ``replay``, its instant (UTC ms), and why."""

    at: int
    event: str
    reason: str = ""


@dataclass
class KeepingTimer:
    """Where the rule stands between two runs."""

    since: int | None = None
    badly_ms: int = 0
    raised: bool = False
    escalated: bool = False


def curve_runs(series: Mapping[str, PointSeries], rules: StationRules, heat: Runs) -> Runs:
    """Whether the station is on its curve, over the time of its heat runs; empty where it can't be asked."""
    supply, outdoor = series.get("secondary_supply_temp_c"), series.get("outdoor_temp_c")
    if supply is None or outdoor is None or not rules.curves or not len(heat.at):
        return Runs(np.empty(0, np.int64), np.empty(0, np.int8), heat.until)
    edges = boundaries((supply, outdoor), rules, (), int(heat.at[0]), heat.until)
    grid = in_order([edges, heat.at])
    state = heat.state[np.searchsorted(heat.at, grid, "right") - 1]
    target_c, _ = curve_target_c(standing_values(outdoor, grid, rules.hold_ms), rules, grid)
    deviation_k = np.abs(standing_values(supply, grid, rules.hold_ms) - target_c)
    counted = (state == Heat.SUPPLYING) & ~np.isnan(deviation_k)
    keeping = np.where(deviation_k > TOLERANCE_K + AT_LIMIT_K, Keeping.BADLY, Keeping.WELL)
    keeping = np.where(counted, keeping, Keeping.NOT_COUNTED)
    return as_runs(grid, np.where(state == Heat.UNJUDGED, Keeping.UNJUDGED, keeping).astype(np.int8), heat.until)


def water_runs(
    series: Mapping[str, PointSeries], rules: StationRules, seasons: Sequence[tuple[int, int]], from_ms: int, to_ms: int
) -> Runs:
    """Whether the make-up rate is at most 1 %; empty where make-up or circulation flow is not measured.

    Without circulation there is no rate: that time does not count.
    """
    makeup, flow = series.get("makeup_flow_m3h"), series.get("secondary_flow_m3h")
    if makeup is None or flow is None:
        return Runs(np.empty(0, np.int64), np.empty(0, np.int8), to_ms)
    grid = boundaries((makeup, flow), rules, seasons, from_ms, to_ms)
    lost, circulating = (standing_values(one, grid, rules.hold_ms) for one in (makeup, flow))
    counted = ~np.isnan(lost) & (circulating > 0)
    keeping = np.where(lost > WATER_SHARE * circulating + AT_LIMIT_K, Keeping.BADLY, Keeping.WELL)
    keeping = np.where(counted, keeping, Keeping.NOT_COUNTED)
    return as_runs(grid, np.where(inside(grid, seasons), keeping, Keeping.UNJUDGED).astype(np.int8), to_ms)


def curve_turns(runs: Runs, timer: KeepingTimer) -> list[Turn]:
    """When the station went off its curve for good, and when it was back; ``timer`` is advanced."""
    turns: list[Turn] = []
    for start, stop, keeping in _each(runs):
        if keeping is not Keeping.BADLY:
            timer.since = None
        elif timer.since is None:
            timer.since = start
        if timer.raised and keeping in (Keeping.WELL, Keeping.UNJUDGED):
            turns.append(Turn(start, "curve.on", "season_ended" if keeping is Keeping.UNJUDGED else ""))
            timer.raised = False
        elif timer.since is not None and not timer.raised and stop >= timer.since + OFF_AFTER_MS:
            turns.append(Turn(timer.since + OFF_AFTER_MS, "curve.off"))
            timer.raised = True
    return turns


def water_turns(runs: Runs, timer: KeepingTimer) -> list[Turn]:
    """When the make-up rate rose above 1 %, when that had lasted 6 h, and when it was normal again; ``timer`` is advanced."""
    turns: list[Turn] = []
    for start, stop, keeping in _each(runs):
        if keeping is Keeping.BADLY:
            if not timer.raised:
                turns.append(Turn(start, "water.high"))
                timer.raised, timer.badly_ms, timer.escalated = True, 0, False
            left_ms = ESCALATE_AFTER_MS - timer.badly_ms
            timer.badly_ms += stop - start
            if not timer.escalated and stop - start >= left_ms:
                turns.append(Turn(start + left_ms, "water.escalated"))
                timer.escalated = True
        elif timer.raised and keeping is not Keeping.NOT_COUNTED:
            turns.append(Turn(start, "water.normal", "season_ended" if keeping is Keeping.UNJUDGED else ""))
            timer.raised = False
    return turns


def told_at(turn: Turn, series: Mapping[str, PointSeries], rules: StationRules) -> tuple[float, float]:
    """What a turn for the worse was judged by, at its instant: supply and its target in °C, or the make-up rate and its limit in per cent.

    NaN where the readings of that time are not in ``series``. What had to last is read at the last instant at which it did.
    """
    at = np.array([turn.at - (turn.event != "water.high")])

    def standing(name: str) -> NDArray[np.float64]:
        return standing_values(series[name], at, rules.hold_ms) if name in series else np.full(1, np.nan)

    if turn.event == "curve.off":
        target_c, _ = curve_target_c(standing("outdoor_temp_c"), rules, at)
        return float(standing("secondary_supply_temp_c")[0]), round(float(target_c[0]), 3)
    circulating = standing("secondary_flow_m3h")
    rate = standing("makeup_flow_m3h") / np.where(circulating > 0, circulating, np.nan)
    return round(float(rate[0]) * 100, 3), WATER_SHARE * 100


_KEEPING = tuple(Keeping)  # by number: a season's hundred thousand runs a station are many calls of an enum


def _each(runs: Runs) -> list[tuple[int, int, Keeping]]:
    ends = [*runs.at[1:].tolist(), runs.until][: len(runs.at)]
    return [(start, stop, _KEEPING[state]) for start, stop, state in zip(runs.at.tolist(), ends, runs.state.tolist(), strict=True)]

"""The heat state of a station: supplying, stopped or unknown (R4). Only standing values decide.

        flow < 10 % of design, or no pump runs ──▶ (a) circulation lost ─┐
        supply − return < 1 K and supply < target − 10 K ──▶ (b) no heat ─┴─▶ stopped │ supplying │ unknown

Conditions are three-valued: what does not stand is unknown, and a term known to be false settles a conjunction. A condition
whose instrument the station does not have is left out, not guessed: without a flow meter the pumps decide (a), without pumps (a)
never holds; (b) needs supply, return, outdoor temperature and a filed curve in force. With neither, heat is unknown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import F64, I64
from compliance.verdict import AT_LIMIT_K
from domain.curve import FiledCurve, offset_edges

FLOW_SHARE = 0.10
PUMP_FREQUENCY_HZ = 5.0
SPREAD_K = 1.0
BELOW_TARGET_K = 10.0

FALSE, TRUE, OPEN = 0, 1, -1  # three-valued: OPEN is "not known"
Ternary = NDArray[np.int8]


class Heat(IntEnum):
    """Whether a station delivers heat. UNJUDGED is outside the season."""

    UNJUDGED = 0
    UNKNOWN = 1
    SUPPLYING = 2
    STOPPED = 3


@dataclass(frozen=True)
class PointSeries:
    """Good readings of one point in order: ``at`` (n,) UTC ms, ``value`` (n,)."""

    at: I64
    value: F64


@dataclass(frozen=True)
class StationRules:
    """What the rule needs to know of a station besides its readings."""

    design_flow_m3h: float | None
    curves: Sequence[FiledCurve]
    hold_ms: int
    timezone: ZoneInfo


@dataclass(frozen=True)
class Runs:
    """A state as runs: ``state[k]`` (a Heat, say) from ``at[k]`` to ``at[k + 1]``, the last one to ``until``."""

    at: I64
    state: NDArray[np.int8]
    until: int


_PUMP = re.compile(r"^pump\d*_(running|frequency_hz)$")


def needed(quantity: str) -> bool:
    """Whether the heat state depends on this quantity."""
    return quantity in _DECIDING or _PUMP.match(quantity) is not None


_DECIDING = frozenset({"secondary_flow_m3h", "secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c"})


def heat_runs(series: Mapping[str, PointSeries], rules: StationRules, seasons: Sequence[tuple[int, int]], from_ms: int, to_ms: int) -> Runs:
    """The heat state over [from_ms, to_ms).

    ``series`` holds every measured quantity of the station by name (a quantity without readings yet still counts as measured);
    ``seasons`` the spans in season.
    """
    deciding = {name: one for name, one in series.items() if needed(name)}
    grid = boundaries(deciding.values(), rules, seasons, from_ms, to_ms)
    standing = {name: standing_values(one, grid, rules.hold_ms) for name, one in deciding.items()}
    circulation_lost = _circulation_lost(standing, rules)
    no_heat = _no_heat(standing, rules, grid, before_filing=FALSE if circulation_lost is not None else OPEN)
    state = _state(circulation_lost, no_heat, len(grid))
    state[~inside(grid, seasons)] = Heat.UNJUDGED
    return as_runs(grid, state, to_ms)


def as_runs(grid: I64, state: NDArray[np.int8], until: int) -> Runs:
    """States at the instants of a grid, equal neighbours joined."""
    first = np.ones(len(grid), np.bool_)
    first[1:] = state[1:] != state[:-1]
    return Runs(grid[first], state[first], until)


def boundaries(series: Iterable[PointSeries], rules: StationRules, seasons: Sequence[tuple[int, int]], from_ms: int, to_ms: int) -> I64:
    """Every instant of [from_ms, to_ms) at which a standing value, a curve in force or the season may change."""
    edges = [np.array([from_ms], np.int64), np.array(seasons, np.int64).reshape(-1)]
    edges.append(np.array([curve.effective_from_ms for curve in rules.curves], np.int64))
    if any(any(curve.offsets_k) for curve in rules.curves):
        edges.append(offset_edges(from_ms, to_ms, rules.timezone))
    for one in series:
        low = np.searchsorted(one.at, from_ms - rules.hold_ms)
        at = one.at[low : np.searchsorted(one.at, to_ms)]
        edges.extend([at, at + rules.hold_ms])
    grid = in_order(edges)
    return grid[(grid >= from_ms) & (grid < to_ms)]


def in_order(instants: Sequence[I64]) -> I64:
    """All the instants, each once, in order of time."""
    grid = np.sort(np.concatenate(instants), kind="stable")  # 2026-11: np.unique of numpy 2.4 takes five times as long on sorted stretches
    first = np.ones(len(grid), np.bool_)
    first[1:] = grid[1:] != grid[:-1]
    return grid[first]


def standing_values(one: PointSeries, grid: I64, hold_ms: int) -> F64:
    """The value standing at each instant, NaN where none stands."""
    if not len(one.at):
        return np.full(len(grid), np.nan)
    index = np.searchsorted(one.at, grid, "right") - 1
    found = np.maximum(index, 0)
    stands = (index >= 0) & (grid < one.at[found] + hold_ms)
    return np.where(stands, one.value[found], np.nan)


def inside(grid: I64, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Whether each instant lies in one of the spans [from, to)."""
    within = np.zeros(len(grid), np.bool_)
    for start, stop in spans:
        within |= (grid >= start) & (grid < stop)
    return within


def _below(value: F64, limit: F64 | float) -> Ternary:
    """Value < limit, open where either is not known; a value within 1e-9 of the limit is at the limit."""
    known = ~(np.isnan(value) | np.isnan(limit))
    return np.where(known, (value < limit - AT_LIMIT_K).astype(np.int8), np.int8(OPEN))


def _any(terms: Sequence[Ternary]) -> Ternary:
    """True where one is true, else open where one is open."""
    stack = np.stack(terms)
    return np.where((stack == TRUE).any(0), TRUE, np.where((stack == OPEN).any(0), OPEN, FALSE)).astype(np.int8)


def _all(terms: Sequence[Ternary]) -> Ternary:
    """False where one is false, else open where one is open."""
    stack = np.stack(terms)
    return np.where((stack == FALSE).any(0), FALSE, np.where((stack == OPEN).any(0), OPEN, TRUE)).astype(np.int8)


def _circulation_lost(standing: Mapping[str, F64], rules: StationRules) -> Ternary | None:
    """Condition (a); None when neither flow (with a design flow to compare it with) nor pumps are measured."""
    flow = standing.get("secondary_flow_m3h")
    if flow is not None and rules.design_flow_m3h:
        return _below(flow, FLOW_SHARE * rules.design_flow_m3h)
    pumps: dict[str, list[Ternary]] = {}
    for name, value in standing.items():
        if not _PUMP.match(name):
            continue
        limit = PUMP_FREQUENCY_HZ if name.endswith("frequency_hz") else 0.5
        pumps.setdefault(name.split("_")[0], []).append(_below(value, limit))
    return _all([_any(signs) for signs in pumps.values()]) if pumps else None


def _no_heat(standing: Mapping[str, F64], rules: StationRules, grid: I64, before_filing: int) -> Ternary | None:
    """Condition (b); None when supply, return, outdoor temperature or the filed curve do not exist.

    Before the first curve is in force the target does not exist either: (b) is left out, which ``before_filing`` stands for.
    """
    supply = standing.get("secondary_supply_temp_c")
    back = standing.get("secondary_return_temp_c")
    outdoor = standing.get("outdoor_temp_c")
    if supply is None or back is None or outdoor is None or not rules.curves:
        return None
    target_c, filed = curve_target_c(outdoor, rules, grid)
    lost = _all([_below(supply - back, SPREAD_K), _below(supply, target_c - BELOW_TARGET_K)])
    return np.where(filed, lost, np.int8(before_filing))


def curve_target_c(outdoor_c: F64, rules: StationRules, grid: I64) -> tuple[F64, NDArray[np.bool_]]:
    """The target in °C of the curve in force at each instant with its offset by time of day, and whether one was in force."""
    target_c = np.full(len(grid), np.nan)
    filed = np.zeros(len(grid), np.bool_)
    for curve in sorted(rules.curves, key=lambda one: one.effective_from_ms):
        since = grid >= curve.effective_from_ms
        target_c[since] = curve.target_c(outdoor_c[since]) + curve.offset_k(grid[since], rules.timezone)
        filed |= since
    return target_c, filed


def _state(circulation_lost: Ternary | None, no_heat: Ternary | None, length: int) -> NDArray[np.int8]:
    conditions = [one for one in (circulation_lost, no_heat) if one is not None]
    if not conditions:
        return np.full(length, Heat.UNKNOWN, np.int8)
    lost = _any(conditions)
    return np.select([lost == TRUE, lost == FALSE], [Heat.STOPPED, Heat.SUPPLYING], Heat.UNKNOWN).astype(np.int8)

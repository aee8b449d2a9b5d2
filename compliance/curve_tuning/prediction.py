"""What another curve would do: to the median room, the coldest tenth, the share below the limit, and the heat used.

The model gives by how much the typical room moves at each outdoor temperature; the rooms keep their distance from it. Bounds hold the
95 % of what data and priors leave possible, and of what a model of two time constants is wrong by itself: measured on simulated towns
with finer physics it missed changes by 2 to 7 %, so a change counts as known to 5 % (one standard deviation) at best.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compliance.curve_tuning.building_model import BuildingModel, natural, steady
from compliance.curve_tuning.estimate import Estimate
from compliance.curve_tuning.station_hours import StationHours, mean_before, quantile_of_rooms
from compliance.verdict import AT_LIMIT_K
from domain.curve import FiledCurve

F64 = NDArray[np.float64]

SAMPLES: Final = 200
STRUCTURE_SD: Final = 0.05
MILD_H: Final = 24  # buildings feel the outdoor temperature of a day


@dataclass(frozen=True)
class Band:
    """A line over outdoor temperatures (k): the value and its 95 % bounds."""

    value: F64
    low: F64
    high: F64


@dataclass(frozen=True)
class Prediction:
    """A curve against the one in force. °C; ``heat`` is the new use over the old, over the outdoor temperatures of the record.

    ``below_limit`` is the share of room hours below the limit under the new curve, ``below_limit_now`` under the old one, both by the
    model. ``rests_on_prior`` names the parameters that the data did not narrow.
    """

    outdoor_c: F64
    median_c: Band
    tenth_c: Band
    now_median_c: F64
    below_limit: Estimate
    below_limit_now: float
    heat: Estimate
    rests_on_prior: tuple[str, ...]


def predict(model: BuildingModel, hours: StationHours, now: FiledCurve, new: FiledCurve, limit_c: float, outdoor_c: F64) -> Prediction:
    """The rooms and the heat under the ``new`` curve, at these outdoor temperatures and over those of the record.

    What the model can't explain of today's level is taken off: the change is predicted, not the level.
    """
    felt_c = mean_before(hours.outdoor_c, MILD_H)
    median_c = quantile_of_rooms(hours.room_c, 0.5)
    known = hours.supplying & np.isfinite(felt_c) & np.isfinite(median_c)
    seen_c, seen_room_c = felt_c[known], hours.room_c[known]
    bins = np.quantile(seen_c, np.linspace(0.02, 0.98, 25)) if known.any() else outdoor_c
    sets = np.vstack([model.parameters, model.samples(SAMPLES)])
    off = np.concatenate([[1.0], np.random.default_rng(1).normal(1.0, STRUCTURE_SD, SAMPLES)])
    change_k = np.empty((len(sets), len(outdoor_c)))
    seen_change_k = np.empty((len(sets), len(bins)))
    heat = np.empty(len(sets))
    for row, parameters in enumerate(sets):
        values = natural(parameters)
        change_k[row] = _change(values, now, new, outdoor_c, model.flow)[0] * off[row]
        moved_k, before_k, after_k = _change(values, now, new, bins, model.flow)
        seen_change_k[row] = moved_k * off[row]
        heat[row] = 1 + (after_k.sum() / max(before_k.sum(), 1e-9) - 1) * off[row]
    level_c = _level(seen_c, median_c[known], outdoor_c)
    tenth_k = _mean(quantile_of_rooms(seen_room_c, 0.1) - median_c[known])
    median = _band(level_c + change_k)
    below = np.array([_below(seen_room_c + np.interp(seen_c, bins, moved)[:, None], limit_c) for moved in seen_change_k])
    return Prediction(
        outdoor_c=outdoor_c,
        median_c=median,
        tenth_c=_band(level_c + tenth_k + change_k),
        now_median_c=level_c,
        below_limit=_estimate(below),
        below_limit_now=_below(seen_room_c, limit_c),
        heat=_estimate(heat),
        rests_on_prior=tuple(name for name, found in model.identified.items() if not found and name in {"heater", "gains_k"}),
    )


def _change(values: F64, now: FiledCurve, new: FiledCurve, outdoor_c: F64, flow: float) -> tuple[F64, F64, F64]:
    before_c, before_k = steady(values, now.target_c(outdoor_c), outdoor_c, flow)
    after_c, after_k = steady(values, new.target_c(outdoor_c), outdoor_c, flow)
    return after_c - before_c, before_k, after_k


def _level(seen_c: F64, median_c: F64, outdoor_c: F64) -> F64:
    """Today's median room (°C) at outdoor temperatures: a straight line through what was seen, level where nothing was."""
    if len(seen_c) < 2 or np.ptp(seen_c) < 1.0:
        return np.full(len(outdoor_c), median_c.mean() if len(median_c) else np.nan)
    slope, offset = np.polyfit(seen_c, median_c, 1).tolist()
    level_c: F64 = offset + slope * np.clip(outdoor_c, seen_c.min(), seen_c.max())
    return level_c


def _below(room_c: F64, limit_c: float) -> float:
    known_c = room_c[np.isfinite(room_c)]
    return int(np.count_nonzero(known_c < limit_c - AT_LIMIT_K)) / len(known_c) if len(known_c) else float("nan")


def _band(lines: F64) -> Band:
    return Band(lines[0], *np.quantile(lines[1:], (0.025, 0.975), axis=0))


def _estimate(values: F64) -> Estimate:
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return Estimate(float(values[0]), float(low), float(high))


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

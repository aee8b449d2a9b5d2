"""The heat exchanger's signature: primary return − secondary return grows at equal load where it fouls (domain.md).

days of load and approach ─▶ straight line through the earlier days ─▶ how far the last week lies above it, with bounds
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from compliance.curve_tuning.estimate import CONFIDENCE, Estimate, autocorrelation, line

F64 = NDArray[np.float64]

RECENT_DAYS: Final = 7
LEAST_RECENT: Final = 4
LEAST_EARLIER: Final = 7
FOULED_K: Final = 2.0
HOURS_A_DAY: Final = 24
LEAST_HOURS: Final = 12


@dataclass(frozen=True)
class Signature:
    """Load (GJ/h) and approach (primary return − secondary return, K) of n days; ``recent`` (n) marks those of the last week.

    ``grown_k`` is how far the approach of the last week lies above that of the earlier days at equal load, None where there is too little
    to compare. ``verdict``: ``fouling`` where that is 2 K or more and certainly above nothing.
    """

    load_gjh: F64
    approach_k: F64
    recent: NDArray[np.bool_]
    grown_k: Estimate | None
    verdict: Literal["sound", "fouling", "unknown"]


def signature(load_gjh: F64, primary_return_c: F64, secondary_return_c: F64) -> Signature:
    """The signature from hourly means (n, the last hour last), NaN where nothing was measured; hours without load are left out."""
    with np.errstate(invalid="ignore"):
        running = load_gjh > 0.05 * np.nanmax(load_gjh, initial=0.0)
    approach_k = np.where(running, primary_return_c - secondary_return_c, np.nan)
    load, approach, ago = _by_day(np.where(np.isfinite(approach_k), load_gjh, np.nan), approach_k)
    recent = ago < RECENT_DAYS
    grown_k = _grown(load, approach, recent)
    if grown_k is None:
        verdict: Literal["sound", "fouling", "unknown"] = "unknown"
    else:
        verdict = "fouling" if grown_k.value >= FOULED_K and grown_k.low > 0 else "sound"
    return Signature(load, approach, recent, grown_k, verdict)


def _grown(load: F64, approach: F64, recent: NDArray[np.bool_]) -> Estimate | None:
    """The last week above the line through the earlier days. The bounds are those of the earlier days' own scatter: a week of a sound
    exchanger lies within them, 95 in 100; days that follow one another count as fewer.
    """
    if np.count_nonzero(recent) < LEAST_RECENT or np.count_nonzero(~recent) < LEAST_EARLIER:
        return None
    earlier_load = load[~recent]
    level_k, slope = line(earlier_load, approach[~recent])
    # Nothing is known of loads that the earlier days did not have: there the line stays level.
    at = np.clip(load, earlier_load.min(), earlier_load.max()) - earlier_load.mean()
    residual_k = approach - level_k.value - slope.value * at
    before_k = residual_k[~recent]
    correlated = autocorrelation(before_k)
    sigma_k = float(np.sqrt(np.sum(before_k**2) / (len(before_k) - 2)))
    independent = max(1.0, np.count_nonzero(recent) * (1 - correlated) / (1 + correlated))
    factor = float(stdtrit(len(before_k) - 2, 0.5 + CONFIDENCE / 2))
    half_k = float(np.hypot(factor * sigma_k / independent**0.5, level_k.high - level_k.value))
    above_k = float(residual_k[recent].mean())
    return Estimate(above_k, above_k - half_k, above_k + half_k)


def _by_day(load: F64, approach: F64) -> tuple[F64, F64, NDArray[np.int64]]:
    """Means of stretches of 24 h counted back from the end, those with at least 12 known hours; and how many days ago each was."""
    days: list[tuple[float, float, int]] = []
    for ago, stop in enumerate(range(len(load), HOURS_A_DAY - 1, -HOURS_A_DAY)):
        mine = slice(stop - HOURS_A_DAY, stop)
        known = np.isfinite(load[mine]) & np.isfinite(approach[mine])
        if np.count_nonzero(known) >= LEAST_HOURS:
            days.append((float(load[mine][known].mean()), float(approach[mine][known].mean()), ago))
    columns = np.array(days[::-1], np.float64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int64)

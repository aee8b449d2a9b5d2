"""A number drawn from data, with what it rests on."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # of scipy.stats only this is needed, and importing that takes a second

F64 = NDArray[np.float64]
CONFIDENCE: Final = 0.95
MOST_CORRELATED: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value and the bounds within which it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    def beyond(self, threshold: float) -> bool:
        """Whether it is certainly above this positive, or below the negative of this, threshold."""
        return self.low > threshold or self.high < -threshold


def autocorrelation(residual: F64) -> float:
    """The correlation of one value with the next, from 0 to 0.95; NaN are gaps."""
    before, after = residual[:-1], residual[1:]
    both = np.isfinite(before) & np.isfinite(after)
    if np.count_nonzero(both) < 3:
        return 0.0
    spread = float(np.sum(before[both] ** 2) * np.sum(after[both] ** 2)) ** 0.5
    found = float(np.sum(before[both] * after[both])) / spread if spread > 0 else 0.0
    return min(max(found, 0.0), MOST_CORRELATED)


def line(x: F64, y: F64) -> tuple[Estimate, Estimate]:
    """The straight line through n points by least squares: its value at the mean of ``x``, and its slope.

    Days follow one another, so what is left over is not independent: the bounds are those of as many independent days as the
    correlation of the residuals leaves (first order: n·(1 − ρ)/(1 + ρ)). Raises ValueError with fewer than four points.
    """
    if len(x) < 4:
        raise ValueError("a line with bounds needs four points")
    centred = x - x.mean()
    spread = float(np.sum(centred**2))
    slope = float(np.sum(centred * y)) / spread if spread > 0 else 0.0
    residual = y - y.mean() - slope * centred
    correlated = autocorrelation(residual)
    independent = max(3.0, len(x) * (1 - correlated) / (1 + correlated))
    sigma = float(np.sum(residual**2) / (len(x) - 2)) ** 0.5
    factor = float(stdtrit(independent - 2, 0.5 + CONFIDENCE / 2))
    half_mean = factor * sigma / independent**0.5
    half_slope = factor * sigma * (len(x) / independent) ** 0.5 / spread**0.5 if spread > 0 else float("inf")
    return _around(float(y.mean()), half_mean), _around(slope, half_slope)


def mean(y: F64) -> Estimate:
    """The mean of n values that follow one another, as in ``line``. Raises ValueError with fewer than four."""
    return line(np.zeros(len(y)), y)[0]


def _around(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half)

"""quantity = raw × scale + add, without the dust of binary fractions: 183 at a scale of 0.1 is 18.3, not 18.3000…01."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scaling:
    """Multiplier, divisor and addend of m columns. A scale that is one part of a whole number (0.1, 0.001) is divided by that number."""

    multiplier: NDArray[np.float64]
    divisor: NDArray[np.float64]
    add: NDArray[np.float64]
    idle: bool

    @classmethod
    def of(cls, scales: Sequence[float], adds: Sequence[float]) -> Self:
        """The scaling of columns with these scales and addends."""
        split = [split_scale(scale) for scale in scales]
        return cls(
            np.array([multiplier for multiplier, _ in split], np.float64),
            np.array([divisor for _, divisor in split], np.float64),
            np.array(adds, np.float64),
            all(pair == (1.0, 1.0) for pair in split) and not any(adds),
        )

    def apply(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scales raw values whose last axis is the columns; NaN stays NaN, what grows past 64 bits is infinite."""
        if self.idle:
            return raw
        with np.errstate(over="ignore"):  # garbage near the end of 64 bits becomes infinite, which the screening marks
            return raw * self.multiplier / self.divisor + self.add


def split_scale(scale: float) -> tuple[float, float]:
    """Multiplier and divisor of a scale, one of which is 1."""
    whole = round(1 / scale) if 0 < abs(scale) < 1 else 1
    if whole != 1 and abs(scale * whole - 1) < 1e-12:
        return 1.0, float(whole)
    return scale, 1.0

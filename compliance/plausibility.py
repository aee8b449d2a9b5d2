"""The plausibility table over a file of readings (``--screen``): what can't be true is bad, what is unusual stays (domain.md)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from domain.quantity import parse_point, quantity
from domain.reading import FIRST_BAD, Quality, Readings

SENTINELS = (-3276.8, 3276.7)  # 0x8000 and 0x7FFF in tenths: "no probe"


def screened(names: Sequence[str], readings: Readings) -> Readings:
    """The readings with those marked bad that can't be true; ``readings.point`` is an index of ``names``.

    Values outside what the quantity can be get ``RANGE``, the codes for "no value" ``SENTINEL``; a reading that is bad
    already keeps its reason, and points of quantities that nobody knows are left as they are.
    """
    bounds = np.array([_bounds(name) for name in names]).reshape(-1, 3)
    low, high, coded = bounds[readings.point].T
    usable = readings.quality < FIRST_BAD
    outside = (readings.value < low) | (readings.value > high)
    quality = readings.quality.copy()
    quality[usable & outside] = Quality.RANGE
    quality[usable & (coded == 1) & np.isin(readings.value, SENTINELS)] = Quality.SENTINEL
    return replace(readings, quality=quality)


def _bounds(name: str) -> tuple[float, float, bool]:
    """The lowest and the highest value this point can have, and whether codes for "no value" may stand in for it."""
    try:
        found = quantity(parse_point(name).quantity)
    except (KeyError, ValueError):
        return -np.inf, np.inf, False
    low, high = found.reject
    return (-np.inf if low is None else low), (np.inf if high is None else high), not found.counter and found.name != "alarm_word"

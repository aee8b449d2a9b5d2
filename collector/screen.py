"""Screening: marks what can't be true, drops nothing (domain.md, plausibility).

    value ──▶ not a number ──▶ sentinel ──▶ outside what can be ──▶ outside what is usual ──▶ quality

Each step looks at whole columns and says which rows it marks; the first bad mark stays, a suspect one gives way to a bad one.
Steps that need more than the value itself (stuck, rate, supply below return, counters, the town's median) join the list ``STEPS``.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.quantity import Quantity, parse_point, quantity
from domain.reading import FIRST_BAD, Quality, Readings

SENTINELS = (-3276.8, 3276.7)  # 0x8000 and 0x7FFF in tenths, as gateways pass them on
_NO_LIMIT = (-np.inf, np.inf, -np.inf, np.inf, np.nan)

Mask = NDArray[np.bool_]
Limits = NDArray[np.float64]  # n × 5: reject low, reject high, suspect low, suspect high, 1 if sentinels may come


class Step(NamedTuple):
    """One step of the screening: its mark, and which rows get it."""

    mark: Quality
    finds: Callable[[NDArray[np.float64], Limits], Mask]


def _not_a_number(value: NDArray[np.float64], _limits: Limits) -> Mask:
    return ~np.isfinite(value)


def _sentinel(value: NDArray[np.float64], limits: Limits) -> Mask:
    codes: Mask = limits[:, 4] == 1
    return np.isin(value, SENTINELS) & codes


def _cannot_be(value: NDArray[np.float64], limits: Limits) -> Mask:
    return (value < limits[:, 0]) | (value > limits[:, 1])


def _unusual(value: NDArray[np.float64], limits: Limits) -> Mask:
    return (value < limits[:, 2]) | (value > limits[:, 3])


STEPS = (
    Step(Quality.NOT_A_NUMBER, _not_a_number),
    Step(Quality.SENTINEL, _sentinel),
    Step(Quality.RANGE, _cannot_be),
    Step(Quality.SUSPECT_RANGE, _unusual),
)


class Screen:
    """Holds the plausible ranges of every point it has learnt, by id, and marks readings by them."""

    def __init__(self) -> None:
        self._limits: Limits = np.empty((0, 5))

    def learn(self, ids: Sequence[int] | NDArray[np.int32], names: Sequence[str]) -> None:
        """Takes in points: ``ids`` and ``names`` of one length."""
        if not len(names):
            return
        short = int(max(ids)) + 1 - len(self._limits)
        if short > 0:
            self._limits = np.concatenate([self._limits, np.tile(_NO_LIMIT, (max(short, len(self._limits)), 1))])
        for point, name in zip(ids, names, strict=True):
            self._limits[point] = limits_of(name)

    def __call__(self, readings: Readings) -> Readings:
        """The same readings with their qualities marked."""
        limits = self._limits[readings.point]
        quality = readings.quality.copy()
        for mark, finds in STEPS:
            open_to = quality < FIRST_BAD if mark >= FIRST_BAD else quality == Quality.GOOD
            quality[finds(readings.value, limits) & open_to] = mark
        return replace(readings, quality=quality)


def limits_of(name: str) -> tuple[float, float, float, float, float]:
    """The plausible ranges of the point of this name; none where its quantity has none (health of sources)."""
    try:
        point = parse_point(name)
        found = quantity(point.quantity)
    except (KeyError, ValueError):
        return _NO_LIMIT
    return (*_bounds(found.reject), *_bounds(found.suspect), 0.0 if _any_value(found) else 1.0)


def _bounds(limits: tuple[float | None, float | None]) -> tuple[float, float]:
    low, high = limits
    return -np.inf if low is None else low, np.inf if high is None else high


def _any_value(found: Quantity) -> bool:
    return found.counter or found.name == "alarm_word"

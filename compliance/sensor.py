"""Whether a room's sensor is to be doubted at the instant of its alarm (R6): then it needs maintenance, not a complaint."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from compliance.heat import PointSeries
from compliance.verdict import AT_LIMIT_K

STEP_K = 3.0
STEP_WITHIN_MS = 10 * 60_000
MOVED_K = 1.0
MOVED_WITHIN_MS = 30 * 60_000
DAY_MS = 86_400_000
CHANGED_K = 0.5
BATTERY_LOW_PCT = 10.0

Suspicion = Literal["step", "stuck", "battery"]


def sensor_suspicion(at: int, own: PointSeries, others: Sequence[PointSeries], battery: PointSeries | None) -> Suspicion | None:
    """Why the sensor is suspect at ``at`` (UTC ms), None when it is not.

    ``own`` and ``others`` are the good readings in °C of the room and of the other rooms of its building over the 24 h before and
    30 min after; later readings are not looked at, nor is a step within the last half hour judged by what follows it.
    """
    if battery is not None:
        count = int(np.searchsorted(battery.at, at, "right"))
        if count and battery.value[count - 1] <= BATTERY_LOW_PCT:
            return "battery"
    if any(_alone(step, others, at) for step in _steps(own, at)):
        return "step"
    if _same_for_a_day(own, at) and any(_moved(other, at - DAY_MS, at) >= CHANGED_K - AT_LIMIT_K for other in others):
        return "stuck"
    return None


def _steps(own: PointSeries, at: int) -> list[int]:
    """When, within the last 24 h, the value stepped by more than 3 K between readings at most 10 min apart."""
    low = max(0, int(np.searchsorted(own.at, at - DAY_MS, "right")) - 1)
    times, values = own.at[low : np.searchsorted(own.at, at, "right")], own.value[low : np.searchsorted(own.at, at, "right")]
    stepped = (np.abs(np.diff(values)) > STEP_K + AT_LIMIT_K) & (np.diff(times) <= STEP_WITHIN_MS) & (times[1:] > at - DAY_MS)
    return [int(instant) for instant in times[1:][stepped]]


def _alone(step: int, others: Sequence[PointSeries], at: int) -> bool:
    """Whether no other room moved with this step; False where no other room was measured around it: that is not known then."""
    span = (step - MOVED_WITHIN_MS, min(step + MOVED_WITHIN_MS, at))
    measured = [other for other in others if _count(other, *span) > 1]
    return bool(measured) and not any(_moved(other, *span) > MOVED_K + AT_LIMIT_K for other in measured)


def _count(series: PointSeries, from_ms: int, to_ms: int) -> int:
    return int(np.searchsorted(series.at, to_ms, "right") - np.searchsorted(series.at, from_ms))


def _moved(series: PointSeries, from_ms: int, to_ms: int) -> float:
    """How far the readings of [from_ms, to_ms] lie apart, in kelvin; 0 for none."""
    values = series.value[np.searchsorted(series.at, from_ms) : np.searchsorted(series.at, to_ms, "right")]
    return float(values.max() - values.min()) if len(values) else 0.0


def _same_for_a_day(own: PointSeries, at: int) -> bool:
    """Whether the readings up to ``at`` have been identical for at least 24 h."""
    count = int(np.searchsorted(own.at, at, "right"))
    if not count:
        return False
    differing = np.flatnonzero(own.value[:count] != own.value[count - 1])
    first = int(differing[-1]) + 1 if len(differing) else 0
    return bool(own.at[count - 1] - own.at[first] >= DAY_MS)

"""Hydraulic balance: which buildings and risers of a station are off its mean, by the hour's rooms (domain.md: imbalance, air lock).

rooms by the hour ─▶ mean of a group − mean of the station ─▶ by day ─▶ deviation with its bounds ─▶ cold · warm · in balance · not certain
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from compliance.curve_tuning.estimate import Estimate, mean
from compliance.curve_tuning.station_hours import StationHours

F64 = NDArray[np.float64]

OFF_K: Final = 1.0  # as the curve's advice has it for cold buildings
LEAST_DAYS: Final = 4
LEAST_HOURS: Final = 12  # of a day, for it to count

Standing = Literal["cold", "warm", "balanced", "uncertain"]


@dataclass(frozen=True)
class GroupBalance:
    """One group of rooms against all rooms of its station. ``deviation_k`` is positive where the group is warmer.

    ``bounds_k`` holds 95 %, None with fewer than four days; ``mean_c`` is the group's own mean, °C.
    """

    key: str
    rooms: int
    mean_c: float
    deviation_k: float
    bounds_k: Estimate | None
    standing: Standing


def balance(hours: StationHours, groups: Sequence[str]) -> list[GroupBalance]:
    """Each group of rooms, the coldest first; ``groups`` (m) names each room's. Hours without supply are left out, as are empty groups."""
    used = hours.supplying
    station_c = _mean_of_rooms(hours.room_c)
    found = []
    for key in dict.fromkeys(groups):
        mine = np.array([name == key for name in groups], np.bool_)
        own_c = _mean_of_rooms(hours.room_c[:, mine])
        gap_k = np.where(used, own_c - station_c, np.nan)
        if np.isfinite(gap_k).any():
            found.append(
                _group(key, int(np.isfinite(hours.room_c[:, mine]).any(axis=0).sum()), np.where(used, own_c, np.nan), gap_k, hours)
            )
    return sorted(found, key=lambda one: (one.deviation_k, one.key))


def _group(key: str, rooms: int, own_c: F64, gap_k: F64, hours: StationHours) -> GroupBalance:
    daily = _by_day(gap_k, hours)
    bounds_k = mean(daily) if len(daily) >= LEAST_DAYS else None
    value_k = float(np.nanmean(gap_k)) if bounds_k is None else bounds_k.value
    return GroupBalance(key, rooms, float(np.nanmean(own_c)), value_k, bounds_k, _standing(value_k, bounds_k))


def _standing(value_k: float, bounds_k: Estimate | None) -> Standing:
    """Off the mean is what is off by 1 K or more and certainly by half of that."""
    if bounds_k is None:
        return "uncertain"
    if abs(value_k) < OFF_K:
        return "balanced"
    if not bounds_k.beyond(OFF_K / 2):
        return "uncertain"
    return "cold" if value_k < 0 else "warm"


def _by_day(values: F64, hours: StationHours) -> F64:
    """The mean of each local day with at least 12 known hours."""
    edges = np.unique(np.concatenate([[0], np.flatnonzero(hours.of_day == 0), [len(hours)]]))
    found = []
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        known = values[start:stop][np.isfinite(values[start:stop])]
        if len(known) >= LEAST_HOURS:
            found.append(float(known.mean()))
    return np.array(found)


def _mean_of_rooms(room_c: F64) -> F64:
    known = np.isfinite(room_c).sum(axis=1)
    total = np.nansum(room_c, axis=1)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)

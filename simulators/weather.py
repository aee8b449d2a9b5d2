"""The sky over the town and the habits under its roofs: outdoor temperature, gains inside, windows opened to air."""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, exp, pi, sin

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LOCAL_OFFSET_MS = 8 * HOUR_MS  # Asia/Shanghai, which has no summer time

MEAN_C = -9.0
DAILY_SWING_K = 3.5  # coldest about 06:00, warmest about 14:30
SNAP_DEPTH_K = 5.5
SNAP_EVERY_MS = 10 * DAY_MS
SNAP_HALF_WIDTH_MS = int(2.5 * DAY_MS)
SNAP_CENTRE_MS = 1_768_359_600_000  # 2026-01-14 11:00 +08:00


@dataclass(frozen=True)
class Weather:
    """Outdoor temperature as a function of the instant alone, so that every look at the same instant sees the same."""

    seed: int

    def outdoor_c(self, at_ms: int) -> float:
        """Outdoor temperature in °C at an instant (UTC ms): a daily cycle, a cold snap every ten days, slow unrest."""
        hour = (at_ms + LOCAL_OFFSET_MS) % DAY_MS / HOUR_MS
        daily = sin((hour - 10.25) / 24 * 2 * pi) - 0.15 * cos((hour - 3) / 12 * 2 * pi)
        from_centre_ms = abs((at_ms - SNAP_CENTRE_MS + SNAP_EVERY_MS // 2) % SNAP_EVERY_MS - SNAP_EVERY_MS // 2)
        snap = 0.5 * (1 + cos(pi * min(1.0, from_centre_ms / SNAP_HALF_WIDTH_MS)))
        unrest = sum(
            size_k * sin(at_ms / HOUR_MS / period_h * 2 * pi + phase)
            for size_k, period_h, phase in zip((0.8, 0.5, 0.25), (31.0, 11.3, 3.7), _phases(self.seed), strict=True)
        )
        return MEAN_C + DAILY_SWING_K * daily - SNAP_DEPTH_K * snap + unrest

    def mean_outdoor_c(self, at_ms: int, over_h: int = 72) -> float:
        """The mean outdoor temperature in °C over the hours before an instant."""
        return float(np.mean([self.outdoor_c(at_ms - hour * HOUR_MS) for hour in range(over_h)]))


@lru_cache(maxsize=8)
def _phases(seed: int) -> tuple[float, float, float]:
    first, second, third = np.random.default_rng([seed, 101]).uniform(0, 2 * pi, 3)
    return float(first), float(second), float(third)


def local_hour(at_ms: int) -> float:
    """The local time of day in hours, 0 to 24."""
    return (at_ms + LOCAL_OFFSET_MS) % DAY_MS / HOUR_MS


def internal_gains_k(at_ms: int) -> float:
    """Heat from people, cooking and lamps, as the kelvin it holds a room above the outdoors when shared by its losses."""
    hour = local_hour(at_ms)
    cooking = exp(-(((hour - 7.3) / 0.9) ** 2)) + exp(-(((hour - 11.8) / 0.9) ** 2)) + 1.3 * exp(-(((hour - 18.5) / 1.3) ** 2))
    evening = 1.2 * exp(-(((hour - 20.3) / 1.8) ** 2))
    return 2.2 + 0.9 * cooking + evening


def solar_gain_k(at_ms: int) -> float:
    """The winter sun on a south room, in the same measure; 0 at night."""
    hour = local_hour(at_ms)
    return max(0.0, sin((hour - 7.8) / 8.4 * pi)) * 2.2 if 7.8 < hour < 16.2 else 0.0


@dataclass(frozen=True)
class Airings:
    """People opening windows at random: drawn anew for each hour from the seed, a few minutes each, by day."""

    seed: int
    rooms: int

    def exchange(self, at_ms: int) -> NDArray[np.float64]:
        """How much the open windows add to each room's losses at an instant, as a multiple of the losses of the shut room."""
        added = np.zeros(self.rooms)
        for hour in (at_ms // HOUR_MS - 1, at_ms // HOUR_MS):
            rooms, starts_ms, stops_ms, strength = _airings_of_hour(self.seed, self.rooms, hour)
            if len(rooms):
                now = (starts_ms <= at_ms) & (at_ms < stops_ms)
                added[rooms[now]] = strength[now]
        return added


_Hour = tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


@lru_cache(maxsize=16)
def _airings_of_hour(seed: int, rooms: int, hour: int) -> _Hour:
    """The rooms aired from some minute of this hour on, and each airing's start, stop (UTC ms) and strength."""
    random = np.random.default_rng([seed, 202, hour])
    of_day = int(local_hour(hour * HOUR_MS))
    share = 0.10 if of_day in {7, 8, 9} else 0.05 if 10 <= of_day < 21 else 0.0
    opened = np.flatnonzero(random.random(rooms) < share)
    starts_ms = hour * HOUR_MS + random.integers(0, HOUR_MS, len(opened))
    return opened, starts_ms, starts_ms + random.integers(5 * 60_000, 14 * 60_000, len(opened)), random.uniform(0.6, 2.2, len(opened))

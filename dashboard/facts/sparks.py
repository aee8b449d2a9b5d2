"""The last hours of every station as small lines for its card."""

from dataclasses import dataclass

import numpy as np

from dashboard.facts.stations import OUTDOOR, SUPPLY
from dashboard.facts.town import Town
from dashboard.facts.trend import Trend, target_trend, trends
from dashboard.moments import HOUR_MS

SPARK_MS = 6 * HOUR_MS
SPARK_GAP_MS = 20 * 60_000
SPARK_STRETCHES = 40
SPARK_LEAST_K = 8.0
SPARK_LIFE_S = 15.0


@dataclass(frozen=True)
class Spark:
    """The last hours of a station as SVG points in a box of 100 × 30: supply and its target, each in unbroken pieces."""

    supply: tuple[str, ...]
    target: tuple[str, ...]


def sparks(town: Town) -> dict[str, Spark]:
    """The secondary supply of every station over the last six hours, and what it should have been.

    Raises StoreError when the history can't be read.
    """
    return town.shared.of("sparks", lambda: _sparks(town), life_s=SPARK_LIFE_S)


def _sparks(town: Town) -> dict[str, Spark]:
    to_ms = town.now_ms()
    from_ms = to_ms - SPARK_MS
    stations = list(town.site.stations)
    names = [f"station/{station_id}/{name}" for name in (SUPPLY, OUTDOOR) for station_id in stations]
    found = trends(town, names, from_ms, to_ms, SPARK_GAP_MS, stretches=SPARK_STRETCHES)
    drawn = {}
    for row, station_id in enumerate(stations):
        supply = found[row]
        target = target_trend(found[row + len(stations)], town.curves(station_id), town.site.timezone)
        values = np.concatenate([supply.value, target.value])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        middle, half = (values.max() + values.min()) / 2, max(SPARK_LEAST_K, float(np.ptp(values)) * 1.1) / 2
        drawn[station_id] = Spark(*(_pieces(line, from_ms, middle - half, middle + half) for line in (supply, target)))
    return drawn


def _pieces(line: Trend, from_ms: int, low: float, high: float) -> tuple[str, ...]:
    """The points of a line in the box, cut where it breaks."""
    x = (line.at_ms - from_ms) * 100.0 / SPARK_MS
    y = 29.0 - (line.value - low) * 28.0 / (high - low)
    ends = np.flatnonzero(~np.isfinite(y))
    pieces = np.split(np.stack([x, y], axis=1), ends)
    texts = [" ".join(f"{a:.1f},{b:.1f}" for a, b in piece if np.isfinite(b)) for piece in pieces]
    return tuple(text for text in texts if text)

"""The stations, worst first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dashboard.facts.rooms import Counts, station_counts
from dashboard.facts.town import Town
from dashboard.facts.trend import Trend, target_trend, trends
from dashboard.facts.values import Shown, station_values
from dashboard.moments import HOUR_MS
from domain.site import Station

SUPPLY = "secondary_supply_temp_c"
RETURN = "secondary_return_temp_c"
FLOW = "secondary_flow_m3h"
OUTDOOR = "outdoor_temp_c"
OFF_TARGET_K = 2.0  # R9

SPARK_MS = 6 * HOUR_MS
SPARK_GAP_MS = 20 * 60_000
SPARK_STRETCHES = 40
SPARK_LEAST_K = 8.0
SPARK_LIFE_S = 15.0


@dataclass(frozen=True)
class StationState:
    """One station as it stands: what watch judged (R4), its newest values, its rooms."""

    station: Station
    heat: str
    heat_since_ms: int | None
    comm: str
    comm_since_ms: int | None
    data: str
    target_c: float | None
    outage_id: int | None
    planned: bool
    values: Mapping[str, Shown]
    rooms: Counts

    @property
    def name(self) -> str:
        """What people call it."""
        return self.station.name or self.station.station_id

    @property
    def off_target_k(self) -> float | None:
        """How far the secondary supply is from the curve's target, in kelvin; None where either is not known now."""
        supply = self.values[SUPPLY]
        if self.target_c is None or supply.value is None or supply.stale:
            return None
        return supply.value - self.target_c

    @property
    def newest_at(self) -> int | None:
        """When the newest of its values was measured."""
        known = [shown.measured_at for shown in self.values.values() if shown.measured_at is not None]
        return max(known) if known else None

    @property
    def severity(self) -> tuple[float, ...]:
        """Sorts worst first: no heat, heat unknown, no link, bad data, rooms below their limit, off the curve."""
        heat = {"stopped": 3.0 if not self.planned else 1.0, "unknown": 2.0}.get(self.heat, 0.0)
        link = {"lost": 2.0, "degraded": 1.0}.get(self.comm, 0.0)
        data = {"bad": 1.0, "suspect": 0.5}.get(self.data, 0.0)
        low = self.rooms.breach / max(1, self.rooms.rooms)
        off = abs(self.off_target_k or 0.0)
        return (-heat, -link, -data, -round(low, 2), -round(off if off > OFF_TARGET_K else 0.0))


def station_states(town: Town) -> dict[str, StationState]:
    """Every station of the site; one watch has not seen is unknown in everything."""
    return town.shared.of("station_states", lambda: _station_states(town))


def _station_states(town: Town) -> dict[str, StationState]:
    seen = {row["station_id"]: row for row in town.live().stations.to_pylist()}
    values = station_values(town, list(town.site.stations), (SUPPLY, RETURN, FLOW, OUTDOOR))
    counts = station_counts(town)
    found = {}
    for station_id, station in town.site.stations.items():
        row = seen.get(station_id) or {}
        found[station_id] = StationState(
            station=station,
            heat=row.get("heat", "unknown"),
            heat_since_ms=row.get("heat_since_ms"),
            comm=row.get("comm", "unknown"),
            comm_since_ms=row.get("comm_since_ms"),
            data=row.get("data", "unknown"),
            target_c=row.get("target_c"),
            outage_id=row.get("outage_id"),
            planned=bool(row.get("planned", False)),
            values=values[station_id],
            rooms=counts.get(station_id, Counts()),
        )
    return found


def worst_first(states: Mapping[str, StationState]) -> list[StationState]:
    """The stations in the order in which they need somebody."""
    return sorted(states.values(), key=lambda state: (state.severity, state.station.station_id))


@dataclass(frozen=True)
class Heat:
    """Stations by heat state; a planned stop counts apart."""

    supplying: int
    stopped: int
    planned: int
    unknown: int
    unjudged: int
    link_lost: int


def heat_counts(states: Mapping[str, StationState]) -> Heat:
    """Stations by heat state."""
    heats = [state.heat for state in states.values()]
    planned = sum(state.heat == "stopped" and state.planned for state in states.values())
    return Heat(
        supplying=heats.count("supplying"),
        stopped=heats.count("stopped") - planned,
        planned=planned,
        unknown=heats.count("unknown"),
        unjudged=heats.count("unjudged"),
        link_lost=sum(state.comm == "lost" for state in states.values()),
    )


def outdoor_c(states: Mapping[str, StationState]) -> float | None:
    """The town's outdoor temperature: the median of what stations measure now."""
    known = sorted(
        shown.value for state in states.values() if (shown := state.values[OUTDOOR]).value is not None and not shown.stale and not shown.bad
    )
    return known[len(known) // 2] if known else None


@dataclass(frozen=True)
class Spark:
    """The last hours of a station as SVG points in a box of 100 × 30: supply and its target, each in unbroken pieces."""

    supply: list[str]
    target: list[str]


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


def _pieces(line: Trend, from_ms: int, low: float, high: float) -> list[str]:
    """The points of a line in the box, cut where it breaks."""
    x = (line.at_ms - from_ms) * 100.0 / SPARK_MS
    y = 29.0 - (line.value - low) * 28.0 / (high - low)
    ends = np.flatnonzero(~np.isfinite(y))
    pieces = np.split(np.stack([x, y], axis=1), ends)
    texts = [" ".join(f"{a:.1f},{b:.1f}" for a, b in piece if np.isfinite(b)) for piece in pieces]
    return [text for text in texts if text]

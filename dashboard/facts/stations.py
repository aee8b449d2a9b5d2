"""The stations, worst first."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.facts.rooms import Counts, station_counts
from dashboard.facts.town import Town
from dashboard.facts.values import Shown, station_values
from domain.site import Station

SUPPLY = "secondary_supply_temp_c"
RETURN = "secondary_return_temp_c"
FLOW = "secondary_flow_m3h"
OUTDOOR = "outdoor_temp_c"
OFF_TARGET_K = 2.0  # R9


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

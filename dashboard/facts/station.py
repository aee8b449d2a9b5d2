"""One station in full: all its values, its buildings, its trends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from dashboard.facts.rooms import Counts, building_counts
from dashboard.facts.stations import FLOW, OUTDOOR, RETURN, SUPPLY
from dashboard.facts.town import Town
from dashboard.facts.trend import STRETCHES, Trend, rolled, target_trend, trends
from dashboard.facts.values import Shown, station_interval_ms, station_values
from dashboard.moments import HOUR_MS, MINUTE_MS
from domain.quantity import quantity
from domain.site import Building
from store.records.tables import events, outages

# The order in which values are read: what is delivered first, then where it comes from, then machinery.
ORDER: Final = (
    "secondary_supply_temp_c", "secondary_return_temp_c", "secondary_flow_m3h", "secondary_supply_pressure_mpa",
    "secondary_return_pressure_mpa", "primary_supply_temp_c", "primary_return_temp_c", "primary_flow_m3h",
    "primary_supply_pressure_mpa", "primary_return_pressure_mpa", "heat_power_gjh", "outdoor_temp_c", "makeup_flow_m3h",
    "valve_position_pct", "pump1_running", "pump1_frequency_hz", "tank_level_m",
)  # fmt: skip
GAP_INTERVALS = 3
MARKS_MOST: Final = 200


@dataclass(frozen=True)
class Home:
    """A building that the station feeds, and its rooms by verdict."""

    building: Building
    rooms: Counts


def quantities_of(town: Town, station_id: str) -> list[str]:
    """Every quantity this station ever had a reading of, the usual ones first."""
    return town.shared.of(("quantities", station_id), lambda: _quantities_of(town, station_id), life_s=30.0)


def _quantities_of(town: Town, station_id: str) -> list[str]:
    town.points.refresh()
    prefix = f"station/{station_id}/"
    found = [name.removeprefix(prefix) for name in town.points.names().values() if name.startswith(prefix)]
    known = [name for name in found if _is_known(name)]
    place = {name: row for row, name in enumerate(ORDER)}
    return sorted(known, key=lambda name: (place.get(name, len(place)), name))


def _is_known(name: str) -> bool:
    try:
        quantity(name)
    except KeyError:
        return False
    return True


def all_values(town: Town, station_id: str) -> Mapping[str, Shown]:
    """The newest value of everything that is measured at this station."""
    return station_values(town, station_id, quantities_of(town, station_id))


def schematic_values(town: Town, station_id: str) -> Mapping[str, Shown | None]:
    """The values of the schematic; None for what this station does not measure."""
    values = all_values(town, station_id)
    return {name: values.get(name) for name in ORDER}


def homes(town: Town, station_id: str) -> list[Home]:
    """The buildings of the station, those with rooms below their limit first."""
    counts = building_counts(town)
    buildings = town.buildings_of_station.get(station_id, ())
    found = [Home(building, counts.get(building.building_id, Counts())) for building in buildings]
    return sorted(found, key=lambda home: (-home.rooms.breach, -home.rooms.unknown, home.building.building_id))


@dataclass(frozen=True)
class StationTrends:
    """The lines of a station's charts over [from_ms, to_ms), by quantity; ``target`` follows the filed curve."""

    from_ms: int
    to_ms: int
    lines: Mapping[str, Trend]
    target: Trend


TREND_QUANTITIES: Final = (
    SUPPLY, RETURN, OUTDOOR, FLOW, "primary_flow_m3h", "makeup_flow_m3h", "secondary_supply_pressure_mpa", "secondary_return_pressure_mpa",
    "primary_supply_pressure_mpa", "primary_return_pressure_mpa",
)  # fmt: skip
RAW_HOURS: Final = 48  # up to here every reading is looked at, beyond what the history counted of each stretch
STEPS_H: Final = (1, 2, 4, 8, 12, 24)
LIFE_S: Final = 5.0


def trend_life_s(hours: int) -> float:
    """For how long the trends of a span stay true enough to be shown again, in seconds."""
    return LIFE_S if hours <= RAW_HOURS else 60.0


def station_trends(town: Town, station_id: str, hours: int) -> StationTrends:
    """The trends of the last so many hours. Raises StoreError when the history can't be read."""
    return town.shared.of(("trends", station_id, hours), lambda: _station_trends(town, station_id, hours), life_s=trend_life_s(hours))


def _station_trends(town: Town, station_id: str, hours: int) -> StationTrends:
    to_ms = town.now_ms()
    from_ms = to_ms - hours * HOUR_MS
    present = set(quantities_of(town, station_id))
    wanted: Sequence[str] = [name for name in TREND_QUANTITIES if name in present]
    names = [f"station/{station_id}/{name}" for name in wanted]
    if hours > RAW_HOURS:
        step_h = next(step for step in STEPS_H if step * STRETCHES >= hours or step == STEPS_H[-1])
        from_ms = from_ms // HOUR_MS * HOUR_MS
        found, means = rolled(town, names, from_ms, to_ms, step_h * HOUR_MS)
        outdoor = dict(zip(wanted, means, strict=True)).get(OUTDOOR, Trend.empty())
    else:
        hold_ms = max(round(town.site.station_hold_min * MINUTE_MS), GAP_INTERVALS * station_interval_ms(town)[station_id])
        found = trends(town, names, from_ms, to_ms, hold_ms)
        outdoor = dict(zip(wanted, found, strict=True)).get(OUTDOOR, Trend.empty())
    target = target_trend(outdoor, town.curves(station_id), town.site.timezone)
    return StationTrends(from_ms, to_ms, dict(zip(wanted, found, strict=True)), target)


@dataclass(frozen=True)
class StationMarks:
    """What happened at a station within its trends: ``stops`` are outages (from, to; UTC ms), ``moments`` events and curves filed."""

    stops: Sequence[tuple[int, int]]
    moments: Sequence[tuple[int, str]]


def station_marks(town: Town, station_id: str, from_ms: int, to_ms: int) -> StationMarks:
    """The outages of a station, the events about it and the curves filed for it, within [from_ms, to_ms); the newest 200 events."""
    named = (events.c.subject == f"station/{station_id}") & (events.c.at >= from_ms) & (events.c.at < to_ms)
    query = select(events.c.at, events.c.event).where(named, events.c.event.not_in(("outage.opened", "outage.ended")))
    happened = [(int(at), str(event)) for at, event in town.rows(query.order_by(events.c.at.desc()).limit(MARKS_MOST))]
    filed = [(curve.effective_from_ms, "curve.filed") for curve in town.curves(station_id) if from_ms <= curve.effective_from_ms < to_ms]
    during = (outages.c.station_id == station_id) & (outages.c.state != "erased") & (outages.c.started_at < to_ms)
    spans = town.rows(select(outages.c.started_at, outages.c.ended_at).where(during).order_by(outages.c.started_at))
    stops = [(max(from_ms, start), min(to_ms, end or to_ms)) for start, end in spans if end is None or end > from_ms]
    return StationMarks(stops, sorted(happened + filed))

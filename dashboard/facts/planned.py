"""Planned stops to come and under way, of the site's folder and registered since (R4)."""

from dataclasses import dataclass

from dashboard.facts.town import Town
from domain.site import PlannedStop
from store.records import reading
from store.records.planned_stops import registered_stops, with_registered

MOST = 100


@dataclass(frozen=True)
class PlannedRow:
    """One planned stop. ``id`` is that of the records, None for one of the folder, which is changed there."""

    id: int | None
    name: str
    stop: PlannedStop


def planned_rows(town: Town) -> list[PlannedRow]:
    """Those that are not over, by their begin. Raises StoreError when the records can't be read."""
    return town.shared.of("planned", lambda: _planned_rows(town))


def _planned_rows(town: Town) -> list[PlannedRow]:
    with town.asking("records"), reading(town.records).connect() as connection:
        registered = registered_stops(connection)
    ids = {(one.station_id, one.from_at): one.id for one in registered if one.cancelled_at is None}
    stops = with_registered(town.site, registered).planned_stops
    names = {station_id: station.name or station_id for station_id, station in town.site.stations.items()}
    return [
        PlannedRow(ids.get((stop.station_id, stop.from_ms)), names.get(stop.station_id, stop.station_id), stop)
        for stop in stops
        if stop.to_ms > town.now_ms()
    ][:MOST]

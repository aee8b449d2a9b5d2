"""The area of a report: a district or a station of the site, or all of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter

from domain.errors import ConfigError, Mistake
from domain.site import Site, Station

FORMS = "district/NAME or station/ID of the site"
KEYS: Mapping[str, Callable[[Station], str]] = {"station": attrgetter("station_id"), "district": attrgetter("district")}


def area_of(site: Site, area: str) -> Site:
    """The site as far as it lies in ``area`` (``district/NAME``, ``station/ID``; empty: all of it): its stations, buildings and rooms.

    Raises ConfigError for an area that the site does not have.
    """
    if not area:
        return site
    kind, _, name = area.partition("/")
    stations = {one: station for one, station in site.stations.items() if name and kind in KEYS and KEYS[kind](station) == name}
    if not stations:
        raise ConfigError(Mistake("--area", FORMS, value=area))
    buildings = {one: building for one, building in site.buildings.items() if building.station_id in stations}
    rooms = {
        one: room for one, room in site.rooms.items() if (room.station_id in stations if room.station_id else room.building_id in buildings)
    }
    return replace(site, stations=stations, buildings=buildings, rooms=rooms)

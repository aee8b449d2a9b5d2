"""How far somebody sees: all of a site, or the districts of it that an account or a key is limited to.

districts ─▶ stations ─▶ buildings, rooms ─▶ points, subjects
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from domain.site import Site


def districts_of(site: Site) -> tuple[str, ...]:
    """The districts that the site's stations stand in, in order."""
    return tuple(sorted({station.district for station in site.stations.values() if station.district}))


@dataclass(frozen=True)
class Reach:
    """What lies in some districts, by id. ``sources`` are the heat sources that feed a station of them."""

    districts: frozenset[str]
    stations: frozenset[str]
    buildings: frozenset[str]
    rooms: frozenset[str]
    sources: frozenset[str]

    @classmethod
    def of(cls, site: Site, districts: Collection[str]) -> "Reach":
        """The reach of these districts. A station without a district is in none."""
        stations = {one.station_id for one in site.stations.values() if one.district and one.district in districts}
        buildings = {one.building_id for one in site.buildings.values() if one.station_id in stations}
        rooms = {
            one.room_id for one in site.rooms.values() if (one.station_id in stations if one.station_id else one.building_id in buildings)
        }
        sources = {site.stations[one].source_id for one in stations} - {None, ""}
        return cls(frozenset(districts), frozenset(stations), frozenset(buildings), frozenset(rooms), frozenset(map(str, sources)))

    @cached_property
    def _of_kind(self) -> Mapping[str, frozenset[str]]:
        return {"station": self.stations, "building": self.buildings, "room": self.rooms, "source": self.sources}

    def sees(self, subject: str) -> bool:
        """Whether a subject or a point (``station/S01``, ``room/R/indoor_temp_c``) lies in it."""
        kind, _, rest = subject.partition("/")
        return rest.partition("/")[0] in self._of_kind.get(kind, ())

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Every subject in it."""
        return tuple(f"{kind}/{one}" for kind, ids in self._of_kind.items() for one in sorted(ids))

    def narrowed(self, site: Site) -> Site:
        """The site as if nothing else stood in it."""
        return replace(
            site,
            stations={key: one for key, one in site.stations.items() if key in self.stations},
            buildings={key: one for key, one in site.buildings.items() if key in self.buildings},
            rooms={key: one for key, one in site.rooms.items() if key in self.rooms},
            devices={key: one for key, one in site.devices.items() if one.station_id in self.stations},
            curves={key: one for key, one in site.curves.items() if key in self.stations},
            planned_stops=tuple(one for one in site.planned_stops if one.station_id in self.stations),
            exclusions=tuple(one for one in site.exclusions if one.room_id in self.rooms),
        )

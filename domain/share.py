"""A node's share of a site: stations are dealt out to several nodes, each of which collects and judges its own.

A building's rooms stay with their station, and the stations of one heat source stay together: R4 counts them to tell an outage of the
source from outages of stations. Every node deals the same way from the same files.
"""

from collections import Counter
from dataclasses import dataclass, replace

from domain.site import Broker, Share, Site


def dealt(site: Site, count: int) -> dict[str, int]:
    """Station → the number of its node: groups of one heat source, the largest first, each to the node that has fewest stations."""
    group_of = {
        station_id: (station.source_id or "", "" if station.source_id else station_id) for station_id, station in site.stations.items()
    }
    load = dict.fromkeys(range(1, count + 1), 0)
    node_of = {}
    for group, size in sorted(Counter(group_of.values()).items(), key=lambda item: (-item[1], item[0])):
        node_of[group] = min(load, key=lambda number: (load[number], number))
        load[node_of[group]] += size
    return {station_id: node_of[group] for station_id, group in group_of.items()}


@dataclass(frozen=True)
class _Dealing:
    """Who gets what of a site, for one share."""

    site: Site
    share: Share
    node_of: dict[str, int]

    def station(self, station_id: str | None) -> bool:
        """Whether a station is ours; what belongs to none (that is known) is the first node's."""
        return self.node_of.get(station_id or "", 1) == self.share.number

    def building(self, building_id: str) -> bool:
        building = self.site.buildings.get(building_id)
        return self.station(building.station_id if building else None)

    def room(self, room_id: str) -> bool:
        room = self.site.rooms[room_id]
        return self.station(room.station_id) if room.station_id or not room.building_id else self.building(room.building_id)


def share_of(site: Site, share: Share) -> Site:
    """The site as this share's node sees it. What it leaves to others is named in ``elsewhere``, so that it is no stranger there."""
    if share.count == 1:
        return site
    deal = _Dealing(site, share, dealt(site, share.count))
    rooms = {room_id: room for room_id, room in site.rooms.items() if deal.room(room_id)}
    stations = {station_id: station for station_id, station in site.stations.items() if deal.station(station_id)}
    others = [room for room_id, room in site.rooms.items() if room_id not in rooms]
    return replace(
        site,
        share=share,
        elsewhere=frozenset(
            {room.sensor_id.casefold() for room in others if room.sensor_id}
            | {f"room/{room.room_id}" for room in others}
            | {f"station/{station_id}" for station_id in site.stations if station_id not in stations}
        ),
        stations=stations,
        buildings={building_id: building for building_id, building in site.buildings.items() if deal.building(building_id)},
        rooms=rooms,
        devices={device_id: device for device_id, device in site.devices.items() if deal.station(device.station_id)},
        curves={station_id: curves for station_id, curves in site.curves.items() if deal.station(station_id)},
        planned_stops=tuple(stop for stop in site.planned_stops if deal.station(stop.station_id)),
        exclusions=tuple(one for one in site.exclusions if one.room_id in rooms),
        brokers=tuple(_client(broker, share) for broker in site.brokers),
    )


def _client(broker: Broker, share: Share) -> Broker:
    """Every node listens for itself: brokers push out the older of two clients of one name."""
    return replace(broker, client_id=f"{broker.client_id}{share.mark}")

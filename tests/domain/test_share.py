"""Nodes share a site out among them: everything is somebody's, nothing is two nodes', and what belongs together stays together."""

from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from domain.policy import Policy
from domain.share import share_of
from domain.site import WHOLE, Broker, Building, Device, Exclusion, PlannedStop, Room, Share, Site, Station

ZONE = ZoneInfo("Asia/Shanghai")


def town(stations: int, sources: int) -> Site:
    """Stations of several heat sources and of none, three buildings each, rooms that name their building, their station, or nothing."""
    made = {f"S{n:02d}": Station(f"S{n:02d}", source_id=f"H{n % sources}" if sources and n % 3 else None) for n in range(stations)}
    buildings = {f"{station_id}-B{k}": Building(f"{station_id}-B{k}", station_id) for station_id in made for k in range(3)}
    rooms = [Room(f"{building_id}-R{k}", building_id, sensor_id=f"EUI-{building_id}-{k}") for building_id in buildings for k in range(2)]
    rooms += [Room(f"{station_id}-lobby", None, station_id, sensor_id=f"LOBBY-{station_id}") for station_id in made]
    rooms.append(Room("office", sensor_id="OFFICE"))
    return Site(
        "town",
        ZONE,
        Policy("none", (), ""),
        Path(),
        Path("data"),
        stations=made,
        buildings=buildings,
        rooms={room.room_id: room for room in rooms},
        devices={f"D{station_id}": Device(f"D{station_id}", station_id, "modbus_tcp", "10.0.0.1:502", "p") for station_id in made},
        brokers=(Broker("rooms", "mqtt://10.0.0.2:1883", "keepwarm-town"),),
        planned_stops=tuple(PlannedStop(station_id, 0, 1) for station_id in made),
        exclusions=tuple(Exclusion(room.room_id, 0, None) for room in rooms),
    )


@given(stations=st.integers(0, 12), sources=st.integers(0, 4), count=st.integers(1, 5))
def test_every_part_of_a_site_is_exactly_one_nodes(stations: int, sources: int, count: int) -> None:
    site = town(stations, sources)
    shares = [share_of(site, Share(number, count)) for number in range(1, count + 1)]
    for part in ("stations", "buildings", "rooms", "devices"):
        dealt = [one for share in shares for one in getattr(share, part)]
        assert sorted(dealt) == sorted(getattr(site, part)), part
    assert sorted(stop.station_id for share in shares for stop in share.planned_stops) == sorted(site.stations)
    assert sorted(one.room_id for share in shares for one in share.exclusions) == sorted(site.rooms)


@given(stations=st.integers(1, 12), sources=st.integers(1, 4), count=st.integers(2, 5))
def test_what_the_rules_count_together_stays_together(stations: int, sources: int, count: int) -> None:
    site = town(stations, sources)
    for number in range(1, count + 1):
        share = share_of(site, Share(number, count))
        assert all(share.sources[source_id] == site.sources[source_id] for source_id in share.sources)  # R4: at least half of a source
        for building in share.buildings.values():
            assert building.station_id in share.stations
            ours = [room_id for room_id, room in share.rooms.items() if room.building_id == building.building_id]
            every = [room_id for room_id, room in site.rooms.items() if room.building_id == building.building_id]
            assert ours == every  # R6: at least 20 % of a building's rooms


@given(stations=st.integers(1, 8), count=st.integers(2, 4))
def test_a_node_knows_what_it_leaves_to_others(stations: int, count: int) -> None:
    site = town(stations, 2)
    for number in range(1, count + 1):
        share = share_of(site, Share(number, count))
        known = {room.sensor_id.casefold() for room in share.rooms.values() if room.sensor_id} | share.elsewhere
        assert known >= {room.sensor_id.casefold() for room in site.rooms.values() if room.sensor_id}
        assert not share.elsewhere & {f"room/{room_id}" for room_id in share.rooms}
        assert share.elsewhere >= {f"station/{station_id}" for station_id in site.stations if station_id not in share.stations}


@given(stations=st.integers(0, 12), count=st.integers(1, 5))
def test_nodes_have_alike_much_to_do(stations: int, count: int) -> None:
    loads = [len(share_of(town(stations, 0), Share(number, count)).stations) for number in range(1, count + 1)]
    assert max(loads) - min(loads) <= 1


def test_each_node_is_a_client_of_its_own() -> None:
    site = town(2, 1)
    names = [share_of(site, Share(number, 2)).brokers[0].client_id for number in (1, 2)]
    assert names == ["keepwarm-town-1-of-2", "keepwarm-town-2-of-2"]


def test_a_site_on_one_node_is_as_it_was() -> None:
    site = town(3, 1)
    assert share_of(site, WHOLE) is site
    assert WHOLE.mark == ""

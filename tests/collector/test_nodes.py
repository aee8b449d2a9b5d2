"""Two nodes on one site: each takes its stations' devices and rooms, both hear every message, and nothing is taken twice or lost."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from domain.profile import MqttProfile
from domain.share import share_of
from domain.site import Broker, Device, Room, Share, Site, Station, Subscription
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.broker import PASSWORD, USER, Mosquitto, publisher
from tests.collector.conftest import Collected, Collecting, MakeSite
from tests.collector.raw_modbus import RawModbus
from tests.collector.test_collect import sound
from tests.collector.test_mqtt import TEMP, broker, now, running, subscribed

__all__ = ["broker", "running"]  # fixtures

STATIONS = ("S1", "S2")


@pytest.fixture
def site(make_site: MakeSite, broker: Mosquitto) -> Site:
    """Two stations, which two nodes divide, with a room each."""
    link = Broker("town", broker.url, f"keepwarm-{uuid4().hex[:8]}", USER, "env:MQTT_PASSWORD")
    subscriptions = (Subscription("application/+/device/+/event/up", "chirpstack"),)
    rooms = [Room(f"R-{station_id}", None, station_id, sensor_id=f"EUI-{station_id}") for station_id in STATIONS]
    chirpstack = load_profile(Path(SHIPPED) / "chirpstack.toml")
    assert isinstance(chirpstack, MqttProfile)
    made = make_site(rooms=rooms, brokers=[replace(link, subscriptions=subscriptions)], profiles=[chirpstack])
    return replace(made, stations={station_id: Station(station_id) for station_id in STATIONS})


def has_seen_all(node: Collected) -> bool:
    """Whether it has heard of the other's room and of the stranger, and told them apart."""
    return bool(node.health("town")["counts"].get("of another node") == 1) and node.health()["unknown_sensors"]["count"] == 1


def uplink(value: float) -> str:
    return json.dumps({"time": now(), "object": {"temperature": value}})


async def test_a_room_is_taken_by_one_node_and_is_no_stranger_to_the_other(site: Site, broker: Mosquitto, collecting: Collecting) -> None:
    one, other = (share_of(site, Share(number, 2)) for number in (1, 2))
    assert set(one.rooms) | set(other.rooms) == set(site.rooms)
    with publisher(broker) as publish:
        async with collecting(one) as first, collecting(other) as second:
            await subscribed(first)
            await subscribed(second)
            for station_id, value in (("S1", 20.5), ("S2", 19.5)):
                publish.send(f"application/1/device/EUI-{station_id}/event/up", uplink(value))
            publish.send("application/1/device/STRANGER/event/up", uplink(1.0))
            await first.until(lambda: first.values(TEMP.format("R-S1")) and first.values(TEMP.format("R-S2")))
            for node in (first, second):
                await node.until(partial(has_seen_all, node))
            assert first.values(TEMP.format("R-S1")) == [20.5]
            assert first.values(TEMP.format("R-S2")) == [19.5]
    assert PASSWORD not in (site.data / "unknown_sensors-1-of-2.json").read_text(encoding="utf-8")
    assert {path.name for path in site.data.glob("unknown_sensors*")} == {"unknown_sensors-1-of-2.json", "unknown_sensors-2-of-2.json"}


async def test_each_device_is_polled_by_one_node(make_site: MakeSite, collecting: Collecting) -> None:
    async with RawModbus(sound).running() as server, RawModbus(sound).running() as another:
        devices = [
            Device(f"D-{station_id}", station_id, "modbus_tcp", where.address, "two", interval_s=0.2)
            for station_id, where in zip(STATIONS, (server, another), strict=True)
        ]
        site = make_site(devices=devices)
        async with collecting(share_of(site, Share(1, 2))) as first, collecting(share_of(site, Share(2, 2))) as second:
            await first.until(lambda: all(len(first.rows(f"station/{one}/secondary_supply_temp_c")) > 3 for one in STATIONS))
            names = [{record["name"] for record in node.health()["sources"]} for node in (first, second)]
    assert sorted(map(sorted, names)) == [["D-S1"], ["D-S2"]]
    rows = [row for row in first.rows() if row.name.startswith("station/")]
    assert len({(row.name, row.received_at) for row in rows}) == len(rows)

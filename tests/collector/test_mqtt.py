"""``collect`` on a real broker, from publish to journal and acknowledgement."""

import asyncio
import gc
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from collector.collect import run_collect
from domain.clock import Clock, iso
from domain.profile import MqttProfile
from domain.reading import Quality
from domain.site import Broker, Room, Site, Subscription
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.broker import PASSWORD, USER, Mosquitto, Publisher, make_certificate, publisher
from tests.collector.conftest import Collected, Collecting, MakeSite

TEMP = "room/{}/indoor_temp_c"
ROOMS = [Room(f"R{n}", sensor_id=sensor) for n, sensor in enumerate(("24E124136B000001", "room-1", "S01/B03/502", "flur", "E0901", "2"))]
TOPICS = {
    "chirpstack": "application/+/device/+/event/up",
    "milesight": "application/+/device/+/event/up",
    "the_things_stack": "v3/+/devices/+/up",
    "zigbee2mqtt": "zigbee2mqtt/#",
    "tasmota": "tele/+/SENSOR",
    "edge_json": "edge/+/points",
}


@pytest.fixture(scope="module")
def running(mosquitto: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for all tests; each has a session of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = Mosquitto(mosquitto, tmp_path_factory.mktemp("broker"), port)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def broker(running: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Mosquitto:
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    return running


@pytest.fixture
def publish(broker: Mosquitto) -> Iterator[Publisher]:
    with publisher(broker) as found:
        yield found


def profile(name: str) -> MqttProfile:
    found = load_profile(Path(SHIPPED) / f"{name}.toml")
    assert isinstance(found, MqttProfile)
    return found


@pytest.fixture(params=["5", "3.1.1"], ids=["v5", "v3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(make_site: MakeSite, broker: Mosquitto) -> Site:
    link = Broker("town", broker.url, f"keepwarm-{uuid4().hex[:8]}", USER, "env:MQTT_PASSWORD")
    subscriptions = tuple(Subscription(topic, name) for name, topic in TOPICS.items())
    return make_site(rooms=ROOMS, brokers=[replace(link, subscriptions=subscriptions)], profiles=[profile(name) for name in TOPICS])


def speaking(site: Site, protocol: str) -> Site:
    return replace(site, brokers=(replace(site.brokers[0], protocol=protocol),))  # type: ignore[arg-type]


def now(shift: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + shift).isoformat()


def zigbee(value: object, seen: str | None = None) -> str:
    return json.dumps({"temperature": value, **({"last_seen": seen} if seen else {})})


async def subscribed(collected: Collected) -> None:
    """The broker has confirmed every subscription: only then is it good."""
    await collected.until(lambda: collected.health("town").get("state") == "good")


async def test_six_payload_formats_become_readings_of_rooms(site: Site, protocol: str, publish: Publisher, collecting: Collecting) -> None:
    async with collecting(speaking(site, protocol)) as collected:
        await subscribed(collected)
        publish.send("application/1/device/24e124136b000001/event/up", json.dumps({"time": now(), "object": {"temperature": "20.5"}}))
        publish.send(
            "v3/app@t/devices/room-1/up", json.dumps({"received_at": now(), "uplink_message": {"decoded_payload": {"temperature": 19.5}}})
        )
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(21.5))
        publish.send("tele/flur/SENSOR", json.dumps({"Time": "2026-01-01T00:00:00", "AM2301": {"Temperature": 18.5}, "TempUnit": "C"}))
        points = [{"point_id": "E0901.temperature", "value": 17.5, "quality": "good", "timestamp": time.time_ns() // 1_000_000}]
        publish.send("edge/S09/points", json.dumps({"points": points}))
        frames = [{"timestamp": int(time.time()) - 3600 * n, "temperature": 16.0 + n} for n in (1, 2)]
        publish.send("application/1/device/2/event/up", json.dumps({"time": now(), "object": {"temperature": 16.0, "history": frames}}))
        await collected.until(lambda: all(collected.rows(TEMP.format(f"R{n}")) for n in range(6)))
        rows = collected.by_name()
    first = {n: rows[TEMP.format(f"R{n}")][0] for n in range(5)}
    assert [first[n].value for n in range(5)] == [20.5, 19.5, 21.5, 18.5, 17.5]
    assert [first[n].quality for n in range(5)] == [0, 0, 0, Quality.CLOCK, 0]
    late = rows[TEMP.format("R5")]
    assert [row.value for row in late] == [16.0, 17.0, 18.0]
    assert [round((late[0].measured_at - row.measured_at) / 3_600_000) for row in late] == [0, 1, 2]
    assert all(row.quality == Quality.GOOD for row in late)


async def test_what_can_not_be_read_harms_nothing_and_is_counted(site: Site, publish: Publisher, collecting: Collecting) -> None:
    async with collecting(site) as collected:
        await subscribed(collected)
        for payload in (
            b"{",
            b"\xff\xff",
            b"",
            b"x" * 1_048_577,
            b"[]",
            b'{"temperature": "warm"}',
            b'{"temperature": NaN}',
            b'{"humidity": 40}',
        ):
            publish.send("zigbee2mqtt/S01/B03/502", payload)
        publish.send("zigbee2mqtt/S01/B03/502", '{"temperature": 20.5, "名": "客厅"}'.encode("gb18030"))
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(21.0))
        await collected.until(lambda: 21.0 in collected.values(TEMP.format("R2")))
        await collected.until(lambda: collected.health("town")["polls"] == 10)
        rows, counts = collected.rows(TEMP.format("R2")), collected.health("town")["counts"]
    assert [row.quality for row in rows] == [Quality.DECODE, Quality.NOT_A_NUMBER, 0, 0]
    assert [row.value for row in rows[2:]] == [20.5, 21.0]
    assert counts == {"not JSON": 3, "payload over 1 MiB": 1, "no field of the profile": 1}


async def test_times_that_can_not_be_true_give_way_to_receipt(site: Site, publish: Publisher, collecting: Collecting) -> None:
    async with collecting(site) as collected:
        await subscribed(collected)
        for seen in ("1970-01-01T00:00:09+00:00", now(timedelta(days=365)), now(timedelta(hours=-2)), now(timedelta(minutes=-5))):
            publish.send("zigbee2mqtt/S01/B03/502", zigbee(20.0, seen))
        await collected.until(lambda: len(collected.rows(TEMP.format("R2"))) == 4)
        rows = collected.rows(TEMP.format("R2"))
    assert [row.quality for row in rows] == [Quality.CLOCK, Quality.CLOCK, Quality.CLOCK, Quality.GOOD]
    assert [row.measured_at == row.received_at for row in rows] == [True, True, True, False]
    assert rows[3].received_at - rows[3].measured_at == pytest.approx(300_000, abs=5000)


async def test_retained_state_is_no_new_reading(site: Site, protocol: str, publish: Publisher, collecting: Collecting) -> None:
    publish.send("zigbee2mqtt/S01/B03/502", zigbee(10.0), retain=True)
    async with collecting(speaking(site, protocol)) as collected:
        await subscribed(collected)
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(20.0), retain=True)
        await collected.until(lambda: collected.rows(TEMP.format("R2")))
        assert collected.values(TEMP.format("R2")) == [20.0]
    publish.send("zigbee2mqtt/S01/B03/502", b"", retain=True)


async def test_unknown_sensors_are_listed_and_kept_over_a_restart(site: Site, publish: Publisher, collecting: Collecting) -> None:
    async with collecting(site) as collected:
        await subscribed(collected)
        publish.send("zigbee2mqtt/new sensor", zigbee(20.5))
        publish.send("zigbee2mqtt/new sensor", zigbee(20.7))
        publish.send("zigbee2mqtt/new sensor/availability", '{"state": "online"}')
        await collected.until(lambda: collected.health("town")["counts"].get("unknown sensor") == 2)
    (kept,) = json.loads((site.data / "unknown_sensors.json").read_text()).items()
    assert kept[0] == "new sensor"
    assert (kept[1]["count"], kept[1]["profile"], kept[1]["values"]) == (2, "zigbee2mqtt", {"indoor_temp_c": 20.7})
    async with collecting(site) as collected:
        await collected.until(lambda: collected.health()["unknown_sensors"]["count"] == 1)
        assert collected.health()["unknown_sensors"]["newest"][0]["sensor"] == "new sensor"
    commissioned = replace(site, rooms={**site.rooms, "R9": Room("R9", sensor_id="New Sensor")})
    async with collecting(commissioned) as collected:
        await collected.until(lambda: collected.health().get("unknown_sensors", {}).get("count") == 0)


async def test_what_was_sent_while_nobody_listened_comes_after(
    site: Site, protocol: str, publish: Publisher, collecting: Collecting
) -> None:
    site = speaking(site, protocol)
    async with collecting(site) as collected:
        await subscribed(collected)
    for value in range(15, 25):
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(value))
    async with collecting(site) as collected:
        await collected.until(lambda: len(collected.rows(TEMP.format("R2"))) == 10)
        assert collected.values(TEMP.format("R2")) == list(range(15, 25))


async def test_what_the_broker_kept_for_hours_has_its_own_time_and_what_lies_about_it_has_not(
    site: Site, protocol: str, publish: Publisher, collecting: Collecting
) -> None:
    """The clock runs 1800 times as fast as life: a second away is half an hour."""
    site, clock = speaking(site, protocol), Clock.starting_at(1_796_083_200_000, 1800)
    async with collecting(site, clock) as collected:
        await subscribed(collected)
        away_ms = clock.now_ms()
    sent_ms = clock.now_ms() + 60_000
    publish.send("zigbee2mqtt/S01/B03/502", zigbee(20.0, iso(sent_ms)))
    publish.send("zigbee2mqtt/S01/B03/502", zigbee(21.0, iso(away_ms - 86_400_000)))
    await collected.until(lambda: clock.now_ms() - sent_ms > 1_200_000)
    async with collecting(site, clock) as collected:
        await collected.until(lambda: len(collected.rows(TEMP.format("R2"))) == 2)
        kept, lying = collected.rows(TEMP.format("R2"))
    assert (kept.measured_at, kept.quality) == (sent_ms, Quality.GOOD)
    assert kept.received_at - kept.measured_at > 600_000
    assert (lying.measured_at, lying.quality) == (lying.received_at, Quality.CLOCK)


async def test_a_broker_that_restarts_is_listened_to_again(site: Site, protocol: str, broker: Mosquitto, collecting: Collecting) -> None:
    async with collecting(speaking(site, protocol)) as collected:
        await subscribed(collected)
        with publisher(broker) as publish:
            publish.send("zigbee2mqtt/S01/B03/502", zigbee(20.0))
        await collected.until(lambda: collected.rows(TEMP.format("R2")))
        broker.stop()
        await collected.until(lambda: collected.health("town")["state"] == "failing")
        broker.start()
        await subscribed(collected)
        with publisher(broker) as publish:
            publish.send("zigbee2mqtt/S01/B03/502", zigbee(21.0))
        await collected.until(lambda: 21.0 in collected.values(TEMP.format("R2")))
        connected = [row.value for row in collected.rows("source/town/connected")]
    assert 0.0 in connected
    assert connected[-1] == 1.0


async def test_a_wrong_password_is_named(site: Site, collecting: Collecting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "wrong-password")
    async with collecting(site) as collected:
        await collected.until(lambda: "uthori" in collected.health("town").get("reason", ""))
        assert "wrong-password" not in str(collected.health())


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*SSLSocket.*:pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_with_tls_is_listened_to_if_its_certificate_is_trusted(
    site: Site, mosquitto: Path, tmp_path: Path, free_port: Callable[[], int], collecting: Collecting
) -> None:
    (tmp_path / "secured").mkdir()
    secured = Mosquitto(mosquitto, tmp_path / "secured", free_port(), secured=True)
    other = tmp_path / "other.pem"
    make_certificate(other, tmp_path / "other.key")
    secured.start()
    try:
        link = replace(site.brokers[0], url=secured.url)
        async with collecting(replace(site, brokers=(replace(link, ca_file=str(other)),))) as collected:
            await collected.until(lambda: "certificate verify failed" in collected.health("town").get("reason", ""))
        async with collecting(replace(site, brokers=(replace(link, ca_file=str(secured.certificate)),))) as collected:
            await subscribed(collected)
    finally:
        secured.stop()
        gc.collect()


# ── acknowledged once committed ───────────────────────────────────────────────────────────────────────────────────────

CHILD = """
import asyncio, pickle, sys
from collector import collect, intake
from domain.clock import Clock, iso
intake.GATHER_S = intake.HURRY_S = 3600.0
site = pickle.load(open(sys.argv[1], "rb"))
asyncio.run(collect.run_collect(site, Clock(), asyncio.Event()))
"""


def collect_and_never_commit(site: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, str(site)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": "."}, stdout=subprocess.DEVNULL)


async def test_killed_between_receipt_and_commit_everything_comes_again_and_counts_once(
    site: Site, protocol: str, publish: Publisher, collecting: Collecting, tmp_path: Path
) -> None:
    site = speaking(site, protocol)
    (tmp_path / "site.pickle").write_bytes(pickle.dumps(site))
    child = collect_and_never_commit(tmp_path / "site.pickle")
    try:
        outside = Collected(site, Clock())
        await subscribed(outside)
        seen = now()
        for value in range(15, 25):
            publish.send("zigbee2mqtt/S01/B03/502", zigbee(value, (datetime.fromisoformat(seen) + timedelta(seconds=value)).isoformat()))
        await outside.until(lambda: outside.health("town").get("polls") == 10)
        assert not outside.rows(TEMP.format("R2"))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(5)
    async with collecting(site) as collected:
        await collected.until(lambda: len(collected.rows(TEMP.format("R2"))) >= 10)
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(25.0, now()))  # comes after whatever the broker still holds
        await collected.until(lambda: 25.0 in collected.values(TEMP.format("R2")))
        rows = collected.rows(TEMP.format("R2"))
    assert [row.value for row in rows] == list(range(15, 26))
    assert len({row.measured_at for row in rows}) == 11


async def test_what_the_broker_repeats_after_a_lost_connection_counts_once(
    site: Site, protocol: str, broker: Mosquitto, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost between receipt and acknowledgement. Without a time of its own a message shows only by its repetition mark."""
    monkeypatch.setattr("collector.intake.GATHER_S", 3.0)
    async with collecting(speaking(site, protocol)) as collected:
        await subscribed(collected)
        with publisher(broker) as publish:
            for value in range(15, 20):
                publish.send("zigbee2mqtt/S01/B03/502", zigbee(value))
        await collected.until(lambda: collected.health("town")["polls"] == 5)
        broker.stop()
        broker.start()
        await collected.until(lambda: collected.health("town")["counts"].get("repeated") == 5)
        await collected.until(lambda: len(collected.rows(TEMP.format("R2"))) == 5)
    async with collecting(speaking(site, protocol)) as collected:
        await subscribed(collected)
        with publisher(broker) as publish:
            publish.send("zigbee2mqtt/S01/B03/502", zigbee(25.0))
        await collected.until(lambda: 25.0 in collected.values(TEMP.format("R2")))
        assert collected.values(TEMP.format("R2")) == [15, 16, 17, 18, 19, 25], "all were acknowledged in the end"


async def test_a_flood_beyond_what_the_broker_keeps_in_flight_comes_through_in_order(
    site: Site, protocol: str, publish: Publisher, collecting: Collecting
) -> None:
    async with collecting(speaking(site, protocol)) as collected:
        await subscribed(collected)
        for number in range(200):
            publish.send("zigbee2mqtt/S01/B03/502", zigbee(15 + number / 100), qos=0 if number % 10 else 1)
        await collected.until(lambda: len(collected.rows(TEMP.format("R2"))) == 200)
        assert collected.values(TEMP.format("R2")) == [15 + number / 100 for number in range(200)]


async def test_stopping_acknowledges_what_was_committed_last(site: Site, publish: Publisher, collecting: Collecting) -> None:
    stop = asyncio.Event()
    site.data.mkdir()
    task = asyncio.create_task(run_collect(site, Clock(), stop))
    collected = Collected(site, Clock())
    await subscribed(collected)
    for value in range(15, 20):
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(value))
    await collected.until(lambda: collected.health("town")["polls"] >= 1)
    began = time.monotonic()
    stop.set()
    await task
    assert time.monotonic() - began < 2
    before = collected.values(TEMP.format("R2"))
    async with collecting(site) as again:
        await again.until(lambda: len(again.rows(TEMP.format("R2"))) >= 5)
        publish.send("zigbee2mqtt/S01/B03/502", zigbee(20.0))  # comes after whatever the broker still holds
        await again.until(lambda: 20.0 in again.values(TEMP.format("R2")))
        assert again.values(TEMP.format("R2")) == list(range(15, 21)), f"{len(before)} were committed before the stop"

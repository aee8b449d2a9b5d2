"""What goes wrong between broker and ``collect`` (faults.md, MQTT), on a real broker; and what sensors say of themselves."""

import asyncio
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives import serialization
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.broker_tls import context_of
from collector.commission import hear_sensors, read_once
from collector.sources import mqtt
from domain.clock import Clock
from domain.errors import ConfigError, SourceError
from domain.profile import MqttProfile
from domain.reading import Quality
from domain.site import Broker, Room, Site, Subscription
from simulators.broker import mqtt_broker
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.broker import PASSWORD, USER, Mosquitto, Publisher, make_certificate, publisher
from tests.collector.conftest import Collected, Collecting, MakeSite
from tests.collector.sparkplug_wire import FLOAT, Sent, message

PROFILES = {"zigbee2mqtt": "zigbee2mqtt/#", "tasmota": "tele/+/SENSOR", "sparkplug_b": "spBv1.0/#"}
# amqtt leaves the stream of a client that it can't understand to the garbage collector.
AMQTT_LEAVES = pytest.mark.filterwarnings("ignore:.*(StreamWriter|_SelectorTransport).*:pytest.PytestUnraisableExceptionWarning")
ROOMS = [Room("R0", sensor_id="a"), Room("R1", sensor_id="b"), Room("R2", sensor_id="flur"), Room("R3", sensor_id="town/S01/B03/502")]
A, B, C, D = (f"room/R{n}/indoor_temp_c" for n in range(4))


@pytest.fixture
def broker(mosquitto: Path, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mosquitto]:
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    (tmp_path / "broker").mkdir()
    found = Mosquitto(mosquitto, tmp_path / "broker", free_port())
    found.start()
    yield found
    found.stop()


@pytest.fixture
def publish(broker: Mosquitto) -> Iterator[Publisher]:
    with publisher(broker) as found:
        yield found


def profile(name: str) -> MqttProfile:
    found = load_profile(Path(SHIPPED) / f"{name}.toml")
    assert isinstance(found, MqttProfile)
    return found


def site_of(make_site: MakeSite, url: str, **more: str) -> Site:
    link = Broker("town", url, f"keepwarm-{uuid4().hex[:8]}", USER, "env:MQTT_PASSWORD")
    subscriptions = tuple(Subscription(topic, name) for name, topic in PROFILES.items())
    link = replace(link, subscriptions=subscriptions, **more)  # type: ignore[arg-type]
    return make_site(rooms=ROOMS, brokers=[link], profiles=[profile(name) for name in PROFILES])


@pytest.fixture
def site(make_site: MakeSite, broker: Mosquitto) -> Site:
    return site_of(make_site, broker.url)


def temperature(value: float, seen: datetime | None = None) -> str:
    return json.dumps({"temperature": value, **({"last_seen": seen.isoformat()} if seen else {})})


async def heard(collected: Collected, publish: Publisher, value: float = 5.5) -> None:
    """Waits until a message comes through: the subscription stands."""
    await collected.until(lambda: collected.health("town").get("state") == "good")

    def through() -> bool:
        publish.send("zigbee2mqtt/b", temperature(value))
        return value in collected.values(B)

    await collected.until(through)


async def test_a_broker_killed_with_its_sessions_is_subscribed_to_again(site: Site, broker: Mosquitto, collecting: Collecting) -> None:
    async with collecting(site) as collected:
        with publisher(broker) as publish:
            await heard(collected, publish)
        broker.kill()
        await collected.until(lambda: collected.health("town")["state"] == "failing")
        broker.start()
        with publisher(broker) as publish:
            await heard(collected, publish, 6.5)
            publish.send("zigbee2mqtt/a", temperature(21.0))
            await collected.until(lambda: collected.values(A) == [21.0])


async def test_times_out_of_order_are_each_readings_own(site: Site, publish: Publisher, collecting: Collecting) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    async with collecting(site) as collected:
        await heard(collected, publish)
        for minutes in (3, 1, 2, 1):
            publish.send("zigbee2mqtt/a", temperature(20.0 + minutes, now - timedelta(minutes=minutes)))
        await collected.until(lambda: len(collected.rows(A)) == 4)
        rows = collected.rows(A)
    assert [round((now.timestamp() * 1000 - row.measured_at) / 60_000) for row in rows] == [3, 1, 2, 1]
    assert [row.value for row in rows] == [23.0, 21.0, 22.0, 21.0]
    assert {row.quality for row in rows} == {Quality.GOOD}


async def test_two_clients_with_one_id_are_named_and_nothing_is_lost_when_the_other_goes(
    site: Site, broker: Mosquitto, publish: Publisher, collecting: Collecting
) -> None:
    async with collecting(site) as collected:
        await heard(collected, publish)
        other = paho.Client(CallbackAPIVersion.VERSION2, client_id=site.brokers[0].client_id, protocol=paho.MQTTv5)
        other.username_pw_set(USER, PASSWORD)
        keep = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        keep.SessionExpiryInterval = 3600
        other.connect("127.0.0.1", broker.port, clean_start=False, properties=keep)
        other.loop_start()
        await collected.until(lambda: any("pushed out" in key for key in collected.health("town")["counts"]))
        other.loop_stop()
        other.disconnect()
        await collected.until(lambda: collected.health("town")["state"] == "good")
        for value in range(15, 20):
            publish.send("zigbee2mqtt/a", temperature(value))
        await collected.until(lambda: len(collected.rows(A)) == 5)
        assert collected.values(A) == [15, 16, 17, 18, 19]


async def test_what_waits_with_qos_2_from_somebody_of_our_name_before_us_is_taken_and_acknowledged(
    site: Site, broker: Mosquitto, publish: Publisher, collecting: Collecting
) -> None:
    before = paho.Client(CallbackAPIVersion.VERSION2, client_id=site.brokers[0].client_id, protocol=paho.MQTTv311, clean_session=False)
    before.username_pw_set(USER, PASSWORD)
    before.on_connect = lambda *_: before.subscribe("zigbee2mqtt/#", 2)  # type: ignore[assignment]
    before.on_subscribe = lambda *_: before.disconnect()  # type: ignore[assignment]
    before.connect("127.0.0.1", broker.port)
    before.loop_forever()
    for value in (15, 16, 17):
        publish.send("zigbee2mqtt/a", temperature(value), qos=2)
    async with collecting(site) as collected:
        await collected.until(lambda: len(collected.rows(A)) == 3)
    async with collecting(site) as collected:
        await heard(collected, publish)
        assert collected.values(A) == [15, 16, 17], "they were acknowledged, and do not come again"


async def test_a_flood_of_one_sensor_does_not_starve_the_others(site: Site, publish: Publisher, collecting: Collecting) -> None:
    async with collecting(site) as collected:
        await heard(collected, publish)
        for number in range(1500):
            publish.send("zigbee2mqtt/b", temperature(1000 + number), qos=0)
            if number % 100 == 0:
                publish.send("zigbee2mqtt/a", temperature(20 + number / 1000))
        await collected.until(lambda: len(collected.rows(A)) == 15)
        await collected.until(lambda: [value for value in collected.values(B) if value >= 1000] == list(range(1000, 2500)))
        rows = collected.rows()
        waits = [row.received_at - row.measured_at for row in rows if row.name == A]
    assert max(waits) == 0
    first, last = (next(at for at, row in enumerate(order) if row.name == A) for order in (rows, rows[::-1]))
    assert first < 1200, "they come among the flood, not after it"
    assert last < 1200


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_subscriptions_that_the_broker_refuses_are_named(
    protocol: str, make_site: MakeSite, mosquitto: Path, tmp_path: Path, free_port: Callable[[], int], collecting: Collecting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """An account without rights: connected, and yet nothing would ever come."""
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    (tmp_path / "strict").mkdir()
    strict = Mosquitto(mosquitto, tmp_path / "strict", free_port())
    strict.confirm_only("elsewhere/#")
    strict.start()
    site = site_of(make_site, strict.url, protocol=protocol)
    try:
        async with collecting(site) as collected:
            await collected.until(lambda: "refuses what we subscribe to" in collected.health("town").get("reason", ""))
            record = collected.health("town")
        (finding,) = await read_once(site, Clock(), 5.0)
        with pytest.raises(SourceError, match=r"refuses what we subscribe to: .*zigbee2mqtt/#: "):
            await hear_sensors(site, site.brokers[0], Clock(), 30.0)
    finally:
        strict.stop()
    assert record["state"] == "failing"
    assert "zigbee2mqtt/#: " in record["reason"]
    assert not finding.good
    assert "zigbee2mqtt/#: " in finding.said


async def test_one_subscription_refused_is_counted_and_the_others_are_heard(
    make_site: MakeSite, mosquitto: Path, tmp_path: Path, free_port: Callable[[], int], collecting: Collecting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    (tmp_path / "strict").mkdir()
    strict = Mosquitto(mosquitto, tmp_path / "strict", free_port())
    strict.confirm_only("zigbee2mqtt/#", "spBv1.0/#")
    strict.start()
    site = site_of(make_site, strict.url)
    try:
        async with collecting(site) as collected:
            await collected.until(lambda: collected.health("town").get("state") == "good")
            record = collected.health("town")
        (finding,) = await read_once(site, Clock(), 5.0)
    finally:
        strict.stop()
    refused = [key for key in record["counts"] if key.startswith("subscription refused: ")]
    assert any(key.startswith("subscription refused: tele/+/SENSOR: ") for key in refused)
    assert not any("zigbee2mqtt/#" in key for key in refused)
    assert (finding.good, "connected; it refuses tele/+/SENSOR: " in finding.said) == (False, True)


async def test_a_client_certificate_lets_in(
    make_site: MakeSite,
    mosquitto: Path,
    tmp_path: Path,
    free_port: Callable[[], int],
    collecting: Collecting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "not needed")
    (tmp_path / "broker").mkdir()
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    make_certificate(certificate, key)
    secured = Mosquitto(mosquitto, tmp_path / "broker", free_port(), secured=True, clients=certificate)
    secured.start()
    try:
        files = {"ca_file": str(secured.certificate), "certificate": str(certificate), "private_key": str(key)}
        site = site_of(make_site, secured.url, username="", password="", **files)
        async with collecting(site) as collected:
            await collected.until(lambda: collected.health("town").get("state") == "good")
    finally:
        secured.stop()


def test_a_client_key_with_a_password_is_named_and_nobody_is_asked_for_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """OpenSSL would ask at the terminal, and a service hang there for ever."""
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    make_certificate(certificate, key)
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(plain.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    with pytest.raises(ConfigError, match=r"site.toml: mqtt.town: .*client.key': certificates in PEM .* and a key without a password: "):
        context_of(Broker("town", "mqtts://broker", "collector", certificate=str(certificate), private_key=str(key)))
    assert "pass phrase" not in "".join(capfd.readouterr())


@AMQTT_LEAVES
async def test_a_broker_that_speaks_3_1_1_only_is_spoken_to_in_that(
    make_site: MakeSite, free_port: Callable[[], int], collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    port = free_port()
    async with mqtt_broker(port, {USER: PASSWORD}), collecting(site_of(make_site, f"mqtt://127.0.0.1:{port}")) as collected:
        await collected.until(lambda: collected.health("town").get("state") == "good")
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
        client.username_pw_set(USER, PASSWORD)
        client.connect_async("127.0.0.1", port)
        client.loop_start()

        def through() -> bool:
            client.publish("zigbee2mqtt/a", temperature(20.0), 1)
            return 20.0 in collected.values(A)

        await collected.until(through)
        client.disconnect()
        client.loop_stop()
    gc.collect()


@AMQTT_LEAVES
async def test_commissioning_too_speaks_3_1_1_where_the_broker_has_no_more(
    make_site: MakeSite, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    monkeypatch.setattr(mqtt, "ANSWER_S", 0.2)
    port = free_port()
    site = site_of(make_site, f"mqtt://127.0.0.1:{port}")
    async with mqtt_broker(port, {USER: PASSWORD}):
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
        client.username_pw_set(USER, PASSWORD)
        there = threading.Event()
        client.on_connect = lambda *_: there.set()
        client.connect_async("127.0.0.1", port)
        client.loop_start()
        assert await asyncio.to_thread(there.wait, 10)
        sent = client.publish("zigbee2mqtt/new one", temperature(20.0), 1, retain=True)
        await asyncio.to_thread(sent.wait_for_publish, 10)
        (finding,) = await read_once(site, Clock(), 20.0)
        listened = await hear_sensors(site, site.brokers[0], Clock(), 4.0)
        client.disconnect()
        client.loop_stop()
    gc.collect()
    assert (finding.good, finding.said) == (True, f"mqtt mqtt://127.0.0.1:{port}: connected in MQTT 3.1.1, which is all that it speaks")
    assert ([(one.sensor, one.values) for one in listened.sensors], listened.refusals) == ([("new one", {"indoor_temp_c": 20.0})], [])


async def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(
    make_site: MakeSite, free_port: Callable[[], int], collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As brokers of old answer: CONNACK in the form of 3.1.1, return code 1."""
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    versions: list[int] = []

    answering: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.append(task)
        try:
            head = await reader.read(64)
            if head:
                versions.append(head[head.index(b"MQTT") + 4])
                writer.write(b"\x20\x02\x00\x01" if versions[-1] == 5 else b"\x20\x02\x00\x00")
                while True:
                    kind, length = await reader.readexactly(2)
                    packet = await reader.readexactly(length)
                    if kind == 0x82:  # SUBSCRIBE
                        writer.write(b"\x90\x03" + packet[:2] + b"\x01")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", free_port()) as server:
        port = server.sockets[0].getsockname()[1]
        async with collecting(site_of(make_site, f"mqtt://127.0.0.1:{port}")) as collected:
            await collected.until(lambda: collected.health("town").get("state") == "good")
    await asyncio.wait_for(asyncio.gather(*answering), 10)
    await asyncio.sleep(0)  # transports say farewell in the loop's next round
    assert versions[:2] == [5, 4]


# ── what sensors say of themselves ────────────────────────────────────────────────────────────────────────────────────


async def test_sensors_that_have_gone_are_told_and_counted(
    site: Site, publish: Publisher, collecting: Collecting, capsys: pytest.CaptureFixture[str]
) -> None:
    publish.send("tele/flur/LWT", "Offline", retain=True)
    async with collecting(site) as collected:
        await heard(collected, publish)
        publish.send("zigbee2mqtt/a/availability", '{"state": "offline"}', retain=True)
        await collected.until(lambda: collected.health("town")["counts"].get("sensors offline") == 2)
        publish.send("tele/flur/LWT", "Online", retain=True)
        publish.send("zigbee2mqtt/a/availability", "online", retain=True)
        publish.send("zigbee2mqtt/a/availability", "online", retain=True)
        await collected.until(lambda: collected.health("town")["counts"].get("sensors offline") == 0)
    printed = capsys.readouterr().out
    assert printed.count("sensor has gone") == 2
    assert printed.count("sensor is there") == 2
    assert 0.0 in collected.values("source/town/sensors_offline")


async def test_sparkplug_from_birth_to_death(site: Site, publish: Publisher, collecting: Collecting) -> None:
    def now_ms() -> int:
        return time.time_ns() // 1_000_000

    async with collecting(site) as collected:
        await heard(collected, publish)
        publish.send("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 1.0, FLOAT, alias=7, at_ms=now_ms())], seq=1))
        publish.send("spBv1.0/town/DBIRTH/S01/B03", message([Sent("502/temperature", 20.5, FLOAT, alias=7, at_ms=now_ms())], seq=2))
        publish.send("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 21.3, FLOAT, alias=7, at_ms=now_ms())], seq=3))
        publish.send("spBv1.0/town/DDEATH/S01/B03", message([], seq=4))
        await collected.until(lambda: collected.values(D) == [20.5, 21.3])
        await collected.until(lambda: collected.health("town")["counts"].get("sensors offline") == 1)
        assert collected.health("town")["counts"]["alias without a birth: town/S01"] == 1
    async with collecting(site) as collected:
        await heard(collected, publish, 7.5)
        publish.send("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 21.4, FLOAT, alias=7, at_ms=now_ms())], seq=5))
        await collected.until(lambda: collected.values(D) == [20.5, 21.3, 21.4])


async def test_nothing_but_what_listening_needs_is_ever_sent_to_a_broker(
    site: Site, broker: Mosquitto, publish: Publisher, collecting: Collecting
) -> None:
    """Sparkplug wants rebirths to be asked for by a command; a collector never writes."""
    seen: list[str] = []
    spy = paho.Client(CallbackAPIVersion.VERSION2, client_id="spy")
    spy.username_pw_set(USER, PASSWORD)
    spy.on_message = lambda _client, _user, message: seen.append(message.topic)
    spy.connect("127.0.0.1", broker.port)
    spy.subscribe("#", 1)
    spy.loop_start()
    async with collecting(site) as collected:
        publish.send("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 1.0, FLOAT, alias=7)], seq=1))
        await heard(collected, publish)
        publish.send("spBv1.0/town/DDATA/S01/B03", message([Sent(None, 1.0, FLOAT, alias=7)], seq=9))
        await heard(collected, publish, 6.5)
    spy.disconnect()
    spy.loop_stop()
    assert set(seen) <= {"spBv1.0/town/DDATA/S01/B03", "zigbee2mqtt/b"}
    assert "spBv1.0/town/DDATA/S01/B03" in seen

"""Broken payloads of every kind and profile: never an exception, and each message leaves a reading or a reason."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.intake import Intake
from collector.sources.mqtt import Message
from collector.sources.sensors import OUR_ERROR, Row, Sensors
from collector.sparkplug import Births, NotSparkplugError
from collector.unknown_sensors import UnknownSensors
from domain.clock import Clock
from domain.profile import MqttProfile
from domain.quantity import quantity
from domain.reading import Quality
from domain.site import Broker, Room, Site, Subscription
from store.journal import open_journal
from store.points import PointRegistry
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.conftest import MakeSite
from tests.collector.sparkplug_wire import FLOAT, Sent, message

AT = 1_796_083_200_000
TIME = "2026-12-01T00:00:00Z"
SOUND: dict[str, tuple[str, Any]] = {
    "chirpstack": (
        "application/1/device/a/event/up",
        {"time": TIME, "fCnt": 1, "object": {"temperature": "20.5", "humidity": 40, "battery": 90}, "rxInfo": [{"rssi": -97}]},
    ),
    "milesight": (
        "application/1/device/a/event/up",
        {"time": TIME, "object": {"temperature": 20.5, "history": [{"timestamp": AT // 1000 - 3600, "temperature": 19.5}]}},
    ),
    "dragino": ("application/1/device/a/event/up", {"time": TIME, "object": {"TempC_SHT": "20.5", "Hum_SHT": "40", "BatV": 3.1}}),
    "the_things_stack": ("v3/t@x/devices/a/up", {"received_at": TIME, "uplink_message": {"decoded_payload": {"temperature": 20.5}}}),
    "zigbee2mqtt": ("zigbee2mqtt/a", {"temperature": 20.5, "humidity": 40, "battery": 90, "last_seen": TIME}),
    "tasmota": ("tele/a/SENSOR", {"Time": "2026-12-01T08:00:00", "AM2301": {"Temperature": 70.1, "Humidity": 40}, "TempUnit": "F"}),
    "edge_json": ("edge/1/points", {"points": [{"point_id": "a.temperature", "value": 20.5, "quality": "good", "timestamp": AT}]}),
}
FILTERS = {
    "chirpstack": "application/+/device/+/event/up",
    "the_things_stack": "v3/+/devices/+/up",
    "zigbee2mqtt": "zigbee2mqtt/#",
    "tasmota": "tele/+/SENSOR",
    "edge_json": "edge/+/points",
    "sparkplug_b": "spBv1.0/#",
}
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["NaN", "1e999", "21,5", "１２", "", " ", "\ud800", -32768, 10**400]),
    st.builds(list), st.builds(dict), st.builds(lambda: [[[1]]]), st.builds(lambda: {"value": 20.5}),
)  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    return [path, *(found for key, value in items for found in places(value, (*path, key)))]


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, bytes]:
    """A topic and a sound message in which some places hold junk, or are gone; then its bytes, now and then cut or in another charset."""
    topic, sound = SOUND[draw(st.sampled_from(sorted(SOUND)))]
    document = copy.deepcopy(sound)
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(places(document)))
        if not path:
            document = draw(JUNK) if draw(st.integers(0, 9)) == 0 else document
            continue
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        if draw(st.booleans()):
            holder[path[-1]] = draw(JUNK)
        else:
            del holder[path[-1]]
    payload = json.dumps(document).encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "gb18030", "utf-16"])), "replace")
    return topic, payload[: draw(st.one_of(st.just(len(payload)), st.integers(0, len(payload))))]


# ── through the whole source ──────────────────────────────────────────────────────────────────────────────────────────


def profile(name: str) -> MqttProfile:
    found = load_profile(Path(SHIPPED) / f"{name}.toml")
    assert isinstance(found, MqttProfile)
    return found


@pytest.fixture
async def sensors(make_site: MakeSite) -> AsyncIterator[Sensors]:
    """A source of all formats, not connected: messages are handed to it."""
    link = Broker("town", "mqtt://127.0.0.1:1", "x", subscriptions=tuple(Subscription(topic, name) for name, topic in FILTERS.items()))
    site: Site = make_site(rooms=[Room("R0", sensor_id="a")], brokers=[link], profiles=[profile(name) for name in FILTERS])
    site.data.mkdir()
    registry, journal = PointRegistry(site.data / "points.db"), open_journal(site)
    intake = Intake(registry, journal)
    try:
        yield Sensors(link, site, Clock(), intake, UnknownSensors(site.data / "unknown.json", ()))
    finally:
        intake.close()
        journal.close()
        registry.close()


def told(source: Sensors, topic: str, payload: bytes, number: int) -> tuple[list[Row], int]:
    """What a message came to: its readings, and how many reasons were counted. Each has its own ``mid``."""
    record, rows = source.health()[0], list[Row]()
    before = sum(record.counts.values())
    source._rows(Message(topic, payload, False, False, number, 0, AT, 1), rows)
    return rows, sum(record.counts.values()) - before


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(broken(), min_size=1, max_size=4))
async def test_every_message_is_a_reading_or_a_reason_and_never_an_exception(messages: list[tuple[str, bytes]], sensors: Sensors) -> None:
    for number, (topic, payload) in enumerate(messages):
        polls = sensors.health()[0].polls
        rows, reasons = told(sensors, topic, payload, number)
        assert sensors.health()[0].polls == polls + 1
        assert rows or reasons, (topic, payload)
        for name, measured_at, received_at, value, mark in rows:
            assert name.startswith("room/R0/")
            quantity(name.rpartition("/")[2])
            assert (type(measured_at), type(received_at), type(value)) == (int, int, float)
            assert mark in list(Quality)  # NaN and infinite ones are left to the screening, which marks them


@pytest.mark.parametrize("name", sorted(SOUND))
async def test_the_sound_messages_that_are_broken_above_are_sound(name: str, sensors: Sensors) -> None:
    topic, document = SOUND[name]
    rows, reasons = told(sensors, topic, json.dumps(document).encode(), 1)
    assert ("room/R0/indoor_temp_c", 0) in {(row[0], reasons) for row in rows} or name in ("milesight", "dragino"), rows


async def test_a_message_without_a_single_point_or_metric_is_counted(sensors: Sensors) -> None:
    for number, (topic, payload) in enumerate(
        [("edge/1/points", b'{"points": []}'), ("spBv1.0/town/DDATA/S01/B03", message([], seq=1)), ("edge/1/points", b"[]")]
    ):
        assert told(sensors, topic, payload, number) == ([], 1)
    counts = sensors.health()[0].counts
    assert counts["no point in it"] == 2  # a bare list is a message of points too
    assert counts["no metric in it"] == 1


def points(*sensors: str) -> bytes:
    return json.dumps({"points": [{"point_id": f"{one}.temperature", "value": 20.5} for one in sensors]}).encode()


async def test_half_a_character_is_no_text_and_spoils_no_list(sensors: Sensors, tmp_path: Path) -> None:
    assert told(sensors, "edge/1/points", points("\ud800"), 1) == ([], 1)
    assert sensors.health()[0].counts["not JSON"] == 1
    told(sensors, "edge/1/points", points("新的"), 2)
    sensors._unknown.save()
    assert UnknownSensors(tmp_path / "data" / "unknown.json", ()).newest(5)[0]["sensor"] == "新的"


async def test_an_error_of_ours_in_one_message_takes_no_other_with_it(sensors: Sensors, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, sound = sensors._unknown.saw, json.dumps(SOUND["edge_json"][1]).encode()

    def saw(sensor: str, *rest: Any) -> bool:
        if sensor == "poison":
            raise ArithmeticError(sensor)
        return heard(sensor, *rest)

    monkeypatch.setattr(sensors._unknown, "saw", saw)
    rows = list[Row]()
    for number, payload in enumerate((points("poison"), sound, points("poison"))):
        sensors._read(Message("edge/1/points", payload, False, False, number, 1, AT, 1), rows)
    assert [row[0] for row in rows] == ["room/R0/indoor_temp_c"]
    assert sensors.health()[0].counts[OUR_ERROR] == 2


async def test_what_the_broker_sends_again_is_known_by_its_number_not_by_what_it_says(sensors: Sensors) -> None:
    payload = points("a")
    found = []
    for mid, repeated in ((1, False), (1, True), (2, True), (2, True)):  # the second one was lost on its way the first time
        rows = list[Row]()
        sensors._rows(Message("edge/1/points", payload, False, repeated, mid, 1, AT + mid, 1), rows)
        found.append([row[1] for row in rows])
    assert found == [[AT + 1], [], [AT + 2], []]


# ── Sparkplug: bytes that are nearly protobuf ─────────────────────────────────────────────────────────────────────────


@given(
    st.binary(max_size=20),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from(["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "STATE", "X"]),
)
@settings(deadline=None)
def test_bytes_that_are_nearly_protobuf_are_told_or_refused(junk: bytes, at: int, cut: int, kind: str) -> None:
    sound = message([Sent("502/temperature", 20.5, FLOAT, alias=7, at_ms=AT)], seq=1)
    payload = (sound[:at] + junk + sound[at:])[: max(cut, 1)]
    with_births = Births(None)
    for topic in (f"spBv1.0/town/{kind}/S01/B03", f"spBv1.0/town/{kind}/S01", f"spBv1.0/{kind}", "spBv1.0/town/a/b/c/d/e"):
        try:
            found = with_births.read(topic, payload)
        except NotSparkplugError:
            continue
        assert all(metric.owner for metric in found.metrics)

"""Which profiles read a topic's messages, and which point a sensor's value is of."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.document import UnreadableError
from collector.measuring_points import MeasuringPoints
from collector.payload import Value
from collector.sources.mqtt import Message, matches
from collector.sources.topics import REMEMBERED, Topics, best
from collector.sparkplug import Births
from domain.errors import ConfigError
from domain.profile import ModbusProfile, MqttProfile
from domain.site import Broker, Device, Room, Site, Subscription
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.conftest import MakeSite

AT = 1_796_083_200_000


def profile(name: str) -> MqttProfile:
    found = load_profile(Path(SHIPPED) / f"{name}.toml")
    assert isinstance(found, MqttProfile)
    return found


def site_of(make_site: MakeSite, *subscriptions: tuple[str, str], rooms: list[Room] | None = None) -> tuple[Broker, Site]:
    broker = Broker("town", "mqtt://127.0.0.1:1", "x", subscriptions=tuple(Subscription(*one) for one in subscriptions))
    return broker, make_site(rooms=rooms, brokers=[broker], profiles=[profile(name) for name in dict.fromkeys(n for _, n in subscriptions)])


def message(topic: str, payload: object) -> Message:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, body, False, False, 1, 1, AT, 1)


def test_retained_messages_are_wanted_for_presence_only(make_site: MakeSite) -> None:
    topics = Topics(
        *site_of(make_site, ("tele/+/SENSOR", "tasmota"), ("zigbee2mqtt/#", "zigbee2mqtt"), ("v3/+/devices/+/up", "the_things_stack"))
    )
    assert topics.wanted() == {"tele/+/SENSOR": False, "tele/+/LWT": True, "zigbee2mqtt/#": True, "v3/+/devices/+/up": False}


@pytest.mark.parametrize(
    ("topic", "payload", "presence"),
    [
        ("tele/flur/LWT", b"Offline", ("flur", False)),
        ("tele/flur/LWT", b"Online", ("flur", True)),
        ("zigbee2mqtt/S01/B03/502/availability", b'{"state": "online"}', ("S01/B03/502", True)),
        ("zigbee2mqtt/a/availability", b"perhaps", None),
        ("zigbee2mqtt/a/availability", b"{", None),
        ("zigbee2mqtt/a", b"offline", None),
        ("elsewhere/flur/LWT", b"Offline", None),
    ],
)
def test_who_has_come_or_gone(topic: str, payload: bytes, presence: tuple[str, bool] | None, make_site: MakeSite) -> None:
    topics = Topics(*site_of(make_site, ("tele/+/SENSOR", "tasmota"), ("zigbee2mqtt/#", "zigbee2mqtt")))
    assert topics.presence_in(message(topic, payload)) == presence


def test_of_profiles_that_share_a_topic_the_one_that_finds_most_reads_it(make_site: MakeSite) -> None:
    shared = "application/+/device/+/event/up"
    topics = Topics(*site_of(make_site, (shared, "dragino"), (shared, "chirpstack")))
    payloads = topics.payloads("application/1/device/a/event/up")
    assert [payload.profile.name for payload in payloads] == ["dragino", "chirpstack"]
    document = {"object": {"temperature": 20.5, "humidity": 40, "battery": 90}}
    assert best(payloads, message("application/1/device/a/event/up", document), Births(None), None)[0] == "chirpstack"


def test_a_topic_of_no_subscription_and_a_payload_of_no_format_have_a_reason(make_site: MakeSite) -> None:
    topics = Topics(*site_of(make_site, ("zigbee2mqtt/#", "zigbee2mqtt")))
    with pytest.raises(UnreadableError, match="no subscription for the topic"):
        best(topics.payloads("elsewhere/a"), message("elsewhere/a", {}), Births(None), None)
    with pytest.raises(UnreadableError, match="not JSON"):
        best(topics.payloads("zigbee2mqtt/a"), message("zigbee2mqtt/a", b"{"), Births(None), None)


def test_topics_are_remembered_and_forgotten_by_their_bound(make_site: MakeSite) -> None:
    topics = Topics(*site_of(make_site, ("zigbee2mqtt/#", "zigbee2mqtt")))
    for number in range(REMEMBERED + 10):
        assert len(topics.payloads(f"zigbee2mqtt/{number}")) == 1
        assert topics.payloads(f"other/{number}") == ()
    assert len(topics._found) <= REMEMBERED


def test_a_profile_of_another_protocol_is_named(make_site: MakeSite) -> None:
    broker, site = site_of(make_site, ("zigbee2mqtt/#", "zigbee2mqtt"))
    wrong = replace(site, profiles={"zigbee2mqtt": ModbusProfile("zigbee2mqtt", "z", ())})
    with pytest.raises(ConfigError, match=r"site.toml: mqtt.town.profile: 'zigbee2mqtt'"):
        Topics(broker, wrong)


levels = st.text("abc", max_size=2)


@given(st.lists(st.one_of(levels, st.just("+")), min_size=1, max_size=4), st.lists(levels, min_size=1, max_size=5), st.booleans())
def test_a_filter_matches_level_by_level(pattern: list[str], topic: list[str], rest: bool) -> None:
    """MQTT 5.0, 4.7.1: + is one level, # the rest of them, none included."""
    fits = all(one in ("+", level) for one, level in zip(pattern, topic, strict=False))
    fits = fits and (len(topic) >= len(pattern) if rest else len(topic) == len(pattern))
    assert matches("/".join([*pattern, *(["#"] if rest else [])]), "/".join(topic)) == fits


# ── which point ───────────────────────────────────────────────────────────────────────────────────────────────────────


def value(sensor: str, quantity: str = "indoor_temp_c") -> Value:
    return Value(sensor, quantity, AT, 20.5, 0)


def test_a_sensor_is_known_however_its_letters_are_written(make_site: MakeSite) -> None:
    _, site = site_of(make_site, ("zigbee2mqtt/#", "zigbee2mqtt"), rooms=[Room("R1", sensor_id="24E124136B000001"), Room("R2")])
    points = MeasuringPoints(site)
    assert points.name_of(value("24e124136b000001")) == "room/R1/indoor_temp_c"
    assert points.name_of(value("24E124136B000001", "battery_pct")) == "room/R1/battery_pct"
    assert points.name_of(value("24e124136b000002")) == ""
    assert points.name_of(value("")) == "", "a room without a sensor is nobody's"


def test_a_point_that_an_edge_box_names_itself_must_be_of_the_site(make_site: MakeSite) -> None:
    site = make_site(devices=[Device("D1", "S1", "modbus_tcp", "127.0.0.1:1", "two")], rooms=[Room("R1")])
    points = MeasuringPoints(site)
    for name in ("station/S1/secondary_supply_temp_c", "room/R1/indoor_temp_c"):
        assert points.name_of(value(name, "")) == name
    for name in ("station/S2/secondary_supply_temp_c", "room/R9/indoor_temp_c", "source/S1/failures"):
        assert points.name_of(value(name, "")) == ""


def test_what_another_node_takes_is_no_unknown_sensor(make_site: MakeSite) -> None:
    site = replace(make_site(rooms=[Room("R1", sensor_id="a")]), elsewhere=frozenset({"b", "room/R2"}))
    points = MeasuringPoints(site)
    assert points.elsewhere(value("B"))
    assert points.elsewhere(value("room/R2/indoor_temp_c", ""))
    assert not points.elsewhere(value("c"))
    assert not MeasuringPoints(make_site(rooms=[])).elsewhere(value("b"))

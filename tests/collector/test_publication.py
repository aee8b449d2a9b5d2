"""A message on the wire, taken apart: the same as paho makes of it, and never more than a named error."""

import struct

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.publication import MalformedError, Publication, publication
from collector.sources.mqtt import Client

topics = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


@st.composite
def properties_(draw: st.DrawFn) -> bytes:
    """What a broker may say of a message; now and then more than fits into a length of one byte."""
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if draw(st.booleans()):
        found.MessageExpiryInterval = draw(st.integers(0, 2**32 - 1))
    if draw(st.booleans()):
        found.ContentType = draw(st.text("abc/", max_size=20))
    for _ in range(draw(st.integers(0, 30))):
        found.UserProperty = ("key", draw(st.text("xyz", max_size=40)))
    return bytes(found.pack())  # type: ignore[no-untyped-call]


def packet_of(topic: bytes, mid: int | None, properties: bytes, payload: bytes) -> bytes:
    return struct.pack("!H", len(topic)) + topic + (b"" if mid is None else struct.pack("!H", mid)) + properties + payload


def by_paho(head: int, packet: bytes, version: MQTTProtocolVersion) -> Publication:
    """The message as paho's own step hands it to ``on_message``."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version, manual_ack=True)
    heard: list[paho.MQTTMessage] = []
    client.on_message = lambda _client, _user, message: heard.append(message)
    client._in_packet = {**client._in_packet, "command": head, "packet": bytearray(packet)}
    client._handle_publish()
    (one,) = heard
    return Publication(one.topic, bytes(one.payload), one.retain, one.dup, one.mid, one.qos)


@given(
    topics, st.binary(max_size=400), st.booleans(), st.booleans(), st.integers(0, 1), st.integers(1, 65535), properties_(), st.booleans()
)
def test_a_message_is_what_paho_makes_of_it(
    topic: str, payload: bytes, retained: bool, repeated: bool, qos: int, mid: int, properties: bytes, v5: bool
) -> None:
    head = 0x30 | retained | qos << 1 | repeated << 3
    packet = packet_of(topic.encode(), mid if qos else None, properties if v5 else b"", payload)
    found = publication(head, bytearray(packet), properties=v5)
    assert found == by_paho(head, packet, paho.MQTTv5 if v5 else paho.MQTTv311)
    assert found == Publication(topic, payload, retained, repeated, mid if qos else 0, qos)


@given(topics, st.integers(0, 1), properties_(), st.data())
def test_a_packet_cut_short_is_malformed(topic: str, qos: int, properties: bytes, data: st.DataObject) -> None:
    whole = packet_of(topic.encode(), 7 if qos else None, properties, b"")
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(MalformedError):
        publication(0x30 | qos << 1, cut, properties=True)


@given(st.integers(0x30, 0x3B), st.binary(max_size=60), st.booleans())
def test_any_bytes_are_a_message_or_malformed(head: int, packet: bytes, v5: bool) -> None:
    try:
        found = publication(head, packet, properties=v5)
    except MalformedError:
        return
    assert packet.endswith(found.payload)


def test_a_length_of_properties_without_end_is_malformed() -> None:
    with pytest.raises(MalformedError):
        publication(0x30, packet_of(b"a", None, b"\xff\xff\xff\xff\x01", b"x" * 10), properties=True)


def test_a_topic_that_is_no_utf_8_has_no_name_and_keeps_its_payload() -> None:
    assert publication(0x30, packet_of(b"\xff\xfe", None, b"\0", b"21.5"), properties=True) == Publication("", b"21.5", False, False, 0, 0)


# ── in paho's hands ───────────────────────────────────────────────────────────────────────────────────────────────────


def client(heard: list[Publication]) -> Client:
    return Client(client_id="x", v5=True, keep_session=False, hear=heard.append)


def test_paho_takes_our_step() -> None:
    heard: list[Publication] = []
    one = client(heard)
    one._in_packet = {**one._in_packet, "command": 0x32, "packet": bytearray(packet_of(b"a/b", 5, b"\0", b"21.5"))}
    assert one._packet_handle() == paho.MQTT_ERR_SUCCESS
    assert heard == [Publication("a/b", b"21.5", False, False, 5, 1)]


def test_a_malformed_message_ends_the_connection() -> None:
    heard: list[Publication] = []
    one = client(heard)
    one._in_packet = {**one._in_packet, "command": 0x32, "packet": bytearray(b"\0\x09a")}
    assert one._packet_handle() == paho.MQTT_ERR_PROTOCOL
    assert heard == []

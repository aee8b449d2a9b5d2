"""One PUBLISH packet of MQTT, taken apart (MQTT 5.0 and 3.1.1, section 3.3).

    head: type, repeated, qos, retained │ topic │ mid (QoS 1, 2) │ properties (MQTT 5): passed over │ payload

paho makes a table of all 27 properties for each message; nobody here reads one, and they cost more than all the rest of its work.
"""

from typing import NamedTuple

_LENGTH_BYTES = 4  # a length of varying size has no more


class MalformedError(ValueError):
    """A packet that is shorter than it says."""


class Publication(NamedTuple):
    """A message as it stands on the wire. ``topic`` is empty where it is not UTF-8; ``mid`` is 0 with QoS 0."""

    topic: str
    payload: bytes
    retained: bool
    repeated: bool
    mid: int
    qos: int


def publication(head: int, packet: bytes | bytearray, *, properties: bool) -> Publication:
    """The message in a packet: its first byte, and what follows the length. ``properties``: whether it has some, as in MQTT 5.

    Raises MalformedError.
    """
    qos = head >> 1 & 3
    try:
        at = 2 + (packet[0] << 8 | packet[1])
        topic = packet[2:at]
        mid = 0
        if qos:
            mid = packet[at] << 8 | packet[at + 1]
            at += 2
        if properties:
            at = packet[at] + at + 1 if packet[at] < 0x80 else _after_properties(packet, at)
    except IndexError:
        raise MalformedError("it ends early") from None
    if at > len(packet):
        raise MalformedError("it ends early")
    return Publication(name_of(topic), bytes(packet[at:]), head & 1 == 1, head & 8 == 8, mid, qos)


def name_of(topic: bytes | bytearray) -> str:
    """A topic's name, empty where it is not UTF-8."""
    try:
        return topic.decode()
    except UnicodeDecodeError:
        return ""


def _after_properties(packet: bytes | bytearray, at: int) -> int:
    """Where the properties end whose length, in more than one byte, stands at ``at``."""
    length = 0
    for step in range(_LENGTH_BYTES):
        digit = packet[at + step]
        length |= (digit & 0x7F) << 7 * step
        if digit < 0x80:
            return at + step + 1 + length
    raise MalformedError("the length of its properties has no end")

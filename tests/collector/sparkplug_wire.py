"""Sparkplug B payloads byte by byte, as the specification's protobuf file says (3.0, 6.4.1), without the library under test."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

INT16, FLOAT, DOUBLE, BOOLEAN, STRING = 2, 9, 10, 11, 12
VALUE_FIELD = {INT16: 10, FLOAT: 12, DOUBLE: 13, BOOLEAN: 14, STRING: 15}


class Sent(NamedTuple):
    """One metric to be sent; ``datatype`` 0 leaves it out. ``sent_as``: the kind of the value's field, where that is another one's."""

    name: str | bytes | None
    value: float | bool | str | None
    datatype: int = 0
    alias: int | None = None
    at_ms: int | None = None
    historical: bool = False
    quality: int | None = None
    sent_as: int | None = None


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def metric(sent: Sent) -> bytes:
    out = field(1, sent.name.encode() if isinstance(sent.name, str) else sent.name) if sent.name is not None else b""
    out += field(2, sent.alias) if sent.alias is not None else b""
    out += field(3, sent.at_ms) if sent.at_ms is not None else b""
    out += field(4, sent.datatype) if sent.datatype else b""
    out += field(5, 1) if sent.historical else b""
    if sent.quality is not None:
        out += field(9, field(1, b"Quality") + field(2, field(1, 3) + field(3, sent.quality)))
    if sent.value is None:
        return out + field(7, 1)
    number = VALUE_FIELD[sent.sent_as or sent.datatype or INT16]
    if isinstance(sent.value, str):
        return out + field(number, sent.value.encode())
    if number == 12:
        return out + varint(number << 3 | 5) + struct.pack("<f", sent.value)
    if number == 13:
        return out + varint(number << 3 | 1) + struct.pack("<d", sent.value)
    return out + field(number, int(sent.value) & 0xFFFF_FFFF)


def message(metrics: Sequence[Sent], *, seq: int | None = None, at_ms: int | None = None) -> bytes:
    out = field(1, at_ms) if at_ms is not None else b""
    out += b"".join(field(2, metric(sent)) for sent in metrics)
    return out + (field(3, seq) if seq is not None else b"")

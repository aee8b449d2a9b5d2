"""A profile maps one device model to our quantities: registers, OPC UA nodes or MQTT payload fields, as data.

Profiles are TOML files: the shipped ones in ``domain/profiles/``, a site's own in its ``profiles/`` folder (its own wins).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RegisterType = Literal["bool", "bit", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64", "string"]
ByteOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
REGISTERS_OF: Mapping[str, int] = {
    "bool": 1, "bit": 1, "i16": 1, "u16": 1, "i32": 2, "u32": 2, "f32": 2, "i64": 4, "u64": 4, "f64": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Register:
    """One value in a block of registers: quantity = raw × ``scale`` + ``add``.

    ``offset`` counts registers from the device's ``base``; ``bit`` is the bit of a register for type ``bit``; raw values in
    ``sentinels`` mean "no value". ``function`` and ``byte_order`` override the profile's.
    """

    quantity: str
    offset: int
    type: RegisterType
    scale: float = 1.0
    add: float = 0.0
    bit: int = 0
    length: int = 1
    sentinels: tuple[float, ...] = ()
    function: int | None = None
    byte_order: ByteOrder | None = None
    page: str = ""


@dataclass(frozen=True)
class ModbusProfile:
    """A register map. ``byte_order`` is the order of bytes on the wire, of values of several registers; of texts, whose registers always
    follow one another, that of the two characters in each.

    Of the device's manners: a request asks for at most ``max_registers``, leaves out holes wider than ``max_hole`` registers, and
    comes ``pause_s`` wall seconds after the last reply.
    """

    name: str
    title: str
    registers: tuple[Register, ...]
    function: int = 4
    byte_order: ByteOrder = "ABCD"
    max_registers: int = 125
    max_hole: int = 16
    pause_s: float = 0.0
    manual: str = ""


@dataclass(frozen=True)
class Node:
    """One OPC UA node: quantity = value × ``scale`` + ``add``. ``node`` is the id without namespace (``s=…``, ``i=…``, ``g=…`` or ``b=…``).

    ``deadband`` overrides the profile's; both are in the node's own unit, before scaling.
    """

    quantity: str
    node: str
    scale: float = 1.0
    add: float = 0.0
    deadband: float | None = None
    page: str = ""


@dataclass(frozen=True)
class OpcUaProfile:
    """A node map. ``{station_id}`` in a node id stands for the device's station; the namespace is named by its URI.

    ``mode`` ``poll`` reads all nodes every ``interval_s`` of the device. With ``subscribe`` the server tells of changes every
    ``interval_s``: it samples every ``sampling_s`` (0: ``interval_s``), keeps ``queue`` samples of a node, and leaves out changes of
    at most ``deadband``; what has not changed for ``reread_s`` is read, so that a subscription gone dead shows.
    """

    name: str
    title: str
    namespace_uri: str
    nodes: tuple[Node, ...]
    mode: Literal["subscribe", "poll"] = "poll"
    sampling_s: float = 0.0
    queue: int = 10
    deadband: float = 0.0
    reread_s: float = 60.0
    manual: str = ""


@dataclass(frozen=True)
class Field:
    """One value of a payload: ``path`` is dotted (``object.temperature``); a missing field is no reading.

    ``missing`` is the value that a missing field stands for, where the network server leaves out zeros (The Things Stack).
    """

    quantity: str
    path: str
    scale: float = 1.0
    add: float = 0.0
    missing: float | None = None
    sentinels: tuple[float, ...] = ()


@dataclass(frozen=True)
class MqttProfile:
    """A payload map.

    ``sensor`` says where the sensor's id is: ``topic:N`` (the N-th level, from 0), ``topic:N+`` (from level N to the level
    before the filter's end, joined by ``/``) or a dotted path into the payload. ``time`` is a dotted path, empty for "time of
    receipt". ``history`` is the path of a list of earlier frames with their own times. ``points`` is the path of a list with many
    points per message (plain JSON of edge boxes); then ``point_id`` and ``point_value`` are paths inside its items. ``temp_unit``
    is the path of the unit of temperatures: ``F`` there makes them °F, which are converted. ``presence`` is the last topic level of
    messages that say whether a sensor is there (``online`` or ``offline``, as text or ``state``); these are wanted retained.
    """

    name: str
    title: str
    format: Literal["json", "sparkplug_b"]
    topic: str
    sensor: str
    fields: tuple[Field, ...] = ()
    time: str = ""
    time_format: Literal["iso", "iso_local", "epoch_s", "epoch_ms"] = "iso"
    history: str = ""
    history_time: str = ""
    points: str = ""
    point_id: str = ""
    point_value: str = ""
    point_quality: str = ""
    temp_unit: str = ""
    presence: str = ""
    ignore_retained: bool = True
    manual: str = ""


Profile = ModbusProfile | OpcUaProfile | MqttProfile

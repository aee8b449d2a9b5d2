"""Profile files: one device model each, Modbus, OPC UA or MQTT (see ``domain/profiles/``)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import domain
from domain.errors import ConfigError, Mistake
from domain.profile import REGISTERS_OF, Field, ModbusProfile, MqttProfile, Node, OpcUaProfile, Profile, Register
from domain.quantity import QUANTITIES, quantity
from store.site_folder.fields import TomlTables
from store.site_folder.suggestion import nearest
from store.site_folder.toml_file import read_toml

SHIPPED = Path(domain.__file__).parent / "profiles"
READ_FUNCTIONS = (1, 2, 3, 4)  # the collector never writes
BIT_FUNCTIONS = (1, 2)
NODE_FORM = "an id without its namespace, which namespace_uri names: s=NAME, i=NUMBER, g=GUID or b=BASE64"
_NODE = re.compile(r"s=.+|i=\d{1,10}|g=[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|b=[0-9A-Za-z+/]+=*", re.ASCII)
_NEEDS = (  # a key of a profile for MQTT, and those without which it says nothing
    ("history", ("history_time",)),
    ("history_time", ("history",)),
    ("points", ("point_id", "point_value")),
    ("point_id", ("point_value",)),
    ("point_value", ("point_id",)),
    ("point_quality", ("point_id",)),
)
SENSOR_FORM = 'where the sensor\'s id is: "topic:N", "topic:N+" or a path into the payload'


@dataclass(frozen=True)
class _Kind:
    """One kind of profile: its dataclass, the list of tables in its file and what each of them is."""

    profile: type[ModbusProfile] | type[OpcUaProfile] | type[MqttProfile]
    list_key: str
    into: str
    item: type[Register] | type[Node] | type[Field]


KINDS: Mapping[str, _Kind] = {
    "modbus": _Kind(ModbusProfile, "register", "registers", Register),
    "opcua": _Kind(OpcUaProfile, "node", "nodes", Node),
    "mqtt": _Kind(MqttProfile, "field", "fields", Field),
}


def load_profiles(folder: Path | None, mistakes: list[Mistake]) -> dict[str, Profile]:
    """Every profile by name: the shipped ones and, over them, those of a site's ``profiles`` folder (shown as ``profiles/…``)."""
    profiles: dict[str, Profile] = {}
    for source, shown in ((SHIPPED, "domain/profiles"), (folder, "profiles")):
        for path in sorted(source.glob("*.toml")) if source is not None else ():
            try:
                profile = load_profile(path, f"{shown}/{path.name}")
            except ConfigError as error:
                mistakes.extend(error.mistakes)
            else:
                profiles[profile.name] = profile
    return profiles


def load_profile(path: Path, shown: str | None = None) -> Profile:
    """The profile in a file. ``shown`` is the file's name in messages.

    Raises ConfigError with every mistake in it.
    """
    file = read_toml(path, shown or str(path))
    mistakes: list[Mistake] = []
    tables = TomlTables(file, mistakes)
    profile = _profile(tables, file.document, path.stem)
    if mistakes or profile is None:
        raise ConfigError(*mistakes)
    return profile


def _profile(tables: TomlTables, document: dict[str, Any], stem: str) -> Profile | None:
    kind = KINDS.get(str(document.get("kind")))
    if kind is None:
        tables.wrong("kind", document.get("kind"), f"one of {', '.join(KINDS)}")
        return None
    rest = {"name": stem, "title": stem, **{key: value for key, value in document.items() if key not in ("kind", kind.list_key)}}
    values = tables.values(kind.profile, rest, leave=(kind.into,))
    if kind.into in rest:
        tables.wrong(kind.into, None, f"unknown key; each item begins with [[{kind.list_key}]]")
    if rest["name"] != stem:
        tables.wrong("name", rest["name"], f"the file's name, {stem}; devices name the profile by it")
    items = _items(tables, document, kind)
    if values is None:
        return None
    values[kind.into] = items
    profile = kind.profile(**values)
    if isinstance(profile, ModbusProfile):
        _check_modbus(tables, profile)
    elif isinstance(profile, OpcUaProfile):
        _check_opcua(tables, profile)
    else:
        _check_mqtt(tables, profile)
    return profile


def _items(tables: TomlTables, document: dict[str, Any], kind: _Kind) -> tuple[Any, ...]:
    found = tables.tables(document, kind.list_key)
    if not found and not document.get(kind.list_key):
        tables.wrong(kind.list_key, None, f"a profile needs at least one [[{kind.list_key}]]")
    items: list[Any] = []
    seen: dict[str, str] = {}
    for where, table in found:
        values = tables.values(kind.item, table, f"{where}.")
        name = table.get("quantity")
        if isinstance(name, str):
            _check_quantity(tables, where, name, {} if kind.item is Field else seen)
        if table.get("scale") == 0:
            tables.wrong(f"{where}.scale", 0, "a number that is not 0")
        if values is not None:
            items.append(kind.item(**values))
    return tuple(items)


def _check_quantity(tables: TomlTables, where: str, name: str, seen: dict[str, str]) -> None:
    """A known quantity, once in a profile; only a payload may carry one quantity in one of several fields."""
    try:
        quantity(name)
    except KeyError:
        tables.wrong(f"{where}.quantity", name, f"unknown quantity; {nearest(name, QUANTITIES)}")
    if seen.setdefault(name, where) != where:
        tables.wrong(f"{where}.quantity", name, f"{seen[name]} has this quantity already; each stands once in a profile")


def _check_modbus(tables: TomlTables, profile: ModbusProfile) -> None:
    check = partial(_check_range, tables)
    if profile.function not in READ_FUNCTIONS:
        tables.wrong("function", profile.function, "a read function, 1 to 4; the collector never writes")
    check("max_registers", profile.max_registers, 1, 2000 if profile.function in BIT_FUNCTIONS else 125)
    check("max_hole", profile.max_hole, 0, 125)
    check("pause_s", profile.pause_s, 0, 60)
    for index, register in enumerate(profile.registers):
        where = f"register[{index}]"
        check(f"{where}.offset", register.offset, 0, 65_535)
        check(f"{where}.bit", register.bit, 0, 15)
        check(f"{where}.length", register.length, 1, 125)
        if register.function is not None and register.function not in READ_FUNCTIONS:
            tables.wrong(f"{where}.function", register.function, "a read function, 1 to 4; the collector never writes")
        if (register.function or profile.function) in BIT_FUNCTIONS and register.type != "bool":
            tables.wrong(f"{where}.type", register.type, '"bool"; functions 1 and 2 read single bits')
        for key, of, usual in (("bit", "bit", 0), ("length", "string", 1)):
            if register.type != of and getattr(register, key) != usual:
                tables.wrong(f"{where}.{key}", getattr(register, key), f'leave it out; only type "{of}" has one')
        words = REGISTERS_OF.get(register.type, register.length)
        if register.offset + words > 65_536:
            tables.wrong(f"{where}.offset", register.offset, f"an offset that leaves room for the {words} registers of {register.type}")


def _check_opcua(tables: TomlTables, profile: OpcUaProfile) -> None:
    check = partial(_check_range, tables)
    check("sampling_s", profile.sampling_s, 0, 3600)
    check("queue", profile.queue, 1, 10_000)
    check("deadband", profile.deadband, 0, 1e9)
    check("reread_s", profile.reread_s, 1, 3600)
    for index, node in enumerate(profile.nodes):
        check(f"node[{index}].deadband", node.deadband or 0.0, 0, 1e9)
        if not _NODE.fullmatch(node.node):
            tables.wrong(f"node[{index}].node", node.node, NODE_FORM)


def _check_range(tables: TomlTables, key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        tables.wrong(key, value, f"a number from {low:g} to {high:g}")


def _check_mqtt(tables: TomlTables, profile: MqttProfile) -> None:
    fault = topic_fault(profile.topic)
    if fault:
        tables.wrong("topic", profile.topic, fault)
    kind, _, level = profile.sensor.partition(":")
    if not profile.sensor or (kind == "topic" and not level.removesuffix("+").isdigit()):
        tables.wrong("sensor", profile.sensor, SENSOR_FORM)
    if profile.presence and kind != "topic":
        tables.wrong("presence", profile.presence, 'only with a sensor that stands in the topic, "topic:N" or "topic:N+"')
    if profile.format == "sparkplug_b":
        for key in ("time", "history", "points", "point_id", "temp_unit", "presence"):
            if getattr(profile, key):
                tables.wrong(key, getattr(profile, key), "Sparkplug B says this itself; leave it out")
    for one, others in _NEEDS:
        for other in others:
            if getattr(profile, one) and not getattr(profile, other):
                tables.wrong(other, None, f"this key is missing: {one} needs it")


def topic_fault(topic: str) -> str | None:
    """Why this is no MQTT topic filter, as a remedy; None when it is one."""
    levels = topic.split("/")
    alone = all(level in ("+", "#") or not {"+", "#"} & set(level) for level in levels)
    if topic and "\x00" not in topic and alone and "#" not in levels[:-1]:
        return None
    return 'an MQTT topic filter; "+" stands for one whole level, "#" for all that follow, at the end'

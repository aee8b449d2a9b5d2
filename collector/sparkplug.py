"""Sparkplug B: metrics in protobuf, whose names and types are told at birth only, and by alias afterwards.

bytes ──▶ protobuf ──▶ births (alias → name, type) ──▶ metrics with name, value, time

A collector never writes to devices, so a node is never asked for its birth again. Instead births are kept over restarts (the broker
keeps those sent meanwhile for our session), and values under an alias that no birth has told are counted, by node, until its next birth.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

NAMESPACE = "spBv1.0"
BIRTHS, DATA, DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
BITS = {1: 8, 2: 16, 3: 32, 4: 64}  # signed integers are sent as unsigned ones (Sparkplug 3.0, 6.4.16)
GOOD = 192

log = structlog.get_logger("collect")


class NotSparkplugError(ValueError):
    """A payload that is no Sparkplug B; the message is the reason it is counted under."""


class Metric(NamedTuple):
    """One metric: ``owner`` is GROUP/NODE or GROUP/NODE/DEVICE, ``at_ms`` its time, None where it has none.

    ``history``: it was measured when it says, however long ago; ``good`` is what its ``Quality`` property says.
    """

    owner: str
    name: str
    value: object
    at_ms: int | None
    history: bool
    good: bool


class Told(NamedTuple):
    """What one message tells: metrics, faults to be counted, and who has come or gone (owner, whether it is there)."""

    metrics: list[Metric]
    faults: list[str]
    presence: tuple[str, bool] | None = None


class Births:
    """What the nodes told at their births; kept in ``path`` (None: nowhere)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._nodes: dict[str, dict[str, dict[str, list[Any]]]] = {}
        self._sequence: dict[str, int] = {}
        self._unsaved = False
        if path is not None and path.exists():
            try:
                self._nodes = orjson.loads(path.read_bytes())
            except ValueError:
                self._nodes = {}

    def read(self, topic: str, payload: bytes) -> Told:
        """What a message tells.

        Raises NotSparkplugError.
        """
        levels = topic.split("/")
        if len(levels) not in (4, 5) or levels[0] != NAMESPACE or levels[2] not in BIRTHS + DATA + DEATHS:
            if len(levels) > 1 and levels[0] == NAMESPACE and (levels[1] == "STATE" or levels[2:3] in (["NCMD"], ["DCMD"])):
                return Told([], [])
            raise NotSparkplugError("no topic of Sparkplug")
        kind, node, device = levels[2], f"{levels[1]}/{levels[3]}", levels[4] if len(levels) == 5 else ""
        owner = f"{node}/{device}" if device else node
        message = _PAYLOAD()
        try:
            message.ParseFromString(payload)
        except DecodeError:
            raise NotSparkplugError("not protobuf") from None
        if kind in DEATHS:
            return Told([], [], (owner, False))
        faults = self._gap(node, kind, message)
        told = [metric for metric in message.metrics if isinstance(metric.name, str)]
        faults += ["metric's name is not UTF-8"] * (len(message.metrics) - len(told))
        if kind in BIRTHS:
            self._born(node, device, told)
        known = self._nodes.get(node, {})
        metrics = []
        for metric in told:
            named = _named(metric, device, known)
            if named is None:
                faults.append(f"alias without a birth: {node}")
                continue
            metrics.append(_metric(metric, owner, *named, message, birth=kind in BIRTHS))
        return Told(metrics, faults, (owner, True) if kind in BIRTHS else None)

    def _gap(self, node: str, kind: str, message: Any) -> list[str]:
        """Messages of a node are counted from 0 to 255 and round again; one that is missing was lost before it reached the broker."""
        if not message.HasField("seq"):
            return []
        before, self._sequence[node] = self._sequence.get(node), message.seq
        gap = before is not None and kind != "NBIRTH" and message.seq != (before + 1) % 256
        return [f"sequence gap: {node}"] if gap else []

    def _born(self, node: str, device: str, metrics: Sequence[Any]) -> None:
        """A node's birth replaces all that is known of it, a device's what is known of that device."""
        known = self._nodes.setdefault(node, {})
        of_device: dict[str, list[Any]] = {}
        for metric in metrics:
            of_device[f"name {metric.name}"] = [metric.name, metric.datatype]
            if metric.HasField("alias"):
                of_device[str(metric.alias)] = [metric.name, metric.datatype]
        stale = [] if device else [other for other in known if other]
        if known.get(device) != of_device or stale or self._unsaved:
            self._nodes[node] = {**({} if stale else known), device: of_device}
            self._save()

    def _save(self) -> None:
        """Keeps what was told; where the disk is full it is known until the end of this process, and kept at the next birth."""
        if self._path is None:
            return
        part = self._path.with_suffix(".tmp")
        try:
            part.write_bytes(orjson.dumps(self._nodes))
            part.replace(self._path)
        except OSError as error:
            if not self._unsaved:
                log.warning("births of Sparkplug nodes not written", reason=str(error))
            self._unsaved = True
        else:
            self._unsaved = False


def _named(metric: Any, device: str, known: dict[str, dict[str, list[Any]]]) -> tuple[str, int] | None:
    """The metric's name and type, by what it says itself or what was told at the birth."""
    birth = known.get(device, {})
    told = birth.get(f"name {metric.name}" if metric.name else str(metric.alias))
    if metric.name:
        return metric.name, metric.datatype or (told[1] if told else 0)
    return (told[0], metric.datatype or told[1]) if told else None


def _metric(metric: Any, owner: str, name: str, datatype: int, message: Any, *, birth: bool) -> Metric:
    at_ms = metric.timestamp if metric.HasField("timestamp") else message.timestamp if message.HasField("timestamp") else None
    # A birth repeats the last values, however old: they are no news, but were measured when they say.
    return Metric(owner, name, _value(metric, datatype), at_ms, metric.is_historical or birth, _quality(metric) == GOOD)


def _value(metric: Any, datatype: int) -> object:
    kind = metric.WhichOneof("value")
    if metric.is_null or kind is None:
        return None
    value = getattr(metric, kind)
    if kind == "bytes_value":
        return None
    if datatype in BITS and isinstance(value, int):  # some say whole number and send another kind
        bits = BITS[datatype]
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value
    return _shortest(value) if kind == "float_value" else value


def _shortest(value: float) -> float:
    """The decimal that a 32-bit float stands for: 21.3, not 21.299999237."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", value):
            return float(text)
    return value


def _quality(metric: Any) -> int:
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == "Quality":
            return int(value.int_value or value.long_value)
    return GOOD


# ── the protocol's description, as far as values need it (Sparkplug 3.0, 6.4.1; datasets and templates are left out) ──────


def _payload_class() -> Any:
    kinds = descriptor_pb2.FieldDescriptorProto
    u32, u64, double, real = kinds.TYPE_UINT32, kinds.TYPE_UINT64, kinds.TYPE_DOUBLE, kinds.TYPE_FLOAT
    boolean, text, raw, message = kinds.TYPE_BOOL, kinds.TYPE_STRING, kinds.TYPE_BYTES, kinds.TYPE_MESSAGE
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="sparkplug", syntax="proto2")

    def add(name: str, fields: Sequence[tuple[int, str, int]], choice: int = 0, **types: tuple[str, bool]) -> None:
        """A message; fields from number ``choice`` on are one choice; ``types`` names messages, and whether repeated."""
        made = file.message_type.add(name=name)
        if choice:
            made.oneof_decl.add(name="value")
        for number, key, kind in fields:
            type_name, repeated = types.get(key, ("", False))
            one = made.field.add(name=key, number=number, type=kind, label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL)
            if type_name:
                one.type_name = f".sparkplug.{type_name}"
            if choice and number >= choice:
                one.oneof_index = 0

    values = [("int_value", u32), ("long_value", u64), ("float_value", real), ("double_value", double), ("boolean_value", boolean)]
    values.append(("string_value", text))
    add("PropertyValue", [(1, "type", u32), (2, "is_null", boolean), *((3 + n, *one) for n, one in enumerate(values))], 3)
    add("PropertySet", [(1, "keys", text), (2, "values", message)], keys=("", True), values=("PropertyValue", True))
    add(
        "Metric",
        [
            (1, "name", text),
            (2, "alias", u64),
            (3, "timestamp", u64),
            (4, "datatype", u32),
            (5, "is_historical", boolean),
            (6, "is_transient", boolean),
            (7, "is_null", boolean),
            (9, "properties", message),
            *((10 + n, *one) for n, one in enumerate([*values, ("bytes_value", raw)])),
        ],
        10,
        properties=("PropertySet", False),
    )
    add("Payload", [(1, "timestamp", u64), (2, "metrics", message), (3, "seq", u64), (4, "uuid", text)], metrics=("Metric", True))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparkplug.Payload"))


_PAYLOAD = _payload_class()

"""The simulators' own reading of the device profiles: they share register maps with the collector as data, never as code."""

import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import domain

PROFILES = Path(domain.__file__).parent / "profiles"

_PACKING = {"i16": ">h", "u16": ">H", "i32": ">i", "u32": ">I", "f32": ">f"}


def station_quantities(profile: str) -> tuple[str, ...]:
    """The quantities a station of this profile has, in the profile's order."""
    document = _read(profile)
    return tuple(row["quantity"] for row in document.get("register", document.get("node", ())))


@dataclass(frozen=True)
class RegisterBlock:
    """The block of registers a controller shows: where each quantity lies in it."""

    rows: tuple[Mapping[str, Any], ...]
    length: int
    function: int

    @classmethod
    def of(cls, profile: str) -> "RegisterBlock":
        """The block of a Modbus profile, at least 50 registers long."""
        document = _read(profile)
        rows = tuple(document["register"])
        ends = [row["offset"] + (struct.calcsize(_PACKING[row["type"]]) // 2 if row["type"] in _PACKING else 1) for row in rows]
        return cls(rows, max(50, *ends), document["function"])

    def encode(self, values: Mapping[str, float]) -> list[int]:
        """The registers that show these values, by quantity; big-endian. Raises KeyError where a quantity has no value."""
        registers = [0] * self.length
        for row in self.rows:
            raw = (values[row["quantity"]] - row.get("add", 0.0)) / row.get("scale", 1.0)
            offset, kind = row["offset"], row["type"]
            if kind == "bit":
                registers[offset] |= int(raw > 0) << row["bit"]
                continue
            packed = struct.pack(_PACKING[kind], raw if kind == "f32" else round(raw))
            for count in range(len(packed) // 2):
                registers[offset + count] = int.from_bytes(packed[2 * count : 2 * count + 2])
        return registers


@dataclass(frozen=True)
class NodeItem:
    """One OPC UA item of a station: its node id without namespace, and how its value is made from the quantity."""

    quantity: str
    node: str
    scale: float
    add: float

    def raw(self, value: float) -> float | bool:
        """The item's value for a quantity's; run feedback is a Boolean."""
        if self.quantity.endswith("_running"):
            return value > 0
        return (value - self.add) / self.scale


def node_items(profile: str, station_id: str) -> tuple[str, tuple[NodeItem, ...]]:
    """The namespace URI of an OPC UA profile and the items of one station."""
    document = _read(profile)
    items = tuple(
        NodeItem(
            quantity=row["quantity"],
            node=row["node"].replace("{station_id}", station_id),
            scale=row.get("scale", 1.0),
            add=row.get("add", 0.0),
        )
        for row in document["node"]
    )
    return document["namespace_uri"], items


def _read(profile: str) -> dict[str, Any]:
    return tomllib.loads((PROFILES / f"{profile}.toml").read_text(encoding="utf-8"))

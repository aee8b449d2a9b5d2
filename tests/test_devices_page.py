"""Every column of devices.csv and every key of a profile stands in docs/devices.md with the default that the program takes."""

import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest

from domain.profile import Field as PayloadField
from domain.profile import ModbusProfile, MqttProfile, Node, OpcUaProfile, Register
from domain.site import Device
from store.site_folder.devices import DEVICES

PAGE = (Path(__file__).parent.parent / "docs" / "devices.md").read_text(encoding="utf-8")
TABLES = [dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", table, re.MULTILINE)) for table in PAGE.split("|---|---|---|")[1:]]
KINDS = (Device, ModbusProfile, Register, OpcUaProfile, Node, MqttProfile, PayloadField)
LISTS = {"registers", "nodes", "fields"}  # tables of their own


def default_of(field: "Field[Any]") -> str:
    if field.default is MISSING or field.default in ("", (), None):
        return "–"
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default).lower().replace("abcd", "ABCD")


@pytest.mark.parametrize(("kind", "table"), list(zip(KINDS, TABLES, strict=True)), ids=lambda one: getattr(one, "__name__", ""))
def test_each_key_has_its_row_and_its_default(kind: type, table: dict[str, str]) -> None:
    assert table == {field.name: default_of(field) for field in fields(kind) if field.name not in LISTS}


def test_the_columns_of_the_table_are_these() -> None:
    assert set(DEVICES.all) == set(TABLES[0])

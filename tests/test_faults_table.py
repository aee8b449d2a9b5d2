"""Every test that the table of faults names exists, and no line of it goes without one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| fault")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_fault_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", row)
    assert named, "a fault without a test"
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}, f"{file}::{name}"


def test_each_protocol_has_its_table() -> None:
    assert re.findall(r"^## (.+)$", TABLE, re.MULTILINE) == ["Modbus", "OPC UA", "MQTT", "Stores"]
    assert len(ROWS) > 80

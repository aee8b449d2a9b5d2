"""What the processes of a site do before they begin: give memory back, and import what takes long while SIGTERM still ends them at once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from keepwarm import processes
def told(*_):
    print([name for name in ("asyncua", "collector.collect", "store.history.forward", "pyarrow") if name in sys.modules])
processes.run_until_signal = told
from keepwarm.main import main
main(["collect", sys.argv[1]])
"""
POOL = """
import sys
from keepwarm.main import LazyGroup
LazyGroup().get_command(None, sys.argv[1])
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


def run(script: str, argument: str) -> list[str]:
    ran = subprocess.run([sys.executable, "-c", script, argument], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", ["collect", "watch", "dashboard"])
def test_arrow_gives_back_what_a_process_that_runs_for_long_has_read(name: str) -> None:
    assert run(POOL, name) == ["system"]


@pytest.mark.parametrize("protocol", ["opcua", "modbus_tcp"])
def test_all_that_takes_long_to_import_is_there_before_signals_are_heard(protocol: str, tmp_path: Path) -> None:
    profile = {"opcua": "xd100n_opcua", "modbus_tcp": "xd100n"}[protocol]
    address = {"opcua": "opc.tcp://127.0.0.1:1/", "modbus_tcp": "127.0.0.1:1"}[protocol]
    (tmp_path / "site.toml").write_text('name = "t"\n', encoding="utf-8")
    (tmp_path / "stations.csv").write_text("station_id\nS1\n", encoding="utf-8")
    (tmp_path / "devices.csv").write_text(
        f"device_id,station_id,protocol,address,profile\nD1,S1,{protocol},{address},{profile}\n", encoding="utf-8"
    )
    imported = ["asyncua"] * (protocol == "opcua") + ["collector.collect", "store.history.forward", "pyarrow"]
    assert str(imported) in run(SCRIPT, str(tmp_path))

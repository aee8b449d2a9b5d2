"""The unit of ``deploy/systemd``: systemd takes it, its commands are ours, and it runs as nobody much."""

import configparser
import subprocess
from pathlib import Path

import pytest

from keepwarm.main import COMMANDS

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "keepwarm@.service"
PROCESSES = ("collect", "watch", "dashboard")


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT, encoding="utf-8")
    return unit["Service"]


def test_each_process_of_a_site_is_a_command(service: configparser.SectionProxy) -> None:
    program, command, site = service["ExecStart"].split()
    assert (Path(program).name, command) == ("keepwarm", "%i")
    assert site.startswith(f"/var/lib/{service['StateDirectory']}/")
    assert set(PROCESSES) <= set(COMMANDS)


def test_it_may_do_no_more_than_it_needs(service: configparser.SectionProxy) -> None:
    assert service["User"] == "keepwarm"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert "PASSWORD" not in UNIT.read_text(encoding="utf-8")


@pytest.mark.parametrize("process", PROCESSES)
def test_systemd_finds_nothing_wrong(process: str, systemd_analyze: Path, tmp_path: Path) -> None:
    path = tmp_path / f"keepwarm@{process}.service"
    path.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/keepwarm/bin/keepwarm", "/bin/true"), encoding="utf-8")
    answer = subprocess.run([systemd_analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    ours = [line for line in answer.stderr.splitlines() if "keepwarm" in line]
    assert ours == []
    assert answer.returncode == 0, answer.stderr

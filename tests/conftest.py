"""What tests of every package may ask for: programs of the system, a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog


def _program(name: str, package: str, also: str = "") -> Path:
    """Where a program of the system is. Missing: the test is skipped; with CI=true it fails."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:{also}")
    if found is None:
        reason = f"{name} is missing: apt install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(found)


@pytest.fixture(scope="session")
def mosquitto() -> Path:
    """The program mosquitto (the MQTT broker)."""
    return _program("mosquitto", "mosquitto")


@pytest.fixture(scope="session")
def mosquitto_sub() -> Path:
    """The program mosquitto_sub (a client, by which a broker is asked for its health)."""
    return _program("mosquitto_sub", "mosquitto-clients")


@pytest.fixture(scope="session")
def docker_compose() -> Path:
    """The program docker-compose, which checks a file without any engine."""
    return _program("docker-compose", "docker-compose")


@pytest.fixture(scope="session")
def systemd_analyze() -> Path:
    """The program that looks a unit through."""
    return _program("systemd-analyze", "systemd")


@pytest.fixture(scope="session")
def influxd() -> Path:
    """The program influxd (InfluxDB 1.6)."""
    return _program("influxd", "influxdb")


@pytest.fixture(scope="session")
def victoria_metrics() -> Path:
    """The program victoria-metrics."""
    return _program("victoria-metrics", "victoria-metrics")


@pytest.fixture(scope="session")
def chinese_font() -> Path:
    """The font that reports embed."""
    found = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
    return found if found.exists() else _program("wqy-microhei.ttc", "fonts-wqy-microhei")


@pytest.fixture(scope="session")
def pdftotext() -> Path:
    """The program pdftotext, which says what a PDF says."""
    return _program("pdftotext", "poppler-utils")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The program chromium, for Playwright's ``executable_path``."""
    return _program("chromium", "chromium fonts-noto-cjk")


@pytest.fixture(scope="session")
def postgresql_programs() -> Path:
    """The folder of PostgreSQL's own programs (initdb, postgres, psql …)."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return _program("initdb", "postgresql", str(homes[-1]) if homes else "").parent


@pytest.fixture(scope="session")
def postgresql(postgresql_programs: Path) -> Iterator[str]:
    """The address of an empty database on a PostgreSQL server of its own, reached over a socket in a folder."""
    folder = Path(tempfile.mkdtemp(prefix="kwpg"))  # a socket's path is short
    as_owner: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]

    def do(program: Path, *arguments: str) -> None:
        subprocess.run([*as_owner, str(program), *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    initdb, pg_ctl = postgresql_programs / "initdb", postgresql_programs / "pg_ctl"
    data, log = str(folder / "data"), str(folder / "log")
    do(initdb, "-D", data, "-U", "keepwarm", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    do(pg_ctl, "-D", data, "-l", log, "-w", "-o", f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off", "start")
    yield f"postgresql://keepwarm@/postgres?host={folder}"
    do(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def logs_as_they_are_by_default() -> Iterator[None]:
    """A command that a test ran in this process has set up logs its own way; the next test gets them as they were."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives ports of loopback that were free a moment ago."""

    def give() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return give

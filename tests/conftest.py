"""What tests of every package may ask for: programs of the system, a free port."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest


def _program(name: str, package: str) -> Path:
    """Where a program of the system is. Missing: the test is skipped; with CI=true it fails."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
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
def influxd() -> Path:
    """The program influxd (InfluxDB 1.6)."""
    return _program("influxd", "influxdb")


@pytest.fixture(scope="session")
def victoria_metrics() -> Path:
    """The program victoria-metrics."""
    return _program("victoria-metrics", "victoria-metrics")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The program chromium, for Playwright's ``executable_path``."""
    return _program("chromium", "chromium fonts-noto-cjk")


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives ports of loopback that were free a moment ago."""

    def give() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return give

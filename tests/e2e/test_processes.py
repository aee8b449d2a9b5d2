"""The whole program as real processes: demo and run, from the first line to the last child."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import httpx
import psutil
import pytest

from domain.clock import Clock

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
UP_S = 90.0
PROCESSES = {"simulate", "collect", "watch", "dashboard"}


class Program:
    """A ``keepwarm`` command that runs, and what it has printed so far."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "keepwarm", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def says(self, pattern: str, within_s: float = UP_S) -> re.Match[str]:
        """The first line so far or to come that matches."""

        def found() -> re.Match[str] | None:
            assert self.process.poll() is None or not self._reader.is_alive(), "reading"
            return next((match for line in list(self.lines) if (match := re.search(pattern, line))), None)

        match = until(found, within_s, lambda: "\n".join(self.lines))
        assert isinstance(match, re.Match)
        return match

    def family(self) -> dict[str, psutil.Process]:
        """The children by the name of their command."""
        named = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            words = child.cmdline()
            if "keepwarm" in words:
                named[words[words.index("keepwarm") + 1]] = child
        return named

    def end(self) -> None:
        """Kills what a failed test left."""
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()


def until(condition: Callable[[], object], within_s: float, context: Callable[[], object] = lambda: "") -> object:
    deadline = time.monotonic() + within_s
    while not (met := condition()):
        assert time.monotonic() < deadline, f"not met within {within_s:g} s: {context()}"
        time.sleep(0.1)
    return met


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def healthy(address: str) -> dict[str, object] | None:
    try:
        answer = httpx.get(f"{address}healthz", timeout=5.0, trust_env=False)
    except httpx.HTTPError:
        return None
    return dict(answer.json()["components"]) if answer.status_code == 200 else None


def stop(program: Program, number: signal.Signals = signal.SIGINT) -> None:
    """Sends the signal; everything must have ended within 5 s of it, with exit code 0."""
    family = program.family()
    began = time.monotonic()
    program.process.send_signal(number)
    assert program.process.wait(10) == 0
    took_s = time.monotonic() - began
    assert [name for name, child in family.items() if not gone(child)] == []
    assert took_s < 5.0
    assert not [line for line in program.lines if "Traceback" in line]


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "data" / "records.db")) as records:
        return records.execute(query).fetchall()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def run(*arguments: str) -> Program:
        started.append(Program(*arguments))
        return started[-1]

    yield run
    for program in started:
        program.end()


def test_the_demo_from_start_to_stop_to_start_again_to_sudden_death(start: Callable[..., Program], tmp_path: Path) -> None:
    folder = tmp_path / "town"
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        demo = start("demo", "--data", str(folder), "--port", str(taken), "--speed", "120", "--no-browser")
        address = f"http://127.0.0.1:{demo.says(f'port {taken} is taken, the page is on ([0-9]+)')[1]}/"
        link = demo.says(r"page: +(\S+)")[1]
    assert link.startswith(address)
    components = until(lambda: healthy(address), UP_S)
    assert isinstance(components, dict)
    assert {"collect", "forward", "watch", "dashboard"} <= components.keys()
    until(lambda: (PROCESSES | {"forward"}) <= (healthy(address) or {}).keys(), UP_S)
    assert set(demo.family()) == PROCESSES
    with httpx.Client(trust_env=False, follow_redirects=False) as visitor:
        stranger = visitor.get(address, headers={"Accept": "text/html"})
        assert (stranger.status_code, stranger.headers["location"]) == (303, "/login")
        assert visitor.get(link).status_code == 200
        assert visitor.get(f"{address}board").status_code == 200

    def outages() -> list[tuple[object, ...]]:
        return rows(folder, "SELECT subject, state, cause FROM outages")

    until(outages, 60.0)
    assert outages() == [("station/S04", "open", "pump_trip")]
    stop(demo)
    reached = json.loads((folder / "data" / "demo.json").read_text())["stopped_ms"]
    before = rows(folder, "SELECT event, subject, at FROM events WHERE event LIKE 'outage%' OR event LIKE 'complaint%'")

    again = start("demo", "--data", str(folder), "--port", "0", "--speed", "120", "--no-browser")
    again.says(r"page: +(\S+)")
    assert not [line for line in again.lines if "of history" in line]
    assert Clock.load(folder / "data" / "clock.json").epoch_ms >= reached
    assert (
        rows(folder, "SELECT event, subject, at FROM events WHERE event LIKE 'outage%' OR event LIKE 'complaint%'")[: len(before)] == before
    )
    family = again.family()
    assert set(family) == PROCESSES
    again.process.kill()
    until(lambda: all(gone(child) for child in family.values()), 8.0, lambda: [name for name, child in family.items() if not gone(child)])


def test_a_real_site_runs_and_a_second_run_or_a_taken_port_is_refused_in_one_line(start: Callable[..., Program], tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "Test town"\npolicy = "default"\n', encoding="utf-8")
    run = start("run", str(tmp_path), "--port", "0")
    address = run.says(r"Test town: (\S+)")[1]
    assert run.says(r"set one, by: (\S+)")[1].startswith(f"{address}enter?token=")
    until(lambda: healthy(address), UP_S, lambda: run.lines)
    assert json.loads((tmp_path / "data" / "health" / "watch.json").read_text())["detail"]["behind"] == 0  # nothing has come yet
    second = start("run", str(tmp_path), "--port", "0")
    assert second.process.wait(30) == 2
    until(lambda: len(second.lines) == 1, 5.0)
    assert "already runs on this site" in second.lines[0]
    watch = run.family()["watch"]
    watch.kill()
    run.says(r"watch was ended by SIGKILL, starting it again in 0\.5 s")
    until(lambda: (found := run.family().get("watch")) and found.pid != watch.pid, 10.0)
    stop(run, signal.SIGTERM)

    port = int(address.rstrip("/").rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        refused = start("run", str(tmp_path), "--port", str(port))
        assert refused.process.wait(30) == 2
        until(lambda: len(refused.lines) == 1, 5.0)
        assert "in use; give another with --port" in refused.lines[0]


def test_one_that_was_killed_is_followed_at_once_on_the_same_port(start: Callable[..., Program], tmp_path: Path) -> None:
    """What a killed supervisor leaves ends by itself, within seconds: its port, and its locks, are waited for so long."""
    (tmp_path / "site.toml").write_text('name = "Test town"\npolicy = "default"\n', encoding="utf-8")
    run = start("run", str(tmp_path), "--port", "0")
    address = run.says(r"Test town: (\S+)")[1]
    until(lambda: healthy(address), UP_S, lambda: run.lines)
    run.process.kill()
    again = start("run", str(tmp_path), "--port", address.rstrip("/").rpartition(":")[2])
    assert again.says(r"Test town: (\S+)")[1] == address
    until(lambda: healthy(address), UP_S, lambda: again.lines)
    stop(again)

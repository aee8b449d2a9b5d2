"""``keepwarm demo``: a simulated town on real protocols, collected, judged and shown; everything it starts ends with it.

    folder, ports, secrets ─▶ simulate ──────────────(servers come up)──┐
                        └──▶ 48 h of readings ─▶ journal ─▶ history ────┴─▶ collect, watch, dashboard ─▶ the page's address

The clock is held at the beginning of the story until the processes should be up.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event

import click

from domain.errors import ConfigError, Mistake, StoreError
from domain.site import Site
from keepwarm.accounts import invitation
from keepwarm.demo_town import DemoTown, kept_town, new_town, on_new_ports, passwords, set_clock, stopped_at
from keepwarm.processes import is_taken, listen, only_one
from keepwarm.progress import Tell, progress_line
from keepwarm.run import children_of, say
from keepwarm.supervise import LOOK_S, Supervisor, keepwarm_child, stop_on_signals
from simulators.scenario import DEMO_START_MS
from simulators.town import TOWN_NAME

PORT = 8600
SCENARIO = "demo"
PORTS_TRIED = 50
HELD_S = 10.0  # about what the processes take to come up
VISITOR = "demo"
UP_S = 60.0  # longer than this the page's address is not kept back


@dataclass(frozen=True)
class Plan:
    """What the command line asked for."""

    folder: Path
    scenario: str | None
    speed: float
    browser: bool


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="The page's port; the next free one if taken.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that is kept, and gone on with next time.")
@click.option(
    "--speed", type=click.FloatRange(0, 10_000, min_open=True), default=60.0, show_default=True, help="How much faster than life."
)
@click.option("--scenario", help="What happens to the town, a file of simulators/scenarios: demo where left out.")
@click.option("--no-browser", is_flag=True, help="Only prints the page's address.")
def demo(*, port: int, data: Path | None, speed: float, scenario: str | None, no_browser: bool) -> None:
    """Shows a simulated town on real protocols: collects it, judges it, opens its page. Ctrl-C ends everything."""
    new_town(scenario or SCENARIO, DEMO_START_MS)  # a scenario that there is not is refused before anything is made for it
    stop = stop_on_signals()
    with (
        demo_folder(data) as folder,
        only_one(folder / "data" / "health" / "run.lock", "keepwarm demo", wait_s=0),
        free_port(port) as listening,
    ):
        _demo(Plan(folder, scenario, speed, not no_browser), listening, stop)


@contextmanager
def demo_folder(kept: Path | None) -> Iterator[Path]:
    """The demo's site folder: the one to keep, or a temporary one that is gone afterwards."""
    if kept is not None:
        yield kept.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="keepwarm-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port(wanted: int, host: str = Site.dashboard_host) -> socket.socket:
    """A socket that listens on the port wanted or, said in one line, on the next free one. Raises ConfigError when none is free."""
    last = min(wanted + PORTS_TRIED, 65535)
    for port in range(wanted, last + 1):
        try:
            listening = listen(host, port)
        except ConfigError as error:
            if not is_taken(error) or port == last:
                raise
            continue
        if port != wanted:
            say(f"port {wanted} is taken, the page is on {port}")
        return listening
    raise AssertionError("the range is never empty")


def town_of(plan: Plan) -> DemoTown:
    """The town kept in the folder, on new ports, or a new one.

    Raises ConfigError for an unknown scenario, for one that the folder's town does not play, and for a folder that holds something else.
    """
    kept = kept_town(plan.folder / "data")
    if kept is None:
        strange = next((path.name for path in sorted(plan.folder.iterdir()) if path.name != "data"), None) if plan.folder.is_dir() else None
        if strange:
            raise ConfigError(Mistake(str(plan.folder), f"holds no demo but {strange}; give a new folder", key="--data"))
        return new_town(plan.scenario or SCENARIO, DEMO_START_MS)
    if plan.scenario not in {None, kept.scenario}:
        raise ConfigError(
            Mistake(str(plan.folder), f"goes on with {kept.scenario!r}; give another folder", key="--scenario", value=plan.scenario)
        )
    return on_new_ports(kept)


def _demo(plan: Plan, listening: socket.socket, stop: Event) -> None:
    data = plan.folder / "data"
    town = town_of(plan)
    supervisor = Supervisor(data / "logs", say, passwords())
    try:
        with progress_line() as tell:
            tell("building the town")
            town.write(plan.folder, listening.getsockname()[1])
            clock = set_clock(plan.folder, stopped_at(town, data) if town.has_history else town.start_ms, plan.speed, HELD_S)
            supervisor.start(keepwarm_child("simulate", town.scenario, "--site", str(plan.folder)))
            if not town.has_history:
                _store_history(plan.folder, tell, stop)
                town = replace(town, has_history=not stop.is_set())
            tell("starting")
            entrance = "" if stop.is_set() else _come_up(plan.folder, listening, supervisor, stop)
        if not stop.is_set():
            _welcome(plan, town, entrance)
        supervisor.run(stop)
        replace(town, stopped_ms=clock.now_ms()).save(data)
    finally:
        supervisor.stop()


def _come_up(folder: Path, listening: socket.socket, supervisor: Supervisor, stop: Event) -> str:
    """Starts the site's processes and waits until the page shows their first work, not for ever; gives the visitor's way in."""
    port = listening.getsockname()[1]
    supervisor.start(*children_of(folder, listening.fileno()))
    with ThreadPoolExecutor(1) as beside:
        entrance = beside.submit(invitation, folder, VISITOR, "admin", f"http://{Site.dashboard_host}:{port}/")
        deadline = time.monotonic() + UP_S
        while not stop.is_set() and time.monotonic() < deadline and not _healthy(port):
            supervisor.tend()
            stop.wait(LOOK_S)
    return entrance.result()


def _store_history(folder: Path, tell: Tell, stop: Event) -> None:
    """Stores the readings before the town's start, in a process of its own; breaks off when ``stop`` is set."""
    command = (sys.executable, "-m", "keepwarm.demo_history", str(folder))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True) as storing:
        assert storing.stdout is not None
        for line in storing.stdout:
            share, _, what = line.strip().partition(" ")
            tell(what, float(share))
            if stop.is_set():
                storing.terminate()
    if storing.returncode and not stop.is_set():
        raise StoreError("the demo's history could not be stored")


def _healthy(port: int) -> bool:
    asking = HTTPConnection(Site.dashboard_host, port, timeout=2.0)  # by no proxy, whatever the environment says
    try:
        asking.request("GET", "/healthz")
        return asking.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        asking.close()


def _welcome(plan: Plan, town: DemoTown, entrance: str) -> None:
    say(f"{TOWN_NAME}, {plan.speed:g} × as fast as life, scenario {town.scenario}")
    say(f"page:  {entrance}")
    say(f"board: {entrance.partition('enter?')[0]}board")
    say("Ctrl-C ends it.")
    if plan.browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(entrance)

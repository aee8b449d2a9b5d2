"""``keepwarm demo``: a simulated town on real protocols, collected, judged and shown; everything it starts ends with it.

    folder, ports, secrets ─▶ simulate ──────────────(servers come up)──┐
                        └──▶ 48 h of readings ─▶ journal ─▶ history ────┴─▶ collect, watch, dashboard ─▶ the page's address

The clock is held at the beginning of the story until the processes should be up.
"""

import os
import shutil
import socket
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event

import click
import numpy as np

from domain.clock import Clock
from domain.errors import ConfigError
from domain.reading import Readings
from domain.site import Site
from keepwarm.demo_town import DemoTown, kept_town, new_town, on_new_ports, passwords, set_clock, stopped_at
from keepwarm.processes import listen, only_one
from keepwarm.progress import Tell, progress_line
from keepwarm.run import children_of, page_address, say
from keepwarm.supervise import LOOK_S, Supervisor, keepwarm_child, stop_on_signals
from simulators.history import STEP_MS, record
from simulators.scenario import load_scenario
from simulators.simulate import DEMO_START_MS
from simulators.town import build_town
from simulators.world import World

PORT = 8600
PORTS_TRIED = 50
HISTORY_H = 48.0
HELD_S = 10.0  # about what the processes take to come up
UP_S = 60.0  # longer than this the page's address is not kept back


@dataclass(frozen=True)
class Plan:
    """What the command line asked for."""

    folder: Path
    scenario: str
    speed: float
    browser: bool


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="The page's port; the next free one if taken.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that is kept, and gone on with next time.")
@click.option(
    "--speed", type=click.FloatRange(0, 10_000, min_open=True), default=60.0, show_default=True, help="How much faster than life."
)
@click.option("--scenario", default="demo", show_default=True, help="What happens to the town: a file of simulators/scenarios.")
@click.option("--no-browser", is_flag=True, help="Only prints the page's address.")
def demo(*, port: int, data: Path | None, speed: float, scenario: str, no_browser: bool) -> None:
    """Shows a simulated town on real protocols: collects it, judges it, opens its page. Ctrl-C ends everything."""
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
        except ConfigError:
            if port == last:
                raise
            continue
        if port != wanted:
            say(f"port {wanted} is taken, the page is on {port}")
        return listening
    raise AssertionError("the range is never empty")


def _demo(plan: Plan, listening: socket.socket, stop: Event) -> None:
    data, words = plan.folder / "data", passwords()
    kept = kept_town(data)
    town = on_new_ports(kept) if kept else new_town(plan.scenario, DEMO_START_MS)
    supervisor = Supervisor(data / "logs", say, words)
    try:
        with progress_line() as tell:
            tell("building the town")
            town.write(plan.folder, listening.getsockname()[1])
            begins_ms = stopped_at(town, data) if kept else town.start_ms
            clock = set_clock(plan.folder, begins_ms, plan.speed, HELD_S)
            supervisor.start(keepwarm_child("simulate", town.scenario, "--site", str(plan.folder)))
            if not kept:
                store_history(plan.folder, town, clock, tell, stop)
            tell("starting")
            supervisor.start(*children_of(plan.folder, listening.fileno()))
            _await_page(supervisor, listening.getsockname()[1], stop)
        if not stop.is_set():
            _welcome(plan, town, listening.getsockname()[1])
        supervisor.run(stop)
    finally:
        supervisor.stop()
        if (data / "clock.json").exists():
            replace(town, stopped_ms=Clock.load(data / "clock.json").now_ms()).save(data)


def store_history(folder: Path, town: DemoTown, clock: Clock, tell: Tell, stop: Event) -> None:
    """Stores what the town's devices said in the HISTORY_H hours before its start, and since, as if it had been collected.

    Returns early when ``stop`` is set.
    """
    from store.history import open_history
    from store.history.forward import Forwarder
    from store.journal import open_journal
    from store.points import PointRegistry
    from store.site_folder import load_site

    site = load_site(folder)
    layout = build_town(town.seed)
    world = World(layout, load_scenario(town.scenario, layout), town.start_ms, HISTORY_H)
    with (
        closing(PointRegistry(site.data / "points.db")) as points,
        closing(open_journal(site)) as journal,
        closing(open_history(site, points)) as history,
    ):
        forwarder = Forwarder(journal, history)
        until_ms = town.start_ms
        while until_ms - world.at_ms >= STEP_MS and not stop.is_set():
            begin_ms = world.at_ms
            for block in record(world, until_ms):
                ids = np.asarray(points.ids(block.names), np.int32)
                journal.append(Readings.of(ids[block.point], block.measured_at, block.value))
                tell(f"{HISTORY_H:g} h of history", (world.at_ms - begin_ms) / (until_ms - begin_ms))
                if stop.is_set():
                    return
            tell("filing the history")
            while not stop.is_set() and forwarder.step():
                pass
            until_ms = clock.now_ms()  # where the clock began to run meanwhile


def _await_page(supervisor: Supervisor, port: int, stop: Event) -> None:
    """Waits until every process has done its first work, and the page shows it; not for ever."""
    deadline = time.monotonic() + UP_S
    while not stop.is_set() and time.monotonic() < deadline and not _healthy(port):
        supervisor.tend()
        stop.wait(LOOK_S)


def _healthy(port: int) -> bool:
    asking = HTTPConnection(Site.dashboard_host, port, timeout=2.0)  # by no proxy, whatever the environment says
    try:
        asking.request("GET", "/healthz")
        return asking.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        asking.close()


def _welcome(plan: Plan, town: DemoTown, port: int) -> None:
    from store.site_folder import load_site

    site = load_site(plan.folder)
    page = page_address(site, port)
    say(f"{site.name}, {plan.speed:g} × as fast as life, scenario {town.scenario}")
    say(f"page:  {entrance(site, page)}")
    say(f"board: {page}board")
    say("Ctrl-C ends it.")
    if plan.browser and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(entrance(site, page))


def entrance(site: Site, page: str) -> str:
    """A link that signs the demo's visitor in, once."""
    from dashboard.accounts import make_invitation, wall_ms
    from store.records import open_records

    engine = open_records(site.records_url or site.data / "records.db")
    try:
        return f"{page}enter?token={make_invitation(engine, 'demo', 'admin', wall_ms())}"
    finally:
        engine.dispose()

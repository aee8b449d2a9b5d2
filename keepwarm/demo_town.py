"""The demo town's site folder, and what must be known to go on with it: ``DATA/demo.json``."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from domain.clock import Clock
from domain.errors import ConfigError, Mistake
from simulators.ports import Ports, pick_ports
from simulators.scenario import load_scenario
from simulators.site_files import MQTT_PASSWORD, OPCUA_PASSWORD, write_site
from simulators.town import build_town

KEPT = "demo.json"


@dataclass(frozen=True)
class DemoTown:
    """A demo town: ``start_ms`` (UTC ms) is what the scenario's offsets count from, ``stopped_ms`` where its clock stopped last.

    ``has_history`` tells that what was said before the start is stored, whole.
    """

    scenario: str
    start_ms: int
    seed: int
    ports: Ports
    stopped_ms: int | None = None
    has_history: bool = False

    def save(self, data: Path) -> None:
        """Writes it to ``DATA/demo.json``, whole or not at all."""
        data.mkdir(parents=True, exist_ok=True)
        part = data / f".{KEPT}.tmp"
        part.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        part.replace(data / KEPT)

    def write(self, folder: Path, page_port: int) -> None:
        """Writes the site folder for this town's ports; ``data/`` keeps what it holds."""
        self.save(folder / "data")  # first: a folder that is left half written is known for a demo's, and gone on with
        write_site(folder, build_town(self.seed), self.ports, dashboard_port=page_port)


def new_town(scenario: str, start_ms: int, seed: int = 1) -> DemoTown:
    """A town that begins at ``start_ms``, on ports that are free now. Raises ConfigError for an unknown scenario."""
    load_scenario(scenario, build_town(seed))
    return DemoTown(scenario, start_ms, seed, pick_ports())


def kept_town(data: Path) -> DemoTown | None:
    """The town that was left in this data folder, None where there is none. Raises ConfigError when it can't be read."""
    path = data / KEPT
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        ports = told.pop("ports")
        return DemoTown(
            **told, ports=Ports(tuple(ports["modbus_tcp"]), tuple(ports["modbus_rtu_tcp"]), tuple(ports["opcua"]), ports["mqtt"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(Mistake(str(path), "not a demo's file; give another --data folder, or remove this one")) from error


def on_new_ports(town: DemoTown) -> DemoTown:
    """The same town on ports that are free now."""
    return replace(town, ports=pick_ports())


def stopped_at(town: DemoTown, data: Path) -> int:
    """The latest instant (UTC ms) that the town is known to have reached, also when it was killed: time never goes back."""
    from store.health import read_health
    from store.journal import Journal

    journal = Journal(data / "journal.db")
    try:
        _, newest = journal.read(journal.before_newest(1))
    finally:
        journal.close()
    received: list[int] = newest.received_at.tolist()
    return max(town.start_ms, town.stopped_ms or 0, *(health.at_ms for health in read_health(data)), *received)


def passwords(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The passwords of the town's servers, by the names in the site folder: the environment's, or new ones for this run only."""
    return {name: environment.get(name) or secrets.token_urlsafe(16) for name in (MQTT_PASSWORD, OPCUA_PASSWORD)}


def clock_path(folder: Path) -> Path:
    """Where the processes of the site find their clock."""
    return folder / "data" / "clock.json"


def set_clock(folder: Path, epoch_ms: int, speed: float, held_s: float) -> Clock:
    """Saves a clock that begins at ``epoch_ms`` in ``held_s`` wall seconds; every process of the site started from now on has it."""
    clock = Clock.starting_at(epoch_ms, speed, held_s)
    clock_path(folder).parent.mkdir(parents=True, exist_ok=True)
    clock.save(clock_path(folder))
    return clock

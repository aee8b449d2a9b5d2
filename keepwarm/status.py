"""``keepwarm status SITE``: each process of a site, and how long ago it last did its work."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from domain.clock import Clock
from keepwarm.processes import site_argument

STALE_S = 30.0  # every process tells of itself far more often than this


@dataclass(frozen=True)
class ComponentHealth:
    """What a process last told of itself. ``age_s`` is in the site's seconds, ``wall_age_s`` in life's."""

    component: str
    age_s: float
    wall_age_s: float
    pid: int
    detail: dict[str, Any]

    @property
    def stale(self) -> bool:
        """Whether it has been silent for longer than a process that works is."""
        return self.wall_age_s > STALE_S


def read_health(data: Path, clock: Clock, wall_ms: int) -> Iterator[ComponentHealth]:
    """What the files of DATA/health say at the wall's instant ``wall_ms``, by name; a file that can't be read is as stale as can be."""
    for file in sorted((data / "health").glob("*.json")):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            age_s = (clock.now_ms() - int(told["at_ms"])) / 1000
            wall_age_s = (wall_ms - int(told["wall_at_ms"])) / 1000
            yield ComponentHealth(str(told["component"]), age_s, wall_age_s, int(told["pid"]), dict(told.get("detail", {})))
        except (ValueError, KeyError, TypeError, OSError) as error:
            yield ComponentHealth(file.stem, float("inf"), float("inf"), 0, {"unreadable": str(error)})


@click.command()
@site_argument
def status(folder: Path) -> int:
    """Prints each process of SITE and the age of its last work; exit code 1 when one is silent or none runs."""
    from store.site_folder import load_site

    site = load_site(folder)
    found = list(read_health(site.data, Clock.load(site.data / "clock.json"), time.time_ns() // 1_000_000))
    for one in found:
        detail = "  ".join(f"{key}={value}" for key, value in one.detail.items())
        click.echo(f"{one.component:<12}{'silent' if one.stale else 'ok':<8}{one.wall_age_s:8.1f} s ago  pid {one.pid:<8}{detail}".rstrip())
    if not found:
        click.echo(f"{site.name}: nothing runs here, or nothing has run yet")
    return 1 if not found or any(one.stale for one in found) else 0

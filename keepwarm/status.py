"""``keepwarm status SITE``: each process of a site, and how long ago it last did its work."""

import time
from pathlib import Path

import click

from keepwarm.processes import site_argument
from store.health import Health, read_health

STALE_S = 30.0  # every process tells of itself far more often than this


def line_of(health: Health, wall_ms: int) -> str:
    """One component in one line: silent or not, since when, its process, what it says of itself."""
    detail = "  ".join(f"{key}={value}" for key, value in health.detail.items())
    word = "silent" if silent(health, wall_ms) else "ok"
    return f"{health.component:<17}{word:<8}{(wall_ms - health.wall_at_ms) / 1000:8.1f} s ago  pid {health.pid:<8}{detail}".rstrip()


def silent(health: Health, wall_ms: int) -> bool:
    """Whether a component has said nothing for longer than one that works is silent."""
    return wall_ms - health.wall_at_ms > STALE_S * 1000


@click.command()
@site_argument
@click.option("--only", metavar="NAME", help="One component, such as watch: what a service's health check asks.")
def status(folder: Path, only: str | None) -> int:
    """Prints each process of SITE and the age of its last work; exit code 1 when one is silent or none has run."""
    from store.site_folder import load_site

    site = load_site(folder)
    wall_ms = time.time_ns() // 1_000_000
    found = [health for health in read_health(site.data) if only in (None, health.component)]
    for health in found:
        click.echo(line_of(health, wall_ms))
    if not found:
        click.echo(f"{site.name}: nothing has run here yet")
    return 1 if not found or any(silent(health, wall_ms) for health in found) else 0

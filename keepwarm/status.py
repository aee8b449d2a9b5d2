"""``keepwarm status SITE``: each process of a site, how long ago it last did its work, and what it can't reach."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from domain.clock import iso
from keepwarm.processes import site_argument
from store.health import Health, read_health

STALE_S = 30.0  # every process tells of itself far more often than this
FAILING_SHOWN = 10


def lines_of(health: Health, wall_ms: int, zone: ZoneInfo) -> Iterator[str]:
    """One component: silent or not, since when, its process, what it says of itself in a line; then each source that fails."""
    word = "silent" if silent(health, wall_ms) else "ok"
    detail = "  ".join(_said(health.detail, zone))
    yield f"{health.component:<17}{word:<8}{(wall_ms - health.wall_at_ms) / 1000:8.1f} s ago  pid {health.pid:<8}{detail}".rstrip()
    sources = health.detail.get("sources")
    failing = [one for one in sources if one.get("state") == "failing"] if isinstance(sources, list) else []
    for one in failing[:FAILING_SHOWN]:
        last = one.get("last_good_ms")
        since = "never heard" if last is None else f"last heard {iso(last, zone)}"
        yield f"    {one.get('name')} ({one.get('address')}): {one.get('reason')}; {since}"
    if len(failing) > FAILING_SHOWN:
        yield f"    and {len(failing) - FAILING_SHOWN} more that fail"


def _said(detail: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """What has something to say; what is long, such as the list of all sources, is for the pages."""
    for key, value in detail.items():
        if value is None or value is False or value == "" or isinstance(value, (list, dict)):
            continue
        if key.endswith("_ms") and isinstance(value, int) and key.removesuffix("_ms").endswith(("_at", "_since")):
            yield f"{key.removesuffix('_ms')}={iso(value, zone)}"
        else:
            yield f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}"


def silent(health: Health, wall_ms: int) -> bool:
    """Whether a component has said nothing for longer than one that works is silent."""
    return wall_ms - health.wall_at_ms > STALE_S * 1000


@click.command()
@site_argument
@click.option("--only", metavar="NAME", help="One component, such as watch: what a service's health check asks.")
def status(folder: Path, only: str | None) -> int:
    """Prints each process of SITE, the age of its last work and the sources that fail; exit code 1 when one is silent or none has run."""
    from store.site_folder import load_site

    site = load_site(folder)
    wall_ms = time.time_ns() // 1_000_000
    every = read_health(site.data)
    found = [health for health in every if only in (None, health.component)]
    for health in found:
        for line in lines_of(health, wall_ms, site.timezone):
            click.echo(line)
    if not every:
        click.echo(f"{site.name}: nothing has run here yet; start it with: keepwarm run {folder}")
    elif not found:
        click.echo(f"{site.name}: no {only} has run here, only {', '.join(health.component for health in every)}")
    return 1 if not found or any(silent(health, wall_ms) for health in found) else 0

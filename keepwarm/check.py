"""``keepwarm check SITE``: every mistake of a site's folder at once; with ``--connect`` every device read once."""

import asyncio
from pathlib import Path

import click

from domain.clock import Clock
from domain.site import Site
from keepwarm.logs import unsaid
from keepwarm.main import complain
from store.site_folder import read_site

BAD_NEWS = 1


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--connect", is_flag=True, help="Also read every device once and visit every broker.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=15.0, show_default=True, help="How long a device is waited for.")
def check(site: Path, *, connect: bool, seconds: float) -> int:
    """Looks through the whole SITE folder: site.toml, tables, profiles.

    Every mistake is one line on stderr that names file, line, column, value and remedy; the exit code is 1 then. A folder
    without mistakes gives one line that sums up what it holds, and 0; one that can't be opened gives 2.

    With --connect each device is read once, as the collector reads it, and each value compared with its plausible range: one line
    a device, one more for everything odd; bad news make the exit code 1. Nothing is stored.
    """
    read, mistakes = read_site(site)
    if read is None:
        for mistake in mistakes:
            complain(str(mistake))
        return BAD_NEWS
    click.echo(summary(read))
    return _connect(read, seconds) if connect else 0


def _connect(site: Site, wait_s: float) -> int:
    from collector.commission import read_once
    from store.site_folder.load import SITE_FILE

    if not site.devices and not site.brokers:
        click.echo(f"nothing to read: devices.csv has no device, and {SITE_FILE} names no broker under [[mqtt]]")
        return 0
    with unsaid():
        findings = asyncio.run(read_once(site, Clock.load(site.data / "clock.json"), wait_s))
    for finding in findings:
        click.echo(str(finding))
    return 0 if all(finding.good for finding in findings) else BAD_NEWS


def summary(site: Site) -> str:
    """What a site holds, in one line."""
    counts = (
        (len(site.sources), "heat source"),
        (len(site.stations), "station"),
        (len(site.buildings), "building"),
        (len(site.rooms), "room"),
        (len(site.devices), "device"),
        (len(site.brokers), "broker"),
        (sum(len(versions) for versions in site.curves.values()), "filed curve"),
        (len(site.planned_stops), "planned stop"),
        (len(site.exclusions), "exclusion"),
    )
    held = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count)
    return f"{site.name}: {held or 'no tables yet'}; policy {site.policy.name}, {site.timezone.key}; no mistakes"

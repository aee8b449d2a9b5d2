"""``keepwarm check SITE``: every mistake of a site's folder at once."""

from pathlib import Path

import click

from domain.site import Site
from keepwarm.main import complain
from store.site_folder import read_site

BAD_NEWS = 1


@click.command()
@click.argument("site", type=click.Path(path_type=Path))
def check(site: Path) -> int:
    """Looks through the whole SITE folder: site.toml, tables, profiles.

    Every mistake is one line on stderr that names file, line, column, value and remedy; the exit code is 1 then. A folder
    without mistakes gives one line that sums up what it holds, and 0; one that can't be opened gives 2.
    """
    read, mistakes = read_site(site)
    if read is None:
        for mistake in mistakes:
            complain(str(mistake))
        return BAD_NEWS
    click.echo(summary(read))
    return 0


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

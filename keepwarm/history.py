"""``keepwarm history migrate``: a site's readings carried over from one history into another."""

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import click

from domain.errors import ConfigError, Mistake
from domain.site import Site, StoreSettings
from keepwarm.logs import warn_only
from keepwarm.processes import only_one, site_argument
from keepwarm.progress import progress_line

SETTINGS = "parquet, or a TOML file with the [history] table, as it stands (or will stand) in site.toml"


@click.group()
def history() -> None:
    """Looks after the histories of a site."""


@history.command()
@site_argument
@click.option("--to", "target", metavar="WHERE", help=f"Where to: {SETTINGS}; left out: the site's own history.")
@click.option("--from", "source", metavar="WHERE", help="Where from, likewise; left out: the site's own history.")
def migrate(folder: Path, target: str | None, source: str | None) -> int:
    """Copies all readings of SITE from one history into another, and verifies that they are there.

    SITE may run meanwhile. Stopped, it goes on with the day it had come to; run once more, it compares everything again and copies
    what came late. Then let site.toml name the new history: it gets the last days from the journal too.
    """
    from store.history import open_history
    from store.history.migrate import Migration, PlaceFile
    from store.points import PointRegistry
    from store.site_folder import load_site

    warn_only()
    if target is None and source is None:
        raise click.UsageError("name the other history, with --to or --from")
    site = load_site(folder)
    there, here = (replace(site, stores=_settings(where, site)) for where in (target, source))
    with ExitStack() as opened:
        opened.enter_context(only_one(site.data / "migrations" / "migrate.lock", "keepwarm history migrate", wait_s=0))
        points = opened.enter_context(closing(PointRegistry(site.data / "points.db")))
        old, new = (opened.enter_context(closing(open_history(one, points))) for one in (here, there))
        if old.identity() == new.identity():
            raise ConfigError(
                Mistake("--to" if target else "--from", "this is the very history it would be copied from", value=target or source)
            )
        tell = opened.enter_context(progress_line())
        migration = Migration(old, new, len(points), PlaceFile(site.data / "migrations", old, new), tell)
        try:
            carried = migration.run()
        except KeyboardInterrupt:
            click.echo("stopped; the same command goes on with the day it had come to", err=True)
            raise
    click.echo(
        f"{carried.read} readings in {here.stores.history}, {carried.found} of them in {there.stores.history}: "
        f"{carried.missing} missing, {carried.altered} altered"
    )
    if carried.set_aside:
        click.echo(f"{carried.set_aside} were not taken: older than the retention, or of impossible time", err=True)
    return 0 if carried.whole else 1


def _settings(where: str | None, site: Site) -> StoreSettings:
    """The settings of the history that is meant. Raises ConfigError for a file that does not say."""
    from store.site_folder.settings import load_history_settings

    if where is None:
        return site.stores
    if where == "parquet":
        return replace(site.stores, history="parquet", history_days=0.0)
    return load_history_settings(Path(where), site.stores)

"""``keepwarm import`` and ``keepwarm export``: readings in and out of a site, of any length, in constant memory."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click

from domain.clock import Clock, iso
from domain.errors import ConfigError, Mistake
from domain.reading import Readings
from domain.site import Site
from keepwarm.audit import SAME_ZONE, Zone, instant_of
from keepwarm.logs import warn_only
from keepwarm.output_file import OutFile, check_writable, whole_file
from keepwarm.processes import site_argument
from keepwarm.progress import progress_line
from store.history import History, open_history
from store.history.parts import FIRST_MS, LAST_MS
from store.history.protocol import Points
from store.journal import Journal, open_journal
from store.points import PointRegistry

ENDINGS = {".csv": "csv", ".csv.gz": "csv.gz", ".parquet": "parquet"}
ROW_GROUP = 250_000  # readings of one at least, where there are as many


class Stores(NamedTuple):
    """A site's points, journal and history, open."""

    points: PointRegistry
    journal: Journal
    history: History


@contextmanager
def stores_of(site: Site) -> Iterator[Stores]:
    """The stores of a site, beside the processes that use them."""
    warn_only()
    with ExitStack() as opened:
        points = opened.enter_context(closing(PointRegistry(site.data / "points.db")))
        journal = opened.enter_context(closing(open_journal(site)))
        history = opened.enter_context(closing(open_history(site, points)))
        yield Stores(points, journal, history)


# ── import ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command("import")
@site_argument
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--assume-timezone", "assumed", type=Zone(), is_flag=False, flag_value=SAME_ZONE,
    help="Take times without offset as local there; without a TZ: as in the site's.",
)  # fmt: skip
def import_(folder: Path, files: tuple[Path, ...], assumed: ZoneInfo | str | None) -> int:
    """Puts the readings of FILE… (CSV, gzipped CSV, Parquet) into the history of SITE, which may run meanwhile.

    Nothing is written when one of the files has a mistake. What is there already changes nothing: an import may be repeated. Pages show
    what was imported; rules judge what is collected, and files by `keepwarm audit` and `keepwarm replay`.
    """
    from store.history.take_in import take_in
    from store.site_folder import load_site

    site = load_site(folder)
    zone = site.timezone if isinstance(assumed, str) else assumed
    now_ms = Clock.load(site.data / "clock.json").now_ms()
    with stores_of(site) as stores, progress_line() as tell:
        found = take_in(files, zone, stores.history, stores.points, now_ms, tell)
        missing = {reason: count for reason, count in stores.history.counts().items() if count}
    span = "" if found.first_ms is None or found.last_ms is None else f", {_period(found.first_ms, found.last_ms, site.timezone)}"
    click.echo(f"{found.readings} readings of {found.points} points imported into {site.stores.history}{span}")
    for reason, count in missing.items():
        click.echo(f"not in the history: {count} {reason.replace('_', ' ')}", err=True)
    return 1 if missing else 0


def _period(first_ms: int, last_ms: int, zone: ZoneInfo) -> str:
    return f"{iso(first_ms, zone)} to {iso(last_ms, zone)}"


# ── export ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command()
@site_argument
@click.option("--from", "start", metavar="T", help="Begin of the period; without it the first reading.")
@click.option("--to", "end", metavar="T", help="End of the period (not part of it); without it the last reading.")
@click.option(
    "--point", "patterns", metavar="PATTERN", multiple=True,
    help="Points by name, * for any characters: 'room/*/indoor_temp_c'. May be given several times; without it all.",
)  # fmt: skip
@click.option("--format", "form", type=click.Choice(tuple(ENDINGS.values())), help="What to write; by the ending of --out, else csv.")
@click.option("--out", type=OutFile(), help="File to write; without it standard output.")
def export(folder: Path, start: str | None, end: str | None, patterns: tuple[str, ...], form: str | None, out: Path | None) -> None:
    """Writes readings of SITE, which may run meanwhile: all that was accepted, bad ones with their reason.

    By day, within a day by point and time. Times T without offset are local in the site's zone.
    """
    from store.history.walk import walk
    from store.readings import days_of_readings, read_readings
    from store.readings_file.write import readings_writer
    from store.site_folder import load_site

    form = form or next((form for ending, form in ENDINGS.items() if out and out.name.lower().endswith(ending)), "csv")
    if out is None and form != "csv" and sys.stdout.isatty():
        raise click.UsageError(f"{form} is no text for the terminal: name a file with --out")
    if out is not None:
        check_writable(out)
    site = load_site(folder)
    from_ms, to_ms = instant_of("--from", start, site.timezone), instant_of("--to", end, site.timezone)
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise click.BadParameter(f"{end!r} is not after --from {start!r}", param_hint="--to")
    with stores_of(site) as stores:
        points = _matching(stores.points, patterns)
        days = days_of_readings(stores.history, stores.journal)

        def read(some: Points, low_ms: int, high_ms: int) -> Readings:
            return read_readings(stores.history, stores.journal, some, low_ms, high_ms)

        with progress_line() as tell, _sink(out) as sink, readings_writer(sink, form, stores.points.name, site.timezone) as file:
            count = 0
            waiting: list[Readings] = []
            for portion in walk(read, points, days, FIRST_MS if from_ms is None else from_ms, LAST_MS if to_ms is None else to_ms):
                waiting.append(portion.readings)
                count += len(portion.readings)
                if sum(map(len, waiting)) >= ROW_GROUP or portion.share >= 1:
                    file.write(Readings.concat(waiting))
                    waiting.clear()
                tell("exporting", portion.share)
    click.echo(f"{count} readings of {len(points)} points exported", err=True)


def _matching(points: PointRegistry, patterns: Sequence[str]) -> list[int]:
    """The points whose names match one of the patterns; all without any. Raises ConfigError for a pattern that none matches."""
    names = points.names()
    if not patterns:
        return list(names)
    found: set[int] = set()
    for pattern in patterns:
        these = {point for point, name in names.items() if fnmatchcase(name, pattern)}
        if not these:
            raise ConfigError(Mistake("--point", "no point of this site is called so; * stands for any characters", value=pattern))
        found |= these
    return sorted(found)


@contextmanager
def _sink(out: Path | None) -> Iterator[Any]:
    if out is None:
        yield sys.stdout.buffer
        return
    with whole_file(out) as file:
        yield file

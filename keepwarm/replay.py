"""``keepwarm replay``: every rule over files of readings, and what would have fired."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
import orjson

from domain.clock import iso
from keepwarm.audit import SAME_ZONE, Zone, instant_of
from keepwarm.files_option import FilesCommand
from keepwarm.output_file import OutFile, check_writable, write_whole
from store.site_folder import load_policy, load_site

if TYPE_CHECKING:  # loaded late: numba, and nobody who asks for --help shall wait for it
    from compliance.events import Event

INSTANTS = ("started_at", "started_earliest", "ended_at")


@click.command(cls=FilesCommand)
@click.argument("site_folder", metavar="SITE", type=click.Path(path_type=Path))
@click.option(
    "--readings", "files", metavar="FILE…", type=click.Path(path_type=Path), multiple=True, required=True,
    help="Readings: CSV, gzipped CSV or Parquet; one or more files.",
)  # fmt: skip
@click.option("--policy", "policy_file", metavar="FILE", help="Policy; without it the site's.")
@click.option(
    "--assume-timezone", "assumed", type=Zone(), is_flag=False, flag_value=SAME_ZONE,
    help="Take times without offset as local there; without a TZ: as in the site's.",
)  # fmt: skip
@click.option("--to", "end", metavar="T", help="Events up to here; without it up to the latest end of a stand.")
@click.option("--screen", is_flag=True, help="Take values that can't be true for bad.")
@click.option("--out", type=OutFile(), help="File of events to write, a JSON object a line; without it standard output.")
def replay(
    site_folder: Path, files: tuple[Path, ...], policy_file: str | None, assumed: ZoneInfo | str | None, end: str | None, *,
    screen: bool, out: Path | None,
) -> None:  # fmt: skip
    """What every rule would have decided on these readings, with hindsight.

    Times T without offset are local in the site's zone. Readings count at the instant they were measured.
    """
    from compliance.replay import replay as run
    from domain.screening import Surroundings, screened
    from store.readings_file import read_readings

    if out is not None:
        check_writable(out)
    site = load_site(site_folder, policy=None if policy_file is None else load_policy(policy_file), complete=False)
    to_ms = instant_of("--to", end, site.timezone)
    zone = site.timezone if isinstance(assumed, str) else assumed
    names, readings = read_readings(files, assume_timezone=zone)
    if screen:
        readings = screened(names, readings, Surroundings(site.stations, site.rooms))
    lines = b"".join(_lines(run(site, names, readings, to_ms).events, site.timezone))
    if out is None:
        sys.stdout.buffer.write(lines)
    else:
        write_whole(out, lines)


def _lines(events: Iterable["Event"], zone: ZoneInfo) -> Iterator[bytes]:
    """The events as lines of JSON, instants in ISO 8601 with the site's offset."""
    for event in events:
        body = {key: iso(value, zone) if key in INSTANTS and value is not None else value for key, value in event.body.items()}
        yield orjson.dumps({"at": iso(event.at, zone), "event": event.event, "subject": event.subject, **body}) + b"\n"

"""``keepwarm audit``: the exact rate of compliance of files of readings."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from domain.errors import ConfigError, Mistake
from keepwarm.files_option import FilesCommand
from keepwarm.output_file import OutFile, check_writable, write_whole
from store.site_folder import load_exclusions, load_policy, load_rooms
from store.site_folder.instants import parse_instant
from store.site_folder.settings import DEFAULT_TIMEZONE, zone_fault, zone_named
from store.site_folder.tables import HOLD_MAX_MIN

if TYPE_CHECKING:  # loaded late: numba, and nobody who asks for --help shall wait for it
    from compliance.audit import Audit, By

FORMATS = ("json", "csv", "xlsx", "table")
ENDINGS = {".csv": "csv", ".xlsx": "xlsx", ".txt": "table"}
GROUPS = ("room", "building", "station", "day")
SAME_ZONE = "-"  # --assume-timezone without a zone: that of --timezone


class Zone(click.ParamType[ZoneInfo | str]):
    """A time zone by its name."""

    name = "tz"

    def convert(self, value: str | ZoneInfo, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo | str:
        """The zone; fails with what would be one."""
        if isinstance(value, ZoneInfo) or value == SAME_ZONE:
            return value
        return zone_named(value) or self.fail(f"{value!r}: {zone_fault(value)}", param, ctx)


@click.command(cls=FilesCommand)
@click.option(
    "--readings", "files", metavar="FILE…", type=click.Path(path_type=Path), multiple=True, required=True,
    help="Readings: CSV, gzipped CSV or Parquet; one or more files.",
)  # fmt: skip
@click.option("--rooms", "rooms_file", type=click.Path(path_type=Path), help="Rooms; without it all are residential.")
@click.option("--exclusions", "exclusions_file", type=click.Path(path_type=Path), help="Excluded intervals of rooms.")
@click.option("--policy", "policy_file", metavar="FILE", default="default", show_default=True, help="Policy; default is the shipped one.")
@click.option("--timezone", "zone", type=Zone(), default=DEFAULT_TIMEZONE, show_default=True, help="Whose local time limits and days are.")
@click.option(
    "--assume-timezone", "assumed", type=Zone(), is_flag=False, flag_value=SAME_ZONE,
    help="Take times without offset as local there; without a TZ: as in --timezone.",
)  # fmt: skip
@click.option(
    "--hold-max-min", type=click.FloatRange(0, HOLD_MAX_MIN, min_open=True), default=30.0, show_default=True,
    help="How long a reading stands at most, where the rooms file does not say otherwise.",
)  # fmt: skip
@click.option("--from", "start", metavar="T", help="Begin of the period; without it the first reading.")
@click.option("--to", "end", metavar="T", help="End of the period; without it the latest end of a stand.")
@click.option("--by", type=click.Choice(GROUPS), default="room", show_default=True, help="Sums by building, station or local day as well.")
@click.option("--screen", is_flag=True, help="Take values that can't be true for bad.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="What to write; without it by the ending of --out, else json.")
@click.option("--out", type=OutFile(), help="File to write; without it standard output.")
def audit(
    files: tuple[Path, ...], rooms_file: Path | None, exclusions_file: Path | None, policy_file: str, zone: ZoneInfo,
    assumed: ZoneInfo | str | None, hold_max_min: float, start: str | None, end: str | None, by: "By", screen: bool,
    form: str | None, out: Path | None,
) -> None:  # fmt: skip
    """How long each room was warm enough, too cold, or unknown.

    Judges the points room/ID/indoor_temp_c of the readings by the policy, exact to the millisecond. Times T without offset are
    local in --timezone.
    """
    form = form or ENDINGS.get(out.suffix.lower() if out else "", "json")
    if form == "xlsx" and out is None and sys.stdout.isatty():
        raise click.UsageError("a workbook is no text for the terminal: name a file with --out")
    if out is not None:
        check_writable(out)
    from_ms, to_ms = instant_of("--from", start, zone), instant_of("--to", end, zone)
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise click.BadParameter(f"{end!r} is not after --from {start!r}", param_hint="--to")
    policy = load_policy(policy_file)
    rooms = load_rooms(rooms_file, policy) if rooms_file else []
    exclusions = load_exclusions(exclusions_file, zone) if exclusions_file else []

    from compliance.audit import Question, excluded_nowhere
    from compliance.audit import audit as judged
    from store.readings_file import read_readings

    question = Question(policy, zone, rooms, exclusions, hold_max_min, from_ms, to_ms, by, screen)
    names, readings = read_readings(files, assume_timezone=zone if isinstance(assumed, str) else assumed)
    answer = judged(names, readings, question)
    _write(answer, form, by, out)
    for room_id in excluded_nowhere(question, answer):
        unused = Mistake(str(exclusions_file), "no such room in the readings or the rooms file", key="room_id", value=room_id)
        click.echo(f"note: {unused}", err=True)


def instant_of(option: str, text: str | None, zone: ZoneInfo) -> int | None:
    """UTC ms of an option's time, local in the zone where it has no offset. Raises ConfigError for anything else."""
    if text is None:
        return None
    try:
        return parse_instant(text, zone)
    except ValueError:
        raise ConfigError(Mistake(option, "a time such as 2026-11-15T06:00:00+08:00, or a local one, 2026-11-15", value=text)) from None


def _write(answer: "Audit", form: str, by: str, out: Path | None) -> None:
    from keepwarm.audit_formats import as_csv, as_json, as_table, as_xlsx

    if form == "table":
        width = shutil.get_terminal_size().columns if out is None and sys.stdout.isatty() else None
        content = as_table(answer, by, width).encode()
    elif form == "xlsx":
        content = as_xlsx(answer, by)
    else:
        content = as_csv(answer) if form == "csv" else as_json(answer)
    if out is not None:
        write_whole(out, content)
    else:
        sys.stdout.buffer.write(content)

"""``keepwarm visits`` and ``keepwarm verify-records``: measuring visits (R8), and the proof that no record was altered."""

import csv
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from domain.clock import Clock, iso
from domain.errors import ConfigError, Mistake
from domain.site import Site
from domain.visit import visit_faults
from keepwarm.processes import site_argument

if TYPE_CHECKING:  # loaded late, with the records
    from store.records.visits import FiledVisit

BAD_NEWS = 1
COLUMNS = (
    *("id", "room_id", "measured_at", "measured_by", "instrument", "calibrated_on", "calibrated_until", "windows_shut_min", "at_centre"),
    *("height_m", "readings_c", "result_c", "official", "faults", "corrects", "corrected_by", "complaint_id", "remark", "hash"),
)
head_option = click.option("--head", metavar="HASH", help="A hash noted before: it must still be in the chain.")


@click.group()
def visits() -> None:
    """Measuring visits of a SITE: append-only, chained by hash; without the resident's signature none is official."""


@visits.command("file")
@site_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--who", required=True, help="Who files them.")
@click.option("--dry-run", is_flag=True, help="Only say what would be filed.")
def file_(folder: Path, file: Path, who: str, *, dry_run: bool) -> None:
    """Files the visits of FILE (CSV or XLSX, one a row; `signature` names a PNG beside it): all of them or, with a mistake, none."""
    from dashboard.actions.acting import RefusedError
    from dashboard.actions.visits import file_visit, visit_refusal
    from dashboard.roles import Account
    from store.records import records_of
    from store.site_folder import load_site
    from store.site_folder.visits import load_visits

    site = load_site(folder)
    found = load_visits(file, site.rooms, site.timezone)
    now_ms = Clock.load(site.data / "clock.json").now_ms()
    refused = [Mistake(str(file), why, line=line) for line, visit in found if (why := visit_refusal(visit, site, now_ms))]
    if refused:
        raise ConfigError(*refused)
    with records_of(site) as engine:
        for line, visit in found:
            faults = visit_faults(visit, site.timezone)
            said = f"not official: {', '.join(faults)}" if faults else "official"
            if dry_run:
                click.echo(f"would file: {visit.room_id} {iso(visit.measured_at, site.timezone)} {visit.result_c} ℃, {said}")
                continue
            try:
                filed = file_visit(engine, Account(who, "service"), site, visit, now_ms)
            except RefusedError as error:
                raise ConfigError(Mistake(str(file), error.why, line=line)) from error
            click.echo(
                f"filed {filed.id}: {visit.room_id} {iso(visit.measured_at, site.timezone)} {visit.result_c} ℃, {said}; {filed.hash}"
            )


@visits.command("list")
@site_argument
@click.argument("room", required=False)
def list_(folder: Path, room: str | None) -> None:
    """Lists the visits of SITE, or of one ROOM, as CSV; only official ones count, and of a corrected one only the correction."""
    from store.records import reading, records_of
    from store.records.visits import filed_visits
    from store.site_folder import load_site

    site = load_site(folder)
    if room is not None and room not in site.rooms:
        raise ConfigError(Mistake("ROOM", f"a room of {site.name}", value=room))
    with records_of(site) as engine, reading(engine).connect() as connection:
        found = filed_visits(connection, room)
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in found:
        rows.writerow([_cell(one, column, site) for column in COLUMNS])


def _cell(one: "FiledVisit", column: str, site: Site) -> object:
    faults = visit_faults(one.visit, site.timezone)
    own = {
        "id": one.id,
        "measured_at": iso(one.visit.measured_at, site.timezone),
        "readings_c": " ".join(f"{value:g}" for value in one.visit.readings_c),
        "official": "no" if faults or one.corrected_by else "yes",
        "faults": " ".join(faults),
        "corrected_by": one.corrected_by,
        "hash": one.hash,
    }
    value = own[column] if column in own else getattr(one.visit, column)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if isinstance(value, date) else "" if value is None else value


@visits.command()
@site_argument
@head_option
def verify(folder: Path, head: str | None) -> int:
    """Proves that no visit of SITE was altered, removed or slipped in; exit code 1 and the first broken record where one was."""
    return _verify(folder, head)


@click.command("verify-records")
@site_argument
@head_option
def verify_records(folder: Path, head: str | None) -> int:
    """Proves that the append-only records of SITE are as they were filed; exit code 1, the first broken record first, where not."""
    return _verify(folder, head, whole=True)


def _verify(folder: Path, head: str | None, *, whole: bool = False) -> int:
    """``whole``: the guards of every append-only table, not those of visits only."""
    from store.records import reading, records_of
    from store.records.append_only import APPEND_ONLY, unguarded
    from store.records.visits import broken_visits, chain_head
    from store.site_folder import load_site

    site = load_site(folder)
    with records_of(site) as engine, reading(engine).connect() as connection:
        broken = list(broken_visits(connection, head))
        broken += unguarded(connection, [table for table in APPEND_ONLY if whole and table != "visits"])
        count, last = chain_head(connection)
    for line in broken:
        click.echo(line, err=True)
    if broken:
        return BAD_NEWS
    click.echo(f"{site.name}: {count} visits, none altered; head {last}")
    return 0

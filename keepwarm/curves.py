"""``keepwarm curves``: the supply curves that a site's stations are held to (R9)."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from domain.clock import Clock, iso
from domain.curve import FiledCurve, curve_faults
from domain.errors import ConfigError, Mistake
from domain.site import Site
from keepwarm.processes import site_argument
from store.site_folder import load_curves, load_site

if TYPE_CHECKING:  # loaded late, with the records
    from sqlalchemy import Engine

COLUMNS = ("station_id", "effective_from", "outdoor_c", "supply_c", "filed_by", "reason", "offsets_k")
BAD_NEWS = 1


@click.group()
def curves() -> None:
    """Supply curves: those of the SITE's curves.csv and those filed since, together."""


@curves.command("file")
@site_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--who", required=True, help="Who files them.")
@click.option("--dry-run", is_flag=True, help="Only say what would be filed.")
def file_(folder: Path, file: Path, who: str, *, dry_run: bool) -> None:
    """Files the curves of FILE, written like curves.csv; each is in force from its effective_from on, a minute from now or later.

    All of them or, with any mistake, none.
    """
    from dashboard.actions.acting import RefusedError
    from dashboard.actions.curves import AHEAD_MS
    from dashboard.actions.curves import file as file_curve
    from dashboard.roles import Account

    site = load_site(folder)
    new = load_curves(file, site.stations, site.timezone)
    now_ms = _clock(site).now_ms()
    with _filed(site) as (engine, known):
        mistakes = []
        for curve in new:
            at = iso(curve.effective_from_ms, site.timezone)
            if curve.effective_from_ms < now_ms + AHEAD_MS:
                remedy = f"a curve is filed before it is in force, so that the past keeps its own; now it is {iso(now_ms, site.timezone)}"
                mistakes.append(Mistake(str(file), remedy, key="effective_from", value=at))
            if not curve.reason:
                mistakes.append(Mistake(str(file), "a curve is filed with a reason", key="reason", value=""))
            if any(one.effective_from_ms == curve.effective_from_ms for one in known.get(curve.station_id, ())):
                remedy = "a curve of this station is in force from this very instant already; another instant"
                mistakes.append(Mistake(str(file), remedy, key="effective_from", value=at))
        if mistakes:
            raise ConfigError(*mistakes)
        for curve in new:
            if not dry_run:
                try:
                    file_curve(engine, Account(who, "engineer"), curve, now_ms)
                except RefusedError as error:  # somebody filed at the same time
                    raise ConfigError(Mistake(str(file), error.why, key="station_id", value=curve.station_id)) from error
            click.echo(f"{'would file' if dry_run else 'filed'}: {_written(curve, site)}")


@curves.command("list")
@site_argument
@click.argument("station", required=False)
@click.option("--format", "form", type=click.Choice(("text", "csv")), default="text", show_default=True, help="csv is that of curves.csv.")
def list_(folder: Path, station: str | None, form: str) -> None:
    """Lists the curves of SITE, or of one STATION, in the order in which they are in force."""
    site = load_site(folder)
    if station is not None and station not in site.stations:
        raise ConfigError(Mistake("STATION", f"a station of {site.name}", value=station))
    with _filed(site) as (_, known):
        found = [curve for station_id in sorted(known) if station in (None, station_id) for curve in known[station_id]]
    if form == "text":
        for curve in found:
            click.echo(_written(curve, site))
        return
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)
    for curve in found:
        for outdoor_c, supply_c in zip(curve.outdoor_c, curve.supply_c, strict=True):
            offsets = " ".join(f"{offset:g}" for offset in curve.offsets_k)
            from_ = iso(curve.effective_from_ms, site.timezone)
            rows.writerow([curve.station_id, from_, f"{outdoor_c:g}", f"{supply_c:g}", curve.filed_by, curve.reason, offsets])


@curves.command()
@site_argument
def verify(folder: Path) -> int:
    """Looks through all curves of SITE: each must be one (R9), and every station needs one in force; exit code 1 where not."""
    site = load_site(folder)
    now_ms = _clock(site).now_ms()
    bad = []
    with _filed(site) as (_, known):
        for station_id in site.stations:
            versions = known.get(station_id, ())
            bad += [f"{_written(curve, site)}: {fault}" for curve in versions for fault in curve_faults(*_points(curve))]
            if not any(curve.effective_from_ms <= now_ms for curve in versions):
                bad.append(f"{station_id}: no curve is in force")
        gone = sorted(set(known) - set(site.stations))
        bad += [f"{station_id}: curves are filed for a station that the site does not have" for station_id in gone]
        count = sum(map(len, known.values()))
    for line in bad:
        click.echo(line, err=True)
    if bad:
        return BAD_NEWS
    click.echo(f"{site.name}: {count} curves of {len(site.stations)} stations, all in order")
    return 0


def _points(curve: FiledCurve) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    return curve.outdoor_c, curve.supply_c, curve.offsets_k


def _written(curve: FiledCurve, site: Site) -> str:
    points = ", ".join(f"{outdoor_c:g}:{supply_c:g}" for outdoor_c, supply_c in zip(curve.outdoor_c, curve.supply_c, strict=True))
    offsets = f" | {' '.join(f'{offset:+g}' for offset in curve.offsets_k)}" if any(curve.offsets_k) else ""
    why = f" ({curve.filed_by}: {curve.reason})" if curve.filed_by or curve.reason else ""
    return f"{curve.station_id} from {iso(curve.effective_from_ms, site.timezone)}: {points}{offsets}{why}"


def _clock(site: Site) -> Clock:
    return Clock.load(site.data / "clock.json")


@contextmanager
def _filed(site: Site) -> "Iterator[tuple[Engine, dict[str, tuple[FiledCurve, ...]]]]":
    from store.records import reading, records_of
    from store.records.filed_curves import filed_curves, in_force

    with records_of(site) as engine:
        with reading(engine).connect() as connection:
            known = in_force(site, filed_curves(connection))
        yield engine, known

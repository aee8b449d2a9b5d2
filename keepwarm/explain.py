"""``keepwarm explain``: how a room's figures of a day came about, from the rate down to each reading (R2)."""

import math
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from domain.clock import iso
from domain.errors import ConfigError, Mistake
from domain.site import Room, Site
from keepwarm.processes import site_argument

if TYPE_CHECKING:
    from compliance.verdict import Segments
    from domain.reading import Readings


@click.command()
@site_argument
@click.argument("subject", metavar="room/ID")
@click.option("--day", "day_text", metavar="DAY", required=True, help="Local day, such as 2026-01-14.")
@click.option("--readings/--no-readings", "with_readings", default=True, help="Each reading as well.", show_default=True)
def explain(folder: Path, subject: str, day_text: str, *, with_readings: bool) -> None:
    """How the figures of room/ID on DAY came about: its intervals, the readings, the policy and the software."""
    from compliance.room_days import SOFTWARE, day_span
    from store.site_folder import load_site

    site = load_site(folder)
    room = _room(site, subject)
    try:
        day = date.fromisoformat(day_text)
    except ValueError:
        raise ConfigError(Mistake("--day", "a local day, such as 2026-01-14", value=day_text)) from None
    start, stop = day_span(day, site.timezone)
    readings = _readings(site, room, start, stop)
    version = site.policy.version_at(day)
    since = "none in force" if version is None else f"valid from {version.valid_from.isoformat()}"
    click.echo(
        f"{subject} on {day.isoformat()}: {room.table}, offset {room.offset_k:+g} K, a reading stands {site.hold_ms(room) / 60_000:g} min"
    )
    click.echo(f"policy {site.policy.name} ({since}), sha256 {site.policy.sha256}; keepwarm {SOFTWARE}")
    totals = _intervals(site, room, readings, start, stop)
    known = totals["compliant"] + totals["breach"]
    rate = f"{totals['compliant'] / known:.4%}" if known else "nothing is known"
    click.echo(
        f"compliance {rate} = compliant / (compliant + breach); " + ", ".join(f"{name} {ms / 1000:g} s" for name, ms in totals.items())
    )
    if with_readings:
        _each(site, readings)


def _room(site: Site, subject: str) -> Room:
    kind, _, room_id = subject.partition("/")
    if kind != "room" or room_id not in site.rooms:
        raise ConfigError(Mistake(str(site.folder / "rooms.csv"), "room/ID of a room of the site", key="room_id", value=subject))
    return site.rooms[room_id]


def _readings(site: Site, room: Room, start: int, stop: int) -> "Readings":
    """Every reading that may stand in the day, as stored, bad ones as well."""
    from store.history import open_history
    from store.journal import open_journal
    from store.points import PointRegistry
    from store.readings import read_readings

    if not site.data.is_dir():
        raise ConfigError(Mistake(str(site.data), "nothing is stored of this site yet"))
    points = PointRegistry(site.data / "points.db")
    point = points.find(f"room/{room.room_id}/indoor_temp_c")
    history, journal = open_history(site, points), open_journal(site)
    try:
        return read_readings(history, journal, [] if point is None else [point], start - site.hold_ms(room), stop)
    finally:
        history.close()
        journal.close()


def _intervals(site: Site, room: Room, readings: "Readings", start: int, stop: int) -> dict[str, int]:
    """Says each interval of one limit and one standing value; returns the milliseconds by verdict."""
    from compliance.series import clean_series
    from compliance.verdict import cut, most_segments, room_rules, segments_of

    series = clean_series(np.zeros(len(readings), np.int64), readings, np.array([room.offset_k]))
    rules = room_rules([room], site.exclusions, site.policy, site.timezone, np.array([site.hold_ms(room)]), start, stop)
    cuts = segments_of(most_segments(rules, 0, len(series.at)))
    totals = {"compliant": 0, "breach": 0, "unknown": 0, "unjudged": 0}
    for k in range(cut(series.at, series.value, 0, len(series.at), rules, 0, start, stop, cuts)):
        limit_c, value_c = float(cuts.limit_c[k]), float(cuts.value_c[k])
        name = _verdict(limit_c, value_c)
        totals[name] += int(cuts.at[k + 1] - cuts.at[k])
        what = "" if name == "unjudged" else f"  limit {limit_c:g} ℃" + ("" if name == "unknown" else f", {value_c:g} ℃")
        click.echo(f"  {_span(site, cuts, k)}  {name}{what}")
    return totals


def _verdict(limit_c: float, value_c: float) -> str:
    from compliance.verdict import AT_LIMIT_K

    if math.isnan(limit_c):
        return "unjudged"
    if math.isnan(value_c):
        return "unknown"
    return "breach" if value_c < limit_c - AT_LIMIT_K else "compliant"


def _span(site: Site, cuts: "Segments", k: int) -> str:
    return f"{iso(int(cuts.at[k]), site.timezone)} – {iso(int(cuts.at[k + 1]), site.timezone)}"


def _each(site: Site, readings: "Readings") -> None:
    """Says each reading as it is stored; bad ones do not count."""
    from domain.reading import FIRST_BAD, Quality

    columns = (readings.measured_at, readings.received_at, readings.value, readings.quality)
    rows: list[tuple[Any, ...]] = sorted(zip(*(column.tolist() for column in columns), strict=True))
    click.echo(f"{len(rows)} readings, without the offset:")
    for at, received, value, quality in rows:
        counted = "" if quality < FIRST_BAD else ", does not count"
        name = Quality(quality).name.lower()
        click.echo(f"  {iso(at, site.timezone)}  {value:g} ℃  {name}{counted}, received {iso(received, site.timezone)}")

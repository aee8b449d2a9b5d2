"""Measuring visits as they are shown (R8): what was measured, and why one does not count. The signature's picture stays in the records."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, true

from dashboard.facts.subjects import subject
from dashboard.facts.town import Town
from domain.site import Site
from domain.visit import Fault, Visit, visit_faults
from store.records.tables import visits

PAGE: Final = 60
HOMES_MOST: Final = 2_000
HOMES_LIFE_S: Final = 10.0
_SIGNED = b"signed"  # stands for the picture, which lists do not load


@dataclass(frozen=True)
class VisitRow:
    """A record as it stands; ``faults`` say why it is no official measurement, ``corrected_by`` names the record that replaces it."""

    id: int
    visit: Visit
    faults: list[Fault]
    corrected_by: int | None
    filed_at: int
    filed_by: str
    hash: str

    @property
    def official(self) -> bool:
        """Whether it counts."""
        return not self.faults and self.corrected_by is None


def visit_rows(town: Town, *, complaint_id: int | None = None, room_id: str | None = None) -> list[VisitRow]:
    """The newest visits of a complaint or of a room, the latest first."""
    columns = visits.c
    which: ColumnElement[bool] = true()
    if complaint_id is not None:
        which &= columns.complaint_id == complaint_id
    if room_id is not None:
        which &= columns.room_id == room_id
    return town.shared.of(("visits", complaint_id, room_id), lambda: _visit_rows(town, which))


def listed_visits(town: Town, text: str, page: int) -> list[VisitRow]:
    """One page (from 1) of the visits of whose home or number ``text`` speaks, of all where it is empty; the latest first."""
    return town.shared.of(("listed_visits", text, page), lambda: _visit_rows(town, _speaks_of(town, text), skipped=(page - 1) * PAGE))


def visits_found(town: Town, text: str) -> int:
    """How many those are, on all pages together."""
    query = select(func.count()).select_from(visits)
    return town.shared.of(("visits_found", text), lambda: int(town.rows(query.where(_speaks_of(town, text)))[0][0]))


def _speaks_of(town: Town, text: str) -> ColumnElement[bool]:
    sought = text.strip().casefold()
    if not sought:
        return true()
    of_homes = visits.c.room_id.in_([home for home, words in _visited_homes(town).items() if sought in words][:HOMES_MOST])
    number = sought.removeprefix("№").strip()
    if number.isascii() and number.isdecimal() and len(number) < 16:
        return of_homes | (visits.c.id == int(number))  # a flat has a number, too
    return of_homes


def _visited_homes(town: Town) -> dict[str, str]:
    """Each home that was ever visited → its id, building, street and flat, as they may be typed."""

    def look() -> dict[str, str]:
        buildings, rooms = town.site.buildings, town.site.rooms
        found = {}
        for (home,) in town.rows(select(visits.c.room_id).distinct()):
            name, colon, flat = home.partition(":")
            building = buildings.get(str(rooms[name].building_id if name in rooms and not colon else name))
            known = subject(town, f"room/{home}").name if home in rooms else f"{building.name if building else ''} {flat}"
            found[home] = f"{home} {known} {building.street if building else ''}".casefold()
        return found

    return town.shared.of("visited_homes", look, life_s=HOMES_LIFE_S)


def complained_of(site: Site, room_id: str) -> str:
    """What a complaint from a visit to this home is about: its room, or the building of a home without a sensor."""
    return f"room/{room_id}" if room_id in site.rooms else f"building/{room_id.partition(':')[0]}"


def visit_row(town: Town, visit_id: int) -> VisitRow | None:
    """One record; None where there is none."""
    found = _visit_rows(town, visits.c.id == visit_id)
    return found[0] if found else None


def signature_of(town: Town, visit_id: int) -> bytes | None:
    """The picture of a record's signature; None without one."""
    rows = town.rows(select(visits.c.signature).where(visits.c.id == visit_id))
    return rows[0][0] if rows else None


def _visit_rows(town: Town, which: ColumnElement[bool], skipped: int = 0) -> list[VisitRow]:
    plain = [name for name in Visit.__dataclass_fields__ if name != "signature"]
    later = visits.alias()
    corrected_by = select(later.c.id).where(later.c.corrects == visits.c.id).limit(1).scalar_subquery()
    query = (
        select(*(visits.c[name] for name in plain), visits.c.signature.is_not(None), visits.c.id, corrected_by)
        .add_columns(visits.c.filed_at, visits.c.filed_by, visits.c.hash)
        .where(which)
        .order_by(visits.c.id.desc())
        .limit(PAGE)
        .offset(skipped)
    )
    return [_row(town, dict(zip((*plain, *_OWN), row, strict=True))) for row in town.rows(query)]


_OWN: Final = ("signed", "id", "corrected_by", "filed_at", "filed_by", "hash")


def _row(town: Town, values: dict[str, Any]) -> VisitRow:
    own = [values.pop(name) for name in _OWN]
    values |= {name: date.fromisoformat(values[name]) for name in ("calibrated_on", "calibrated_until")}
    visit = Visit(**values | {"readings_c": tuple(values["readings_c"]), "signature": _SIGNED if own[0] else None})
    return VisitRow(own[1], visit, visit_faults(visit, town.site.timezone), *own[2:])

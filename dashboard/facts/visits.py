"""Measuring visits as they are shown (R8): what was measured, and why one does not count. The signature's picture stays in the records."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, select

from dashboard.facts.town import Town
from domain.site import Site
from domain.visit import Fault, Visit, visit_faults
from store.records.tables import visits

MOST: Final = 200
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
    """The newest visits of a complaint, of a room, or of all, the latest first."""
    columns = visits.c
    which: ColumnElement[bool] = columns.id > 0
    if complaint_id is not None:
        which &= columns.complaint_id == complaint_id
    if room_id is not None:
        which &= columns.room_id == room_id
    return town.shared.of(("visits", complaint_id, room_id), lambda: _visit_rows(town, which))


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


def _visit_rows(town: Town, which: ColumnElement[bool]) -> list[VisitRow]:
    plain = [name for name in Visit.__dataclass_fields__ if name != "signature"]
    later = visits.alias()
    corrected_by = select(later.c.id).where(later.c.corrects == visits.c.id).limit(1).scalar_subquery()
    query = (
        select(*(visits.c[name] for name in plain), visits.c.signature.is_not(None), visits.c.id, corrected_by)
        .add_columns(visits.c.filed_at, visits.c.filed_by, visits.c.hash)
        .where(which)
        .order_by(visits.c.id.desc())
        .limit(MOST)
    )
    return [_row(town, dict(zip((*plain, *_OWN), row, strict=True))) for row in town.rows(query)]


_OWN: Final = ("signed", "id", "corrected_by", "filed_at", "filed_by", "hash")


def _row(town: Town, values: dict[str, Any]) -> VisitRow:
    own = [values.pop(name) for name in _OWN]
    values |= {name: date.fromisoformat(values[name]) for name in ("calibrated_on", "calibrated_until")}
    visit = Visit(**values | {"readings_c": tuple(values["readings_c"]), "signature": _SIGNED if own[0] else None})
    return VisitRow(own[1], visit, visit_faults(visit, town.site.timezone), *own[2:])

"""A measuring visit that found the room too cold opens a complaint of origin ``visit`` (R6, R8), or adds to the one that is open."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from compliance.complaint_life import NOT_OVER
from compliance.visit_violation import violated_limit_c
from dashboard.actions.acting import RefusedError, demand, note, step
from dashboard.roles import Account
from dashboard.text import N_
from domain.site import Site
from domain.visit import Visit
from store.records.tables import complaint_deeds, complaint_rooms, complaint_transitions, complaints
from store.records.visits import filed_visit

OPENED: Final = "open_complaint"


def open_visit_complaint(engine: Engine, who: Account, site: Site, visit_id: int, evidence: Mapping[str, Any], now_ms: int) -> int:
    """Opens the complaint of a visit and returns its number; of an open one of the same home where there is one, which gets it as evidence.

    Exactly one for each visit, however often it is asked for. It counts as reported when it was measured. ``evidence`` is
    ``dashboard.facts.complaints.evidence_at``. Raises RefusedError without the right, or where the visit gives no ground for one.
    """
    demand(engine, who, "open_complaint", OPENED, f"visit/{visit_id}", now_ms)
    try:
        with engine.begin() as connection:
            visit, limit_c = _ground(connection, site, visit_id)
            known = _made_of(connection, visit_id)
            if known is not None:
                return known
            measured_c = None if visit.mean_c is None else round(visit.mean_c, 3)
            found = {"visit": visit_id, "measured_c": measured_c, "limit_c": limit_c}
            standing = _standing(connection, site, visit)
            if standing is not None:
                deed = {"complaint_id": standing, "kind": "measured", "at": now_ms, "who": who.name, "why": "", "body": found}
                connection.execute(insert(complaint_deeds).values(deed))
                note(connection, now_ms, who, "complaint_measured", f"complaint/{standing}", None, found)
                return standing
            return _open(connection, who, site, visit_id, visit, {**evidence, **found}, now_ms)
    except IntegrityError:  # asked for twice at once: the other was first
        with engine.connect() as connection:
            known = _made_of(connection, visit_id)
        if known is None:
            raise
        return known


def _ground(connection: Connection, site: Site, visit_id: int) -> tuple[Visit, float]:
    """The visit and the limit that it found broken. Raises RefusedError where it gives no ground."""
    filed = filed_visit(connection, visit_id)
    if filed is None:
        raise RefusedError(N_("There is no such visit."))
    if filed.corrected_by is not None:
        raise RefusedError(N_("This record was corrected; a complaint stands on the correction."))
    if filed.visit.complaint_id is not None:
        raise RefusedError(N_("This visit was made for a complaint and belongs to it."))
    limit_c = violated_limit_c(site, filed.visit)
    if limit_c is None:
        raise RefusedError(N_("Only an official measurement below the limit opens a complaint."))
    return filed.visit, limit_c


def _made_of(connection: Connection, visit_id: int) -> int | None:
    """The complaint that this visit opened or was added to."""
    opened = connection.scalar(select(complaints.c.id).where(complaints.c.visit_id == visit_id))
    if opened is not None:
        return int(opened)
    deeds = complaint_deeds.c
    added = connection.execute(select(deeds.complaint_id, deeds.body).where(deeds.kind == "measured"))
    return next((int(row.complaint_id) for row in added if row.body.get("visit") == visit_id), None)


def _standing(connection: Connection, site: Site, visit: Visit) -> int | None:
    """An open complaint of this home: its own before one of its building or station that it is attached to."""
    columns = complaints.c
    open_one = columns.state.in_(NOT_OVER) & (columns.kind != "maintenance") & (columns.category == "low_temperature")
    if visit.room_id in site.rooms:
        attached = select(complaint_rooms.c.complaint_id).where(complaint_rooms.c.room_id == visit.room_id)
        mine = (columns.subject == f"room/{visit.room_id}") | columns.id.in_(attached)
    else:
        building_id, _, flat = visit.room_id.partition(":")
        mine = (columns.kind == "household") & (columns.subject == f"building/{building_id}") & (columns.address == flat)
    own_first = (columns.kind == "room").desc()
    found = connection.scalar(select(columns.id).where(open_one, mine).order_by(own_first, columns.id).limit(1))
    return None if found is None else int(found)


def _open(
    connection: Connection, who: Account, site: Site, visit_id: int, visit: Visit, evidence: dict[str, Any], now_ms: int
) -> int:  # fmt: skip
    room = site.rooms.get(visit.room_id)
    building_id, _, flat = visit.room_id.partition(":")
    building = site.buildings.get((room.building_id if room else building_id) or "")
    kind, subject = ("room", f"room/{visit.room_id}") if room else ("household", f"building/{building_id}")
    row = {
        "kind": kind, "origin": "visit", "subject": subject,
        "station_id": (room.station_id if room else None) or (building.station_id if building else None),
        "building_id": building.building_id if building else None, "opened_at": visit.measured_at, "state": "new", "evidence": evidence,
        "category": "low_temperature", "visit_id": visit_id, "address": "" if room else flat,
    }  # fmt: skip
    key = connection.execute(insert(complaints).values(row)).inserted_primary_key
    assert key is not None
    complaint_id = int(key[0])
    step(connection, complaint_transitions, "complaint_id", complaint_id, "none", "new", visit.measured_at, who, f"visit {visit_id}")
    note(connection, now_ms, who, OPENED, f"complaint/{complaint_id}", None, {"visit": visit_id, "opened_at": visit.measured_at})
    return complaint_id

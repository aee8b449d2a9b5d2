"""Sensor complaints in the records (R6): exactly one for each room and episode, across restarts."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from compliance.complaint import ComplaintBook, ComplaintChange, Estate
from compliance.complaint_life import NOT_OVER
from compliance.events import complaint_event
from compliance.evidence import RoomEvidence
from compliance.recording.event_rows import add_transition, record_event
from store.records import tables

COMPLAINTS = tables.complaints
ROOMS = tables.complaint_rooms


def open_book(connection: Connection, estate: Estate, recent: Sequence[tuple[int, str]]) -> ComplaintBook:
    """The complaints open now, of whatever origin, and the alarms that count for the next roll-up."""
    book = ComplaintBook(estate)
    columns = COMPLAINTS.c
    statement = (
        select(columns.kind, columns.subject, ROOMS.c.room_id)
        .select_from(COMPLAINTS.outerjoin(ROOMS, ROOMS.c.complaint_id == columns.id))
        .where(columns.state.in_(NOT_OVER))
        .order_by(columns.id)
    )
    for kind, subject, room_id in connection.execute(statement):
        rooms = book.open.setdefault((kind, subject), set())
        if room_id is not None:
            rooms.add(room_id)
    book.remember(recent)
    return book


def record_change(connection: Connection, change: ComplaintChange, estate: Estate, evidence: RoomEvidence) -> bool:
    """Stores a complaint opened or joined, with the evidence for each of its rooms; False when it was stored before."""
    if not record_event(connection, complaint_event(change)):
        return False
    complaint_id = _insert(connection, change, estate, evidence) if change.opened else _standing(connection, change.kind, change.subject)
    if complaint_id is None:
        return False
    held = select(ROOMS.c.room_id).where(ROOMS.c.complaint_id == complaint_id, ROOMS.c.raised_at == change.at)
    known = set(connection.scalars(held))
    key = {"complaint_id": complaint_id, "raised_at": change.at, "attached_at": change.at}
    rows = [
        {**key, "room_id": room_id, "evidence": evidence.of_room(room_id, change.at)} for room_id in change.rooms if room_id not in known
    ]
    if rows:
        connection.execute(ROOMS.insert(), rows)
    if change.opened and change.kind in ("building", "station"):
        _merge_smaller(connection, change, complaint_id, estate)
    return True


def _insert(connection: Connection, change: ComplaintChange, estate: Estate, evidence: RoomEvidence) -> int:
    first = change.rooms[0] if change.rooms else ""
    snapshot = evidence.of_room(first, change.at)
    del snapshot["readings"]  # they stand with each of its rooms
    row = {
        "kind": change.kind,
        "origin": "sensor",
        "subject": change.subject,
        "station_id": estate.station_of.get(first),
        "building_id": None if change.kind == "station" else estate.building_of.get(first),
        "opened_at": change.at,
        "state": "new",
        "reason": change.reason,
        "evidence": snapshot,
    }
    key = connection.execute(COMPLAINTS.insert().values(row)).inserted_primary_key
    assert key is not None
    add_transition(connection, "complaint", int(key[0]), ("none", "new"), change.at, why=change.reason)
    return int(key[0])


def _standing(connection: Connection, kind: str, subject: str) -> int | None:
    """The complaint that is open; else the last one: late readings may add evidence to what people have closed meanwhile."""
    columns = COMPLAINTS.c
    mine = select(columns.id).where(columns.kind == kind, columns.subject == subject)
    found = connection.scalar(mine.where(columns.state.in_(NOT_OVER)).order_by(columns.opened_at).limit(1))
    if found is None:
        found = connection.scalar(mine.order_by(columns.opened_at.desc()).limit(1))
    return None if found is None else int(found)


def _merge_smaller(connection: Connection, change: ComplaintChange, complaint_id: int, estate: Estate) -> None:
    """Open sensor complaints that the new, larger one takes in are merged into it."""
    columns = COMPLAINTS.c
    subjects = {f"room/{room_id}" for room_id in change.rooms}
    if change.kind == "station":
        subjects |= {f"building/{building_id}" for building_id in estate.buildings_of.get(change.subject.removeprefix("station/"), ())}
    smaller = select(columns.id, columns.state).where(
        columns.subject.in_(subjects), columns.origin == "sensor", columns.kind.in_(("room", "building")),
        columns.state.in_(NOT_OVER), columns.id != complaint_id,
    )  # fmt: skip
    for row in connection.execute(smaller).all():
        connection.execute(update(COMPLAINTS).where(columns.id == row.id).values(state="merged", merged_into=complaint_id))
        add_transition(connection, "complaint", row.id, (row.state, "merged"), change.at, why=change.subject)

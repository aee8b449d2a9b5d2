"""Visits in the records (R8): appended in a chain of hashes, never changed; and the proof that none was."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text

from domain.visit import GENESIS, Visit, link_hash
from store.records.append_only import unguarded
from store.records.narrowed import WHOLE
from store.records.tables import audit, visits

FILED = "file_visit"  # the audit row that names a record's hash: what was cut off the end of the chain is known by it
_CHAIN_LOCK = 0x76697369  # "visi"


@dataclass(frozen=True)
class FiledVisit:
    """A record as it stands. ``corrected_by`` is the later record that replaces it; such a one is never counted."""

    id: int
    visit: Visit
    filed_at: int
    filed_by: str
    hash: str
    corrected_by: int | None = None


def append_visit(connection: Connection, visit: Visit, filed_at: int, filed_by: str) -> FiledVisit:
    """Adds a record to the chain, in the caller's transaction."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions that write are one after another anyway
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK}, execution_options={WHOLE: True})
    newest = select(visits.c.id, visits.c.hash).order_by(visits.c.id.desc()).limit(1)
    last = connection.execute(newest, execution_options={WHOLE: True}).first()
    number, prev_hash = (1, GENESIS) if last is None else (last.id + 1, last.hash)
    own = link_hash(number, visit, filed_at, filed_by, prev_hash)
    row = {name: getattr(visit, name) for name in Visit.__dataclass_fields__} | {
        "id": number,
        "calibrated_on": visit.calibrated_on.isoformat(),
        "calibrated_until": visit.calibrated_until.isoformat(),
        "readings_c": list(visit.readings_c),
        "filed_at": filed_at,
        "filed_by": filed_by,
        "prev_hash": prev_hash,
        "hash": own,
    }
    connection.execute(insert(visits).values(row))
    return FiledVisit(number, visit, filed_at, filed_by, own)


def filed_visits(connection: Connection, room_id: str | None = None) -> list[FiledVisit]:
    """The records of a room, or all, in the order in which they were filed."""
    query = select(visits).order_by(visits.c.id)
    rows = connection.execute(query if room_id is None else query.where(visits.c.room_id == room_id)).all()
    corrected_by = {row.corrects: row.id for row in rows if row.corrects is not None}
    return [FiledVisit(row.id, _visit(row), row.filed_at, row.filed_by, row.hash, corrected_by.get(row.id)) for row in rows]


def filed_visit(connection: Connection, visit_id: int) -> FiledVisit | None:
    """One record; None where there is none."""
    row = connection.execute(select(visits).where(visits.c.id == visit_id)).first()
    if row is None:
        return None
    corrected_by = connection.scalar(select(visits.c.id).where(visits.c.corrects == visit_id).order_by(visits.c.id).limit(1))
    return FiledVisit(row.id, _visit(row), row.filed_at, row.filed_by, row.hash, corrected_by)


def _visit(row: Row[Any]) -> Visit:
    values = {name: getattr(row, name) for name in Visit.__dataclass_fields__}
    values |= {"calibrated_on": date.fromisoformat(row.calibrated_on), "calibrated_until": date.fromisoformat(row.calibrated_until)}
    return Visit(**values | {"readings_c": tuple(row.readings_c)})


def broken_visits(connection: Connection, known_head: str | None = None) -> Iterator[str]:
    """What is wrong with the chain, the first broken record first; nothing where nothing was altered.

    ``known_head`` is a hash that was noted before (``keepwarm visits verify`` prints it): it must still be in the chain.
    """
    expected, prev_hash, hashes = 1, GENESIS, set()
    for row in connection.execute(select(visits).order_by(visits.c.id)):
        if row.id != expected:
            yield f"visit {expected}: this record is missing"
        elif row.prev_hash != prev_hash:
            yield f"visit {row.id}: it does not follow the record before it, which was altered or replaced"
        elif not _intact(row):
            yield f"visit {row.id}: this record was altered after it was filed"
        expected, prev_hash = row.id + 1, row.hash
        hashes.add(row.hash)
    yield from _against_audit(connection, hashes)
    if known_head is not None and known_head not in hashes:
        yield f"the hash {known_head} is not in the chain: records were removed or altered since it was noted"
    yield from unguarded(connection, ["visits"])


def _intact(row: Row[Any]) -> bool:
    try:
        return bool(link_hash(row.id, _visit(row), row.filed_at, row.filed_by, row.prev_hash) == row.hash)
    except (TypeError, ValueError):  # a cell that holds something else than it did
        return False


def _against_audit(connection: Connection, hashes: set[str]) -> Iterator[str]:
    """Records that the audit log says were filed, and that are gone: the end of a chain can be cut off unseen otherwise."""
    rows = connection.execute(
        select(audit.c.subject, audit.c.after).where(audit.c.action == FILED, audit.c.refused.is_(False)).order_by(audit.c.id)
    )
    for subject, after in rows:
        if after and after.get("hash") not in hashes:
            yield f"{subject.replace('/', ' ')}: the audit log names a record that is not in the chain any more"


def chain_head(connection: Connection) -> tuple[int, str]:
    """How many records there are, and the hash of the last one."""
    count = connection.execute(select(func.count()).select_from(visits)).scalar_one()
    head = connection.execute(select(visits.c.hash).order_by(visits.c.id.desc()).limit(1)).scalar()
    return int(count), GENESIS if head is None else str(head)

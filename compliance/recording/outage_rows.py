"""Outages and their notices in the records (R4, R5): what is derived is matched with what stands, never doubled, never deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from compliance.cause import Cause
from compliance.events import Event, as_known, outage_body, subject_of
from compliance.notice import Mark
from compliance.notice_text import Facts, Said, closing_texts, outage_texts
from compliance.outage import Outage, SourceOutage
from compliance.recording.event_rows import add_transition, record_event
from domain.site import Site
from store.records import tables
from store.records.notices import OPEN_AGAIN, first_step, next_step, notice_of

OUTAGES = tables.outages
FAR_MS = 1 << 60


@dataclass(frozen=True)
class Recorded:
    """An outage as derived, with the id of its row and what is known of its cause; whether its row had to be changed."""

    row_id: int
    outage: Outage | SourceOutage
    cause: str
    changed: bool


def standing_rows(connection: Connection, subject: str, since_ms: int) -> list[Row[tuple[Any, ...]]]:
    """The outages of a subject that are open or were opened since ``since_ms``, in order."""
    columns = OUTAGES.c
    recent = (columns.state == "open") | (columns.opened_at >= since_ms) | (columns.ended_seen_at > since_ms)
    statement = select(OUTAGES).where(columns.subject == subject, columns.state != "erased", recent).order_by(columns.started_at)
    return list(connection.execute(statement))


def open_then(connection: Connection, subject: str, at: int) -> tuple[int, int] | None:
    """Id and opening of the outage that was open at an instant; None where none was."""
    columns = OUTAGES.c
    still = columns.ended_seen_at.is_(None) | (columns.ended_seen_at > at)
    found = (columns.subject == subject) & (columns.state != "erased") & (columns.opened_at <= at) & still
    row = connection.execute(select(columns.id, columns.opened_at).where(found).order_by(columns.opened_at).limit(1)).first()
    return None if row is None else (row.id, row.opened_at)


def reconcile(
    connection: Connection,
    site: Site,
    derived: Sequence[Outage] | Sequence[SourceOutage],
    rows: Sequence[Row[tuple[Any, ...]]],
    now_ms: int,
    members: Sequence[Outage] = (),
) -> list[tuple[Outage | SourceOutage, Row[tuple[Any, ...]] | None]]:
    """Pairs each derived outage with the row it overlaps (None: a new one); the rows left over were undone by late readings.

    ``members`` are the outages of a source's stations: where they stopped, and too few at once, nobody is told that heat was there.
    """
    left = list(rows)
    pairs: list[tuple[Outage | SourceOutage, Row[tuple[Any, ...]] | None]] = []
    for outage in derived:
        match = next((row for row in left if _overlap(outage, row)), None)
        if match is not None:
            left.remove(match)
        pairs.append((outage, match))
    for row in left:
        closing, said = "superseded", "correction: late readings showed another outage"
        if any(_overlap(outage, row) for outage in derived):
            why = "late readings: part of the outage before it"
        elif any(_overlap(outage, row) for outage in members):
            why = "late readings: too few stations of the source at once"
        else:
            why = "late readings: heat was not stopped"
            closing, said = "correction", "correction: late readings showed no outage"
        keep_version(connection, row, {"state": "erased"}, now_ms, why)
        close_notice(connection, site, row.id, now_ms, (closing, now_ms), said)
    return pairs


def _overlap(outage: Outage | SourceOutage, row: Row[tuple[Any, ...]]) -> bool:
    end = FAR_MS if outage.ended_at is None else outage.ended_at
    return bool(row.started_at < end and outage.started_at < (row.ended_at or FAR_MS))


FACTS = ("state", "started_at", "started_earliest", "opened_at", "ended_at", "ended_seen_at", "stations")


def keep_version(connection: Connection, row: Row[tuple[Any, ...]], changed: dict[str, Any], now_ms: int, why: str) -> None:
    """Changes what late readings showed to be otherwise: another version with its reason; what the outage said before is kept."""
    before = {name: getattr(row, name) for name in (*FACTS, "reason")}
    connection.execute(tables.outage_versions.insert().values(outage_id=row.id, version=row.version, facts=before, replaced_at=now_ms))
    values = {**changed, "version": row.version + 1, "reason": why}
    connection.execute(update(OUTAGES).where(OUTAGES.c.id == row.id).values(values))
    add_transition(connection, "outage", row.id, (row.state, str(changed.get("state", row.state))), now_ms, why=why)


def insert_outage(connection: Connection, outage: Outage | SourceOutage, cause: Cause, source_id: str | None, now_ms: int) -> Recorded:
    """Stores a new outage and its opening."""
    body = outage_body(outage, cause.name)
    row = {
        "subject": subject_of(outage),
        "station_id": outage.station_id if isinstance(outage, Outage) else None,
        "source_id": source_id,
        "state": "open",
        "started_at": outage.started_at,
        "started_earliest": outage.started_earliest,
        "opened_at": outage.opened_at,
        "cause": cause.name,
        "evidence": list(cause.evidence),
        "stations": body["stations"],
    }
    row_id = _revive(connection, row, now_ms)
    if row_id is None:
        key = connection.execute(OUTAGES.insert().values(row)).inserted_primary_key
        assert key is not None
        row_id = int(key[0])
        add_transition(connection, "outage", row_id, ("none", "open"), outage.opened_at, why=cause.name)
    opening = outage_body(as_known(outage, outage.opened_at), cause.name)
    record_event(connection, Event(outage.opened_at, "outage.opened", subject_of(outage), opening))
    recorded = Recorded(row_id, outage, cause.name, changed=True)
    return _end(connection, recorded, "open") if outage.ended_seen_at is not None else recorded


def _revive(connection: Connection, row: dict[str, Any], now_ms: int) -> int | None:
    """Opens an outage again that late readings erased and later ones show after all; None where there was none."""
    columns = OUTAGES.c
    erased = (columns.subject == row["subject"]) & (columns.opened_at == row["opened_at"]) & (columns.state == "erased")
    before = connection.execute(select(OUTAGES).where(erased)).first()
    if before is None:
        return None
    why = "late readings: heat was stopped after all"
    keep_version(connection, before, {**row, "ended_at": None, "ended_seen_at": None}, now_ms, why)
    return int(before.id)


def update_outage(connection: Connection, outage: Outage | SourceOutage, row: Row[tuple[Any, ...]], now_ms: int) -> Recorded:
    """Brings a row up to what is now derived: moved starts, new parts, its end, or that it goes on after all."""
    stations = outage_body(outage, row.cause)["stations"]
    changed = {name: getattr(outage, name) for name in ("started_at", "started_earliest", "opened_at")}
    changed = {name: at for name, at in changed.items() if getattr(row, name) != at}
    if row.stations != stations:
        changed["stations"] = stations
    why = "late readings: its stations are others" if set(changed) == {"stations"} else "late readings: its start is another"
    if row.state == "ended" and outage.ended_seen_at is None:
        changed |= {"state": "open", "ended_at": None, "ended_seen_at": None}
        why = "late readings: heat was not back"
    elif row.state == "ended" and (row.ended_at, row.ended_seen_at) != (outage.ended_at, outage.ended_seen_at):
        changed |= {"ended_at": outage.ended_at, "ended_seen_at": outage.ended_seen_at}
        why = "late readings: its end is another"
    if changed and row.state == "open" and set(stations) > set(row.stations):  # nothing was wrong: the outage of a source grows
        connection.execute(update(OUTAGES).where(OUTAGES.c.id == row.id).values(changed))
        add_transition(connection, "outage", row.id, ("open", "open"), now_ms, why="stations followed")
    elif changed:
        keep_version(connection, row, changed, now_ms, why)
    recorded = Recorded(row.id, outage, row.cause, changed=bool(changed))
    return _end(connection, recorded, row.state) if row.state == "open" and outage.ended_seen_at is not None else recorded


def _end(connection: Connection, recorded: Recorded, state: str) -> Recorded:
    outage = recorded.outage
    assert outage.ended_seen_at is not None
    ended = {"state": "ended", "ended_at": outage.ended_at, "ended_seen_at": outage.ended_seen_at}
    connection.execute(update(OUTAGES).where(OUTAGES.c.id == recorded.row_id).values(ended))
    why = "season_ended" if isinstance(outage, Outage) and outage.season_ended else "heat is back"
    add_transition(connection, "outage", recorded.row_id, (state, "ended"), outage.ended_seen_at, why=why)
    event = Event(outage.ended_seen_at, "outage.ended", subject_of(outage), outage_body(outage, recorded.cause))
    record_event(connection, event)
    return Recorded(recorded.row_id, outage, recorded.cause, changed=True)


def set_parent(connection: Connection, part_ids: Sequence[int], parent_id: int) -> None:
    """Names the source's outage in its parts."""
    orphans = OUTAGES.c.id.in_(part_ids) & OUTAGES.c.parent_id.is_(None)
    connection.execute(update(OUTAGES).where(orphans).values(parent_id=parent_id))


def warn(connection: Connection, recorded: Recorded, mark: Mark) -> bool:
    """Warns the dispatcher once for each outage and hour; False when that was done."""
    state = f"warned_{mark.hours:g}h"
    log = tables.outage_transitions.c
    if connection.execute(select(log.id).where(log.outage_id == recorded.row_id, log.to_state == state)).first() is not None:
        return False
    add_transition(connection, "outage", recorded.row_id, ("open", state), mark.at)
    hours = int(mark.hours) if mark.hours.is_integer() else mark.hours
    return record_event(connection, Event(mark.at, "notice.warning", subject_of(recorded.outage), {"hours": hours}))


def owe_notice(connection: Connection, site: Site, recorded: Recorded, mark: Mark) -> bool:
    """Stores the one notice this outage owes, and publishes it in automatic mode; False when it stands already.

    It says what a dispatcher prepared for it meanwhile.
    """
    if notice_of(connection, outage_id=recorded.row_id) is not None:
        return False
    subject, facts = subject_of(recorded.outage), Facts.of_outage(recorded.outage, recorded.cause)
    said = connection.execute(select(OUTAGES.c.said).where(OUTAGES.c.id == recorded.row_id)).scalar() or {}
    row = {"outage_id": recorded.row_id, "subject": subject, "due_at": mark.at, "facts": facts.kept(), "said": said}
    notice_id = first_step(connection, row | outage_texts(site, facts, Said.of(said)), mark.at)
    record_event(connection, Event(mark.at, "notice.due", subject, outage_body(as_known(recorded.outage, mark.at), recorded.cause)))
    over = recorded.outage.ended_seen_at is not None  # known only now: users are not told that heat is stopped where it is back
    if site.publish == "auto" and not over:
        next_step(connection, notice_id, 1, "published", mark.at, {"published_at": mark.at}, why="auto")
    return True


def amend_notice(connection: Connection, site: Site, recorded: Recorded, now_ms: int) -> bool:
    """Corrects the notice of an outage that has not ended where it rests on other facts than are known now; False where it does not.

    One that was closed is open again: late readings showed that heat was not back. What a person closed stays closed.
    """
    row = notice_of(connection, outage_id=recorded.row_id)
    if row is None or (row.state == "closed" and row.closed_by):
        return False
    facts = Facts.of_outage(recorded.outage, recorded.cause)
    if row.facts == facts.kept() and row.state != "closed":
        return False
    why = "correction: heat is not back" if row.state == "closed" else "correction: what is known has changed"
    values = {**outage_texts(site, facts, Said.of(row.said)), **OPEN_AGAIN, "facts": facts.kept()}
    unseen = row.published_at is None  # then it goes on waiting
    if not next_step(connection, row.id, row.version, "due" if unseen else "amended", now_ms, values, why=why) or unseen:
        return False
    body = outage_body(recorded.outage, recorded.cause) | {"reason": why}
    return record_event(connection, Event(now_ms, "notice.amended", subject_of(recorded.outage), body))


def close_notice(
    connection: Connection, site: Site, outage_id: int, at: int, closing: tuple[str, int], why: str, known: Mapping[str, Any] | None = None
) -> bool:
    """Closes the outage's notice; ``closing`` is one of CLOSINGS, and the instant of which users are told. False when none is open."""
    row = notice_of(connection, outage_id=outage_id)
    if row is None or row.state == "closed":
        return False
    next_step(connection, row.id, row.version, "closed", at, {"closed_at": at, **closing_texts(site, *closing)}, why=why)
    return record_event(connection, Event(at, "notice.closed", row.subject, {**(known or {}), "reason": why}))

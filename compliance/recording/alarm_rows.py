"""Alarms in the records (ISA-18.2 states): what silences them, which count, and those of stations (R9). Rooms' are in ``episode_rows``."""

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Final

from sqlalchemy import Connection, Row, select, update

from compliance.adherence import Turn
from compliance.events import Event
from compliance.recording.event_rows import add_transition
from store.records import tables

KIND = "room_low"
LATE_DATA: Final = "late_data"  # why an alarm was cleared that late readings showed never to have been
IDS_AT_ONCE: Final = 500  # databases bound the length of a list
ALARMS = tables.alarms


def _open_alarm(connection: Connection, subject: str, kind: str) -> Row[tuple[object, ...]] | None:
    columns = ALARMS.c
    statement = select(ALARMS).where(columns.kind == kind, columns.subject == subject, columns.cleared_at.is_(None))
    return connection.execute(statement.order_by(columns.raised_at.desc()).limit(1)).first()


def clear_alarm(connection: Connection, subject: str, at: int, reason: str, kind: str) -> None:
    """Clears the subject's open alarm: normal when it was acknowledged, else returned but not yet acknowledged."""
    standing = _open_alarm(connection, subject, kind)
    if standing is None:
        return
    state = "normal" if standing.state == "acknowledged" else "returned_unacknowledged"
    change = {"cleared_at": at, "cleared_reason": reason, "state": state, "no_data_at": None}
    connection.execute(update(ALARMS).where(ALARMS.c.id == standing.id).values(change))
    add_transition(connection, "alarm", standing.id, (standing.state, state), at, why=reason)


def data_is_back(connection: Connection, subjects: Mapping[str, bool]) -> None:
    """Takes the mark "no data" off the alarms of rooms that have data again (True)."""
    marked = select(ALARMS.c.id, ALARMS.c.subject).where(ALARMS.c.no_data_at.is_not(None))
    back = [row.id for row in connection.execute(marked) if subjects.get(row.subject, False)]
    for first in range(0, len(back), IDS_AT_ONCE):  # of a whole town, when its broker is back
        connection.execute(update(ALARMS).where(ALARMS.c.id.in_(back[first : first + IDS_AT_ONCE])).values(no_data_at=None))


def suppress(connection: Connection, alarm_id: int, by: str) -> None:
    """Marks an alarm as suppressed by design, or its sensor as suspect; it goes on being evaluated."""
    connection.execute(update(ALARMS).where(ALARMS.c.id == alarm_id).values(suppressed_by=by))


def silenced_subjects(connection: Connection, at: int, kind: str = KIND) -> dict[str, str]:
    """The subjects whose alarms of this kind a person has silenced at this instant: ``shelved`` or ``out_of_service``."""
    out = tables.out_of_service.c
    here = (out.kind == kind) & (out.since <= at) & (out.returned_at.is_(None) | (out.returned_at > at))
    # Of which kind is looked at here: asked for it, SQLite would go through all alarms of the kind instead of the few that are shelved.
    shelved = connection.execute(select(ALARMS.c.kind, ALARMS.c.subject).where(ALARMS.c.shelved_until > at))
    found = {row.subject: "shelved" for row in shelved if row.kind == kind}
    return found | dict.fromkeys(connection.scalars(select(out.subject).where(here)), "out_of_service")


def re_annunciate(connection: Connection, now_ms: int) -> int:
    """Ends the shelves that have expired: what is still raised then must be acknowledged anew. Returns how many it ended."""
    columns = ALARMS.c
    over = connection.execute(
        select(columns.id, columns.state, columns.cleared_at, columns.shelved_until).where(columns.shelved_until <= now_ms)
    )
    count = 0
    for row in over.all():
        state = "unacknowledged" if row.state == "acknowledged" and row.cleared_at is None else row.state
        values = {"shelved_until": None, "shelved_by": None, "shelved_reason": None, "state": state}
        if state != row.state:
            values |= {"acknowledged_at": None, "acknowledged_by": None}
        expired = (columns.id == row.id) & (columns.shelved_until == row.shelved_until) & (columns.state == row.state)
        if connection.execute(update(ALARMS).where(expired).values(values)).rowcount:
            add_transition(connection, "alarm", row.id, ("shelved", state), row.shelved_until, why="the shelf has expired")
            count += 1
    return count


def counted_since(connection: Connection, from_ms: int, before_ms: int) -> list[tuple[int, str]]:
    """(raised_at, room id) of the alarms of [from_ms, before_ms) that count for a roll-up, in order of time (R6)."""
    columns = ALARMS.c
    true = columns.cleared_reason.is_(None) | (columns.cleared_reason != LATE_DATA)
    statement = select(columns.kind, columns.raised_at, columns.subject).where(
        columns.raised_at >= from_ms, columns.raised_at < before_ms, columns.suppressed_by.is_(None), true
    )
    rows = connection.execute(statement.order_by(columns.raised_at))  # the kind is looked at here: see ``silenced_subjects``
    return [(int(row.raised_at), row.subject.removeprefix("room/")) for row in rows if row.kind == KIND]


# What raises and what clears an alarm of a station (R9).
STATION_ALARMS = {"curve.off": "curve_off", "water.high": "water_high", "water.escalated": "water_escalated"}
STATION_CLEARS = {"curve.on": ("curve_off",), "water.normal": ("water_high", "water_escalated")}


def station_alarm(connection: Connection, event: Event, told: Callable[[], tuple[float, float]]) -> None:
    """Raises or clears the alarm that a station's event stands for; ``told`` gives value and limit of one that is raised, NaN unknown."""
    for kind in STATION_CLEARS.get(event.event, ()):
        clear_alarm(connection, event.subject, event.at, event.body.get("reason") or "recovered", kind)
    kind = STATION_ALARMS.get(event.event, "")
    if not kind or _open_alarm(connection, event.subject, kind) is not None:
        return
    station_id = event.subject.removeprefix("station/")
    row: dict[str, object] = {
        "kind": kind,
        "subject": event.subject,
        "station_id": station_id,
        "pending_at": event.at,
        "raised_at": event.at,
    }
    value, limit = told()
    row |= {"value": None if isnan(value) else value, "limit_value": None if isnan(limit) else limit}
    by_person = silenced_subjects(connection, event.at, kind).get(event.subject)
    key = connection.execute(ALARMS.insert().values(**row, state="unacknowledged", suppressed_by=by_person)).inserted_primary_key
    assert key is not None
    add_transition(connection, "alarm", int(key[0]), ("normal", "unacknowledged"), event.at)


def correct_station_alarms(connection: Connection, subject: str, since_ms: int, turns: Sequence[Turn], now_ms: int) -> None:
    """Clears the station's alarms raised since an instant of which late readings (``turns`` since then) show that they never were."""
    columns = ALARMS.c
    open_here = columns.cleared_at.is_(None) & (columns.subject == subject) & (columns.raised_at > since_ms)
    kinds = connection.scalars(select(columns.kind).where(open_here, columns.kind.in_(STATION_ALARMS.values()))).all()
    for kind in kinds:
        raised = [
            STATION_ALARMS.get(one.event) == kind
            for one in turns
            if kind in (STATION_ALARMS.get(one.event), *STATION_CLEARS.get(one.event, ()))
        ]
        if not raised or not raised[-1]:
            clear_alarm(connection, subject, now_ms, LATE_DATA, kind)

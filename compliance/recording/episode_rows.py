"""Room alarms in the records (R3), kept in step with the episodes that the readings make, however late those came.

    episodes derived ─┬─ row of the same instant, else of an overlapping time ─▶ ended, moved, gone on after all
                      └─ none ─▶ a new alarm
    rows left over ─────────▶ undone: cleared as ``late_data``, never deleted; restored where later readings show them after all

As with outages (R4) what late readings change is a transition with its reason, not a second event.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from compliance.recording.alarm_rows import ALARMS, IDS_AT_ONCE, KIND, LATE_DATA
from compliance.recording.event_rows import add_transition
from compliance.room_episodes import Episode
from store.records import tables

FAR_MS = 1 << 60

AlarmRow = Row[tuple[Any, ...]]


@dataclass(frozen=True)
class RoomAlarms:
    """One room's alarms as derived: ``subject``, what each row of it says of the room, the episodes since ``since_ms``."""

    subject: str
    place: Mapping[str, Any]
    since_ms: int
    episodes: Sequence[Episode]
    cleared_reason: Callable[[Episode], str]
    measured: Callable[[Episode], tuple[float | None, float | None]]  # value and limit in °C at the instant it was raised


@dataclass(frozen=True)
class Outcome:
    """What an episode came to in the records: its alarm's number, whether that is a new one, whether its end was not told before."""

    alarm_id: int
    episode: Episode
    new: bool
    ended: bool


def keep_in_step(connection: Connection, rooms: Sequence[RoomAlarms], now_ms: int) -> Iterator[tuple[str, Outcome]]:
    """Brings the rows of these rooms up to what is derived; yields (subject, outcome) of each episode."""
    for first in range(0, len(rooms), IDS_AT_ONCE):
        some = rooms[first : first + IDS_AT_ONCE]
        rows = _rows_since(connection, [one.subject for one in some], min(one.since_ms for one in some))
        for one in some:
            for outcome in _match(connection, one, rows.get(one.subject, []), now_ms):
                yield one.subject, outcome


def _rows_since(connection: Connection, subjects: Sequence[str], since_ms: int) -> dict[str, list[AlarmRow]]:
    columns = ALARMS.c
    recent = columns.cleared_at.is_(None) | (columns.cleared_at >= since_ms) | (columns.raised_at >= since_ms)
    statement = select(ALARMS).where(columns.kind == KIND, columns.subject.in_(subjects), recent).order_by(columns.raised_at)
    found: dict[str, list[AlarmRow]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.subject, []).append(row)
    return found


def alarms_before(connection: Connection, subjects: Sequence[str], before_ms: int) -> Iterator[tuple[str, int, int | None]]:
    """(subject, pending_at, cleared_at) of these rooms' alarms that stand as true and were pending before an instant.

    In order of time for each room.
    """
    columns = ALARMS.c
    true = columns.cleared_reason.is_(None) | (columns.cleared_reason != LATE_DATA)
    for first in range(0, len(subjects), IDS_AT_ONCE):
        mine = (columns.kind == KIND) & columns.subject.in_(subjects[first : first + IDS_AT_ONCE])
        statement = select(columns.subject, columns.pending_at, columns.cleared_at).where(mine, true, columns.pending_at < before_ms)
        rows = connection.execute(statement.order_by(columns.subject, columns.pending_at))
        yield from ((row.subject, row.pending_at, row.cleared_at) for row in rows)


def _match(connection: Connection, room: RoomAlarms, rows: Sequence[AlarmRow], now_ms: int) -> list[Outcome]:
    left = list(rows)
    pairs: dict[Episode, AlarmRow | None] = {}
    for found in (_same, _overlaps):  # those of the same instant first: no two rows of a room may bear one
        for episode in room.episodes:
            if pairs.get(episode) is None:
                row = next((row for row in left if found(episode, row)), None)
                pairs[episode] = row
                if row is not None:
                    left.remove(row)
    for row in left:
        if row.cleared_reason != LATE_DATA and (row.raised_at > room.since_ms or row.cleared_at is None or row.cleared_at > room.since_ms):
            _undo(connection, row, now_ms)
    return [_insert(connection, room, one) if row is None else _correct(connection, room, one, row, now_ms) for one, row in pairs.items()]


def _same(episode: Episode, row: AlarmRow) -> bool:
    return bool(episode.raised_at == row.raised_at)


def _overlaps(episode: Episode, row: AlarmRow) -> bool:
    if row.cleared_reason == LATE_DATA:
        return False
    end = FAR_MS if episode.cleared_at is None else episode.cleared_at
    return bool(row.raised_at < end and episode.raised_at < (row.cleared_at or FAR_MS))


def _insert(connection: Connection, room: RoomAlarms, episode: Episode) -> Outcome:
    value_c, limit_c = room.measured(episode)
    row = {
        **room.place, "kind": KIND, "subject": room.subject, "pending_at": episode.pending_at, "raised_at": episode.raised_at,
        "no_data_at": episode.no_data_at, "value": value_c, "limit_value": limit_c, "state": "unacknowledged",
    }  # fmt: skip
    key = connection.execute(ALARMS.insert().values(row)).inserted_primary_key
    assert key is not None
    alarm_id = int(key[0])
    add_transition(connection, "alarm", alarm_id, ("normal", "unacknowledged"), episode.raised_at)
    if episode.cleared_at is not None:
        _end(connection, alarm_id, "unacknowledged", episode.cleared_at, room.cleared_reason(episode))
    return Outcome(alarm_id, episode, new=True, ended=episode.cleared_at is not None)


def _correct(connection: Connection, room: RoomAlarms, episode: Episode, row: AlarmRow, now_ms: int) -> Outcome:
    """Brings one row up to its episode: moved, restored, gone on, ended or ended otherwise."""
    values: dict[str, Any] = {}
    if row.no_data_at != episode.no_data_at:
        values["no_data_at"] = episode.no_data_at
    whys = []
    if (row.pending_at, row.raised_at) != (episode.pending_at, episode.raised_at):
        values |= {"pending_at": episode.pending_at, "raised_at": episode.raised_at}
        whys.append("moved by late readings")
    state, stood = row.state, row.cleared_at is None
    if not stood and row.cleared_reason == LATE_DATA:
        whys.append("late readings: the room was too cold after all")
    elif not stood and episode.cleared_at is None:
        whys.append("late readings: the room was not warm")
    if not stood and (episode.cleared_at is None or row.cleared_reason == LATE_DATA):  # it asks for somebody anew
        state, stood = "unacknowledged", True
        values |= {"state": state, "cleared_at": None, "cleared_reason": None, "acknowledged_at": None, "acknowledged_by": None}
    elif not stood and row.cleared_at != episode.cleared_at:
        values |= {"cleared_at": episode.cleared_at, "cleared_reason": room.cleared_reason(episode)}
        whys.append("late readings: its end is another")
    if values:
        connection.execute(update(ALARMS).where(ALARMS.c.id == row.id).values(values))
    for why in whys:
        add_transition(connection, "alarm", row.id, (row.state, state), now_ms, why=why)
    if stood and episode.cleared_at is not None:
        _end(connection, row.id, state, episode.cleared_at, room.cleared_reason(episode))
    return Outcome(row.id, episode, new=False, ended=stood and episode.cleared_at is not None)


def _end(connection: Connection, alarm_id: int, state: str, at: int, reason: str) -> None:
    """Clears a standing alarm: normal when it was acknowledged, else returned but not yet acknowledged."""
    after = "normal" if state == "acknowledged" else "returned_unacknowledged"
    change = {"cleared_at": at, "cleared_reason": reason, "state": after, "no_data_at": None}
    connection.execute(update(ALARMS).where(ALARMS.c.id == alarm_id).values(change))
    add_transition(connection, "alarm", alarm_id, (state, after), at, why=reason)


def _undo(connection: Connection, row: AlarmRow, now_ms: int) -> None:
    """Late readings showed that this alarm should not have been raised."""
    if row.cleared_at is None:
        _end(connection, row.id, row.state, now_ms, LATE_DATA)
        return
    connection.execute(update(ALARMS).where(ALARMS.c.id == row.id).values(cleared_reason=LATE_DATA))
    add_transition(connection, "alarm", row.id, (row.state, row.state), now_ms, why=LATE_DATA)


# ── what a restart finds again ───────────────────────────────────────────────────────────────────────────────────────


def recorded_upto(kept: Mapping[str, bytes], name: str) -> int:
    """The place in the journal up to which this watch has recorded room alarms; 0 where it has recorded none."""
    return int(kept.get(name, b"0"))


def note_recorded(connection: Connection, name: str, cursor: int, now_ms: int) -> None:
    """Keeps that place, in the transaction that records."""
    connection.execute(tables.kept.delete().where(tables.kept.c.name == name))
    connection.execute(tables.kept.insert().values(name=name, value=str(cursor).encode(), at=now_ms))

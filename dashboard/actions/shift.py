"""What people do with the shift log (交接班): take over, hand over, note something, leave a point open, say that it is done."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from compliance.shift import DONE, HANDED_OVER, NOTE, POINT, TOOK_OVER, Entry, entries_of, last_duty, on_duty, open_points
from dashboard.actions.acting import COMMENT_MOST, RefusedError, demand, note
from dashboard.roles import Account
from dashboard.text import N_
from store.records.shift_entries import add_entry, entry_rows

SUBJECT: Final = "shift"
MEANWHILE: Final = N_("Somebody else has taken or handed over meanwhile.")


def take_over(engine: Engine, who: Account, now_ms: int) -> int:
    """Takes the shift over, with every open point, handed over or not; returns the entry's id.

    Raises RefusedError without the right, and for who is on duty already.
    """
    demand(engine, who, "keep_shift", "take_over", SUBJECT, now_ms)

    def step(connection: Connection, entries: list[Entry]) -> int:
        last = last_duty(entries)
        if last is not None and last.kind == TOOK_OVER and last.who == who.name:
            raise RefusedError(N_("You are on duty already."))
        return add_entry(connection, now_ms, TOOK_OVER, who.name, "", None if last is None else last.id)

    return _act(engine, who, "take_over", now_ms, step)


def hand_over(engine: Engine, who: Account, text: str, standing: Mapping[str, Any], now_ms: int) -> int:
    """Hands the shift over to whoever takes it: what is said of it, the points left open, and the ``standing`` figures of the town.

    Raises RefusedError without the right, and for who is not on duty or has handed over.
    """
    demand(engine, who, "keep_shift", "hand_over", SUBJECT, now_ms)

    def step(connection: Connection, entries: list[Entry]) -> int:
        last = last_duty(entries)
        if last is None or on_duty(entries) != who.name:
            raise RefusedError(N_("Who is on duty hands over."))
        if last.kind == HANDED_OVER:
            raise RefusedError(N_("This shift is handed over already."))
        body = {"open_points": [point.id for point in open_points(entries)], "standing": dict(standing)}
        return add_entry(connection, now_ms, HANDED_OVER, who.name, text.strip()[:COMMENT_MOST], last.id, body)

    return _act(engine, who, "hand_over", now_ms, step)


def write_down(engine: Engine, who: Account, text: str, now_ms: int, *, stays_open: bool) -> int:
    """Notes something, or leaves a point open for whoever comes next. Raises RefusedError without the right or without a text."""
    demand(engine, who, "keep_shift", "write_down", SUBJECT, now_ms)
    said = text.strip()[:COMMENT_MOST]
    if not said:
        raise RefusedError(N_("An entry says something."))
    kind = POINT if stays_open else NOTE
    return _act(engine, who, "write_down", now_ms, lambda connection, _: add_entry(connection, now_ms, kind, who.name, said))


def point_done(engine: Engine, who: Account, point_id: int, text: str, now_ms: int) -> int:
    """Says that an open point is done. Raises RefusedError without the right, and for what is no open point any more."""
    demand(engine, who, "keep_shift", "point_done", SUBJECT, now_ms)

    def step(connection: Connection, entries: list[Entry]) -> int:
        if point_id not in {point.id for point in open_points(entries)}:
            raise RefusedError(N_("This point is not open any more."))
        return add_entry(connection, now_ms, DONE, who.name, text.strip()[:COMMENT_MOST], point_id)

    return _act(engine, who, "point_done", now_ms, step)


def _act(engine: Engine, who: Account, action: str, now_ms: int, step: Callable[[Connection, list[Entry]], int]) -> int:
    """Adds what ``step`` adds and its audit row in one transaction; of two people at once the second is told so."""
    try:
        with engine.begin() as connection:
            entry_id = step(connection, entries_of(entry_rows(connection)))
            note(connection, now_ms, who, action, SUBJECT, None, {"entry": entry_id})
    except IntegrityError as error:
        raise RefusedError(MEANWHILE) from error
    return entry_id

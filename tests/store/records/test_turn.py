"""Whose turn it is to judge, on a real PostgreSQL."""

from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import text

from domain.errors import StoreError
from store.records import open_records
from store.records.turn import Turn


def test_the_second_waits_until_the_first_gives_up(postgresql: str) -> None:
    first_records, second_records = open_records(postgresql), open_records(postgresql)
    first, second, got = Turn(first_records), Turn(second_records), Event()
    assert first.wait(Event())
    assert first.wait(Event())  # has it already

    def take() -> None:
        if second.wait(Event()):
            got.set()

    waiting = Thread(target=take)
    waiting.start()
    assert not got.wait(0.3)
    first.confirm()
    first.give_up()
    assert got.wait(10)
    waiting.join()
    second.confirm()
    second.give_up()
    first_records.dispose()
    second_records.dispose()


def test_told_to_stop_while_it_waits(postgresql: str) -> None:
    records, stop = open_records(postgresql), Event()
    first, second = Turn(records), Turn(records)
    assert first.wait(stop)
    stop.set()
    assert not second.wait(stop)
    first.give_up()
    records.dispose()


def test_a_lost_session_is_a_lost_turn(postgresql: str) -> None:
    records = open_records(postgresql)
    turn = Turn(records)
    assert turn.wait(Event())
    with records.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"))
    with pytest.raises(StoreError, match="turn to judge was lost"):
        turn.confirm()
    assert turn.wait(Event())
    turn.confirm()
    turn.give_up()
    records.dispose()


def test_on_sqlite_it_is_always_ours(tmp_path: Path) -> None:
    records, stop = open_records(tmp_path / "records.db"), Event()
    turn = Turn(records)
    assert turn.wait(stop)
    turn.confirm()
    stop.set()
    assert not turn.wait(stop)
    records.dispose()

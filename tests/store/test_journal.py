import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StoreError
from domain.reading import Readings
from store.journal import BATCH_READINGS, Journal


def batch(count: int, start: int = 0) -> Readings:
    at = start + np.arange(count, dtype=np.int64)
    return Readings.of(np.arange(count) % 7, at, at / 10, received_at=at + 5)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db")


def test_a_new_journal_is_empty(journal: Journal) -> None:
    cursor, found = journal.read(0)
    assert (cursor, len(found)) == (0, 0)
    assert journal.cursor("history") == 0
    assert journal.backlog("history").readings == 0
    assert journal.read(journal.last())[0] == journal.last()


def test_readings_come_in_order_of_arrival(journal: Journal) -> None:
    first = journal.append(batch(3, start=100))
    second = journal.append(batch(2, start=50))
    assert (second, journal.last()) == (first + 1, second)
    cursor, found = journal.read(0)
    assert cursor == second
    assert found.measured_at.tolist() == [100, 101, 102, 50, 51]
    assert found.received_at.tolist() == [105, 106, 107, 55, 56]
    further, nothing = journal.read(cursor)
    assert (further, len(nothing)) == (cursor, 0)


def test_appending_nothing_writes_nothing(journal: Journal) -> None:
    last = journal.append(batch(1))
    assert journal.append(Readings.empty()) == last
    assert journal.last() == last


def test_a_portion_is_whole_batches(journal: Journal) -> None:
    for number in range(5):
        journal.append(batch(10, start=number * 100))
    cursor, found = journal.read(0, max_readings=15)
    assert len(found) == 20
    cursor, found = journal.read(cursor, max_readings=1)
    assert found.measured_at.tolist() == list(range(200, 210))


def test_a_large_append_becomes_several_batches_and_comes_back_whole(journal: Journal) -> None:
    journal.append(batch(2 * BATCH_READINGS + 1))
    assert journal.backlog("anyone").batches == 3
    _, found = journal.read(0, max_readings=10**9)
    assert np.array_equal(found.measured_at, np.arange(2 * BATCH_READINGS + 1))


def test_each_consumer_has_its_own_cursor_and_finds_it_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    one, two = journal.append(batch(3)), journal.append(batch(4))
    journal.advance("history", two)
    journal.advance("watch", one)
    journal.close()
    again = Journal(tmp_path / "journal.db")
    assert again.cursors() == {"history": two, "watch": one}
    assert again.backlog("watch").readings == 4
    assert again.backlog("watch").oldest_received_at == 5
    assert again.backlog("history").oldest_received_at is None
    again.forget("watch")
    assert again.cursor("watch") == 0


def test_a_cursor_of_a_lost_journal_hides_nothing_of_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Journal(tmp_path / "old.db")
    cursor = [old.append(batch(1)) for _ in range(3)][-1]
    later_ns = time.time_ns() + 60 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    new = Journal(tmp_path / "new.db")
    new.append(batch(2))
    assert len(new.read(cursor)[1]) == 2


def test_readers_see_what_was_appended_meanwhile(tmp_path: Path) -> None:
    writer, reader = Journal(tmp_path / "journal.db"), Journal(tmp_path / "journal.db")
    cursor = 0
    for number in range(20):
        writer.append(batch(5, start=number * 10))
        cursor, found = reader.read(cursor)
        assert found.measured_at[0] == number * 10
        assert len(found) == 5


def test_reading_by_point_and_time_of_measurement(journal: Journal) -> None:
    journal.append(Readings.of([1, 2, 1], [10, 20, 30], [1.0, 2.0, 3.0]))
    middle = journal.append(Readings.of([1, 2], [15, 25], [4.0, 5.0]))
    journal.append(Readings.of([1, 3], [29, 30], [6.0, 7.0]))
    assert journal.read_measured(0, [1], 10, 30).value.tolist() == [1.0, 4.0, 6.0]
    assert journal.read_measured(middle, [1, 3], 0, 100).value.tolist() == [6.0, 7.0]
    assert len(journal.read_measured(0, [], 0, 100)) == 0


def test_the_cursor_before_the_newest_readings(journal: Journal) -> None:
    assert journal.before_newest(10) == journal.last()
    for number in range(9):
        journal.append(batch(10, start=number * 10))
    assert len(journal.read(journal.before_newest(25))[1]) == 30
    assert len(journal.read(journal.before_newest(30))[1]) == 30
    assert len(journal.read(journal.before_newest(10**6))[1]) == 90


def test_a_damaged_batch_is_skipped_and_counted(journal: Journal) -> None:
    journal.append(batch(3))
    torn = journal.append(batch(4, start=100))
    journal.append(batch(5, start=200))
    with journal._database.writing() as connection:
        packed = bytearray(connection.execute("SELECT packed FROM batches WHERE sequence = ?", (torn,)).fetchone()[0])
        packed[len(packed) // 2] ^= 0x40
        connection.execute("UPDATE batches SET packed = ? WHERE sequence = ?", (bytes(packed), torn))
    for _ in range(2):
        cursor, found = journal.read(0)
        assert cursor == journal.last()
        assert found.measured_at.tolist() == [0, 1, 2, 200, 201, 202, 203, 204]
    assert journal.damaged == 1
    assert journal.read(torn - 1, max_readings=1)[0] == torn


def test_a_file_that_is_no_journal_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database, but more than a hundred bytes long " * 10)
    with pytest.raises(StoreError, match=r"journal\.db"):
        Journal(tmp_path / "journal.db")


def test_a_journal_of_a_newer_layout_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal._database.rows("PRAGMA user_version = 99")
    journal.close()
    with pytest.raises(StoreError, match="99"):
        Journal(tmp_path / "journal.db")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 20)),
        st.tuples(st.just("read"), st.integers(1, 30)),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_a_consumer_that_advances_after_reading_sees_every_reading_once(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal = Journal(path)
    sent: list[int] = []
    seen: list[int] = []
    for step, number in script:
        if step == "append":
            fresh = batch(number, start=len(sent))
            journal.append(fresh)
            sent += fresh.measured_at.tolist()
        elif step == "read":
            cursor, found = journal.read(journal.cursor("c"), max_readings=number)
            seen += found.measured_at.tolist()
            journal.advance("c", cursor)
        else:
            journal.close()
            journal = Journal(path)
    assert seen == sent[: len(seen)]
    assert journal.backlog("c").readings == len(sent) - len(seen)
    cursor, rest = journal.read(journal.cursor("c"), max_readings=10**6)
    assert seen + rest.measured_at.tolist() == sent
    journal.close()

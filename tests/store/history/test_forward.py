import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from domain.clock import Clock
from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Site
from store.health import read_health
from store.history import History, open_history
from store.history.forward import FLUSH_S, PORTION, RETRY_S, Forwarder, Forwarding, run_forward
from store.history.parquet import ParquetHistory
from store.journal import Journal, open_journal
from store.points import PointRegistry

START = 1_768_348_800_000
DAY_MS = 86_400_000


class Refusing(ParquetHistory):
    """A real history that can be switched off, as a server would be."""

    down = False
    retry_after_s: float | None = None
    writes = 0

    def write(self, readings: Readings) -> None:
        self.writes += 1
        if self.down:
            raise StoreError("history: no route to host", retry_after_s=self.retry_after_s)
        super().write(readings)


class Unanswering(ParquetHistory):
    """A server that is not reached from the beginning."""

    def identity(self) -> str:
        raise StoreError("history: connection refused")


@pytest.fixture
def journal(site: Site, registry: PointRegistry) -> Iterator[Journal]:
    journal = open_journal(site)
    yield journal
    journal.close()


@pytest.fixture
def history(tmp_path: Path) -> Refusing:
    return Refusing(tmp_path / "history", str)


def batch(number: int, count: int = 10) -> Readings:
    at = START + number * 1_000
    return Readings.of(np.arange(count), np.full(count, at), np.full(count, float(number)), received_at=np.full(count, at))


def values(history: History) -> list[float]:
    return [float(value) for value in history.read([3], START, START + DAY_MS).value]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def until_forwarded(journal: Journal) -> None:
    until(lambda: journal.backlog("history").readings == 0)


def test_a_step_moves_what_has_arrived(journal: Journal, history: Refusing) -> None:
    forwarder = Forwarder(journal, history)
    assert forwarder.step() == 0
    journal.append(batch(1))
    journal.append(batch(2))
    assert forwarder.waiting() == 20
    assert forwarder.step() == 20
    assert (forwarder.waiting(), forwarder.step()) == (0, 0)
    assert values(history) == [1.0, 2.0]


def test_a_refusing_history_keeps_the_cursor(journal: Journal, history: Refusing) -> None:
    forwarder = Forwarder(journal, history)
    journal.append(batch(1))
    history.down = True
    for _ in range(3):
        with pytest.raises(StoreError):
            forwarder.step()
    journal.append(batch(2))
    history.down = False
    assert forwarder.step() == 20
    assert values(history) == [1.0, 2.0]


def test_a_crash_between_writing_and_advancing_repeats_without_harm(journal: Journal, history: Refusing) -> None:
    journal.append(batch(1))
    sequence, readings = journal.read(journal.cursor("history"))
    history.write(readings)  # … and here the process died: the cursor was not advanced to `sequence`
    assert journal.cursor("history") < sequence
    assert Forwarder(journal, history).step() == 10
    assert values(history) == [1.0]


def test_a_damaged_batch_does_not_stop_the_forwarder(journal: Journal, history: Refusing) -> None:
    journal.append(batch(1))
    torn = journal.append(batch(2))
    with journal._database.writing() as connection:
        connection.execute("UPDATE batches SET packed = x'00' WHERE sequence = ?", (torn,))
    forwarder = Forwarder(journal, history)
    assert forwarder.step() == 10
    journal.append(batch(3))
    assert forwarder.step() == 10
    assert values(history) == [1.0, 3.0]


def test_small_portions_wait_and_full_ones_do_not(site: Site, journal: Journal, history: Refusing) -> None:
    forwarding = Forwarding(site, Clock(), journal, history)
    journal.append(batch(0))
    assert not forwarding.turn(100.0)
    assert history.writes == 1
    for number in range(1, 5):
        journal.append(batch(number))
        forwarding.turn(100.0 + number)
    assert history.writes == 1
    forwarding.turn(100.0 + FLUSH_S)
    assert history.writes == 2
    for number in range(5, 10):
        journal.append(batch(number, count=PORTION // 4))
    assert forwarding.turn(101.0 + FLUSH_S)  # a full portion goes at once, and says that there is more
    assert history.writes == 3
    forwarding.turn(101.0 + 2 * FLUSH_S)
    assert history.read([3], START, START + DAY_MS).value.tolist() == [float(number) for number in range(10)]


def test_a_history_down_for_long_drains_in_order_when_it_is_back(site: Site, journal: Journal, history: Refusing) -> None:
    forwarding = Forwarding(site, Clock(), journal, history)
    history.down = True
    at_s = 0.0
    for number in range(50):
        journal.append(batch(number))
        forwarding.turn(at_s)
        at_s += FLUSH_S
    health = {word.component: word for word in read_health(site.data)}["forward"]
    assert health.detail["waiting"] >= 480
    assert health.detail["failing_since_ms"] is not None
    assert "no route" in health.detail["error"]
    history.down = False
    forwarding.turn(at_s)
    assert values(history) == [float(number) for number in range(50)]
    forwarding.turn(at_s + 100)
    health = {word.component: word for word in read_health(site.data)}["forward"]
    assert (health.detail["waiting"], health.detail["failing_since_ms"], health.detail["error"]) == (0, None, "")
    assert health.detail["forwarded"] == 500


def test_retry_waits_as_long_as_asked(site: Site, journal: Journal, history: Refusing) -> None:
    forwarding = Forwarding(site, Clock(), journal, history)
    journal.append(batch(1))
    history.down = True
    forwarding.turn(0.0)
    forwarding.turn(RETRY_S - 0.1)
    assert history.writes == 1
    history.retry_after_s = 120.0
    forwarding.turn(RETRY_S)
    assert history.writes == 2
    forwarding.turn(RETRY_S + 119.9)
    assert history.writes == 2
    history.down = False
    forwarding.turn(RETRY_S + 120.0)
    assert values(history) == [1.0]


def test_what_a_history_that_never_answered_has_not_got_is_kept_or_counted_as_lost(site: Site, registry: PointRegistry) -> None:
    site = replace(site, stores=replace(site.stores, journal_days=1.0))
    journal, history = open_journal(site), Unanswering(site.data / "history", str)
    journal.append(batch(0))
    journal.append(batch(1))
    journal.advance("watch", journal.last())
    clock = Clock.starting_at(START + 10 * DAY_MS, 1.0)
    Forwarding(site, clock, journal, history).turn(100.0)
    assert (journal.backlog("history").readings, journal.lost()) == (20, 0)
    journal.close()
    journal = open_journal(replace(site, stores=replace(site.stores, journal_bytes=1)))
    Forwarding(site, clock, journal, history).turn(100.0)
    assert (journal.backlog("history").readings, journal.lost()) == (10, 10)
    journal.close()


def test_an_error_of_our_own_is_told_and_keeps_the_journal_within_its_bounds(
    site: Site, registry: PointRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = replace(site, stores=replace(site.stores, journal_bytes=1))
    journal = open_journal(site)
    for number in range(5):
        journal.append(batch(number))
    journal.advance("watch", journal.last())

    def write(*_: object) -> None:
        raise ZeroDivisionError("poison")

    monkeypatch.setattr(ParquetHistory, "write", write)
    monkeypatch.setattr("store.history.forward.TIDY_S", 0.1)
    stop = Event()
    thread = Thread(target=run_forward, args=(site, Clock(), stop, registry))
    thread.start()
    try:
        until(lambda: journal.lost() == 40)  # all but the newest
        until(lambda: "ZeroDivisionError('poison')" in next((word.detail["error"] for word in read_health(site.data)), ""))
    finally:
        stop.set()
        monkeypatch.undo()
        thread.join(10)
        journal.close()
    assert not thread.is_alive()


def test_of_two_nodes_on_one_journal_one_forwards_and_the_other_takes_over(site: Site, journal: Journal, registry: PointRegistry) -> None:
    stops = (Event(), Event())
    threads = [Thread(target=run_forward, args=(site, Clock(), stop, registry)) for stop in stops]
    journal.append(batch(0))
    threads[0].start()
    until_forwarded(journal)
    threads[1].start()
    stops[0].set()
    threads[0].join(10)
    journal.append(batch(1))
    until_forwarded(journal)
    stops[1].set()
    threads[1].join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_the_loop_forwards_and_stops_with_nothing_waiting(site: Site, journal: Journal, registry: PointRegistry) -> None:
    stop = Event()
    journal.append(batch(0))
    thread = Thread(target=run_forward, args=(site, Clock(), stop, registry))
    thread.start()
    try:
        until_forwarded(journal)
        journal.append(batch(1))
    finally:
        stop.set()
        thread.join(timeout=10)
    assert not thread.is_alive()
    assert values(open_history(site, registry)) == [0.0, 1.0]
    assert [word.component for word in read_health(site.data)] == ["forward"]

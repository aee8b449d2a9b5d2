"""The running loop where no reading comes: what falls due by time alone falls due, at its instant (R5, R7)."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from compliance.recording.episode_rows import note_recorded
from compliance.watch import CONSUMER
from compliance.watch_loop import run_watch
from domain.clock import Clock
from domain.site import PlannedStop, Site, Station
from store.health import read_health
from store.journal import Journal
from store.records.tables import complaints, escalations, notice_transitions
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, every, local_ms
from tests.compliance.test_late_outages import FLOW, Live

START = local_ms("2026-01-14 06:00")
FAST = 600.0  # ten minutes a second


@pytest.fixture
def town(site: Site) -> Site:
    return replace(site, stations={"S1": Station("S1", design_flow_m3h=100.0)})


@contextmanager
def watched(site: Site, from_ms: int) -> Iterator[None]:
    """The loop runs, on a clock that begins at ``from_ms``."""
    stop = threading.Event()
    running = threading.Thread(target=run_watch, args=(site, Clock.starting_at(from_ms, FAST), stop))
    running.start()
    try:
        yield
    finally:
        stop.set()
        running.join(30)
    assert not running.is_alive()


def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def overdue(fed: Feed) -> list[tuple[int, int]]:
    """The steps up that a visit owed has gone, and when."""
    columns = escalations.c
    query = select(columns.step, columns.at).where(columns.duty == "low_temperature_on_site").order_by(columns.at)
    with fed.records.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def steps_of_notices(fed: Feed) -> list[tuple[str, int]]:
    columns = notice_transitions.c
    with fed.records.connect() as connection:
        return [tuple(row) for row in connection.execute(select(columns.to_state, columns.at).order_by(columns.id))]


def behind(site: Site) -> int:
    return int(next(word.detail["behind"] for word in read_health(site.data) if word.component == "watch"))


def test_on_a_site_that_no_reading_ever_came_from_duties_fall_due(town: Site, feed: Callable[[Site], Feed]) -> None:
    stop = PlannedStop("S1", START + HOUR_MS, START + 10 * HOUR_MS, "阀门更换")
    fed = feed(replace(town, planned_stops=(stop,)))
    with fed.records.begin() as connection:
        row = {"kind": "room", "origin": "resident", "subject": "room/R1", "opened_at": START, "state": "new"}
        connection.execute(insert(complaints).values(row))
    with watched(fed.site, START):
        until(lambda: "published" in dict(steps_of_notices(fed)))
        until(lambda: len(overdue(fed)) == 2)
        assert behind(fed.site) == 0
        until(lambda: "closed" in dict(steps_of_notices(fed)))
    assert overdue(fed) == [(1, START + 30 * MINUTE_MS), (2, START + HOUR_MS)]
    due_at = dict(steps_of_notices(fed))["due"]
    assert START <= due_at < START + HOUR_MS
    assert dict(steps_of_notices(fed))["closed"] == stop.to_ms


def stopped_at_ten(fed: Feed) -> Live:
    """A town whose heat stopped at 22:00, judged and kept; ``collect`` is down since 22:30."""
    live = Live(fed)
    rows = every(FLOW, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1)
    live.arrive([*rows, *every(FLOW, "2026-01-14 22:00", "2026-01-14 22:30", 0.0, 1)], "2026-01-14 22:30")
    live.watch.snapshot()
    return live


def test_after_a_restart_without_a_reading_the_notice_falls_due_to_the_second(town: Site, feed: Callable[[Site], Feed]) -> None:
    live = stopped_at_ten(feed(town))
    with watched(live.live.site, local_ms("2026-01-15 05:50")):
        until(lambda: live.said("notice.due"))
    assert live.said("outage.opened", "notice.due") == [("22:15", "outage.opened"), ("06:00", "notice.due")]


def test_a_journal_that_was_lost_holds_up_no_duty(town: Site, feed: Callable[[Site], Feed]) -> None:
    fed = feed(town)
    live = stopped_at_ten(fed)
    with fed.records.begin() as connection:  # killed after a pass that recorded more than the last snapshot knows; then the disk goes
        note_recorded(connection, f"{CONSUMER}.recorded", live.watch.cursor + 1, live.watch.judged_at)
    fed.journal.close()
    for path in fed.site.data.glob("journal.db*"):
        path.unlink()
    fed.journal = Journal(fed.site.data / "journal.db")
    with watched(fed.site, local_ms("2026-01-15 05:50")):
        until(lambda: live.said("notice.due"))
        assert behind(fed.site) == 0
    assert live.said("notice.due") == [("06:00", "notice.due")]

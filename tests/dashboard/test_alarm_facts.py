"""What the alarms page knows: what asks for somebody, one alarm's evidence and journal, floods and the figures of ISA-18.2."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, insert, select

from dashboard.actions.alarms import acknowledge_alarms, comment_alarm, return_to_service, shelve_alarm, take_out_of_service, unshelve_alarm
from dashboard.facts.alarm import AFTER_MS, BEFORE_MS, STANDING_MOST_MS, alarm_detail, alarm_readings, alarm_steps, makeup_rate, span_of
from dashboard.facts.alarm_system import alarm_system, flood_now
from dashboard.facts.alarms import PAGE, UNACKNOWLEDGED, Wanted, alarm_counts, alarm_rows, alarms_found, out_of_service_rows
from dashboard.facts.town import Town
from dashboard.facts.trend import Trend
from dashboard.moments import DAY_MS, HOUR_MS, MINUTE_MS
from dashboard.roles import Account
from domain.clock import Clock
from store.records.tables import alarms
from tests.dashboard.sample_town import COLD_BUILDING, NOW_MS, SILENT, SampleTown

LI = Account("李", "dispatcher")


@pytest.fixture
def fresh(sample: SampleTown, tmp_path: Path) -> Iterator[Town]:
    """The sample town with records of the test's own, read anew at every question."""
    own = tmp_path / "records.db"
    with closing(sqlite3.connect(sample.site.data / "records.db")) as written, closing(sqlite3.connect(own)) as copy:
        written.backup(copy)
    town = Town(replace(sample.site, records_url=f"sqlite:///{own}"), Clock.starting_at(NOW_MS, 1.0))
    town.shared.life_s = 0.0
    with closing(town):
        yield town


def first(town: Town, kind: str) -> int:
    query = select(alarms.c.id).where(alarms.c.kind == kind, alarms.c.state == "unacknowledged").order_by(alarms.c.id)
    return int(town.rows(query)[0][0])


def add(town: Town, raised_at: Sequence[int], **more: object) -> None:
    row = {"kind": "test", "pending_at": 1, "state": "unacknowledged"}
    with town.records.begin() as connection:
        for number, at in enumerate(raised_at):
            connection.execute(insert(alarms).values({**row, "subject": f"room/T{number}", "raised_at": at, **more}))


def test_a_shelved_alarm_asks_for_nobody_until_it_is_taken_off_the_shelf(fresh: Town) -> None:
    before, number = alarm_counts(fresh), first(fresh, "room_low")
    shelve_alarm(fresh.records, LI, number, "换表", NOW_MS + HOUR_MS, NOW_MS)
    counts = alarm_counts(fresh)
    assert (counts.unacknowledged, counts.shelved, counts.standing) == (before.unacknowledged - 1, 1, before.standing)
    assert [row.id for row in alarm_rows(fresh, Wanted("shelved"))] == [number]
    assert number not in [row.id for row in alarm_rows(fresh, Wanted("unacknowledged"))]
    assert next(row for row in alarm_rows(fresh, Wanted("open")) if row.id == number).shelved
    unshelve_alarm(fresh.records, LI, number, NOW_MS + 1)
    assert alarm_counts(fresh) == before


def test_what_is_out_of_service_asks_for_nobody_until_it_is_returned(fresh: Town) -> None:
    before = alarm_counts(fresh).unacknowledged
    number = take_out_of_service(fresh.records, LI, "water_escalated", f"station/{SILENT}", "检修", NOW_MS)
    assert alarm_counts(fresh).unacknowledged == before - 1
    (row,) = alarm_rows(fresh, Wanted("open", "water_escalated"))
    assert (row.out, row.shelved) == (True, False)
    assert [(one.id, one.subject, one.who, one.reason) for one in out_of_service_rows(fresh)] == [
        (number, f"station/{SILENT}", "李", "检修")
    ]
    return_to_service(fresh.records, LI, number, NOW_MS + 1)
    assert alarm_counts(fresh).unacknowledged == before
    assert out_of_service_rows(fresh) == []


def test_what_was_raised_on_a_shelf_asks_for_somebody_when_the_shelf_has_ended(fresh: Town) -> None:
    before, number = alarm_counts(fresh).unacknowledged, first(fresh, "water_high")
    with fresh.records.begin() as connection:
        connection.execute(alarms.update().where(alarms.c.id == number).values(suppressed_by="shelved"))
    assert alarm_counts(fresh).unacknowledged == before  # nothing of this subject is shelved any more
    add(fresh, [NOW_MS - DAY_MS], kind="water_high", subject="station/S08", shelved_until=NOW_MS + HOUR_MS, state="normal")
    assert alarm_counts(fresh).unacknowledged == before - 1
    with fresh.records.begin() as connection:
        connection.execute(delete(alarms).where(alarms.c.shelved_until.is_not(None)))


def test_what_is_suppressed_by_design_is_listed_and_asks_for_nobody(fresh: Town) -> None:
    before, number = alarm_counts(fresh).unacknowledged, first(fresh, "room_low")
    with fresh.records.begin() as connection:
        connection.execute(alarms.update().where(alarms.c.id == number).values(suppressed_by="outage/1"))
    assert alarm_counts(fresh).unacknowledged == before - 1
    assert next(row.by_design for row in alarm_rows(fresh, Wanted("open")) if row.id == number) == "outage/1"


@pytest.mark.parametrize(
    ("text", "kinds"), [("建设街", {"water_escalated"}), ("s05-b11-10", {"room_low"}), ("100%", set()), ("铁西", {"water_high"})]
)
def test_alarms_are_found_by_a_part_of_a_name_or_number(fresh: Town, text: str, kinds: set[str]) -> None:
    wanted = Wanted("all", text=text)
    assert {row.kind for row in alarm_rows(fresh, wanted)} == kinds
    assert alarms_found(fresh, wanted) == len(alarm_rows(fresh, wanted))


def test_pages_hold_every_alarm_once(fresh: Town) -> None:
    add(fresh, [NOW_MS - 40 * DAY_MS - k for k in range(2 * PAGE)])
    found = alarms_found(fresh, Wanted("all"))
    pages = [alarm_rows(fresh, Wanted("all", page=page)) for page in range(1, 5)]
    assert [len(page) for page in pages] == [PAGE, PAGE, found - 2 * PAGE, 0]
    assert len({row.id for page in pages for row in page}) == found == 2 * PAGE + 16


def test_the_journal_of_an_alarm_tells_who_did_what_when_and_why(fresh: Town) -> None:
    number = first(fresh, "room_low")
    comment_alarm(fresh.records, LI, number, "住户不在家", NOW_MS)
    shelve_alarm(fresh.records, LI, number, "换表", NOW_MS + HOUR_MS, NOW_MS + 1)
    assert acknowledge_alarms(fresh.records, LI, [number], "已派人", NOW_MS + 2) == 1
    steps = [(step.to_state, step.at - NOW_MS, step.who, step.why) for step in alarm_steps(fresh, number)]
    assert steps == [("acknowledged", 2, "李", "已派人"), ("shelved", 1, "李", "换表"), ("unacknowledged", 0, "李", "住户不在家")]
    detail = alarm_detail(fresh, number)
    assert detail is not None
    assert (detail.shelved_by, detail.shelved_reason, detail.row.comment, detail.policy) == ("李", "换表", "已派人", "default")
    assert alarm_detail(fresh, 10**9) is None
    with fresh.records.begin() as connection:
        connection.execute(alarms.update().where(alarms.c.id == number).values(state="unacknowledged", acknowledged_by=None))


def test_the_evidence_of_a_cold_room_is_its_readings_its_limit_and_the_weather(fresh: Town) -> None:
    query = select(alarms.c.id).where(alarms.c.subject == f"room/{COLD_BUILDING}-103")
    detail = alarm_detail(fresh, int(fresh.rows(query)[0][0]))
    assert detail is not None
    found = alarm_readings(fresh, detail)
    assert (found.name, found.from_ms) == ("indoor_temp_c", detail.pending_at - BEFORE_MS)
    assert len(found.value) > 40
    assert set(np.unique(found.bound.value)) == {16.0, 18.0}
    assert 16 < float(np.nanmean(found.value.value)) < 18
    assert -20 < float(np.nanmean(found.outdoor.value)) < 0


def test_the_evidence_of_a_station_is_what_its_alarm_is_about(fresh: Town) -> None:
    curve, water = (alarm_detail(fresh, first(fresh, kind)) for kind in ("curve_off", "water_high"))
    assert curve is not None
    assert water is not None
    supply, rate = alarm_readings(fresh, curve), alarm_readings(fresh, water)
    assert supply.name == "secondary_supply_temp_c"
    assert len(supply.bound) == len(supply.outdoor) > 40
    assert rate.name == "makeup_rate_pct"
    assert float(np.nanmedian(rate.value.value)) == pytest.approx(0.35 / 118 * 100, rel=0.2)
    assert set(rate.bound.value.tolist()) == {1.0}


def test_an_alarm_of_something_that_is_no_longer_there_has_no_readings(fresh: Town) -> None:
    add(fresh, [NOW_MS - HOUR_MS], subject="room/gone")
    detail = alarm_detail(fresh, first(fresh, "test"))
    assert detail is not None
    assert len(alarm_readings(fresh, detail).value) == 0


@pytest.mark.parametrize(
    ("raised_h", "cleared_h", "to_h"),
    [(3, None, 0), (3, 1, 0), (40, None, -40 + STANDING_MOST_MS / HOUR_MS), (40, 30, -30 + AFTER_MS / HOUR_MS), (90, 10, -90 + 26)],
)
def test_the_span_of_the_evidence(fresh: Town, raised_h: int, cleared_h: int | None, to_h: float) -> None:
    raised_at = NOW_MS - raised_h * HOUR_MS
    cleared_at = None if cleared_h is None else NOW_MS - cleared_h * HOUR_MS
    add(fresh, [raised_at], pending_at=raised_at - HOUR_MS, cleared_at=cleared_at)
    detail = alarm_detail(fresh, first(fresh, "test"))
    assert detail is not None
    assert span_of(detail, NOW_MS) == (raised_at - HOUR_MS - BEFORE_MS, NOW_MS + round(to_h * HOUR_MS))


def test_the_make_up_rate_is_of_the_circulation_that_stood(town: Town) -> None:
    at = np.array([10, 20, 30, 40], np.int64)
    rate = makeup_rate(Trend(at, np.array([1.0, 1.0, 2.0, 1.0])), Trend(np.array([15, 25, 35], np.int64), np.array([100.0, 50.0, 0.0])))
    assert np.isnan(rate.value[[0, 3]]).all()
    assert rate.value[1:3].tolist() == [1.0, 4.0]
    assert len(makeup_rate(Trend.empty(), Trend(at, at.astype(float)))) == 0


def test_a_flood_is_told_while_it_goes_on(fresh: Town) -> None:
    assert flood_now(fresh) is None
    add(fresh, [NOW_MS - 5 * MINUTE_MS + k for k in range(11)])
    flood = flood_now(fresh)
    assert flood is not None
    assert (flood.from_ms, flood.to_ms, flood.alarms) == (NOW_MS - 5 * MINUTE_MS + 10, None, 11)


def test_a_flood_of_suppressed_alarms_is_none(fresh: Town) -> None:
    add(fresh, [NOW_MS - 5 * MINUTE_MS + k for k in range(30)], suppressed_by="planned_stop")
    assert flood_now(fresh) is None


def test_the_figures_of_the_standard_over_a_week(fresh: Town) -> None:
    before = alarm_system(fresh, 7)
    add(fresh, [NOW_MS - 2 * DAY_MS + k * HOUR_MS for k in range(3)], subject="room/T", cleared_at=NOW_MS - DAY_MS)
    add(fresh, [NOW_MS - 3 * DAY_MS], subject="room/OLD")
    fresh.shared.forget()
    after = alarm_system(fresh, 7)
    assert after.raised == before.raised + 4 == sum(after.bars)
    assert [(one.subject, one.times) for one in after.chattering] == [("room/T", 3)]
    assert (after.frequent[0].subject, after.frequent[0].times) == ("room/T", 3)
    assert [one.subject for one in after.stale] == ["room/OLD"]
    values = {figure.name: figure.value for figure in after.figures}
    assert values["chattering alarms"] == values["stale alarms"] == 1
    assert values["alarms per hour"] == pytest.approx(after.raised / (7 * 24))
    assert alarm_system(fresh, 1).raised == before.raised  # all of the sample's own were raised today


@pytest.mark.parametrize("only", ["open", "unacknowledged", "all"])
def test_the_pages_together_are_all_alarms_those_that_wait_first_then_the_newest(fresh: Town, only: str) -> None:
    states = ("unacknowledged", "acknowledged", "normal")
    cleared = {"unacknowledged": None, "acknowledged": None, "normal": NOW_MS}
    for number in range(5 * PAGE):
        state = states[number % 3]
        add(fresh, [NOW_MS - number * 7_919 % 100_000], state=state, cleared_at=cleared[state], station_id=f"T{number % 2}")
        if number == 30:  # one that is unacknowledged and waits for nobody
            add(fresh, [NOW_MS - 5], state="unacknowledged", suppressed_by="planned_stop", building_id="B")
    for station_id in ("", "T1", "nowhere"):
        wanted = Wanted(only, station_id=station_id)
        pages = -(-alarms_found(fresh, wanted) // PAGE)
        rows = [row for page in range(1, pages + 1) for row in alarm_rows(fresh, replace(wanted, page=page))]
        assert len({row.id for row in rows}) == len(rows) == alarms_found(fresh, wanted)
        waits = [row.state in UNACKNOWLEDGED and not (row.shelved or row.out or row.by_design) for row in rows]
        assert waits == sorted(waits, reverse=True)
        for part in (True, False):
            newest = [(row.raised_at, row.id) for row, waiting in zip(rows, waits, strict=True) if waiting is part]
            assert newest == sorted(newest, reverse=True)
        assert alarm_rows(fresh, replace(wanted, page=pages + 1)) == []

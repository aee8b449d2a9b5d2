"""Room readings later than a pass keeps them: alarms, and what hangs on them, come out as if they had been there in time (R3, R6)."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy import select

from compliance import late_rooms
from domain.errors import StoreError
from domain.site import Building, Room, Site, Station
from store.records import tables
from tests.compliance.feeding import Feed, Row, every
from tests.compliance.test_late_outages import Live, clock

ROOMS = [f"R{n}" for n in range(8)]
NIGHT = ("2026-01-14 18:00", "2026-01-15 06:00")
DAY = ("2026-01-15 06:00", "2026-01-15 12:00", "2026-01-15 18:00", "2026-01-16 00:00", "2026-01-16 06:00")
LATER = "2026-01-16 06:01"


def point(room_id: str) -> str:
    return f"room/{room_id}/indoor_temp_c"


def warm_but(room_id: str, start: str, stop: str, value: float = 15.0) -> list[Row]:
    """A night at 19 ℃, but for a stretch."""
    cold = every(point(room_id), f"2026-01-15 {start}", f"2026-01-15 {stop}", value)
    warm = every(point(room_id), *NIGHT, 19.0)
    return sorted([*cold, *(row for row in warm if row[1] not in {at for _, at, _ in cold})], key=lambda row: row[1])


def warm(start: str, stop: str, room_ids: list[str]) -> list[Row]:
    return [row for room_id in room_ids for row in every(point(room_id), start, stop, 19.0)]


def next_day(live: Live, room_ids: list[str], value: float = 19.0) -> None:
    """A day in four portions: long enough for the night to be settled."""
    for start, stop in pairwise(DAY):
        live.arrive([row for room_id in room_ids for row in every(point(room_id), start, stop, value)], stop)


@pytest.fixture
def live(site: Site, feed: Callable[[Site], Feed]) -> Live:
    """Eight rooms of a building."""
    rooms = {room_id: Room(room_id, "B1") for room_id in ROOMS}
    town = replace(site, rooms=rooms, buildings={"B1": Building("B1", "S1")}, stations={"S1": Station("S1", design_flow_m3h=100.0)})
    return Live(feed(town))


Alarm = tuple[str, str, str, str | None]


def alarms(live: Live) -> list[Alarm]:
    """Every alarm, those undone among them: subject, raised, cleared, why."""
    columns = tables.alarms.c
    with live.live.records.connect() as connection:
        rows = connection.execute(select(tables.alarms).order_by(columns.raised_at, columns.subject)).all()
    return [(row.subject, clock(row.raised_at), clock(row.cleared_at or 0), row.cleared_reason) for row in rows]


def steps(live: Live) -> list[tuple[int, str, str, str]]:
    """Every transition of an alarm in the order they were stored."""
    log = tables.alarm_transitions
    with live.live.records.connect() as connection:
        return [(row.alarm_id, row.from_state, row.to_state, row.why) for row in connection.execute(select(log).order_by(log.c.id))]


def complaints(live: Live) -> list[tuple[str, str, str, int]]:
    """Subject, opening, state and number of rooms of every complaint."""
    table, held = tables.complaints, tables.complaint_rooms.c
    with live.live.records.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.opened_at, table.c.id)).all()
        rooms = [len(connection.execute(select(held.room_id).where(held.complaint_id == row.id)).all()) for row in rows]
    return [(row.subject, clock(row.opened_at), row.state, count) for row, count in zip(rows, rooms, strict=True)]


def test_a_night_that_a_sensor_tells_of_a_day_later_raises_its_alarm_at_its_instant(live: Live) -> None:
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ["R0"]), "2026-01-14 20:00")
    next_day(live, ["R0"])
    live.arrive(warm_but("R0", "00:00", "03:00"), LATER)
    assert live.watch.counts["late_rooms"] == 1
    assert alarms(live) == [("room/R0", "01:00", "03:30", "recovered")]
    assert live.said("alarm.raised", "alarm.cleared", "complaint.opened") == [
        ("01:00", "alarm.raised"),
        ("01:00", "complaint.opened"),
        ("03:30", "alarm.cleared"),
    ]
    assert complaints(live) == [("room/R0", "01:00", "new", 1)]


def test_an_alarm_that_never_was_is_undone_a_day_later(live: Live) -> None:
    live.arrive(warm_but("R0", "00:00", "03:00"), NIGHT[1])
    next_day(live, ["R0"])
    live.arrive(warm_but("R0", "00:00", "00:30"), LATER)
    live.arrive(every(point("R0"), "2026-01-15 00:30", "2026-01-15 03:00", 19.0), LATER)
    assert alarms(live) == [("room/R0", "01:00", "03:30", "late_data")]
    assert [why for *_, why in steps(live)] == ["", "recovered", "late_data"]
    assert live.said("alarm.raised") == [("01:00", "alarm.raised")]


def test_an_alarm_that_stands_is_moved_to_where_a_day_old_readings_put_it(live: Live) -> None:
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ["R0"]), "2026-01-14 20:00")
    next_day(live, ["R0"], 15.0)
    assert alarms(live) == [("room/R0", "07:00", "08:00", None)]
    live.arrive(warm_but("R0", "00:00", "06:00"), LATER)
    assert alarms(live) == [("room/R0", "01:00", "08:00", None)]
    assert live.said("alarm.raised", "complaint.opened") == [("07:00", "alarm.raised"), ("07:00", "complaint.opened")]


def test_a_fifth_room_learned_of_a_day_later_rolls_the_building_up(live: Live) -> None:
    live.arrive([row for room_id in ROOMS[:4] for row in warm_but(room_id, "00:00", "03:00")], NIGHT[1])
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ["R4"]), NIGHT[1])
    next_day(live, ROOMS[:5])
    live.arrive(warm_but("R4", "00:00", "03:00"), LATER)
    assert complaints(live) == [*((f"room/R{n}", "01:00", "merged", 1) for n in range(4)), ("building/B1", "01:00", "new", 5)]


def test_an_alarm_learned_of_late_makes_those_after_it_roll_up(live: Live) -> None:
    live.arrive([row for room_id in ROOMS[:4] for row in warm_but(room_id, "00:30", "03:00")], NIGHT[1])
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ["R4"]), NIGHT[1])
    next_day(live, ROOMS[:5])
    live.arrive(warm_but("R4", "00:00", "03:00"), LATER)
    assert complaints(live)[-1] == ("building/B1", "01:30", "new", 5)
    assert {state for _, _, state, _ in complaints(live)[:-1]} == {"merged"}


def test_an_alarm_of_a_day_ago_is_attached_to_the_outage_of_then(live: Live) -> None:
    flow = "station/S1/secondary_flow_m3h"
    live.arrive(every(flow, "2026-01-14 18:00", "2026-01-14 22:00", 80.0, 2), "2026-01-14 22:00")
    live.arrive(every(flow, "2026-01-14 22:00", "2026-01-15 04:00", 0.0, 2), "2026-01-15 04:00")
    for day in range(15, 19):
        live.arrive(every(flow, f"2026-01-{day} 04:00", f"2026-01-{day + 1} 04:00", 80.0, 2), f"2026-01-{day + 1} 04:00")
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ["R0"]), "2026-01-19 04:01")
    live.arrive(warm("2026-01-17 06:00", "2026-01-19 04:00", ["R0"]), "2026-01-19 04:02")
    live.arrive(warm_but("R0", "00:00", "03:00"), "2026-01-19 04:03")
    with live.live.records.connect() as connection:
        suppressed = connection.scalars(select(tables.alarms.c.suppressed_by)).all()
        outage_id = connection.scalars(select(tables.outages.c.id)).one()
    assert (alarms(live), complaints(live)) == ([("room/R0", "01:00", "03:30", "recovered")], [])
    assert suppressed == [f"outage/{outage_id}"]


def test_a_restart_right_after_repeats_and_takes_back_nothing(live: Live) -> None:
    """More rooms than a pass judges again by itself, and the folded states are those of before."""
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ROOMS), "2026-01-14 20:00")
    next_day(live, ROOMS)
    live.watch.snapshot()
    live.arrive([row for room_id in ROOMS for row in warm_but(room_id, "00:00", "03:00")], LATER)
    assert live.watch.counts["late_rooms"] == 8
    before = alarms(live), steps(live), complaints(live), live.said("alarm.raised", "alarm.cleared", "complaint.opened")
    assert len(before[0]) == 8
    live.again()
    live.arrive(warm("2026-01-16 06:00", "2026-01-16 06:10", ROOMS), "2026-01-16 06:05")
    assert (alarms(live), steps(live), complaints(live), live.said("alarm.raised", "alarm.cleared", "complaint.opened")) == before


def test_rooms_wait_while_the_history_is_down(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.arrive(warm("2026-01-14 18:00", "2026-01-14 20:00", ["R0"]), "2026-01-14 20:00")
    next_day(live, ["R0"])

    def down(*_: object) -> None:
        raise StoreError("the history is down")

    with monkeypatch.context() as patch:
        patch.setattr(late_rooms, "read_readings", down)
        with pytest.raises(StoreError):  # the loop goes on: the chore is put off
            live.arrive(warm_but("R0", "00:00", "03:00"), LATER)
        live.watch.snapshot()
        live.again()
        assert alarms(live) == []
    live.arrive([], "2026-01-16 06:02")
    assert alarms(live) == [("room/R0", "01:00", "03:30", "recovered")]


def test_an_alarm_that_came_and_went_within_one_long_pass_is_there(live: Live) -> None:
    live.arrive([*warm_but("R0", "00:00", "03:00"), *warm(DAY[0], DAY[-1], ["R0"])], DAY[-1])
    assert alarms(live) == [("room/R0", "01:00", "03:30", "recovered")]
    assert complaints(live) == [("room/R0", "01:00", "new", 1)]

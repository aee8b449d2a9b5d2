"""Overdue duties and cured rooms over real stores, killed at any pass: each told once, nothing closed on missing data."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine, insert, select, text

from compliance.desk_pass import DeskPass
from compliance.watch import Watch
from domain.reading import Readings
from domain.site import Room, Site, Station
from store.records.tables import alarms, complaint_deeds, complaint_rooms, complaint_transitions, complaints, escalations
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, Row, every, local_ms

START = local_ms("2026-01-14 06:00")
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def town(site: Site) -> Site:
    rooms = {f"R{n}": Room(f"R{n}", "B1", "S1") for n in range(3)}
    return replace(site, rooms=rooms, stations={"S1": Station("S1")})


def complaint(records: Engine, rooms: tuple[str, ...] = ("R0",), *, opened_at: int = START, origin: str = "sensor", **more: object) -> int:
    values = {"kind": "room", "origin": origin, "subject": f"room/{rooms[0]}", "opened_at": opened_at, "state": "new", **more}
    with records.begin() as connection:
        key = connection.execute(insert(complaints).values(values)).inserted_primary_key
        assert key is not None
        for room_id in rooms:
            connection.execute(
                insert(complaint_rooms).values(complaint_id=key[0], room_id=room_id, raised_at=opened_at, attached_at=opened_at)
            )
    return int(key[0])


def put(fed: Feed, rows: list[Row]) -> None:
    names, at, value = zip(*rows, strict=True)
    fed.journal.append(Readings.of(fed.points.ids(names), at, value))


def desk(fed: Feed) -> DeskPass:
    return DeskPass(fed.site, fed.records, (fed.history, fed.journal, fed.points))


def told(records: Engine) -> list[tuple[str, str, int, str, int]]:
    columns = escalations.c
    with records.connect() as connection:
        query = select(columns.subject, columns.duty, columns.step, columns.told, columns.at).order_by(columns.at, columns.id)
        return [tuple(row) for row in connection.execute(query)]


def deeds(records: Engine) -> list[tuple[int, str, int]]:
    columns = complaint_deeds.c
    with records.connect() as connection:
        return [tuple(row) for row in connection.execute(select(columns.complaint_id, columns.kind, columns.at).order_by(columns.id))]


def test_each_overdue_duty_goes_up_once_whatever_dies(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    number = complaint(fed.records)
    chance = random.Random(7)
    now = START
    while now < START + 4 * DAY_MS:
        desk(fed).run(now, frozenset())  # each pass by a new process
        now += chance.choice((1_000, MINUTE_MS, 3 * HOUR_MS))
    subject = f"complaint/{number}"
    assert told(fed.records) == [
        (subject, "low_temperature_on_site", 1, "department_head", START + 30 * MINUTE_MS),
        (subject, "low_temperature_on_site", 2, "manager", START + HOUR_MS),
        (subject, "low_temperature_cured", 1, "department_head", START + 2 * DAY_MS),
    ]


def test_what_was_done_in_time_is_told_to_nobody(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    number = complaint(fed.records)
    with fed.records.begin() as connection:
        for state, at in (("accepted", START + 1), ("on_site", START + 20 * MINUTE_MS), ("resolved", START + DAY_MS)):
            row = {"complaint_id": number, "from_state": "new", "to_state": state, "at": at, "who": "王"}
            connection.execute(insert(complaint_transitions).values(row))
        connection.execute(complaints.update().values(state="resolved"))
    desk(fed).run(START + 3 * DAY_MS, frozenset())
    assert told(fed.records) == []


def test_water_that_nobody_handles_for_six_hours(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    with fed.records.begin() as connection:
        for number, state in enumerate(("unacknowledged", "acknowledged")):
            row = {"kind": "water_high", "subject": f"station/S{number}", "pending_at": START, "raised_at": START, "state": state}
            connection.execute(insert(alarms).values(row))
    for hours in (6, 7, 13):
        desk(fed).run(START + hours * HOUR_MS, frozenset())
    assert told(fed.records) == [
        ("alarm/1", "water_loss_handled", 1, "department_head", START + 6 * HOUR_MS),
        ("alarm/1", "water_loss_handled", 2, "manager", START + 12 * HOUR_MS),
    ]


def test_a_room_warm_for_a_day_is_proposed_and_not_closed(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    number = complaint(fed.records)
    put(
        fed,
        every("room/R0/indoor_temp_c", START, START + 2 * HOUR_MS, 16.0)
        + every("room/R0/indoor_temp_c", START + 2 * HOUR_MS, START + 30 * HOUR_MS, 19.0),
    )
    passes = desk(fed)
    passes.look_for_cures(START + 25 * HOUR_MS, frozenset())
    assert deeds(fed.records) == []
    for _ in range(2):
        passes.look_for_cures(START + 26 * HOUR_MS, frozenset())
    assert deeds(fed.records) == [(number, "proposed", START + 26 * HOUR_MS)]
    with fed.records.connect() as connection:
        row = connection.execute(select(complaints)).one()
        evidence = connection.execute(select(complaint_deeds.c.body)).scalar_one()
    assert (row.state, row.proposed_at) == ("new", START + 26 * HOUR_MS)
    assert evidence == {
        "rooms": {
            "R0": {
                "from": "2026-01-14T08:00:00+08:00",
                "to": "2026-01-15T08:00:00+08:00",
                "compliant_s": 86400,
                "unknown_s": 0,
                "min_c": 19.0,
            }
        }
    }


def test_a_proposal_bears_the_instant_at_which_the_day_was_full(town: Site, feed: Callable[..., Feed]) -> None:
    """Not the one at which somebody looked: warm from 07:03:20, 37 min unknown, so full at 07:40:20; looked at in the evening."""
    fed = feed(town)
    number = complaint(fed.records)
    warm, silent = START + 63 * MINUTE_MS + 20_000, START + 12 * HOUR_MS + 20_000
    put(
        fed,
        every("room/R0/indoor_temp_c", START, warm, 17.9)
        + every("room/R0/indoor_temp_c", warm, silent, 18.0)
        + every("room/R0/indoor_temp_c", silent + HOUR_MS, START + 40 * HOUR_MS, 18.0),
    )
    last_known = max(at for _, at, _ in every("room/R0/indoor_temp_c", warm, silent, 18.0)) + 30 * MINUTE_MS
    full = warm + DAY_MS + silent + HOUR_MS - last_known
    passes = desk(fed)
    passes.look_for_cures(full - 1, frozenset())
    assert deeds(fed.records) == []
    passes.look_for_cures(START + 36 * HOUR_MS, frozenset())
    assert deeds(fed.records) == [(number, "proposed", full)]


def test_what_was_reopened_is_not_proposed_before_that(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    number = complaint(fed.records, state="reopened")
    row = {"complaint_id": number, "from_state": "resolved", "to_state": "reopened", "at": START + 30 * HOUR_MS, "who": "王"}
    with fed.records.begin() as connection:
        connection.execute(insert(complaint_transitions).values(row))
    put(fed, every("room/R0/indoor_temp_c", START, START + 40 * HOUR_MS, 19.0))
    desk(fed).look_for_cures(START + 31 * HOUR_MS, frozenset())
    assert deeds(fed.records) == [(number, "proposed", START + 30 * HOUR_MS)]


def test_silence_is_not_warmth(town: Site, feed: Callable[..., Feed]) -> None:
    """Of 40 hours 17 were silent: 23 known hours are not enough. One more is."""
    fed = feed(town)
    number = complaint(fed.records)
    put(
        fed,
        every("room/R0/indoor_temp_c", START, START + 10 * HOUR_MS, 19.0)
        + every("room/R0/indoor_temp_c", START + 27 * HOUR_MS, START + 60 * HOUR_MS, 19.0),
    )
    passes = desk(fed)
    passes.look_for_cures(START + 40 * HOUR_MS, frozenset())
    assert deeds(fed.records) == []
    passes.look_for_cures(START + 41 * HOUR_MS, frozenset())
    assert [kind for _, kind, _ in deeds(fed.records)] == ["proposed"]
    assert number == 1


def test_a_room_without_any_reading_holds_back_its_whole_complaint(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    complaint(fed.records, ("R0", "R1"))
    put(fed, every("room/R0/indoor_temp_c", START, START + 50 * HOUR_MS, 20.0))
    desk(fed).look_for_cures(START + 48 * HOUR_MS, frozenset())
    assert deeds(fed.records) == []


def test_cold_again_withdraws_the_proposal(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    number = complaint(fed.records)
    put(fed, every("room/R0/indoor_temp_c", START, START + 30 * HOUR_MS, 19.0))
    passes = desk(fed)
    passes.look_for_cures(START + 25 * HOUR_MS, frozenset())
    passes.look_for_cures(START + 26 * HOUR_MS, frozenset({"R0"}))
    assert [kind for _, kind, _ in deeds(fed.records)] == ["proposed", "withdrawn"]
    with fed.records.connect() as connection:
        assert connection.execute(select(complaints.c.proposed_at).where(complaints.c.id == number)).scalar() is None


def test_a_sensor_complaint_carries_its_evidence(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    put(
        fed,
        every("station/S1/outdoor_temp_c", START, START + 2 * HOUR_MS, -12.5, 5)
        + every("room/R0/indoor_temp_c", START, START + 2 * HOUR_MS, 17.0),
    )
    watch = Watch(fed.site, fed.journal, fed.history, fed.points, fed.records, START)
    while watch.step(START + 2 * HOUR_MS):
        pass
    with fed.records.connect() as connection:
        whole = connection.execute(select(complaints.c.evidence)).scalar_one()
        of_room = connection.execute(select(complaint_rooms.c.evidence)).scalar_one()
    assert {name: whole[name] for name in ("limit_c", "policy", "policy_valid_from", "outdoor_c", "min_c", "last_c")} == {
        "limit_c": 18.0,
        "policy": "default",
        "policy_valid_from": "2000-01-01",
        "outdoor_c": -12.5,
        "min_c": 17.0,
        "last_c": 17.0,
    }
    assert whole["policy_sha256"] == fed.site.policy.sha256
    assert (whole["station"]["heat"], whole["station"]["outage_id"]) == ("unknown", None)
    assert "readings" not in whole
    assert of_room["readings"] == [[START + n * 10 * MINUTE_MS, 17.0] for n in range(7)]


def test_two_processes_tell_it_once(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    complaint(fed.records)
    first, second = desk(fed), desk(fed)
    for passes in (first, second, first):
        passes.run(START + 40 * MINUTE_MS, frozenset())
    assert len(told(fed.records)) == 1
    with fed.records.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM escalations")).scalar() == 1


def test_thousands_overdue_at_once_are_told_in_parts_and_each_once(town: Site, feed: Callable[..., Feed]) -> None:
    fed = feed(town)
    with fed.records.begin() as connection:
        row = {"kind": "household", "origin": "sensor", "state": "new", "category": "leak"}
        connection.execute(insert(complaints), [{**row, "subject": f"building/B{n}", "opened_at": START + n} for n in range(600)])
    passes, counts = desk(fed), []
    for _ in range(3):
        passes.run(START + 45 * MINUTE_MS, frozenset())
        counts.append(len(told(fed.records)))
    assert counts == [500, 600, 600]

"""Room alarms whose readings come late (R3): undone, restored, moved, gone on after all; they end up where the rules say.

``KEEPWARM_LIVE_TOWNS=500`` makes the comparison longer, ``KEEPWARM_ORACLE_SEED=70000`` begins it elsewhere.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from compliance import room_book
from domain.site import Building, Room, Site
from store.records import tables
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, local_ms
from tests.compliance.oracle_rooms import Row, read, room_alarm, rooms_of
from tests.compliance.oracle_towns import random_town
from tests.compliance.test_cases import with_subjects
from tests.compliance.test_late_towns import TOWNS, fed
from tests.compliance.test_oracle_rules import FIRST

POINT = "room/R1/indoor_temp_c"
DAY = "2026-01-14"
Spoken = tuple[str, int, int | None, str | None]  # subject, raised, cleared, why


def readings(text: str) -> list[tuple[str, int, float, int, int]]:
    """``from..to value @receipt``, one each ten minutes, parted by commas; without a receipt as they were measured."""
    rows = []
    for part in text.split(","):
        span, value, *got = part.split()
        start, stop = (local_ms(f"{DAY} {word}") for word in span.split(".."))
        received = local_ms(f"{DAY} {got[0][1:]}") if got else None
        rows += [(POINT, at, float(value), 0, at if received is None else received) for at in range(start, stop, 10 * MINUTE_MS)]
    return rows


def of_the_rules(site: Site, rows: list[Row], until_ms: int) -> list[Spoken]:
    """What the oracle says of the same readings."""
    given = read(site, rows, until_ms)
    found: list[Spoken] = []
    for room in rooms_of(given).values():
        standing: Spoken | None = None
        for said in room_alarm(given, room):
            if said.at > until_ms:
                break
            if said.event == "alarm.raised":
                standing = (said.subject, said.at, None, None)
            elif said.event == "alarm.cleared" and standing is not None:
                found.append((standing[0], standing[1], said.at, said.body["reason"]))
                standing = None
        if standing is not None:
            found.append(standing)
    return sorted(found, key=str)


def steps(live: Feed) -> list[tuple[str, str, str]]:
    """The transitions of all alarms in order: from, to, why."""
    with live.records.connect() as connection:
        rows = connection.execute(select(tables.alarm_transitions).order_by(tables.alarm_transitions.c.id)).all()
    return [(row.from_state, row.to_state, row.why) for row in rows]


def told(live: Feed) -> list[tuple[str, str]]:
    """The events of alarms and complaints as (local time, event)."""
    midnight = local_ms(f"{DAY} 00:00")
    return [
        (f"{(one.at - midnight) // HOUR_MS:02d}:{(one.at - midnight) // MINUTE_MS % 60:02d}", one.event)
        for one in live.events()
        if one.event in ("alarm.raised", "alarm.cleared", "complaint.opened", "complaint.attached")
    ]


@pytest.fixture(params=range(2))
def fed_room(request: pytest.FixtureRequest, site: Site, feed: Callable[[Site], Feed]) -> Callable[[str, str], Feed]:
    """One room, fed up to an hour; twice, with other passes and restarts."""

    def run(text: str, until: str) -> Feed:
        live = feed(replace(site, rooms={"R1": Room("R1", "B1")}, buildings={"B1": Building("B1")}))
        live.run(readings(text), local_ms(f"{DAY} {until}"), random.Random(request.param))
        return live

    return run


COLD = "05:00..08:30 17.0"
WARM_AFTER_ALL = "06:00..08:30 18.1 @08:40"  # not cured, but never below the limit
COLD_AFTER_ALL = "06:00..08:30 17.0 @09:10"  # passes are at most 25 min apart: each of these is seen by itself
RAISED = local_ms(f"{DAY} 07:00")
FIRST_STEP = ("normal", "unacknowledged", "")
UNDONE = ("unacknowledged", "returned_unacknowledged", "late_data")
RESTORED = ("returned_unacknowledged", "unacknowledged", "late readings: the room was too cold after all")


def test_an_alarm_undone_by_late_readings_is_cleared_and_says_why(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room(f"{COLD}, {WARM_AFTER_ALL}, 08:30..09:40 18.1", "09:40")
    assert live.alarms() == []
    assert steps(live) == [FIRST_STEP, UNDONE]


def test_an_alarm_undone_and_restored_stands_again_and_is_told_once(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room(f"{COLD}, {WARM_AFTER_ALL}, {COLD_AFTER_ALL}, 08:30..09:40 18.1", "09:40")
    assert live.alarms() == [("room/R1", RAISED, None, None)]
    assert steps(live) == [FIRST_STEP, UNDONE, RESTORED]
    assert told(live) == [("07:00", "alarm.raised"), ("07:00", "complaint.opened")]


def test_an_alarm_restored_that_is_over_returns_unacknowledged(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room(f"{COLD}, {WARM_AFTER_ALL}, {COLD_AFTER_ALL}, 08:30..09:40 18.5", "09:40")
    assert live.alarms() == [("room/R1", RAISED, local_ms(f"{DAY} 09:00"), "recovered")]
    assert steps(live) == [FIRST_STEP, UNDONE, RESTORED, ("unacknowledged", "returned_unacknowledged", "recovered")]


def test_an_alarm_that_is_over_and_never_was_says_so(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room("05:00..07:00 17.0, 07:00..09:30 18.5, 06:00..07:00 18.1 @09:00", "09:40")
    assert live.alarms() == []
    assert steps(live) == [
        FIRST_STEP,
        ("unacknowledged", "returned_unacknowledged", "recovered"),
        ("returned_unacknowledged", "returned_unacknowledged", "late_data"),
    ]


def test_an_alarm_that_was_not_cured_after_all_goes_on(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room("05:00..07:10 17.0, 07:10..07:50 18.5, 07:50..09:30 18.1, 07:30..07:40 18.0 @08:40", "09:40")
    assert live.alarms() == [("room/R1", RAISED, None, None)]
    assert steps(live)[-1] == ("returned_unacknowledged", "unacknowledged", "late readings: the room was not warm")
    assert told(live).count(("07:00", "alarm.raised")) == 1


def test_an_alarm_that_ended_later_keeps_its_number_and_is_told_once(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room("05:00..07:10 17.0, 07:10..09:30 18.5, 07:30..07:40 18.0 @09:10", "09:40")
    assert live.alarms() == [("room/R1", RAISED, local_ms(f"{DAY} 08:10"), "recovered")]
    assert steps(live)[-1] == ("returned_unacknowledged", "returned_unacknowledged", "late readings: its end is another")
    assert [one for one in told(live) if one[1] == "alarm.cleared"] == [("07:40", "alarm.cleared")]


def test_an_alarm_that_began_earlier_is_moved_and_makes_no_second_complaint(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room("05:00..07:00 18.1, 07:00..09:40 17.0, 06:00..07:00 17.5 @09:00", "09:40")
    assert live.alarms() == [("room/R1", RAISED, None, None)]
    assert steps(live) == [FIRST_STEP, ("unacknowledged", "unacknowledged", "moved by late readings")]
    assert told(live) == [("08:00", "alarm.raised"), ("08:00", "complaint.opened")]


def test_an_earlier_alarm_learned_of_later_leaves_the_one_that_stands(fed_room: Callable[[str, str], Feed]) -> None:
    live = fed_room("05:00..09:00 19.0, 09:00..11:00 17.0, 06:00..07:30 17.0 @10:30", "11:00")
    at = {text: local_ms(f"{DAY} {text}") for text in ("07:00", "08:00", "10:00")}
    assert live.alarms() == [("room/R1", at["07:00"], at["08:00"], "recovered"), ("room/R1", at["10:00"], None, None)]


# ── the whole, at random ─────────────────────────────────────────────────────────────────────────────────────────────

LATE_MS = [0] * 20 + [3 * MINUTE_MS, 40 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS]


# What a pass keeps is made so little that late readings are nearly always older.
SHORT = {"WINDOW_MS": 20 * MINUTE_MS, "CAPACITY": 6}
VERY_LATE_MS = [0] * 20 + [40 * MINUTE_MS, 3 * HOUR_MS, 7 * HOUR_MS, 11 * HOUR_MS, 40 * HOUR_MS]


def late_rows(rows: list[Row], chance: random.Random, late_ms: list[int]) -> list[Row]:
    """Stretches of a room's readings come late, together or one by one; some are corrected later, and some of these back again."""
    of_rooms = [row for row in rows if row[0].startswith("room/") and row[0].endswith("indoor_temp_c")]
    late: list[Row] = [(of_rooms[0][0], min(at for _, at, *_ in of_rooms) - MINUTE_MS, 0.0, 65, None)]  # bad: the watch begins
    delay = dict.fromkeys((name for name, *_ in of_rooms), 0)
    for name, at, value, quality, got in sorted(of_rooms, key=lambda row: row[1]):
        if chance.random() < 0.06:
            delay[name] = chance.choice(late_ms)
        received = (at if got is None else got) + delay[name]
        late.append((name, at, value, quality, received))
        if chance.random() < 0.08:
            received += chance.choice([20 * MINUTE_MS, 90 * MINUTE_MS, 200 * MINUTE_MS, late_ms[-1]])
            late.append((name, at, value + chance.choice([-2.0, 2.0]), 0, received))
            if chance.random() < 0.5:
                late.append((name, at, value, 0, received + 40 * MINUTE_MS))
    return late


def with_rooms() -> list[int]:
    """Seeds of towns whose rooms speak."""

    def speak(seed: int) -> bool:
        return any(name.startswith("room/") and name.endswith("indoor_temp_c") for name, *_ in random_town(seed).rows)

    return [seed for seed in range(FIRST, FIRST + 8 * TOWNS) if speak(seed)][:TOWNS]


@pytest.mark.parametrize("seed", with_rooms())
def test_late_readings_leave_the_alarms_that_the_rules_say(seed: int, feed: Callable[[Site], Feed]) -> None:
    town = random_town(seed)
    rows = late_rows(town.rows, random.Random(seed), LATE_MS)
    until_ms = max(got or at for _, at, _, _, got in rows) + MINUTE_MS
    live = feed(with_subjects(town.site, {name for name, *_ in rows}))
    fed(rows, until_ms, live, seed)
    assert live.alarms() == of_the_rules(town.site, rows, until_ms)


@pytest.mark.parametrize("seed", with_rooms()[: (TOWNS + 2) // 3])
def test_readings_later_than_the_pass_keeps_them_do_so_too(
    seed: int, feed: Callable[[Site], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SHORT.items():
        monkeypatch.setattr(room_book, name, value)
    town = random_town(seed)
    rows = late_rows(town.rows, random.Random(seed), VERY_LATE_MS)
    until_ms = max(got or at for _, at, _, _, got in rows) + MINUTE_MS
    live = feed(with_subjects(town.site, {name for name, *_ in rows}))
    fed(rows, until_ms, live, seed)
    assert live.alarms() == of_the_rules(town.site, rows, until_ms)
    assert raised(live) <= numbers(live)


def raised(live: Feed) -> Counter[str]:
    """How many alarms each room's events tell of."""
    return Counter(one.subject for one in live.events() if one.event == "alarm.raised")


def numbers(live: Feed) -> Counter[str]:
    """How many alarms each room has in the records, those undone among them."""
    with live.records.connect() as connection:
        return Counter(connection.scalars(select(tables.alarms.c.subject).where(tables.alarms.c.kind == "room_low")))


class Calm(random.Random):
    """A pass every ten minutes; none keeps anything, none is killed: only what is committed is there for the next process."""

    def random(self) -> float:
        return 0.5

    def choice(self, seq: Any) -> Any:
        return seq[2]


def test_a_restart_from_the_beginning_finds_all_again_and_changes_nothing(
    site: Site, feed: Callable[[Site], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = feed(replace(site, rooms={"R1": Room("R1")}))
    live.run(readings(f"{COLD}, {WARM_AFTER_ALL}, {COLD_AFTER_ALL}"), local_ms(f"{DAY} 09:40"), Calm(1))
    before = steps(live), live.alarms(), told(live)
    assert before[0] == [FIRST_STEP, UNDONE, RESTORED]
    live.watch = None  # killed before it kept anything: the whole journal is read again, batch by batch as it came
    read_on = live.journal.read
    monkeypatch.setattr(live.journal, "read", lambda after, _most=1: read_on(after, 1))
    live.run(readings("09:40..09:50 18.1"), local_ms(f"{DAY} 09:55"), Calm(2))
    assert (steps(live), live.alarms(), told(live)) == before

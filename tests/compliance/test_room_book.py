"""The live pass over rooms finds what a fold from scratch finds, however its passes are spread and however late readings come."""

import random
from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from compliance.room_alarm import RoomEvent, RoomEvents, fold_alarms, fresh_states
from compliance.room_book import CAPACITY, RoomBook
from compliance.series import clean_series
from compliance.verdict import room_rules
from domain.policy import Policy, PolicyVersion, Window
from domain.reading import Readings
from domain.site import Exclusion, Room

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE, HOUR = 60_000, 3_600_000
START = 1_768_320_000_000  # 14 January 2026, 00:00 in Shanghai
POLICY = Policy(
    "test", (PolicyVersion(date(2000, 1, 1), None, {"residential": (Window(0, 21_600, 16.0), Window(21_600, 86_400, 18.0))}),), ""
)
Arrival = tuple[int, int, int, float]  # received_at, room row, measured_at, value


def book_of(rooms: int, exclusions: list[Exclusion] | None = None) -> RoomBook:
    return RoomBook([Room(f"R{row}") for row in range(rooms)], exclusions or [], POLICY, ZONE, np.full(rooms, 30 * MINUTE), START)


def keys(events: RoomEvents) -> Counter[tuple[int, int, int]]:
    return Counter(zip(events.room.tolist(), events.at.tolist(), events.kind.tolist(), strict=True))


def take(book: RoomBook, arrivals: list[Arrival], now_ms: int) -> tuple[Counter[tuple[int, int, int]], Counter[tuple[int, int, int]]]:
    received, rows, at, values = zip(*arrivals, strict=True) if arrivals else ((), (), (), ())
    readings = Readings.of(np.zeros(len(rows), np.int32), at, values, received_at=received)
    changes = book.advance(np.array(rows, np.int64), readings, now_ms)
    book.tidy(now_ms)
    return keys(changes.happened), keys(changes.undone)


def from_scratch(book: RoomBook, arrivals: list[Arrival], until_ms: int) -> Counter[tuple[int, int, int]]:
    received, rows, at, values = zip(*arrivals, strict=True)
    readings = Readings.of(np.zeros(len(rows), np.int32), at, values, received_at=received)
    series = clean_series(np.array(rows), readings, np.zeros(len(book.rooms)))
    rules = room_rules(book.rooms, book.exclusions, POLICY, ZONE, book.hold_ms, START, until_ms + 1)
    found = fold_alarms(series, rules, fresh_states(len(book.rooms)), START, until_ms + 1)
    return Counter({key: count for key, count in keys(found).items() if key[1] <= until_ms})


def wandering(chance: random.Random, rooms: int, hours: int, most_late_min: int) -> list[Arrival]:
    arrivals: list[Arrival] = []
    for row in range(rooms):
        at, value = START + chance.randrange(10) * MINUTE, 17.5
        while at < START + hours * HOUR:
            late = chance.choice([0, 0, 0, 0, chance.randrange(most_late_min + 1)]) * MINUTE
            arrivals.append((at + 500 + late, row, at, value))
            if chance.random() < 0.05:  # once more, corrected
                arrivals.append((at + 500 + late + chance.randrange(40) * MINUTE, row, at, value + 1))
            value = chance.choice([value, value, chance.choice([15.5, 17.0, 18.0, 18.3, 19.0])])
            at += chance.choice([10, 10, 10, 10, 30, 60, 150]) * MINUTE
    return sorted(arrivals)


@pytest.mark.parametrize("seed", range(40))
def test_passes_spread_at_random_find_what_a_fold_from_scratch_finds(seed: int) -> None:
    chance = random.Random(seed)
    exclusions = [Exclusion("R1", START + 9 * HOUR, START + 11 * HOUR)]
    book = book_of(4, exclusions)
    arrivals = wandering(chance, 4, 50, chance.choice([0, 5, 200]))
    until_ms = START + 60 * HOUR
    told: Counter[tuple[int, int, int]] = Counter()
    now_ms, done = START, 0
    while now_ms < until_ms:
        now_ms = min(until_ms, now_ms + chance.choice([1, 2_000, 10 * MINUTE, 10 * MINUTE, 25 * MINUTE, 5 * HOUR]))
        batch = []
        while done < len(arrivals) and arrivals[done][0] <= now_ms:
            batch.append(arrivals[done])
            done += 1
        happened, undone = take(book, batch, now_ms)
        assert not undone - told, "what was never told can't be undone"
        assert not happened & told, "nothing is told twice"
        told = told + happened - undone
        if chance.random() < 0.1:
            book.settle(now_ms - 6 * HOUR)
        if chance.random() < 0.1:
            dumped, book = book.dump(), book_of(4, exclusions)
            book.restore(dumped, now_ms)
    assert told == from_scratch(book, arrivals, until_ms)
    assert book.at.shape[1] == CAPACITY


def test_a_watch_that_was_down_for_days_misses_nothing() -> None:
    arrivals = [(START + n * 5 * MINUTE, 0, START + n * 5 * MINUTE, 17.0 if n % 60 < 30 else 19.0) for n in range(900)]
    until_ms = START + 900 * 5 * MINUTE
    book = book_of(1)
    happened, undone = take(book, arrivals, until_ms)
    assert not undone
    assert happened == from_scratch(book, arrivals, until_ms)
    assert sum(kind == RoomEvent.RAISED for _, _, kind in happened) > 5


def test_an_alarm_raised_at_the_instant_of_a_reading_outlives_its_readings() -> None:
    book = book_of(1)
    told: Counter[tuple[int, int, int]] = Counter()
    for n in range(36, 36 + 120):  # from 06:00 on: raised at 07:00:00, as a reading is measured
        at = START + n * 10 * MINUTE
        happened, undone = take(book, [(at, 0, at, 17.0)], at)
        assert not undone
        told += happened
        if at == START + 13 * HOUR:
            book.settle(START + 7 * HOUR)
    assert sorted((at - START, kind) for _, at, kind in told) == [(6 * HOUR, RoomEvent.PENDING), (7 * HOUR, RoomEvent.RAISED)]


def test_readings_from_before_the_checkpoint_wait_and_those_from_before_everything_are_counted() -> None:
    book = book_of(1)
    for n in range(100):
        take(book, [(START + n * 10 * MINUTE, 0, START + n * 10 * MINUTE, 19.0)], START + n * 10 * MINUTE)
    book.settle(START + 10 * HOUR)
    readings = Readings.of([0, 0], [START + HOUR, START - 1], [10.0, 10.0], received_at=[START + 16 * HOUR] * 2)
    rows, too_late = book.note_late(np.zeros(2, np.int64), readings)
    changes = book.advance(np.zeros(2, np.int64), readings, START + 17 * HOUR)
    assert (rows.tolist(), too_late, len(changes.happened.at), len(changes.undone.at)) == ([0], 1, 0, 0)
    assert (book.late().tolist(), book.late_from.tolist()) == ([0], [START + HOUR])

"""What every history does, whatever keeps the readings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.reading import Quality, Readings
from store.duplicates import newest, resolve
from store.history import History
from store.history.forward import Forwarder
from store.journal import Journal
from store.points import PointRegistry
from store.readings import CURSOR
from store.rollup import roll_up

DAY_MS = 86_400_000
START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
Reopen = Callable[[], History]


def same(left: Readings, right: Readings) -> bool:
    return (
        left.point.tolist() == right.point.tolist()
        and left.measured_at.tolist() == right.measured_at.tolist()
        and left.received_at.tolist() == right.received_at.tolist()
        and left.quality.tolist() == right.quality.tolist()
        and np.array_equal(left.value, right.value, equal_nan=True)
    )


def test_an_empty_history_answers(history: History) -> None:
    assert len(history.read([0, 1], START, START + DAY_MS)) == 0
    assert len(history.latest([0, 1], START)) == 0
    history.write(Readings.empty())
    history.tidy()


def test_what_is_written_is_read_sorted_by_point_and_time(history: History) -> None:
    written = Readings.of(
        [7, 3, 7, 3],
        [START + 20, START + 10, START + 10, START + 30],
        [1.5, -0.1, 21.3, 1e-9],
        received_at=[START + 25, START + 11, START + 12, START + 99_999],
        quality=[Quality.GOOD, Quality.SUSPECT_RANGE, Quality.CLOCK, Quality.RANGE],
    )
    history.write(written)
    assert same(history.read([7, 3], START, START + DAY_MS), written.take(np.array([1, 3, 2, 0])))
    assert len(history.read([], START, START + DAY_MS)) == 0
    assert len(history.read([8], START, START + DAY_MS)) == 0
    assert history.read([3, 3, 7], START, START + DAY_MS).point.tolist() == [3, 3, 7, 7]


def test_a_period_is_half_open(history: History) -> None:
    history.write(Readings.of([1, 1, 1], [START, START + 10, START + 20], [1.0, 2.0, 3.0]))
    assert history.read([1], START, START + 20).value.tolist() == [1.0, 2.0]
    assert history.read([1], START + 1, START + 21).value.tolist() == [2.0, 3.0]
    assert len(history.read([1], START + 10, START + 10)) == 0
    assert len(history.read([1], START + 20, START)) == 0


def test_midnight_cuts_nothing(history: History) -> None:
    at = START + np.arange(-5, 5) * 1_000
    history.write(Readings.of(np.full(10, 4), at, np.arange(10.0)))
    assert history.read([4], START - 3_000, START + 3_000).value.tolist() == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert history.read([4], START - 10 * DAY_MS, START + 10 * DAY_MS).measured_at.tolist() == at.tolist()


def test_writing_again_changes_nothing(history: History) -> None:
    readings = Readings.of([1, 2, 1], [START, START, START + 1], [1.0, 2.0, 3.0])
    for _ in range(3):
        history.write(readings)
    assert same(history.read([1, 2], START, START + DAY_MS), resolve(readings))


def test_of_two_readings_of_an_instant_the_one_received_last_counts(history: History) -> None:
    history.write(Readings.of([1], [START], [3.0], received_at=[START + 30]))
    history.write(Readings.of([1], [START], [2.0], received_at=[START + 20]))
    assert history.read([1], START, START + 1).value.tolist() == [3.0]
    history.write(Readings.of([1, 1], [START, START], [5.0, 4.0], received_at=[START + 50, START + 40]))
    assert history.read([1], START, START + 1).value.tolist() == [5.0]
    history.write(Readings.of([1], [START], [6.0], received_at=[START + 50]))  # received together: the later row
    assert history.read([1], START, START + 1).value.tolist() == [6.0]


def test_a_bad_reading_never_hides_a_usable_one_of_its_instant(history: History) -> None:
    history.write(Readings.of([1], [START], [21.0], received_at=[START + 1]))
    history.write(Readings.of([1], [START], [float("nan")], received_at=[START + 2], quality=[Quality.NOT_A_NUMBER]))
    assert history.read([1], START, START + 1).value.tolist() == [21.0]


def test_bad_readings_and_odd_values_are_kept_as_they_are(history: History) -> None:
    value = [float("nan"), float("inf"), -3276.8, 0.1 + 0.2]
    readings = Readings.of(range(4), [START] * 4, value, quality=[Quality.NOT_A_NUMBER, Quality.DECODE, Quality.SENTINEL, Quality.GOOD])
    history.write(readings)
    assert same(history.read(range(4), START, START + 1), readings)


def test_late_readings_find_their_place(history: History) -> None:
    history.write(Readings.of([1], [START + 5 * DAY_MS], [5.0]))
    history.write(Readings.of([1], [START + 1 * DAY_MS], [1.0], received_at=[START + 5 * DAY_MS]))
    history.tidy()
    history.write(Readings.of([1], [START + 1 * DAY_MS - 1], [0.5], received_at=[START + 6 * DAY_MS]))
    assert history.read([1], START, START + 9 * DAY_MS).value.tolist() == [0.5, 1.0, 5.0]


def test_the_latest_of_each_point(history: History) -> None:
    history.write(Readings.of([1, 2], [START, START + 1], [1.0, 2.0]))
    history.write(Readings.of([1, 3], [START + 3 * DAY_MS, START + 3 * DAY_MS], [1.5, 3.0], quality=[Quality.RANGE, Quality.GOOD]))
    after = START + 4 * DAY_MS
    assert history.latest([3, 2, 1, 9], after).value.tolist() == [1.5, 2.0, 3.0]
    assert history.latest([3, 2, 1, 9], after, usable=True).value.tolist() == [1.0, 2.0, 3.0]
    assert history.latest([1, 3], START + 3 * DAY_MS).value.tolist() == [1.0]
    assert len(history.latest([1], START)) == 0
    assert len(history.latest([], after)) == 0


def test_another_process_sees_what_was_written_and_after_tidying_too(reopen: Reopen) -> None:
    writer, reader = reopen(), reopen()
    for number in range(12):
        writer.write(Readings.of([1, 2], [START + number, START + number], [float(number), -1.0]))
        assert reader.read([1], START, START + DAY_MS).value.tolist() == [float(value) for value in range(number + 1)]
    writer.tidy()
    assert reader.read([1], START, START + DAY_MS).value.tolist() == [float(value) for value in range(12)]
    assert reopen().read([1], START, START + DAY_MS).value.tolist() == [float(value) for value in range(12)]


def test_the_latest_of_a_whole_town_is_that_of_its_points(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many points servers are asked without naming them; those that were not asked for are left out of the answer."""
    count = 120
    at = START + np.arange(count) * 1_000
    quality = np.where(np.arange(count) % 5 == 4, Quality.RANGE, Quality.GOOD)
    for turn in range(2):
        value = np.where((np.arange(count) % 7 == 3) & (turn == 1), np.nan, np.arange(count) + turn / 2)
        history.write(Readings.of(np.arange(count), at + turn * DAY_MS, value, quality=quality if turn else np.zeros(count, np.uint8)))
    history.write(Readings.of([7, 8], [START + 9 * DAY_MS - 1, START + 9 * DAY_MS - 2], [7.5, np.nan]))  # and these spoke just now
    asked = np.delete(np.arange(count, dtype=np.int32), [0, 50])
    for usable in (False, True):
        named = history.latest(asked, START + 9 * DAY_MS, usable=usable)
        assert named.point.tolist() == asked.tolist()
        with monkeypatch.context() as few:
            few.setattr("store.history.metricsql._WHOLE_ABOVE", 1)
            few.setattr("store.history.influxdb._WHOLE_ABOVE", 1)
            assert same(history.latest(asked, START + 9 * DAY_MS, usable=usable), named)


@pytest.mark.parametrize("jump_min", [60, -60])
def test_the_host_s_clock_may_jump_an_hour(reopen: Reopen, tmp_path: Path, jump_min: int) -> None:
    """Readings come by the wrong clock for a while, then by the right one again: each stays, under the time it was accepted with."""
    journal, history = Journal(tmp_path / "journal.db"), reopen()
    forwarder = Forwarder(journal, history)
    accepted: list[Readings] = []

    def minutes(first: int, last: int, by_ms: int) -> None:
        for minute in range(first, last):
            at = START + 12 * HOUR_MS + minute * 60_000 + by_ms
            accepted.append(Readings.of([1, 2], [at, at], [minute + by_ms / 7e6, 0.5], received_at=[at + 9, at + 9]))
            journal.append(accepted[-1])
            if minute % 10 == 9:
                forwarder.step(minute * 60.0)
                journal.prune(at)
                history.tidy(at)

    minutes(0, 30, 0)
    minutes(30, 60, jump_min * 60_000 + 1)  # by its own milliseconds: what is measured twice at one instant is one reading (R2)
    minutes(60, 150, 0)
    forwarder.step(1e6)
    everything = resolve(Readings.concat(accepted))
    assert len(everything) == 2 * 150
    assert same(history.read([1, 2], START, START + 2 * DAY_MS), everything)
    assert history.rollup([1], START, START + 2 * DAY_MS, DAY_MS).count.sum() == 150
    assert history.latest([1], START + 2 * DAY_MS).measured_at.tolist() == [everything.measured_at.max()]
    assert (journal.lost(), journal.backlog(CURSOR).readings, set(history.counts().values())) == (0, 0, {0})
    journal.close()


HOUR_MS = 3_600_000

reading = st.tuples(
    st.integers(0, 3),
    st.integers(0, 2 * DAY_MS) | st.integers(0, 3).map(lambda hours: hours * 3_600_000),
    st.integers(0, 5),
    st.sampled_from([18.0, 18.1, 21.55, float("nan")]),
    st.sampled_from([Quality.GOOD, Quality.RATE, Quality.RANGE]),
)
writes = st.lists(st.lists(reading, max_size=12), max_size=12)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=writes, tidy_after=st.sets(st.integers(0, 11)), data=st.data())
def test_any_writes_in_any_order_read_as_the_rule_says(reopen: Reopen, writes: list, tidy_after: set[int], data: st.DataObject) -> None:  # type: ignore[type-arg]
    history = reopen()
    # Each example has days of its own: the fixture's folder is shared by all of them.
    base = START - data.draw(st.integers(0, 3_000)) * 3 * DAY_MS
    known = history.read(range(4), base, base + 3 * DAY_MS)
    for number, rows in enumerate(writes):
        columns = [[row[index] for row in rows] for index in range(5)]
        readings = Readings.of(
            columns[0],
            base + np.array(columns[1], np.int64),
            columns[3],
            received_at=base + np.array(columns[2], np.int64),
            quality=columns[4],
        )
        history.write(readings)
        known = Readings.concat([known, readings])
        if number in tidy_after:
            history.tidy()
    from_ms, to_ms = base + data.draw(st.integers(0, DAY_MS)), base + data.draw(st.integers(DAY_MS, 3 * DAY_MS))
    expected = resolve(known)
    inside = (expected.measured_at >= from_ms) & (expected.measured_at < to_ms)
    assert same(history.read(range(4), from_ms, to_ms), expected.take(inside))
    before = newest(known.take(known.measured_at < to_ms))
    assert same(history.latest(before.point, to_ms), before)


@pytest.mark.parametrize("count", [1, 100_000])
def test_sizes(history: History, count: int) -> None:
    at = START + np.arange(count) * 100
    history.write(Readings.of(np.arange(count) % 150, at, np.round(np.sin(np.arange(count)), 2)))
    assert len(history.read(range(150), START, START + DAY_MS)) == count
    assert len(history.read([0], START, START + DAY_MS)) == -(-count // 150)


def test_doubles_come_back_bit_for_bit_beside_any_others(history: History) -> None:
    random = np.random.default_rng(20261121)
    single = random.normal(50, 20, 200).astype(np.float32).astype(np.float64)  # what meters send: no decimals
    value = np.concatenate(
        [single, random.normal(0, 1, 50), np.round(random.normal(20, 5, 200), 3), [1e300, 1e-300, 2.5e9, -1e15, 0.0, 1 / 3]]
    )
    at = START + np.arange(len(value)) * 10_000
    history.write(Readings.of(np.full(len(value), 5), at, value))
    assert history.read([5], START, START + DAY_MS).value.tolist() == value.tolist()


def test_names_of_every_kind_find_their_way(history: History, registry: PointRegistry) -> None:
    names = [
        "room/1 号楼, 2=单元/indoor_temp_c",
        "room/a\"b'c\\d%20/indoor_temp_c",
        "source/opc#1|x[.]^$/exchange_ok",
        "no point at all",
        "room/.*/indoor_temp_c",
    ]
    points = registry.ids(names)
    history.write(Readings.of(points, np.full(len(points), START), np.arange(len(points), dtype=np.float64)))
    history.write(Readings.of([5], [START], [50.0]))
    for point in points.tolist():
        assert history.read([point], START, START + 1).value.tolist() == [float(point - points[0])]
    assert history.read(points, START, START + 1).value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert history.latest(points, START + 1).value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_latest_usable_reading_behind_newer_bad_ones(history: History) -> None:
    at = START + np.arange(6) * 1_000
    quality = [Quality.GOOD, Quality.SUSPECT_RANGE, Quality.RANGE, Quality.NOT_A_NUMBER, Quality.GOOD, Quality.DECODE]
    value = [1.0, 2.0, 3.0, np.nan, np.inf, 6.0]
    history.write(Readings.of(np.zeros(6, np.int32), at, value, received_at=at + 7, quality=quality))
    usable = history.latest([0], START + DAY_MS, usable=True)
    assert (usable.value.tolist(), usable.measured_at.tolist(), usable.received_at.tolist()) == ([2.0], [START + 1_000], [START + 1_007])
    assert usable.quality.tolist() == [Quality.SUSPECT_RANGE]
    assert history.latest([0], START + DAY_MS).value.tolist() == [6.0]
    assert history.latest([0], START + 4_500).value.tolist() == [np.inf]


def rolled(history: History, from_ms: int, to_ms: int, step_ms: int) -> list[tuple[int, int, float, float, float, int]]:
    found = history.rollup([3, 1], from_ms, to_ms, step_ms)
    columns = (found.point, (found.at - START) // 60_000, found.low, np.round(found.mean, 9), found.high, found.count)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_rollup_says_least_mean_greatest_and_how_many(history: History) -> None:
    at = START + np.array([0, 30, 59, 60, 200, 200]) * 60_000
    history.write(Readings.of([1, 1, 1, 1, 1, 3], at, [1.0, 2.0, 6.0, 4.0, 5.0, -1.5]))
    hourly = [(1, 0, 1.0, 3.0, 6.0, 3), (1, 60, 4.0, 4.0, 4.0, 1), (1, 180, 5.0, 5.0, 5.0, 1), (3, 180, -1.5, -1.5, -1.5, 1)]
    assert rolled(history, START, START + DAY_MS, HOUR_MS) == hourly
    assert rolled(history, START, START + DAY_MS, DAY_MS) == [(1, 0, 1.0, 3.6, 6.0, 5), (3, 0, -1.5, -1.5, -1.5, 1)]
    # Stretches count from the begin asked for, and end with the end asked for.
    assert rolled(history, START + HOUR_MS // 2, START + 200 * 60_000, HOUR_MS) == [(1, 30, 2.0, 4.0, 6.0, 3)]
    assert rolled(history, START, START, HOUR_MS) == []
    assert len(history.rollup([], START, START + DAY_MS, HOUR_MS)) == 0


def test_a_rollup_leaves_out_what_is_bad_and_follows_what_comes_late(history: History) -> None:
    quality = [Quality.GOOD, Quality.RANGE, Quality.NOT_A_NUMBER, Quality.RATE]
    history.write(Readings.of([1] * 4, START + np.arange(4) * 1_000, [20.0, 999.0, np.nan, 22.0], quality=quality))
    assert rolled(history, START, START + DAY_MS, HOUR_MS) == [(1, 0, 20.0, 21.0, 22.0, 2)]
    history.tidy()
    later = START + 5 * DAY_MS
    history.write(Readings.of([1], [later], [1.0]))
    history.write(Readings.of([1, 1], [START + 10, START + 3_000], [12.0, 24.0], received_at=[later, later]))  # one new, one that replaces
    assert rolled(history, START, START + DAY_MS, HOUR_MS) == [(1, 0, 12.0, round(56 / 3, 9), 24.0, 3)]
    history.tidy()
    assert rolled(history, START, START + DAY_MS, HOUR_MS) == [(1, 0, 12.0, round(56 / 3, 9), 24.0, 3)]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=writes, step_min=st.sampled_from([5, 60, 180, 1440]), offset_min=st.integers(-90, 90), data=st.data())
def test_any_rollup_is_that_of_its_readings(reopen: Reopen, rows: list, step_min: int, offset_min: int, data: st.DataObject) -> None:  # type: ignore[type-arg]
    history = reopen()
    base = START - data.draw(st.integers(0, 300)) * 3 * DAY_MS
    for part in rows:
        columns = [[row[index] for row in part] for index in range(5)]
        received_at = base + np.array(columns[2], np.int64)
        history.write(
            Readings.of(columns[0], base + np.array(columns[1], np.int64), columns[3], received_at=received_at, quality=columns[4])
        )
        if data.draw(st.booleans()):
            history.tidy()
    from_ms, to_ms, step_ms = base + offset_min * 60_000, base + 2 * DAY_MS, step_min * 60_000
    found = history.rollup(range(4), from_ms, to_ms, step_ms)
    expected = roll_up(history.read(range(4), from_ms, to_ms), from_ms, to_ms, step_ms)
    for column in ("point", "at", "low", "high", "count"):
        assert getattr(found, column).tolist() == getattr(expected, column).tolist()
    assert np.allclose(found.mean, expected.mean, rtol=1e-9)


def test_the_span_holds_every_reading(history: History) -> None:
    assert history.span() is None
    assert list(history.days()) == []
    history.write(Readings.of([1, 2], [START + 5, START + 40 * DAY_MS], [1.0, 2.0], quality=[Quality.GOOD, Quality.RANGE]))
    span = history.span()
    assert span is not None
    assert START - DAY_MS < span[0] <= START + 5
    assert START + 40 * DAY_MS <= span[1] < START + 41 * DAY_MS
    assert {START // DAY_MS, START // DAY_MS + 40} <= set(history.days())
    assert list(history.days()) == sorted(set(history.days()))


def test_a_history_knows_itself_again(reopen: Reopen) -> None:
    one, two = reopen(), reopen()
    assert one.identity() == two.identity() == reopen().identity()
    two.tidy()
    assert one.identity() == two.identity()
    assert one.boot() == two.boot()


def test_nothing_is_missing_at_first(history: History) -> None:
    history.write(Readings.of([1], [START], [1.0]))
    assert set(history.counts().values()) == {0}

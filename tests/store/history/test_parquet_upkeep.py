"""The Parquet history's stored hours, its file of newest readings and its retention: never other than the readings themselves say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.reading import Quality, Readings
from store.duplicates import newest
from store.history.hours_file import FOLDER, HOUR_MS
from store.history.newest_file import FILE, NewestFile, NewestRows
from store.history.parquet import ParquetHistory
from store.rollup import Rollup, roll_up

DAY_MS = 86_400_000
START = 1_769_817_600_000  # 2026-01-31T00:00:00Z: the month ends within every test


def name(point: int) -> str:
    return f"room/R{point}/indoor_temp_c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


def days_of_readings(days: int, points: int = 30, every_ms: int = 600_000, seed: int = 1) -> Readings:
    random = np.random.default_rng(seed)
    count = days * DAY_MS // every_ms
    at = np.repeat(START + np.arange(count) * every_ms, points)
    value = np.round(random.normal(20, 3, count * points), 1)
    quality = np.where(random.random(count * points) < 0.02, Quality.RANGE, Quality.GOOD)
    return Readings.of(np.tile(np.arange(points), count), at, value, received_at=at + 50, quality=quality)


def settled(folder: Path, readings: Readings, days: float = 0.0) -> ParquetHistory:
    """A history of these readings with all upkeep done; a reading on a later day ends their last one."""
    history = ParquetHistory(folder, name, grace_s=0, days=days)
    history.write(readings)
    history.write(Readings.of([0], [int(readings.measured_at.max()) // DAY_MS * DAY_MS + 3 * DAY_MS], [1.0]))
    for _ in range(4):
        history.tidy()
    return history


def equal(left: Rollup, right: Rollup) -> bool:
    exact = ("point", "at", "low", "high", "count")
    return all(getattr(left, column).tolist() == getattr(right, column).tolist() for column in exact) and np.allclose(left.mean, right.mean)


def months(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / FOLDER).iterdir())


def test_a_month_that_is_counted_anew_while_its_hours_are_read_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = days_of_readings(2)
    writer, reader = settled(folder, readings), ParquetHistory(folder, name)
    points, everyone, until = range(30), range(60), START + 2 * DAY_MS
    before = reader.rollup(points, START, until, HOUR_MS)  # it knows now where what stands in the month's file
    opened, known = pq.ParquetFile, (folder / FOLDER / "2026-01.parquet").stat().st_ino
    late = Readings.of(np.arange(30, 60), np.full(30, START + 1), np.full(30, 5.0))

    def counted_anew_first(path: Path, **how: Any) -> pq.ParquetFile:
        monkeypatch.setattr(pq, "ParquetFile", opened)
        writer.write(late)
        for _ in range(4):
            writer.tidy()
        assert path.stat().st_ino != known
        return opened(path, **how)

    monkeypatch.setattr(pq, "ParquetFile", counted_anew_first)
    assert equal(reader.rollup(points, START, until, HOUR_MS), before)
    assert reader.damaged == 0
    expected = roll_up(reader.read(everyone, START, until), START, until, HOUR_MS)
    assert equal(reader.rollup(everyone, START, until, HOUR_MS), expected)


def test_hours_of_finished_days_are_stored_by_month_and_read_from_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = days_of_readings(3)
    history = settled(folder, readings)
    assert months(folder) == ["2026-01.parquet", "2026-02.parquet"]
    expected = roll_up(history.read(range(30), START, START + 3 * DAY_MS), START, START + 3 * DAY_MS, HOUR_MS)
    monkeypatch.setattr(history, "read", lambda *_: pytest.fail("the readings themselves are not needed"))
    assert equal(history.rollup(range(30), START, START + 3 * DAY_MS, HOUR_MS), expected)
    assert len(expected) == 30 * 72


@pytest.mark.parametrize("step_h", [1, 3, 24, 720])
@pytest.mark.parametrize(("from_h", "to_min"), [(0, 72 * 60), (5, 61 * 60 + 20), (16, 40), (-50, 90 * 60), (7, 7 * 60 + 10)])
def test_any_stretch_of_hours_is_that_of_the_readings(folder: Path, step_h: int, from_h: int, to_min: int) -> None:
    history = settled(folder, days_of_readings(3, points=5))
    from_ms, to_ms = START + from_h * HOUR_MS, START + to_min * 60_000
    points = np.array([1, 3, 4])
    expected = roll_up(history.read(points, from_ms, to_ms), from_ms, to_ms, step_h * HOUR_MS)
    assert equal(history.rollup(points, from_ms, to_ms, step_h * HOUR_MS), expected)


def test_late_readings_count_at_once_and_are_taken_into_the_month_later(folder: Path) -> None:
    history = settled(folder, days_of_readings(3))
    before = (folder / FOLDER / "2026-02.parquet").stat().st_ino
    late = START + DAY_MS + 5 * HOUR_MS + 1
    history.write(Readings.of([7, 99], [late, late], [-40.0, 5.0], received_at=[late + 9 * DAY_MS] * 2))
    for _ in range(2):
        found = history.rollup([7, 99], START, START + 3 * DAY_MS, HOUR_MS)
        assert equal(found, roll_up(history.read([7, 99], START, START + 3 * DAY_MS), START, START + 3 * DAY_MS, HOUR_MS))
        assert found.low.min() == -40.0
        history.tidy()
        history.tidy()
    assert (folder / FOLDER / "2026-02.parquet").stat().st_ino != before
    assert months(folder) == ["2026-01.parquet", "2026-02.parquet"]


def test_another_process_s_late_write_is_tidied_too(folder: Path) -> None:
    history = settled(folder, days_of_readings(2))
    ParquetHistory(folder, name).write(Readings.of([3], [START + 5], [-1.0]))
    history.tidy()
    history.tidy()
    assert len(list((folder / "2026-01-31").iterdir())) == 1
    assert history.rollup([3], START, START + HOUR_MS, HOUR_MS).low.tolist() == [-1.0]


def test_trickling_late_data_does_not_rewrite_a_month_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(folder, days_of_readings(2))
    before = (folder / FOLDER / "2026-01.parquet").stat().st_ino
    history = ParquetHistory(folder, name, grace_s=0)
    history.write(Readings.of([3], [START + 5], [-1.0]))
    monkeypatch.setattr(history._upkeep, "_rested", lambda _: False)
    history.tidy()
    assert (folder / FOLDER / "2026-01.parquet").stat().st_ino == before
    assert history.rollup([3], START, START + HOUR_MS, HOUR_MS).low.tolist() == [-1.0]


def test_a_damaged_month_is_passed_over_and_made_again(folder: Path) -> None:
    history = settled(folder, days_of_readings(3))
    expected = history.rollup(range(30), START, START + 3 * DAY_MS, HOUR_MS)
    path = folder / FOLDER / "2026-02.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b"\x5a" * (len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    assert equal(ParquetHistory(folder, name).rollup(range(30), START, START + 3 * DAY_MS, HOUR_MS), expected)
    path.write_bytes(b"PAR1 nothing")
    again = ParquetHistory(folder, name, grace_s=0)
    assert equal(again.rollup(range(30), START, START + 3 * DAY_MS, HOUR_MS), expected)
    again.tidy()
    again.tidy()
    assert equal(again.rollup(range(30), START, START + 3 * DAY_MS, HOUR_MS), expected)
    assert path.stat().st_size > 5_000


def test_a_month_damaged_where_nobody_looked_is_made_again_with_the_next_late_reading(folder: Path) -> None:
    history = settled(folder, days_of_readings(3))
    path = folder / FOLDER / "2026-02.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b"\x5a" * (len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    history.write(Readings.of([3], [START + DAY_MS], [-1.0], received_at=[START + 9 * DAY_MS]))
    for _ in range(4):
        history.tidy()
    assert (folder / FOLDER / "damaged-2026-02.parquet").exists()
    expected = roll_up(history.read([3], START, START + 3 * DAY_MS), START, START + 3 * DAY_MS, HOUR_MS)
    assert equal(history.rollup([3], START, START + 3 * DAY_MS, HOUR_MS), expected)
    assert history._upkeep._counted(START // DAY_MS + 2)


def test_hours_are_counted_a_span_of_points_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.history.merge._AT_ONCE", 1_000)
    monkeypatch.setattr("store.history.part_file.ROW_GROUP", 100)
    monkeypatch.setattr("store.history.hours_file.ROW_GROUP", 50)
    readings = days_of_readings(2)
    history = settled(folder, readings)
    history.write(Readings.of([3, 200], [START + 5, START + 6], [-1.0, 7.0]))
    for _ in range(3):
        history.tidy()
    points = [*range(30), 200]
    expected = roll_up(history.read(points, START, START + 2 * DAY_MS), START, START + 2 * DAY_MS, HOUR_MS)
    assert equal(history.rollup(points, START, START + 2 * DAY_MS, HOUR_MS), expected)
    assert history._upkeep._counted(START // DAY_MS)


# ── the newest of each point ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_newest_are_known_without_a_look_at_the_days(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = days_of_readings(2)
    settled(folder, readings)
    assert (folder / FILE).exists()
    reader = ParquetHistory(folder, name)
    monkeypatch.setattr(reader._reader, "read", lambda *_: pytest.fail("no file of a day is needed"))
    expected = newest(readings.take(readings.point > 0))
    assert reader.latest(range(1, 30), 2**62).value.tolist() == expected.value.tolist()
    usable = newest(readings.take(readings.point > 0).usable())
    assert reader.latest(range(1, 30), 2**62, usable=True).measured_at.tolist() == usable.measured_at.tolist()
    assert len(reader.latest([77], 2**62)) == 0


def test_what_was_written_since_is_newer(folder: Path) -> None:
    history = settled(folder, days_of_readings(2))
    after = START + 5 * DAY_MS
    history.write(Readings.of([1, 2, 40], [after, START, after], [9.0, -9.0, 40.0], quality=[Quality.GOOD, Quality.GOOD, Quality.RANGE]))
    assert history.latest([1, 40], 2**62).value.tolist() == [9.0, 40.0]
    assert history.latest([2], 2**62).value.tolist() != [-9.0]
    assert history.latest([1, 40], 2**62, usable=True).value.tolist() == [9.0]
    assert history.latest([1], after).measured_at.tolist() == [START + 2 * DAY_MS - 600_000]


reading = st.tuples(
    st.integers(0, 4),
    st.integers(0, 3 * DAY_MS),
    st.integers(0, 3),
    st.sampled_from([1.0, 2.0, float("nan")]),
    st.sampled_from([Quality.GOOD, Quality.RANGE]),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(st.tuples(st.lists(reading, min_size=1, max_size=8), st.booleans()), max_size=8), before=st.integers(0, 4 * DAY_MS))
def test_the_latest_is_that_of_all_readings_whenever_it_was_noted(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[list[tuple[int, int, int, float, Quality]], bool]], before: int
) -> None:
    folder = tmp_path_factory.mktemp("history")
    history = ParquetHistory(folder, name, grace_s=0)
    known = Readings.empty()
    for rows, tidy in writes:
        points, ats, received, values, qualities = zip(*rows, strict=True)
        at, received_at = START + np.array(ats, np.int64), START + np.array(received, np.int64)
        part = Readings.of(points, at, values, received_at=received_at, quality=qualities)
        history.write(part)
        known = Readings.concat([known, part])
        if tidy:
            history.tidy()
    until = known.take(known.measured_at < START + before)
    for usable in (False, True):
        expected = newest(until.usable() if usable else until)
        found = history.latest(range(6), START + before, usable=usable)
        assert (found.point.tolist(), found.measured_at.tolist()) == (expected.point.tolist(), expected.measured_at.tolist())
        assert found.received_at.tolist() == expected.received_at.tolist()
        assert np.array_equal(found.value, expected.value, equal_nan=True)


def test_a_damaged_file_of_the_newest_is_made_again(folder: Path) -> None:
    history = settled(folder, days_of_readings(2))
    expected = history.latest(range(30), 2**62).value.tolist()
    (folder / FILE).write_bytes(b"PAR1 nothing PAR1")
    again = ParquetHistory(folder, name, grace_s=0)
    assert again.latest(range(30), 2**62).value.tolist() == expected
    again.tidy()
    assert (folder / FILE).stat().st_size > 1_000
    assert again.latest(range(30), 2**62).value.tolist() == expected


def test_a_damaged_day_hides_no_later_write(folder: Path) -> None:
    """The number of a file set aside is not given again: what is known by that number would hide the new one."""
    history = ParquetHistory(folder, name, grace_s=0)
    for number in range(8):
        history.write(Readings.of([1], [START + number], [float(number)]))
    history.tidy()
    (folder / "2026-01-31" / "part-00000001-00000008.parquet").write_bytes(b"torn")
    again = ParquetHistory(folder, name, grace_s=0)
    again.tidy()
    again.write(Readings.of([1], [START + 100], [100.0]))
    assert again.latest([1], 2**62).value.tolist() == [100.0]
    assert again.read([1], START, START + DAY_MS).value.tolist() == [100.0]


# ── retention ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def days_left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("20"))


def test_days_past_their_time_go_and_their_hours_stay(folder: Path) -> None:
    history = settled(folder, days_of_readings(6, points=3), days=2.0)
    hours = history.rollup(range(3), START, START + 6 * DAY_MS, HOUR_MS)
    now = START + 6 * DAY_MS
    history.tidy(now)
    history.tidy(now)
    assert days_left(folder) == ["2026-02-03", "2026-02-04", "2026-02-05", "2026-02-08"]
    assert len(history.read(range(3), START, START + 3 * DAY_MS)) == 0
    assert equal(history.rollup(range(3), START, START + 6 * DAY_MS, HOUR_MS), hours)
    assert equal(ParquetHistory(folder, name).rollup(range(3), START, START + 6 * DAY_MS, HOUR_MS), hours)


def test_what_is_too_old_is_counted_not_kept(folder: Path) -> None:
    history = settled(folder, days_of_readings(6, points=3), days=2.0)
    history.tidy(START + 6 * DAY_MS)
    for opened in (history, ParquetHistory(folder, name, days=2.0)):
        opened.write(Readings.of([1, 1], [START, START + 6 * DAY_MS], [1.0, 2.0]))
        assert opened.counts()["expired"] == 1
    assert days_left(folder)[0] == "2026-02-03"


def test_a_clock_a_year_ahead_costs_nothing(folder: Path) -> None:
    history = settled(folder, days_of_readings(3, points=3), days=30.0)
    history.tidy(START + 400 * DAY_MS)
    history.tidy(START + 400 * DAY_MS)
    assert len(days_left(folder)) == 4


def test_nothing_goes_before_its_hours_are_counted(folder: Path) -> None:
    history = ParquetHistory(folder, name, grace_s=3_600, days=1.0)
    for seed in range(2):
        history.write(days_of_readings(5, points=3, seed=seed))
    history.tidy(START + 5 * DAY_MS)
    assert len(days_left(folder)) == 5


def test_without_a_retention_all_stays(folder: Path) -> None:
    history = settled(folder, days_of_readings(2, points=3))
    history.tidy(START + 10_000 * DAY_MS)
    assert len(days_left(folder)) == 3


POINTS = np.arange(6, dtype=np.int32)
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3), st.sampled_from([0, 2, 65])), max_size=12)


@given(batches=st.lists(ROWS, max_size=5))
def test_the_newest_seen_batch_by_batch_are_the_newest_of_all(batches: list[list[tuple[int, int, int, int]]]) -> None:
    seen, everything = NewestRows.none(), Readings.empty()
    for number, rows in enumerate(batches):
        point, at, received, quality = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0, int),) * 4
        batch = Readings.of(point, at, np.arange(len(rows)) + 100.0 * number, received_at=received, quality=quality)
        seen, everything = seen.seeing(batch), Readings.concat([everything, batch])
    for found, expected in ((seen.any, newest(everything)), (seen.of(POINTS, usable=True), newest(everything.usable()))):
        assert found.point.tolist() == expected.point.tolist()
        assert found.measured_at.tolist() == expected.measured_at.tolist()
        assert found.value.tolist() == expected.value.tolist()
        assert found.quality.tolist() == expected.quality.tolist()


def test_the_file_of_the_newest_is_not_read_again_by_who_wrote_it(tmp_path: Path) -> None:
    rows = NewestRows.none().seeing(Readings.of([3, 1], [10, 20], [1.5, 2.5], quality=[0, 65]))
    file = NewestFile(tmp_path)
    file.save(replace(rows, covered={20_000: 7}))
    kept = file.load()
    assert kept is not None
    assert kept.any is rows.any
    again = NewestFile(tmp_path).load()
    assert again is not None
    assert again.covered == {20_000: 7}
    assert (again.any.point.tolist(), again.of(POINTS, usable=True).point.tolist()) == ([1, 3], [3])
    file.save(again)
    assert NewestFile(tmp_path).load() is not None

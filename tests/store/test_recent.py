from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from domain.errors import StoreError
from domain.reading import Quality, Readings
from store.history.forward import Forwarder
from store.history.parquet import ParquetHistory
from store.history.protocol import Points
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings, read_rollup
from store.recent import Recent

START = 1_768_348_800_000
DAY_MS = 86_400_000
A, B, C = "room/A/indoor_temp_c", "room/B/indoor_temp_c", "room/C/indoor_temp_c"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


@pytest.fixture
def points(tmp_path: Path) -> Iterator[PointRegistry]:
    points = PointRegistry(tmp_path / "points.db")
    points.ids([A, B])
    yield points
    points.close()


@pytest.fixture
def history(tmp_path: Path, points: PointRegistry) -> ParquetHistory:
    return ParquetHistory(tmp_path / "history", points.name)


def one(point: int, at: int, value: float, quality: Quality = Quality.GOOD, received: int | None = None) -> Readings:
    return Readings.of([point], [START + at], [value], received_at=[START + (at if received is None else received)], quality=[quality])


def test_nothing_is_known_at_first(journal: Journal, history: ParquetHistory, points: PointRegistry) -> None:
    found = Recent(journal, history, points).of([A, "room/never/indoor_temp_c"])
    assert found.known.tolist() == [False, False]
    assert np.isnan(found.value).all()


def test_it_starts_from_what_is_forwarded_of_points_that_another_process_has_registered(
    tmp_path: Path, journal: Journal, history: ParquetHistory, points: PointRegistry
) -> None:
    """A device that has said something once since the dashboard was started, and then fallen silent, has not never said anything."""
    with closing(PointRegistry(tmp_path / "points.db")) as collecting:
        journal.append(one(int(collecting.ids([C])[0]), 0, 21.0))
        Forwarder(journal, ParquetHistory(tmp_path / "history", collecting.name)).step()
    assert Recent(journal, history, points).of([C]).value.tolist() == [21.0]


def test_it_starts_from_history_and_journal_and_follows_the_journal(
    journal: Journal, history: ParquetHistory, points: PointRegistry
) -> None:
    journal.append(Readings.concat([one(0, 0, 18.0), one(1, 0, 19.0)]))
    Forwarder(journal, history).step()
    journal.append(one(0, 10, 18.5))
    recent = Recent(journal, history, points)
    assert recent.of([B, A]).value.tolist() == [19.0, 18.5]
    assert recent.of([A]).measured_at.tolist() == [START + 10]
    journal.append(one(1, 20, 19.5))
    assert recent.of([B]).value.tolist() == [19.0]
    assert recent.refresh() == 1
    assert recent.of([B]).value.tolist() == [19.5]
    assert recent.refresh() == 0


def test_late_readings_do_not_replace_newer_ones(journal: Journal, history: ParquetHistory, points: PointRegistry) -> None:
    recent = Recent(journal, history, points)
    journal.append(one(0, 100, 20.0))
    journal.append(one(0, 50, 15.0, received=200))
    recent.refresh()
    assert recent.of([A]).value.tolist() == [20.0]
    journal.append(one(0, 100, 21.0, received=300))
    recent.refresh()
    assert recent.of([A]).value.tolist() == [21.0]


def test_the_newest_usable_reading_stands_beside_the_newest(journal: Journal, history: ParquetHistory, points: PointRegistry) -> None:
    journal.append(one(0, 0, 20.0, Quality.SUSPECT_RANGE))
    journal.append(one(0, 10, float("nan"), Quality.NOT_A_NUMBER))
    Forwarder(journal, history).step()
    for recent in (Recent(journal, history, points), Recent(journal, history, points)):
        assert recent.of([A]).quality.tolist() == [Quality.NOT_A_NUMBER]
        assert recent.of([A]).measured_at.tolist() == [START + 10]
        assert recent.of([A], usable=True).value.tolist() == [20.0]
    assert not recent.of([B], usable=True).known[0]


def test_points_registered_later_by_another_process_are_found(
    tmp_path: Path, journal: Journal, history: ParquetHistory, points: PointRegistry
) -> None:
    recent = Recent(journal, history, points)
    other = PointRegistry(tmp_path / "points.db")
    journal.append(one(int(other.ids([C])[0]), 0, 17.0))
    recent.refresh()
    assert recent.of([A, C]).value.tolist()[1] == 17.0
    assert recent.of_ids([2, 99, 0]).known.tolist() == [True, False, False]
    other.close()


class Down(ParquetHistory):
    def latest(self, points: Points, before_ms: int, *, usable: bool = False) -> Readings:
        raise StoreError("down")


def test_without_a_history_the_journal_must_do(tmp_path: Path, journal: Journal, points: PointRegistry) -> None:
    journal.append(one(0, 0, 18.0))
    history = Down(tmp_path / "history", points.name)
    journal.advance("history", journal.last())
    assert Recent(journal, history, points).of([A]).value.tolist() == [18.0]


def test_a_hundred_thousand_points_are_cheap(journal: Journal, history: ParquetHistory, points: PointRegistry) -> None:
    count = 100_000
    recent = Recent(journal, history, points)
    for number in range(3):
        journal.append(Readings.of(np.arange(count), np.full(count, START + number), np.full(count, float(number))))
    assert recent.refresh() == 3 * count
    found = recent.of_ids(np.arange(count))
    assert found.known.all()
    assert set(found.value.tolist()) == {2.0}


def test_pages_read_history_and_the_journal_s_end_as_one(journal: Journal, history: ParquetHistory) -> None:
    journal.append(Readings.concat([one(0, 0, 1.0), one(1, 0, 9.0), one(0, 10, 2.0)]))
    Forwarder(journal, history).step()
    assert read_readings(history, journal, [0], START, START + DAY_MS).value.tolist() == [1.0, 2.0]
    journal.append(Readings.concat([one(0, 20, 3.0), one(0, 10, 2.5, received=500), one(1, 20, 9.0)]))
    assert read_readings(history, journal, [0], START, START + DAY_MS).value.tolist() == [1.0, 2.5, 3.0]
    assert read_readings(history, journal, [0], START + 5, START + 20).value.tolist() == [2.5]
    Forwarder(journal, history).step()
    assert read_readings(history, journal, [0], START, START + DAY_MS).value.tolist() == [1.0, 2.5, 3.0]


def test_long_spans_too_count_what_only_the_journal_has(journal: Journal, history: ParquetHistory) -> None:
    hour = 3_600_000
    journal.append(Readings.concat([one(0, 0, 1.0), one(1, 0, 9.0), one(0, hour, 2.0), one(0, 2 * hour, 4.0)]))
    Forwarder(journal, history).step()

    def rolled(*points: int) -> list[tuple[int, int, float, int]]:
        found = read_rollup(history, journal, points, START, START + DAY_MS, hour)
        return list(
            zip(found.point.tolist(), ((found.at - START) // hour).tolist(), found.mean.tolist(), found.count.tolist(), strict=True)
        )

    assert rolled(0) == [(0, 0, 1.0, 1), (0, 1, 2.0, 1), (0, 2, 4.0, 1)]
    journal.append(Readings.concat([one(0, 2 * hour + 5, 6.0), one(0, hour, 3.0, received=9 * hour), one(0, 3 * hour, float("nan"))]))
    assert rolled(0) == [(0, 0, 1.0, 1), (0, 1, 3.0, 1), (0, 2, 5.0, 2)]
    assert rolled(0, 1) == [(0, 0, 1.0, 1), (0, 1, 3.0, 1), (0, 2, 5.0, 2), (1, 0, 9.0, 1)]
    Forwarder(journal, history).step()
    assert rolled(0, 1) == [(0, 0, 1.0, 1), (0, 1, 3.0, 1), (0, 2, 5.0, 2), (1, 0, 9.0, 1)]

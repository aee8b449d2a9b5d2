from pathlib import Path

import numpy as np
import pytest

from domain.reading import Readings
from store.journal import Journal
from store.retention import HOUR_MS

NOISE = np.random.default_rng(3)


def batch(received_at: int, count: int = 1_000) -> Readings:
    """Readings that don't pack well: about 10 bytes each."""
    at = np.full(count, received_at, np.int64)
    return Readings.of(np.arange(count), at, NOISE.normal(size=count), received_at=at)


def hourly(journal: Journal, hours: int, start: int = 0) -> list[int]:
    return [journal.append(batch((start + hour) * HOUR_MS)) for hour in range(hours)]


def first(journal: Journal) -> int:
    return int(journal._database.rows("SELECT min(sequence) FROM batches")[0][0])


def test_what_all_have_read_goes_after_its_days(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_days=0.5)
    sequences = hourly(journal, 24)
    journal.advance("history", sequences[-1])
    journal.advance("watch", sequences[-1])
    pruned = journal.prune(now_ms=24 * HOUR_MS)
    assert (pruned.batches, pruned.readings, pruned.lost) == (12, 12_000, 0)
    assert first(journal) == sequences[12]
    assert journal.prune(now_ms=24 * HOUR_MS).batches == 0


def test_what_one_consumer_has_not_read_stays_beyond_its_days(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_days=0.5)
    sequences = hourly(journal, 24)
    journal.advance("history", sequences[3])
    journal.advance("watch", sequences[-1])
    assert journal.prune(now_ms=1_000 * HOUR_MS).batches == 4
    assert first(journal) == sequences[4]
    assert journal.lost() == 0


def test_without_any_consumer_nothing_ages(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_days=0.5)
    hourly(journal, 5)
    assert journal.prune(now_ms=1_000 * HOUR_MS).batches == 0


def test_the_newest_batch_always_stays_and_sums_go_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_days=0.5)
    sequences = hourly(journal, 3)
    journal.advance("history", sequences[-1])
    journal.prune(now_ms=1_000 * HOUR_MS)
    assert first(journal) == sequences[-1]
    assert journal.append(batch(0)) == sequences[-1] + 1
    assert journal.backlog("history").readings == 1_000


def test_too_many_bytes_take_the_oldest_read_first_and_lose_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=200_000)
    sequences = hourly(journal, 40)
    journal.advance("history", sequences[-2])
    pruned = journal.prune(now_ms=0)
    assert journal.used_bytes() <= 200_000
    assert pruned.batches >= 20
    assert (pruned.lost, journal.lost()) == (0, 0)


def test_bytes_force_unread_readings_out_counted_and_the_newest_stay(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=200_000)
    sequences = hourly(journal, 40)
    journal.advance("history", sequences[4])
    journal.advance("watch", sequences[-1])
    pruned = journal.prune(now_ms=0)
    assert journal.used_bytes() <= 200_000
    assert pruned.lost == journal.lost() == (pruned.batches - 5) * 1_000
    assert first(journal) == sequences[pruned.batches]
    cursor, found = journal.read(journal.cursor("history"), max_readings=10**6)
    assert cursor == sequences[-1]
    assert len(found) == 40_000 - pruned.readings


def test_the_file_does_not_grow_beyond_its_bound_when_pruned_regularly(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=300_000)
    for hour in range(150):
        journal.advance("history", journal.append(batch(hour * HOUR_MS)))
        if hour % 5 == 0:
            journal.prune(now_ms=hour * HOUR_MS)
    journal.prune(now_ms=0)
    journal.close()
    assert (tmp_path / "journal.db").stat().st_size < 450_000


def test_autonomy_is_what_the_room_left_takes_of_the_recent_inflow(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=2_000_000)
    assert journal.autonomy_h() == float("inf")
    sequences = hourly(journal, 1)
    assert journal.autonomy_h() == float("inf")
    sequences += hourly(journal, 49, start=1)
    per_hour = journal.used_bytes() / 50
    journal.advance("history", sequences[-1])
    assert journal.autonomy_h() == pytest.approx(2_000_000 / per_hour, rel=0.1)
    journal.advance("history", sequences[24])
    assert journal.autonomy_h() == pytest.approx((2_000_000 - 25 * per_hour) / per_hour, rel=0.1)


def test_autonomy_keeps_its_promise(tmp_path: Path) -> None:
    """History goes down: so many hours later the first unread reading is lost, and not much before."""
    journal = Journal(tmp_path / "journal.db", max_bytes=500_000)
    sequences = hourly(journal, 20)
    journal.advance("history", sequences[-1])
    promised_h = journal.autonomy_h()
    hour = 20
    while not journal.prune(now_ms=hour * HOUR_MS).lost:
        journal.append(batch(hour * HOUR_MS))
        hour += 1
    assert hour - 20 == pytest.approx(promised_h, rel=0.15)


@pytest.mark.parametrize("jump_h", [1, -1, 24, -24])
def test_a_clock_that_jumps_says_nothing_of_the_inflow(tmp_path: Path, jump_h: int) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=2_000_000)
    for minute in range(120):
        journal.append(batch(minute * 60_000))
    before = journal.autonomy_h()
    for minute in range(120, 130):
        journal.append(batch(jump_h * HOUR_MS + minute * 60_000))
    assert journal.autonomy_h() == pytest.approx(before, rel=0.15)


def test_a_long_silence_does_not_make_the_inflow_small(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=20_000_000)
    for minute in [*range(100), *range(5_000, 5_100)]:
        journal.append(batch(minute * 60_000))
    per_hour = journal.used_bytes() / (200 / 60)
    assert journal.autonomy_h() == pytest.approx((20_000_000 - journal.used_bytes()) / per_hour, rel=0.15)


def test_a_full_journal_that_keeps_the_oldest_takes_no_new_ones_and_counts_them(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=200_000, keep="oldest")
    sequences = hourly(journal, 40)
    kept = journal.last()
    assert journal.used_bytes() <= 220_000
    assert first(journal) == sequences[0]
    taken = kept - sequences[0] + 1
    assert 5 < taken < 30
    assert journal.lost() == (40 - taken) * 1_000
    assert journal.prune(now_ms=10**15).batches == 0
    cursor, found = journal.read(0, max_readings=10**6)
    assert (cursor, len(found)) == (kept, taken * 1_000)


def test_what_all_have_read_makes_room_for_new_ones_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=200_000, keep="oldest")
    hourly(journal, 40)
    lost = journal.lost()
    journal.advance("history", journal.last())
    sequences = hourly(journal, 5, start=40)
    assert len(set(sequences)) == 5
    assert journal.lost() == lost
    assert len(journal.read(journal.cursor("history"))[1]) == 5_000


def test_keeping_the_newest_never_refuses(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", max_bytes=200_000, keep="newest")
    assert len(set(hourly(journal, 40))) == 40
    assert journal.lost() == 0

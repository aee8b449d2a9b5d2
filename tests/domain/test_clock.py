"""The clock: faster than life, held before it begins, the same in every process."""

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain.clock import Clock, iso


class Wall:
    """Life's clock, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms = 1_800_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: self.ms * 1_000_000)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


def test_it_runs_faster_than_life_from_where_it_began(wall: Wall) -> None:
    clock = Clock.starting_at(5_000, speed=60)
    assert clock.now_ms() == 5_000
    wall.ms += 1_500
    assert clock.now_ms() == 5_000 + 90_000


def test_it_stands_still_until_it_begins(wall: Wall) -> None:
    clock = Clock.starting_at(5_000, speed=60, held_s=2.0)
    wall.ms += 2_000
    assert clock.now_ms() == 5_000
    wall.ms += 1_000
    assert clock.now_ms() == 65_000


def test_lifes_own_clock_shows_life(wall: Wall) -> None:
    assert Clock().now_ms() == wall.ms


def test_what_is_saved_is_the_same_clock_and_none_saved_is_lifes(tmp_path: Path, wall: Wall) -> None:
    clock = Clock.starting_at(5_000, speed=0.5, held_s=1.0)
    clock.save(tmp_path / "clock.json")
    assert Clock.load(tmp_path / "clock.json") == clock
    assert Clock.load(tmp_path / "none.json") == Clock()


async def test_sleep_waits_out_the_hold_too() -> None:
    clock = Clock.starting_at(0, speed=1000, held_s=0.1)
    await clock.sleep(50)
    assert 50_000 <= clock.now_ms() < 1_000_000


def test_instants_are_shown_with_offset_and_milliseconds_only_where_there_are_any() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    assert iso(1_768_332_600_000, shanghai) == "2026-01-14T03:30:00+08:00"
    assert iso(1_768_332_600_007, shanghai) == "2026-01-14T03:30:00.007+08:00"
    assert iso(-1) == "1969-12-31T23:59:59.999+00:00"

"""The health of a site's processes, as their files tell it."""

import json
import os
from pathlib import Path

import pytest

from domain.clock import Clock
from keepwarm.status import read_health

WALL_MS = 1_800_000_000_000


def told(data: Path, name: str, **changes: object) -> None:
    body = {"component": name, "at_ms": 0, "wall_at_ms": WALL_MS - 2000, "pid": os.getpid(), "detail": {"readings": 7}} | changes
    (data / "health").mkdir(exist_ok=True)
    (data / "health" / f"{name}.json").write_text(json.dumps(body))


def test_ages_are_of_the_sites_clock_and_of_the_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: WALL_MS * 1_000_000)
    clock = Clock(speed=60, wall_epoch_ms=WALL_MS, epoch_ms=500_000)
    told(tmp_path, "watch", at_ms=380_000)
    told(tmp_path, "collect", wall_at_ms=WALL_MS - 31_000)
    collect, watch = read_health(tmp_path, clock, WALL_MS)
    assert (watch.component, watch.age_s, watch.wall_age_s, watch.stale) == ("watch", 120.0, 2.0, False)
    assert watch.detail == {"readings": 7}
    assert collect.stale


def test_a_file_that_cannot_be_read_is_stale_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "health").mkdir()
    (tmp_path / "health" / "watch.json").write_text('{"component": "watch"')
    (one,) = read_health(tmp_path, Clock(), WALL_MS)
    assert one.stale
    assert "unreadable" in one.detail

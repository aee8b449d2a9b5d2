"""``watch`` killed at random instants decides what an undisturbed one does; on PostgreSQL a standby takes over."""

from pathlib import Path

import pytest

from benchmarks.durability import Facts, run

pytestmark = pytest.mark.e2e

SEED = 20261126


def _enough(facts: Facts) -> bool:
    return len(facts["events"]) > 20 and len(facts["alarm transitions"]) > 5 and len(facts["complaints"]) > 0


def test_a_killed_watch_loses_no_transition_and_repeats_none(tmp_path: Path) -> None:
    result = run(tmp_path, portions=3, kills_each=2, seed=SEED)
    assert result.kills == 6
    assert _enough(result.undisturbed)
    assert result.killed == result.undisturbed
    assert result.killed["events"] == result.replayed


def test_killed_while_readings_come_days_late_it_decides_the_same(tmp_path: Path) -> None:
    result = run(tmp_path, portions=7, kills_each=1, seed=SEED, late=True)
    assert _enough(result.undisturbed)
    assert result.killed == result.undisturbed
    assert result.killed["true alarms"] == result.replayed_alarms


def test_on_postgresql_a_standby_takes_over_and_decides_the_same(tmp_path: Path, postgresql: str) -> None:
    result = run(tmp_path, portions=3, kills_each=1, seed=SEED, records_url=postgresql)
    assert _enough(result.undisturbed)
    assert result.killed == result.undisturbed
    assert result.killed["events"] == result.replayed
    assert max(result.takeovers_s) < 30  # what is promised, not how fast this machine is

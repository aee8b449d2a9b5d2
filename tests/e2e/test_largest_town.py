"""The search for the largest town: how it goes on, when it ends, and what it takes for held."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.collect import LARGE, Measured
from benchmarks.largest_town import FINEST, Trial, expected, line, search, town_of, verdict

SOUND = Measured(
    seconds=45.0,
    sent={"station": 1_000, "room": 400},
    committed={"station": 1_000, "room": 400},
    doubled=0,
    readings=round(expected(LARGE, 45.0)),
    waits_ms=np.array([200] * 99 + [1_400]),
    cpu_s=9.0,
    outside_cpu_s=4.5,
    memory_mb=380.0,
    overruns=0,
)


def searched(holds_up_to: float, trials: int = 100) -> list[float]:
    """The factors tried where towns up to one hold, with time for so many trials."""
    left = iter(range(trials, -1, -1))

    def attempt(factor: float) -> Trial:
        return Trial(factor, None, "" if factor <= holds_up_to else "too much")

    return [trial.factor for trial in search(attempt, lambda: next(left), 1)]


@pytest.mark.parametrize(
    ("holds_up_to", "factors"),
    [
        (5.3, [1, 2, 4, 8, 6, 5, 5.5, 5.25, 5.375]),
        (1.0, [1, 2, 1.5, 1.25, 1.125]),
        (0.6, [1, 0.5, 0.75, 0.625]),
        (0.0, [1, 0.5, 0.25, 0.125]),
    ],
)
def test_it_doubles_until_one_fails_and_halves_between(holds_up_to: float, factors: list[float]) -> None:
    found = searched(holds_up_to)
    assert found == factors
    held, failed = [one for one in found if one <= holds_up_to], [one for one in found if one > holds_up_to]
    assert min(failed) - max(held, default=0.0) <= FINEST


def test_it_ends_when_no_time_is_left() -> None:
    assert searched(1e9, trials=4) == [1, 2, 4]
    assert searched(1e9, trials=1) == []


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (SOUND, ""),
        (replace(SOUND, committed={"station": 999, "room": 400}), "1 lost"),
        (replace(SOUND, doubled=2), "2 doubled"),
        (replace(SOUND, overruns=3), "3 overruns"),
        (replace(SOUND, readings=round(0.5 * expected(LARGE, 45.0))), "50 % read"),
        (replace(SOUND, waits_ms=np.full(100, 1_501)), "p99 1501 ms"),
        (replace(SOUND, waits_ms=np.array([], np.int64), overruns=1), "1 overruns, p99 inf ms"),
    ],
)
def test_what_does_not_hold_is_told_why(measured: Measured, why: str) -> None:
    assert verdict(LARGE, measured) == why
    row = line(Trial(1.0, measured, why))
    assert row.split()[:2] == [str(LARGE.stations), str(LARGE.rooms)]
    assert row.endswith(why or "holds")


def test_a_town_that_did_not_start_is_a_row_too() -> None:
    assert line(Trial(2.0, None, "did not start")).split() == [str(town_of(2.0).stations), str(town_of(2.0).rooms), "did", "not", "start"]

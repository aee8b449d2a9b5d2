"""The exchanger's signature: fouling is seen at equal load, a change of weather is not taken for it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from compliance.exchanger import signature

F64 = NDArray[np.float64]


def season(days: int, fouled_k: float = 0.0, *, colder: float = 0.0, seed: int = 0) -> tuple[F64, F64, F64]:
    """Hours of an exchanger whose approach is 1 K + 0.5 K for each GJ/h; the last week fouled by so much, its load greater."""
    hours = days * 24
    rng = np.random.default_rng(seed)
    last_week = np.arange(hours) >= hours - 168
    load = 6.0 + 1.5 * np.sin(np.arange(hours) / 24 / 9 * 2 * np.pi) + colder * last_week
    secondary_c = 38.0 + load + rng.normal(0, 0.1, hours)
    return load, secondary_c + 1.0 + 0.5 * load + fouled_k * last_week + rng.normal(0, 0.15, hours), secondary_c


def test_fouling_is_seen_and_measured() -> None:
    found = signature(*season(50, 3.0))
    assert found.grown_k is not None
    assert found.grown_k.low < 3.0 < found.grown_k.high
    assert found.grown_k.value == pytest.approx(3.0, abs=0.15)
    assert found.verdict == "fouling"
    assert found.recent.tolist() == [False] * 43 + [True] * 7


@pytest.mark.parametrize("colder", [0.0, 1.0, -1.5])
def test_more_or_less_load_is_no_fouling(colder: float) -> None:
    found = signature(*season(50, colder=colder))
    assert found.grown_k is not None
    assert abs(found.grown_k.value) < 0.8
    assert found.verdict == "sound"


def test_a_little_is_sound() -> None:
    assert signature(*season(50, 1.2)).verdict == "sound"


@pytest.mark.parametrize("days", [0, 1, 13])
def test_too_few_days_say_nothing(days: int) -> None:
    found = signature(*season(days, 5.0))
    assert (found.grown_k, found.verdict) == (None, "unknown")


def test_hours_without_load_or_values_do_not_count() -> None:
    load, primary_c, secondary_c = season(30, 2.5)
    load[100:400], primary_c[100:400] = 0.0, 20.0
    primary_c[500:520] = np.nan
    found = signature(load, primary_c, secondary_c)
    assert found.verdict == "fouling"
    assert len(found.load_gjh) == 30 - 14  # 11 whole days stood; of three there were eight hours or fewer
    assert np.isfinite(found.approach_k).all()
    nothing = np.full(720, np.nan)
    assert signature(nothing, nothing, nothing).verdict == "unknown"
    assert len(signature(np.zeros(720), primary_c, secondary_c).load_gjh) == 0

"""Fewer points that look the same: lowest and highest stay, gaps stay gaps."""

from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dashboard.facts.trend import Trend, target_trend, thinned, touching
from domain.curve import FiledCurve
from store.rollup import Rollup

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def series(steps: list[int], values: list[float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    at = np.cumsum(np.array(steps, np.int64)) * 1000
    return at, np.resize(np.array(values, np.float64), len(at))


@given(
    st.lists(st.integers(1, 4_000), min_size=1, max_size=3_000),
    st.lists(st.floats(-50, 150), min_size=1, max_size=50),
    st.integers(2, 60),
)
def test_extremes_and_gaps_survive(steps: list[int], values: list[float], stretches: int) -> None:
    at, value = series(steps, values)
    hold_ms = 30 * MINUTE_MS
    found = thinned(at, value, 0, int(at[-1]) + 1, hold_ms, stretches=stretches)
    shown = found.value[np.isfinite(found.value)]
    assert shown.min() == value.min()
    assert shown.max() == value.max()
    assert np.all(np.diff(found.at_ms) >= 0)
    assert len(found) <= max(5 * stretches, 3 * min(len(at), 2 * stretches))
    gaps = np.flatnonzero(np.diff(at) > hold_ms)
    breaks = found.at_ms[np.isnan(found.value)]
    assert set(breaks.tolist()) <= set((at[gaps] + hold_ms).tolist())
    assert bool(len(breaks)) == bool(len(gaps))
    real = set(zip(at.tolist(), value.tolist(), strict=True))
    kept = np.isfinite(found.value)
    assert set(zip(found.at_ms[kept].tolist(), found.value[kept].tolist(), strict=True)) <= real


def test_a_line_does_not_cross_a_gap() -> None:
    at = np.array([0, 10, 200, 210], np.int64) * MINUTE_MS
    found = thinned(at, np.array([1.0, 2.0, 3.0, 4.0]), 0, 300 * MINUTE_MS, 30 * MINUTE_MS)
    assert found.at_ms.tolist() == [0, 10 * MINUTE_MS, 40 * MINUTE_MS, 200 * MINUTE_MS, 210 * MINUTE_MS]
    assert np.isnan(found.value).tolist() == [False, False, True, False, False]


def test_nothing_gives_an_empty_line() -> None:
    assert len(thinned(np.empty(0, np.int64), np.empty(0), 0, 1000, 10)) == 0


def test_the_target_follows_the_curve_in_force() -> None:
    old = FiledCurve("S01", 0, (-20.0, 0.0), (60.0, 40.0))
    new = FiledCurve("S01", 1_000, (-20.0, 0.0), (70.0, 50.0))
    outdoor = Trend(np.array([-1, 500, 1_000, 2_000], np.int64), np.array([-10.0, -10.0, -10.0, np.nan]))
    found = target_trend(outdoor, [new, old], ZoneInfo("Asia/Shanghai"))
    assert np.isnan(found.value[[0, 3]]).all()
    assert found.value[1:3].tolist() == [50.0, 60.0]


@given(st.lists(st.tuples(st.integers(1, 4), st.floats(-50, 100), st.floats(0, 20)), min_size=1, max_size=60))
def test_a_rolled_line_touches_every_extreme_and_breaks_where_a_stretch_is_empty(stretches: list[tuple[int, float, float]]) -> None:
    at = np.cumsum(np.array([gap for gap, _, _ in stretches], np.int64)) * HOUR_MS
    mean = np.array([value for _, value, _ in stretches])
    half = np.array([spread for _, _, spread in stretches])
    none = np.zeros(len(at), np.int64)
    found = touching(Rollup(none.astype(np.int32), at, mean - half, mean, mean + half, none + 1), HOUR_MS)
    known = np.isfinite(found.value)
    assert np.array_equal(np.sort(found.value[known]), np.sort(np.concatenate([mean - half, mean + half])))
    assert np.all(np.diff(found.at_ms) > 0)
    assert np.count_nonzero(~known) == np.count_nonzero(np.diff(at) > HOUR_MS)
    inside = (found.at_ms[known] - HOUR_MS) % HOUR_MS
    assert set(inside.tolist()) <= {HOUR_MS // 4, 3 * HOUR_MS // 4}

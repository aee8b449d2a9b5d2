"""Bounds that hold what they promise; hours that count; periods compared."""

from dataclasses import replace

import numpy as np
import pytest

from compliance.curve_tuning.comparison import degree_days, period, saving_per_kelvin
from compliance.curve_tuning.estimate import Estimate, autocorrelation, line, mean
from compliance.curve_tuning.station_hours import cleaned, mean_before, quantile_of_rooms
from tests.compliance.curve_tuning.stations import outdoor, rooms_around, station

OUTDOOR_C = outdoor(14, 5)


def test_a_line_through_points_on_a_line_is_exact() -> None:
    x = np.arange(10.0)
    level, slope = line(x, 2.0 + 0.5 * x)
    assert (level.value, slope.value) == pytest.approx((2.0 + 0.5 * 4.5, 0.5))
    assert slope.high - slope.low < 1e-9
    with pytest.raises(ValueError, match="four points"):
        line(x[:3], x[:3])


@pytest.mark.parametrize("correlated", [0.0, 0.6])
def test_bounds_hold_the_truth_nineteen_times_of_twenty(correlated: float) -> None:
    chance = np.random.default_rng(11)
    held_mean = held_slope = 0
    for _ in range(400):
        x = chance.uniform(-15.0, 5.0, 60)
        noise = np.zeros(60)
        for day in range(60):
            noise[day] = correlated * noise[day - 1] + chance.normal(0.0, 0.5)
        level, slope = line(x, 1.0 + 0.1 * (x - x.mean()) + noise)
        held_mean += level.low <= 1.0 <= level.high
        held_slope += slope.low <= 0.1 <= slope.high
    assert held_mean >= 400 * 0.90
    assert held_slope >= 400 * 0.93


def test_beyond_means_certainly_beyond() -> None:
    assert Estimate(1.0, 0.5, 1.5).beyond(0.4)
    assert Estimate(-1.0, -1.5, -0.5).beyond(0.4)
    assert not Estimate(1.0, -0.1, 2.1).beyond(0.0)
    assert mean(np.array([1.0, 1.0, 1.0, 1.0])).value == 1.0
    assert autocorrelation(np.array([1.0, -1.0] * 8)) == 0.0
    assert autocorrelation(np.array([np.nan, 1.0])) == 0.0


def test_a_mean_before_needs_three_quarters() -> None:
    values = np.arange(10.0)
    assert mean_before(values, 4)[3:] == pytest.approx(np.arange(1.5, 8.0))
    values[4:6] = np.nan
    found = mean_before(values, 4)
    assert np.isnan(found[[0, 1, 2, 5, 6, 7]]).all()
    assert found[4] == pytest.approx((1 + 2 + 3) / 3)
    assert np.isnan(mean_before(values[:2], 4)).all()


def test_quantiles_need_three_rooms() -> None:
    room_c = np.array([[18.0, 19.0, 20.0], [18.0, np.nan, 20.0]])
    assert quantile_of_rooms(room_c, 0.5)[0] == 19.0
    assert np.isnan(quantile_of_rooms(room_c, 0.5)[1])


def test_sensors_that_stand_still_and_open_windows_do_not_count() -> None:
    room_c = rooms_around(np.full(14 * 24, 20.0))
    room_c[30:60, 2] = 19.3
    room_c[100:110, 4] = 19.9  # ten hours alike are none of a sensor's business
    room_c[200:203, 5] -= 2.5
    found = cleaned(station(OUTDOOR_C, room_c)).room_c
    assert np.isnan(found[30:60, 2]).all()
    assert np.isfinite(found[100:110, 4]).all()
    assert np.isnan(found[200:203, 5]).all()
    assert np.count_nonzero(np.isnan(found)) == 33


def test_a_town_that_cools_down_together_has_no_windows_open() -> None:
    line_c = np.full(14 * 24, 20.0)
    line_c[150:170] -= np.linspace(0.0, 3.0, 20)
    assert np.isfinite(cleaned(station(OUTDOOR_C, rooms_around(line_c))).room_c).all()


def test_heat_is_compared_by_degree_days() -> None:
    room_c = rooms_around(np.full(14 * 24, 20.0))
    hours = station(np.full(14 * 24, -2.0), room_c)
    energy: np.ndarray = 1_000.0 + np.arange(14 * 24, dtype=np.float64) * 2.5
    found = period(hours, energy)
    assert found.degree_days == pytest.approx(20.0 * 14)
    assert found.heat_gj == pytest.approx(2.5 * 14 * 24)
    assert found.gj_per_degree_day == pytest.approx(2.5 * 24 / 20)
    assert (found.median_c, found.tenth_c) == pytest.approx((20.0, 19.65), abs=0.2)
    energy[200:] -= 500.0  # a new meter
    assert period(hours, energy).heat_gj is None
    assert period(hours, np.full(14 * 24, np.nan)).gj_per_degree_day is None
    holed: np.ndarray = 1_000.0 + np.arange(14 * 24, dtype=np.float64) * 2.5
    holed[:40] = np.nan
    assert period(hours, holed).heat_gj == pytest.approx(2.5 * 14 * 24)
    assert period(replace(hours, outdoor_c=np.full(14 * 24, 25.0)), energy).gj_per_degree_day is None
    assert degree_days(np.array([np.nan, -2.0] * 12)) == pytest.approx(20.0)


def test_a_kelvin_is_worth_four_to_five_percent() -> None:
    """domain.md: 1/(tn − mean tw), 3.6–5 %."""
    assert saving_per_kelvin(20.0, np.full(10, -5.0)) == pytest.approx(0.04)
    assert saving_per_kelvin(18.0, np.array([-2.0, np.nan])) == pytest.approx(0.05)

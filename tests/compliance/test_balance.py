"""Which buildings and risers are off the station's mean: what is certain is said, what is not is said to be uncertain."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.balance import balance
from compliance.curve_tuning.station_hours import StationHours

HOUR_MS = 3_600_000
BUILDINGS = tuple(f"B{n // 6}" for n in range(24))


def station(days: int, off_k: dict[str, float], *, noise_k: float = 0.15, seed: int = 0) -> StationHours:
    """Four buildings of six rooms at 20 °C, some of them off by so much, with a daily swing that all share."""
    hours = days * 24
    rng = np.random.default_rng(seed)
    shared = 20.0 + 0.8 * np.sin(np.arange(hours) / 24 * 2 * np.pi)
    room_c = shared[:, None] + rng.normal(0, noise_k, (hours, 24)) + np.array([off_k.get(name, 0.0) for name in BUILDINGS])
    ones, yes = np.ones(hours), np.ones(hours, np.bool_)
    at = np.arange(hours) * HOUR_MS
    return StationHours(at, np.arange(hours) % 24, -5 * ones, 50 * ones, 40 * ones, room_c, BUILDINGS, yes, ~yes)


def test_the_coldest_building_stands_first_with_its_deviation() -> None:
    found = balance(station(10, {"B2": -2.4, "B0": 1.6}), BUILDINGS)
    assert [(one.key, one.standing) for one in found][:1] == [("B2", "cold")]
    assert (found[-1].key, found[-1].standing) == ("B0", "warm")
    assert {one.standing for one in found[1:-1]} == {"balanced"}
    # The station's mean is 20.0 − 0.2: each building is one quarter of it.
    assert [one.deviation_k for one in found] == pytest.approx([-2.2, 0.2, 0.2, 1.8], abs=0.05)
    assert found[0].mean_c == pytest.approx(17.6, abs=0.1)
    assert [one.rooms for one in found] == [6] * 4
    bounds = found[0].bounds_k
    assert bounds is not None
    assert bounds.low < -2.2 < bounds.high


@pytest.mark.parametrize(("days", "standing"), [(3, "uncertain"), (4, "cold")])
def test_fewer_than_four_days_are_not_certain(days: int, standing: str) -> None:
    coldest = balance(station(days, {"B1": -2.0}), BUILDINGS)[0]
    assert (coldest.key, coldest.standing, coldest.bounds_k is None) == ("B1", standing, days < 4)
    assert coldest.deviation_k == pytest.approx(-1.5, abs=0.1)


def test_what_swings_more_than_it_is_off_is_not_certain() -> None:
    hours = station(8, {})
    swing = np.repeat([4.0, -6.0, 3.0, -7.0, 5.0, -6.0, 2.0, -4.0], 24)
    hours.room_c[:, :6] += swing[:, None]
    found = next(one for one in balance(hours, BUILDINGS) if one.key == "B0")
    assert found.standing in {"uncertain", "balanced"}


def test_hours_without_supply_and_rooms_without_values_do_not_count() -> None:
    hours = station(6, {"B3": -1.5})
    hours.room_c[:48, 18:] -= 8.0  # cold while the station stood
    hours.room_c[:, 23] = np.nan
    hours = replace(hours, supplying=np.arange(144) >= 48)
    coldest = balance(hours, BUILDINGS)[0]
    assert (coldest.key, coldest.rooms) == ("B3", 5)
    assert coldest.deviation_k == pytest.approx(-1.5 * 18 / 23, abs=0.08)
    dead = replace(hours, room_c=np.full_like(hours.room_c, np.nan))
    assert balance(dead, BUILDINGS) == []


def test_risers_are_groups_too() -> None:
    hours = station(7, {})
    risers = [f"{name}/{n % 3}" for n, name in enumerate(BUILDINGS)]
    hours.room_c[:, [n for n, riser in enumerate(risers) if riser == "B1/2"]] -= 3.0
    found = balance(hours, risers)
    assert len(found) == 12
    assert (found[0].key, found[0].standing, found[0].rooms) == ("B1/2", "cold", 2)


@given(st.floats(-4, 4), st.floats(-15, 15))
def test_the_level_of_all_rooms_changes_nothing(off_k: float, level_k: float) -> None:
    hours = station(5, {"B0": off_k})
    before = {one.key: one.deviation_k for one in balance(hours, BUILDINGS)}
    after = {one.key: one.deviation_k for one in balance(replace(hours, room_c=hours.room_c + level_k), BUILDINGS)}
    assert after == pytest.approx(before, abs=1e-9)
    assert sum(before.values()) == pytest.approx(0.0, abs=1e-9)  # buildings of one size

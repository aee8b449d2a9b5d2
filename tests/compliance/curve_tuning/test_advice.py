"""Advice on stations whose trouble is known."""

import numpy as np
import pytest

from compliance.curve_tuning.advice import (
    Advice,
    Design,
    Goal,
    advise,
    cold_buildings,
    hour_offsets,
    supply_per_indoor,
    textbook_points,
)
from compliance.curve_tuning.station_hours import StationHours
from tests.compliance.curve_tuning.stations import POINTS_C, curve, outdoor, rooms_around, station

DAYS = 28
OUTDOOR_C = outdoor(DAYS, 1)
SEEN_K = OUTDOOR_C - OUTDOOR_C.mean()


def steps(advice: Advice) -> list[float]:
    return [round(new - old, 2) for new, old in zip(advice.supply_c, curve().supply_c, strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_rooms_where_they_should_be_keep_their_curve(seed: int) -> None:
    found = advise(station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 20.0), seed=seed)), curve())
    assert (found.kind, found.supply_c, found.cold_buildings) == ("keep", (), ())
    assert found.bias_k is not None
    assert not found.bias_k.beyond(0.1)
    assert (found.days, found.rooms) == (28, 12)


@pytest.mark.parametrize(("bias_k", "word"), [(1.5, "too warm"), (-0.9, "too cold")])
def test_a_constant_bias_shifts_the_curve_the_other_way_by_two_kelvin_at_most(bias_k: float, word: str) -> None:
    found = advise(station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 20.0 + bias_k))), curve())
    assert found.kind == "shift"
    assert word in found.why
    assert found.bias_k is not None
    assert found.bias_k.low < bias_k < found.bias_k.high
    assert all(abs(step) <= 2.25 and np.sign(step) == -np.sign(bias_k) for step in steps(found))
    assert all(supply % 0.5 == 0.0 for supply in found.supply_c)


def test_a_small_bias_is_shifted_by_what_the_radiators_need() -> None:
    found = advise(station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 20.45), spread_k=0.2)), curve())
    assert found.kind == "shift"
    assert found.supply_per_indoor == pytest.approx(2.2, abs=0.1)
    assert np.mean(steps(found)) == pytest.approx(-0.45 * 2.2, abs=0.3)


def test_a_bias_that_grows_in_the_cold_changes_the_slope() -> None:
    found = advise(station(OUTDOOR_C, rooms_around(20.0 + 0.12 * SEEN_K)), curve())
    assert found.kind == "slope"
    assert "colder the colder" in found.why
    assert found.slope is not None
    assert found.slope.low < 0.12 < found.slope.high
    change = steps(found)
    assert change[0] > 0.5 > -0.5 > change[-1]
    assert list(found.supply_c) == sorted(found.supply_c, reverse=True)


def test_the_coldest_tenth_is_a_constraint_on_lowering() -> None:
    room_c = rooms_around(np.full(DAYS * 24, 21.0), spread_k=0.3)
    room_c[:, 3] = room_c[:, 7] = 18.55
    found = advise(station(OUTDOOR_C, room_c, buildings=1), curve(), Goal(20.0, 18.5))
    assert found.tenth_c == pytest.approx(18.8, abs=0.4)
    assert found.kind == "shift"
    assert all(step >= -1.1 for step in steps(found))
    assert advise(station(OUTDOOR_C, room_c, buildings=1), curve(), Goal(20.0, 19.5)).why.startswith("rooms are too cold")


@pytest.mark.parametrize("building", ["B1", "B2", "B3"])
def test_one_cold_building_is_not_the_curves_fault(building: str) -> None:
    hours = station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 20.0), rooms=18))
    hours.room_c[:, [name == building for name in hours.buildings]] -= 2.4
    found = advise(hours, curve())
    assert (found.kind, found.supply_c) == ("imbalance", ())
    assert "not" not in found.why
    (cold,) = found.cold_buildings
    assert (cold.building_id, cold.rooms) == (building, 6)
    assert cold.deviation_k.value == pytest.approx(-2.4, abs=0.2)


def test_where_most_buildings_are_cold_it_is_the_curves_matter() -> None:
    hours = station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 18.0), rooms=18))
    hours.room_c[:, [name == "B1" for name in hours.buildings]] += 2.0
    found = advise(hours, curve())
    assert found.kind == "shift"
    assert "too cold" in found.why
    assert cold_buildings(station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 18.0)), buildings=1)) == ()


def test_rooms_that_fall_every_early_morning_get_an_offset_before_it() -> None:
    hour = np.arange(DAYS * 24) % 24
    hours = station(OUTDOOR_C, rooms_around(np.where((hour == 6) | (hour == 7), 18.9, 20.1)))
    found = advise(hours, curve())
    assert found.kind == "hours"
    assert [place for place, offset_k in enumerate(found.hour_offsets_k) if offset_k] == [2]  # 4:00 to 6:00
    assert 0.0 < found.hour_offsets_k[2] <= 2.0
    assert hour_offsets(station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 20.0))), 2.2) == (0.0,) * 12


def short(hours: StationHours) -> StationHours:
    return station(hours.outdoor_c[: 5 * 24], hours.room_c[: 5 * 24])


@pytest.mark.parametrize(
    "hours",
    [
        short(station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 15.0)))),
        station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 15.0), rooms=4)),
        station(OUTDOOR_C, np.full((DAYS * 24, 12), np.nan)),
        station(np.full(DAYS * 24, np.nan), rooms_around(np.full(DAYS * 24, 15.0))),
        station(OUTDOOR_C, rooms_around(np.full(DAYS * 24, 15.0)), stopped=np.ones(DAYS * 24, np.bool_)),
    ],
    ids=["five days", "four rooms", "no readings", "no outdoor temperature", "never supplied"],
)
def test_too_little_data_gives_no_advice(hours: StationHours) -> None:
    found = advise(hours, curve())
    assert (found.kind, found.supply_c, found.bias_k) == ("unknown", (), None)
    assert "few" in found.why or "little" in found.why


@pytest.mark.parametrize(("design_outdoor_c", "least", "most"), [(-24.0, 2.1, 2.4), (-7.0, 2.9, 3.1)])
def test_a_kelvin_indoors_in_kelvin_of_supply(design_outdoor_c: float, least: float, most: float) -> None:
    """domain.md: 2.1–2.4 K (tw' −24) to 2.9–3.1 K (tw' −7)."""
    for outdoor_c in (0.0, 0.5 * design_outdoor_c, design_outdoor_c):
        assert least - 0.05 <= supply_per_indoor(outdoor_c, Design(outdoor_c=design_outdoor_c)) <= most + 0.05


def test_the_textbook_curve_has_the_books_numbers() -> None:
    """domain.md, 75/50 at 18 °C: tw' −24: 46.5, 58.9, 70.5; tw' −7: 61.6, 71.2."""
    assert textbook_points(Design(), (0.0, -10.0, -20.0)) == pytest.approx((46.5, 58.9, 70.5), abs=0.06)
    assert textbook_points(Design(outdoor_c=-7.0), (0.0, -5.0)) == pytest.approx((61.6, 71.2), abs=0.06)
    assert textbook_points(Design(), POINTS_C)[0] == pytest.approx(75.0)
    assert textbook_points(Design(gains_k=4.0), (-14.0,)) == pytest.approx(textbook_points(Design(), (-10.0,)))

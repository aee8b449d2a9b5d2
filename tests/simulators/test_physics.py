"""Numbers that a heating engineer would check (domain.md)."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.rooms import MEAN_GAINS_K, RoomHeat
from simulators.scenario import load_scenario
from simulators.simulate import DEMO_START_MS
from simulators.stations import effectiveness
from simulators.town import WATER_KWH_M3K, Town, build_town
from simulators.weather import Airings, Weather, internal_gains_k, solar_gain_k
from simulators.world import World

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def ordinary(town: Town) -> World:
    """Twelve hours of an ordinary day, ended at noon."""
    world = World(town, load_scenario("normal", town), DEMO_START_MS, hours=1)
    world.advance_to(DEMO_START_MS + 8 * HOUR_MS + HOUR_MS // 2)
    return world


def test_the_demo_starts_on_a_winter_night() -> None:
    assert datetime.fromtimestamp(DEMO_START_MS / 1000, UTC).isoformat() == "2026-01-13T19:30:00+00:00"  # 03:30 in the town


def test_without_heat_rooms_lose_2_3_kelvin_in_eight_hours_at_minus_ten(town: Town) -> None:
    rooms = RoomHeat(town)
    supply_c = np.array([curve.target_c(np.array([-10.0]))[0] for curve in town.curves])[town.station_of_room]
    rooms.settle(-10.0, supply_c)
    before_c, still = rooms.air_c.copy(), np.zeros(len(town.rooms))
    first_hour_c = before_c
    for minute in range(480):
        rooms.step(60, -10.0, supply_c, still, MEAN_GAINS_K, 0.0, still)
        if minute == 59:
            first_hour_c = rooms.air_c.copy()
    lost_k = before_c - rooms.air_c
    assert lost_k.mean() == pytest.approx(2.3, abs=0.25)
    assert np.ptp(lost_k) < 0.8
    assert (before_c - first_hour_c).mean() > 1.5 * lost_k.mean() / 8  # two time constants: the air goes first


def test_rooms_of_an_ordinary_day_are_compliant_day_and_night(town: Town) -> None:
    world = World(town, load_scenario("normal", town), DEMO_START_MS, hours=24)
    offices = np.array([room.premises == "contract" for room in town.rooms])
    lowest, lowest_office = 99.0, 99.0
    while world.at_ms < DEMO_START_MS + 12 * HOUR_MS:
        world.advance_to(world.at_ms + HOUR_MS // 2)
        lowest = min(lowest, world.rooms.air_c[~offices].min())
        lowest_office = min(lowest_office, world.rooms.air_c[offices].min())
        assert 20.3 < world.rooms.air_c.mean() < 21.7
    assert lowest > 18.5
    assert lowest_office > 20.2


def test_supply_follows_the_filed_curve_within_half_a_kelvin(ordinary: World, town: Town) -> None:
    target_c = np.array([curve.target_c(np.array([ordinary.outdoor_c]))[0] for curve in town.curves])
    assert ordinary.plant.supply_c == pytest.approx(target_c, abs=0.5)


def test_what_the_exchangers_pass_on_is_what_the_rooms_and_meters_get(ordinary: World, town: Town) -> None:
    plant = ordinary.plant
    secondary_kw = WATER_KWH_M3K * plant.secondary_flow_m3h * (plant.supply_c - plant.return_c)
    primary_kw = WATER_KWH_M3K * plant.primary_flow_m3h * (plant.primary_supply_c - plant.primary_return_c)
    assert secondary_kw == pytest.approx(plant.heat_kw, rel=0.03)
    assert primary_kw == pytest.approx(plant.heat_kw, rel=0.03)
    load_k = np.bincount(town.station_of_room, ordinary.rooms.heat_k()) / np.bincount(town.station_of_room)
    assert plant.heat_kw == pytest.approx(town.design_power_kw * load_k / 42.0, rel=0.05)
    assert plant.heat_kw.sum() / sum(station.heated_area_m2 or 0 for station in town.stations) * 1000 == pytest.approx(33, abs=5)  # W/m²


def test_temperatures_lie_in_the_order_that_physics_demands(ordinary: World) -> None:
    plant = ordinary.plant
    assert (plant.primary_supply_c > plant.supply_c + 10).all()
    assert (plant.supply_c > plant.return_c + 10).all()
    assert (plant.primary_return_c > plant.return_c).all()
    assert (plant.return_c > ordinary.rooms.air_c.max()).all()


def test_counters_never_fall_and_count_what_flows(town: Town) -> None:
    world = World(town, load_scenario("slow_leak", town), DEMO_START_MS, hours=0.1)
    names = ("energy_gj", "primary_volume_m3", "secondary_volume_m3", "makeup_volume_m3")
    before = {name: getattr(world.plant, name).copy() for name in names}
    flow_m3h = world.plant.secondary_flow_m3h.copy()
    world.advance_to(world.at_ms + 2 * HOUR_MS)
    assert all((getattr(world.plant, name) > before[name]).all() for name in names)
    assert world.plant.secondary_volume_m3 - before["secondary_volume_m3"] == pytest.approx(2 * flow_m3h, rel=0.01)


def test_an_exchanger_of_one_unit_with_equal_rates_passes_half() -> None:
    ones = np.ones(3)
    assert effectiveness(ones, ones, ones) == pytest.approx(0.5, abs=1e-3)
    assert effectiveness(ones, 1e6 * ones, 2 * ones) == pytest.approx(1 - np.exp(-2), abs=1e-3)


@given(st.floats(0.001, 1e4), st.floats(0.001, 1e4), st.floats(0.1, 1e4))
def test_no_exchanger_passes_more_than_there_is(primary: float, secondary: float, exchanger: float) -> None:
    share = effectiveness(np.array([primary]), np.array([secondary]), np.array([exchanger]))[0]
    assert 0 <= share <= 1


def test_weather_is_cold_daily_and_depends_on_the_instant_alone() -> None:
    weather = Weather(1)
    day = [weather.outdoor_c(DEMO_START_MS + hour * HOUR_MS) for hour in range(24)]
    assert 5 < max(day) - min(day) < 12
    assert all(-24 < value < -6 for value in day)
    assert int(np.argmin(day)) in range(5)  # 03:30 to 07:30
    before = np.mean([weather.outdoor_c(DEMO_START_MS - hour * HOUR_MS) for hour in range(24, 48)])
    assert np.mean(day) < before - 1  # the cold snap comes
    assert weather.outdoor_c(DEMO_START_MS) == Weather(1).outdoor_c(DEMO_START_MS) != Weather(2).outdoor_c(DEMO_START_MS)


def test_people_and_sun_warm_by_day() -> None:
    night, evening = DEMO_START_MS, DEMO_START_MS + 16 * HOUR_MS
    assert internal_gains_k(evening) > internal_gains_k(night) + 1
    assert solar_gain_k(night) == solar_gain_k(evening) == 0
    assert solar_gain_k(DEMO_START_MS + 9 * HOUR_MS) > 1.5
    assert np.mean([internal_gains_k(night + hour * HOUR_MS // 4) for hour in range(96)]) == pytest.approx(MEAN_GAINS_K, abs=0.5)


def test_windows_are_opened_by_day_for_minutes_only() -> None:
    airings = Airings(1, 400)
    at_night = [np.count_nonzero(airings.exchange(DEMO_START_MS + minute * 60_000)) for minute in range(0, 120, 5)]
    by_day = [np.count_nonzero(airings.exchange(DEMO_START_MS + (300 + minute) * 60_000)) for minute in range(0, 120, 5)]
    assert sum(at_night) == 0
    assert 1 < np.mean(by_day) < 20


def test_the_same_seed_gives_the_same_world_and_another_seed_another() -> None:
    def rooms_c(seed: int) -> list[float]:
        town = build_town(seed)
        world = World(town, load_scenario("demo", town), DEMO_START_MS, hours=0.5)
        world.advance_to(DEMO_START_MS + HOUR_MS)
        return [float(value) for value in world.rooms.air_c]

    assert rooms_c(1) == rooms_c(1)
    assert rooms_c(1) != rooms_c(2)

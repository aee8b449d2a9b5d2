"""The building model against buildings whose true parameters are known, and against the simulated town's finer physics."""

from dataclasses import replace

import numpy as np
import pytest

from compliance.curve_tuning.building_model import NAMES, PRIOR, BuildingModel, fit, natural, steady, time_constants_h
from compliance.curve_tuning.prediction import predict
from compliance.curve_tuning.station_hours import StationHours
from simulators.rooms import RoomHeat
from simulators.scenario import load_scenario
from simulators.town import Town, build_town
from simulators.world import World
from tests.compliance.curve_tuning.stations import POINTS_C, Truth, curve, live, outdoor, station

TRUTHS = (
    Truth(),
    Truth(heater=0.24, gains_k=4.5, walls_h=210.0, air_h=25.0),
    Truth(heater=0.38, gains_k=1.5, walls_h=100.0, coupling=12.0),
)
DAYS = 42


def excited(truth: Truth, seed: int) -> StationHours:
    """A season in which supply was also moved by hand, and stopped twice: data that tells."""
    chance = np.random.default_rng(100 + seed)
    outdoor_c = outdoor(DAYS, seed)
    by_hand = np.repeat(chance.choice([-6.0, -3.0, 0.0, 3.0, 6.0], DAYS * 24 // 12), 12)
    stopped = np.zeros(DAYS * 24, np.bool_)
    stopped[240:250] = stopped[700:708] = True
    return live(truth, outdoor_c, curve().target_c(outdoor_c) + by_hand, stopped, seed=seed)


@pytest.fixture(scope="module", params=[(truth, seed) for seed, truth in enumerate(TRUTHS)], ids=["usual", "heavy", "light"])
def known(request: pytest.FixtureRequest) -> tuple[Truth, StationHours, BuildingModel]:
    truth, seed = request.param
    hours = excited(truth, seed)
    model = fit(hours)
    assert model is not None
    return truth, hours, model


def test_true_parameters_are_found_within_the_stated_bounds(known: tuple[Truth, StationHours, BuildingModel]) -> None:
    truth, _, model = known
    wanted = np.array([np.log(truth.heater), truth.gains_k, np.log(truth.air_h), np.log(truth.walls_h), np.log(truth.coupling)])
    off = (model.parameters[:5] - wanted) / np.sqrt(np.diag(model.covariance))[:5]
    assert np.abs(off).max() < 3.5, dict(zip(NAMES, off.tolist(), strict=False))
    assert model.values["heater"] == pytest.approx(truth.heater, rel=0.08)
    assert model.values["gains_k"] == pytest.approx(truth.gains_k, abs=0.8)
    fast_h, slow_h = time_constants_h(np.array([truth.heater, truth.gains_k, truth.air_h, truth.walls_h, truth.coupling]))
    assert model.time_constants_h[1] == pytest.approx(slow_h, rel=0.15)
    assert model.time_constants_h[0] == pytest.approx(fast_h, rel=0.4)
    assert model.flow == pytest.approx(truth.flow, rel=0.12)
    assert model.residual_k < 0.1
    assert all(model.identified[name] for name in ("heater", "gains_k", "walls_h"))


def test_another_curves_rooms_are_predicted_within_the_bounds(known: tuple[Truth, StationHours, BuildingModel]) -> None:
    truth, hours, model = known
    outdoor_c = np.array([-15.0, -8.0, 0.0])
    found = predict(model, hours, curve(), curve(-4.0), 18.0, outdoor_c)
    values = np.array([truth.heater, truth.gains_k, truth.air_h, truth.walls_h, truth.coupling])
    moved_k = (
        steady(values, curve(-4.0).target_c(outdoor_c), outdoor_c, truth.flow)[0]
        - steady(values, curve().target_c(outdoor_c), outdoor_c, truth.flow)[0]
    )
    assert (found.median_c.low - found.now_median_c <= moved_k).all()
    assert (moved_k <= found.median_c.high - found.now_median_c).all()
    assert found.rests_on_prior == ()
    assert found.heat.low < found.heat.value < found.heat.high < 1.0
    assert found.below_limit.value >= found.below_limit_now
    assert (found.tenth_c.value < found.median_c.value).all()


def test_a_station_that_kept_to_its_curve_in_steady_weather_does_not_tell_and_says_so() -> None:
    truth = Truth(heater=0.34, gains_k=1.0)
    outdoor_c = np.full(21 * 24, -9.0)
    hours = live(truth, outdoor_c, curve().target_c(outdoor_c), np.zeros(len(outdoor_c), np.bool_), start_c=20.0)
    model = fit(hours)
    assert model is not None
    assert not model.identified["heater"] or not model.identified["gains_k"]
    found = predict(model, hours, curve(), curve(-4.0), 18.0, np.array([-9.0]))
    assert found.rests_on_prior
    values = np.array([truth.heater, truth.gains_k])
    at = np.array([-9.0])
    moved_k = (steady(values, curve(-4.0).target_c(at), at, truth.flow)[0] - steady(values, curve().target_c(at), at, truth.flow)[0])[0]
    low_k, high_k = (found.median_c.low - found.now_median_c)[0], (found.median_c.high - found.now_median_c)[0]
    assert low_k <= moved_k <= high_k
    told = fit(excited(truth, 7))
    assert told is not None
    sure = predict(told, hours, curve(), curve(-4.0), 18.0, at)
    assert (sure.median_c.high - sure.median_c.low)[0] < high_k - low_k


def record(town: Town, days: int, traits_of: Town) -> tuple[World, dict[str, np.ndarray]]:
    world = World(town, load_scenario("normal", town), 1_768_000_000_000 + days * 86_400_000, days * 24.0)
    world.rooms._traits = RoomHeat(traits_of)._traits
    columns: dict[str, list[np.ndarray]] = {"outdoor": [], "supply": [], "return": [], "room": []}
    energy = []
    for _ in range(days * 24):
        sums = dict.fromkeys(columns, np.zeros(1))
        for _ in range(60):
            world.step(60)
            now = (np.array([world.outdoor_c]), world.plant.supply_c, world.plant.return_c, world.rooms.air_c)
            sums = {name: sums[name] + value / 60 for name, value in zip(columns, now, strict=True)}
        for name, value in sums.items():
            columns[name].append(value)
        energy.append(world.plant.energy_gj.copy())
    return world, {name: np.array(rows) for name, rows in columns.items()} | {"energy": np.array(energy)}


def test_the_simulated_town_under_another_curve_is_predicted() -> None:
    """Finer physics than the model's: two radiator cells, sun, airing, 38 different rooms. The curve of all stations is lowered by 3 K."""
    town, days, settled_h = build_town(1), 20, 12 * 24
    lower = replace(town, curves=tuple(replace(one, supply_c=tuple(value - 3.0 for value in one.supply_c)) for one in town.curves))
    _, before = record(town, days, town)
    _, after = record(lower, days, town)
    for place in (0, 2):
        mine = town.station_of_room == place
        hours = station(before["outdoor"][:, 0], before["room"][:, mine], before["supply"][:, place], before["return"][:, place])
        model = fit(hours)
        assert model is not None
        felt_c = float(before["outdoor"][settled_h:].mean())
        found = predict(model, hours, town.curves[place], lower.curves[place], 18.0, np.array([felt_c]))
        moved_k = float(np.median(after["room"][settled_h:, mine]) - np.median(before["room"][settled_h:, mine]))
        assert (found.median_c.low - found.now_median_c)[0] < moved_k < (found.median_c.high - found.now_median_c)[0]
        used = [(one["energy"][-1] - one["energy"][settled_h])[place] for one in (after, before)]
        assert found.heat.value == pytest.approx(used[0] / used[1], abs=0.01)


def test_too_little_data_gives_no_model() -> None:
    hours = excited(Truth(), 3)
    assert fit(replace(hours, room_c=np.full_like(hours.room_c, np.nan))) is None
    assert fit(replace(hours, return_c=np.full_like(hours.return_c, np.nan))) is None
    week = slice(0, 6 * 24)
    assert fit(station(hours.outdoor_c[week], hours.room_c[week])) is None


def test_gaps_are_bridged_or_left_out() -> None:
    hours = excited(Truth(), 3)
    whole = fit(hours)
    outdoor_c, supply_c = hours.outdoor_c.copy(), hours.supply_c.copy()
    outdoor_c[100:102] = np.nan
    supply_c[400:430] = np.nan
    holed = fit(replace(hours, outdoor_c=outdoor_c, supply_c=supply_c))
    assert whole is not None
    assert holed is not None
    assert whole.hours - holed.hours == 30 + 24
    assert holed.values["heater"] == pytest.approx(whole.values["heater"], rel=0.05)


def test_a_steady_room_balances_heat_and_loss() -> None:
    values = natural(PRIOR)
    supply_c, outdoor_c = curve().target_c(np.array(POINTS_C)), np.array(POINTS_C)
    room_c, heat_k = steady(values, supply_c, outdoor_c, 1.7)
    assert room_c == pytest.approx(outdoor_c + values[1] + heat_k)
    assert heat_k == pytest.approx(values[0] * (supply_c - heat_k / 3.4 - room_c) ** 1.3, rel=1e-6)
    assert steady(values, np.array([10.0]), np.array([5.0]), 1.7)[1][0] == pytest.approx(0.0, abs=1.0)

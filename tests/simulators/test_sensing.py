import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.sensing import RoomSensors, noise
from simulators.simulate import DEMO_START_MS
from simulators.town import Town


def test_noise_is_nearly_normal_and_depends_on_its_arguments_alone() -> None:
    at_s, places = np.arange(400)[:, None], np.arange(50)
    found = noise(1, np.array(2), at_s, places)
    assert found.shape == (400, 50)
    assert abs(found.mean()) < 0.03
    assert 0.97 < found.std() < 1.03
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.2
    assert (noise(1, np.array(2), at_s, places) == found).all()
    assert (noise(1, np.array(3), at_s, places) != found).mean() > 0.99
    assert (noise(2, np.array(2), at_s, places) != found).mean() > 0.99


@given(st.lists(st.integers(1, 290), min_size=3, max_size=40))
def test_each_sensor_reports_once_in_five_minutes_however_time_is_cut(steps_s: list[int]) -> None:
    from simulators.town import build_town

    sensors = RoomSensors(build_town())
    at_ms, heard = DEMO_START_MS, np.zeros(400, int)
    for step_s in steps_s:
        rooms, measured_at = sensors.due(at_ms, at_ms + step_s * 1000)
        assert ((measured_at > at_ms) & (measured_at <= at_ms + step_s * 1000)).all()
        heard[rooms] += 1
        at_ms += step_s * 1000
    expected = sum(steps_s) / 300
    assert (abs(heard - expected) < 1).all()


def test_values_have_the_resolution_of_the_sensors_and_dead_ones_are_silent(town: Town) -> None:
    sensors, count = RoomSensors(town), len(town.rooms)
    dead, stuck = np.zeros(count, bool), np.zeros(count, bool)
    dead[3], stuck[5] = True, True
    rooms, at = np.arange(count), np.full(count, DEMO_START_MS)
    readings = sensors.read(rooms, at, np.full(count, 20.5), dead, stuck)
    assert 3 not in readings.room
    temps_c = readings.values[:, 0]
    assert np.allclose(np.rint(temps_c * 10), temps_c * 10)
    assert abs(np.delete(temps_c, 4).mean() - 20.5) < 0.05
    assert temps_c[4] == 21.0  # stuck before it ever reported
    again = sensors.read(rooms, at + 300_000, np.full(count, 15.0), dead, stuck)
    assert again.values[4, 0] == 21.0
    assert set(readings.values[:, 1] % 1) == {0.0}

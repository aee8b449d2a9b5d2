import numpy as np
import pytest

from collector.screen import Screen
from domain.reading import Quality, Readings

NAMES = [
    "station/S1/secondary_supply_temp_c",
    "room/R1/indoor_temp_c",
    "source/D1/latency_ms",
    "station/S1/heat_energy_gj",
    "station/S1/makeup_flow_m3h",
    "station/S1/pump2_running",
]


@pytest.fixture
def screen() -> Screen:
    found = Screen()
    found.learn([4, 0, 7, 2, 1, 30], NAMES)
    return found


IDS = dict(zip(NAMES, [4, 0, 7, 2, 1, 30], strict=True))


@pytest.mark.parametrize(
    ("name", "value", "quality"),
    [
        ("station/S1/secondary_supply_temp_c", 45.0, Quality.GOOD),
        ("station/S1/secondary_supply_temp_c", 0.0, Quality.GOOD),
        ("station/S1/secondary_supply_temp_c", -0.1, Quality.RANGE),
        ("station/S1/secondary_supply_temp_c", 100.0, Quality.SUSPECT_RANGE),
        ("station/S1/secondary_supply_temp_c", 100.1, Quality.RANGE),
        ("station/S1/secondary_supply_temp_c", 3276.7, Quality.SENTINEL),
        ("station/S1/secondary_supply_temp_c", float("nan"), Quality.NOT_A_NUMBER),
        ("room/R1/indoor_temp_c", float("inf"), Quality.NOT_A_NUMBER),
        ("room/R1/indoor_temp_c", -3276.8, Quality.SENTINEL),
        ("room/R1/indoor_temp_c", 4.9, Quality.SUSPECT_RANGE),
        ("room/R1/indoor_temp_c", -10.1, Quality.RANGE),
        ("source/D1/latency_ms", 1e9, Quality.GOOD),
        ("station/S1/heat_energy_gj", 3276.7, Quality.GOOD),
        ("station/S1/makeup_flow_m3h", -1.0, Quality.GOOD),
        ("station/S1/pump2_running", 2.0, Quality.RANGE),
    ],
)
def test_what_can_not_be_true_is_marked(screen: Screen, name: str, value: float, quality: Quality) -> None:
    found = screen(Readings.of([IDS[name]], [1], [value]))
    assert found.quality.tolist() == [quality]
    np.testing.assert_equal(found.value, [value])


def test_marks_of_the_source_stay_unless_a_suspect_one_turns_out_bad(screen: Screen) -> None:
    marks = [Quality.CLOCK, Quality.CLOCK, Quality.BAD, Quality.SUSPECT]
    found = screen(Readings.of([0, 0, 0, 0], [1, 2, 3, 4], [60.0, 31.0, 60.0, float("nan")], quality=marks))
    assert found.quality.tolist() == [Quality.RANGE, Quality.CLOCK, Quality.BAD, Quality.NOT_A_NUMBER]


def test_nothing_is_dropped_and_the_given_columns_stay_as_they_were(screen: Screen) -> None:
    given = Readings.of([0, 4], [1, 2], [500.0, 40.0])
    assert len(screen(given)) == 2
    assert given.quality.tolist() == [0, 0]

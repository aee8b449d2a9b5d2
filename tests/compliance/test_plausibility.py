"""``--screen``: what can't be true is bad, what is unusual stays."""

import numpy as np

from compliance.plausibility import screened
from domain.reading import Quality, Readings

NAMES = ["room/A/indoor_temp_c", "station/S/secondary_flow_m3h", "station/S/heat_energy_gj", "source/D1/latency_ms", "station/S/alarm_word"]
GOOD, RANGE, SENTINEL, STUCK = Quality.GOOD, Quality.RANGE, Quality.SENTINEL, Quality.STUCK


def test_each_value_by_its_quantity() -> None:
    cases = [
        (0, 20.0, GOOD, GOOD),
        (0, -10.0, GOOD, GOOD),
        (0, -10.1, GOOD, RANGE),
        (0, 50.1, GOOD, RANGE),
        (0, 3276.7, GOOD, SENTINEL),
        (0, 35.0, GOOD, GOOD),  # unusual, but it stays
        (0, 99.0, STUCK, STUCK),  # the first reason stays
        (0, np.nan, Quality.NOT_A_NUMBER, Quality.NOT_A_NUMBER),
        (1, -1.0, GOOD, RANGE),
        (1, 3276.7, GOOD, SENTINEL),
        (2, 3276.7, GOOD, GOOD),  # a counter may pass by it
        (3, -3276.8, GOOD, GOOD),  # nobody knows what it can be
        (4, 3276.7, GOOD, GOOD),
    ]
    points, values, before, after = zip(*cases, strict=True)
    readings = Readings.of(points, range(len(cases)), values, quality=before)
    assert screened(NAMES, readings).quality.tolist() == list(after)
    assert readings.quality.tolist() == list(before)


def test_nothing_to_screen() -> None:
    assert len(screened([], Readings.empty())) == 0

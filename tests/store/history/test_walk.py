"""A stretch of the past in portions: all of it, in order, and never much at once."""

import numpy as np
import pytest

from domain.reading import Readings
from store.history.walk import walk

DAY_MS = 86_400_000
FIRST_DAY = 20_467  # 2026-01-14


def town(per_day: dict[int, int], days: int) -> Readings:
    """Readings of points by how many each has on a day, sorted by (point, measured_at)."""
    parts = [
        Readings.of(
            np.full(count * days, point), FIRST_DAY * DAY_MS + np.arange(count * days) * (DAY_MS // count), np.arange(float(count * days))
        )
        for point, count in per_day.items()
    ]
    return Readings.concat(parts)


class Past:
    """A history in memory that notes how much was asked of it at a time."""

    def __init__(self, readings: Readings) -> None:
        self.readings = readings
        self.asked: list[int] = []

    def read(self, points: object, from_ms: int, to_ms: int) -> Readings:
        inside = (
            np.isin(self.readings.point, np.asarray(points)) & (self.readings.measured_at >= from_ms) & (self.readings.measured_at < to_ms)
        )
        self.asked.append(int(np.count_nonzero(inside)))
        return self.readings.take(inside)


def test_all_of_it_in_order_by_day_and_point() -> None:
    past = Past(town(dict.fromkeys(range(40), 24), 3))
    portions = list(walk(past.read, range(40), range(FIRST_DAY, FIRST_DAY + 3), 0, 2**62, at_once=100_000))
    assert sum(len(portion.readings) for portion in portions) == 40 * 24 * 3
    keys = [
        (portion.from_ms // DAY_MS, *pair)
        for portion in portions
        for pair in zip(portion.readings.point.tolist(), portion.readings.measured_at.tolist(), strict=True)
    ]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    shares = [portion.share for portion in portions]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_portions_fit_whatever_points_have() -> None:
    """Few rooms and busy stations beside each other; later days are read by what the first ones had."""
    per_day = {point: 8_640 if point % 50 == 0 else 144 for point in range(400)}
    past = Past(town(per_day, 3))
    at_once = 20_000
    portions = list(walk(past.read, range(400), range(FIRST_DAY, FIRST_DAY + 3), 0, 2**62, at_once=at_once))
    assert sum(len(portion.readings) for portion in portions) == sum(per_day.values()) * 3
    assert max(past.asked) <= at_once + 8_640
    by_day = [sum(portion.from_ms // DAY_MS == FIRST_DAY + day for portion in portions) for day in range(3)]
    assert by_day[0] > 3 * by_day[1]  # of points never seen much is expected
    assert by_day[2] <= by_day[1]


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "count"), [(0, 2**62, 48), (FIRST_DAY * DAY_MS + 1, 2**62, 47), (0, FIRST_DAY * DAY_MS + DAY_MS, 24), (5, 5, 0)]
)
def test_a_period_is_half_open(from_ms: int, to_ms: int, count: int) -> None:
    past = Past(town({1: 24}, 2))
    assert sum(len(portion.readings) for portion in walk(past.read, [1], [FIRST_DAY, FIRST_DAY + 1], from_ms, to_ms)) == count
    assert list(walk(past.read, [], [FIRST_DAY], 0, 2**62)) == []

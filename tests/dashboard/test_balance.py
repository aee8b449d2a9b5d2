"""The balance page's facts from stored readings: buildings, risers, exchanger, all stations."""

import pytest

from dashboard.facts.balance import ORDERS, exchanger, station_balance, town_water
from dashboard.facts.off_curve import off_curve
from dashboard.facts.stations import OFF_TARGET_K
from dashboard.facts.town import Town
from tests.dashboard.sample_town import COLD_BUILDING, NOW_MS, OVERDUE, PLANNED, SILENT, STOPPED, TOO_WARM


def test_the_cold_building_of_a_station_stands_first(town: Town) -> None:
    found = station_balance(town, "S05", 7)
    assert found.buildings[0].key == COLD_BUILDING
    assert found.buildings[0].deviation_k < -1.5
    assert found.buildings[0].standing == "uncertain"  # two days of readings are no proof
    assert len(found.buildings) == 3
    assert sum(one.rooms for one in found.buildings) == 39
    assert {one.key.rpartition("/")[0] for one in found.risers[:3]} == {COLD_BUILDING}
    assert all(one.rooms >= 2 for one in found.risers)


def test_three_weeks_are_enough_to_be_certain(town: Town) -> None:
    found = station_balance(town, TOO_WARM, 14)
    assert {one.standing for one in found.buildings} == {"balanced"}
    assert all(one.bounds_k is not None for one in found.buildings)


def test_an_exchanger_that_fouled_in_the_last_week(town: Town) -> None:
    found = exchanger(town, TOO_WARM)
    assert found.verdict == "fouling"
    assert found.grown_k is not None
    assert found.grown_k.value == pytest.approx(2.5, abs=0.5)
    assert exchanger(town, "S01").verdict == "unknown"


def test_stations_by_what_is_worst(town: Town) -> None:
    circulating = {station_id for station_id in town.site.stations if station_id not in {STOPPED, PLANNED, OVERDUE, SILENT}}
    for order in ORDERS:
        rows = town_water(town, order)
        assert {row.station_id for row in rows} == circulating
        assert [row.badness(order) for row in rows] == sorted((row.badness(order) for row in rows), reverse=True)
    first = town_water(town, "return", most=1)[0]
    assert first.return_off_k >= 0
    assert first.approach_k == pytest.approx(4.0)
    assert first.flow_share == pytest.approx(118 / 120, abs=0.05)


def test_stations_off_their_curve_those_with_an_alarm_first(town: Town) -> None:
    rows = off_curve(town)
    assert [(row.state.station.station_id, row.alarm_since) for row in rows][:1] == [("S02", NOW_MS - 24 * 60_000)]
    assert all(abs(row.state.off_target_k or 0.0) > OFF_TARGET_K for row in rows[1:])
    assert {row.state.heat for row in rows[1:]} <= {"supplying"}

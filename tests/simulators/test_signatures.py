"""Each scenario shows at the instruments what domain.md says of it, and at nobody else's."""

import numpy as np
import pytest

from simulators.present import Present
from simulators.sensing import LEVEL_LOW, POWER_LOSS, PRIMARY_TEMP_LOW, PUMP1_FAULT, RETURN_PRESSURE_LOW
from simulators.simulate import DEMO_START_MS
from tests.simulators.conftest import PresentOf

MINUTE_MS = 60_000


def go(present: Present, minutes: float) -> Present:
    while present.at_ms < DEMO_START_MS + minutes * MINUTE_MS:
        present.step()
    return present


def bits(values: dict[str, float]) -> set[int]:
    return {bit for bit in range(16) if int(values["alarm_word"]) >> bit & 1}


def curve_gap_k(present: Present, station: int) -> float:
    """How far supply is below the filed curve."""
    return float(present.world.plant.curve_target_c(present.world.outdoor_c)[station]) - present.values(station)["secondary_supply_temp_c"]


def in_order(present: Present, station: int) -> bool:
    values, design_m3h = present.values(station), present.town.design_flow_m3h[station]
    return (
        values["pump1_running"] == 1
        and not bits(values)
        and values["secondary_flow_m3h"] > 0.9 * design_m3h
        and abs(curve_gap_k(present, station)) < 1
        and values["secondary_supply_pressure_mpa"] > values["secondary_return_pressure_mpa"] + 0.1
        and values["makeup_flow_m3h"] < 0.008 * values["secondary_flow_m3h"]
    )


def others_in_order(present: Present, *stations: int) -> bool:
    return all(in_order(present, place) for place in range(12) if place not in stations)


def test_in_a_normal_town_every_station_is_in_order(present_of: PresentOf) -> None:
    present = present_of("normal")
    for minutes in (0, 20, 60):
        assert others_in_order(go(present, minutes))


def test_pump_trip(present_of: PresentOf) -> None:
    present, station = present_of("pump_trip", minutes=18), 3
    assert in_order(present, station)
    supply_before_c = present.values(station)["secondary_supply_temp_c"]
    after_trip = go(present, 22).values(station)
    assert after_trip["pump1_running"] == 0
    assert after_trip["pump1_frequency_hz"] == 0
    assert bits(after_trip) == {PUMP1_FAULT}
    assert after_trip["secondary_flow_m3h"] == 0
    assert after_trip["secondary_supply_pressure_mpa"] == pytest.approx(after_trip["secondary_return_pressure_mpa"], abs=0.01)
    assert after_trip["secondary_supply_temp_c"] == pytest.approx(supply_before_c, abs=3)
    later = go(present, 120).values(station)
    assert later["secondary_supply_temp_c"] < supply_before_c - 10  # it drifts
    assert others_in_order(present, station)
    present.world.advance_to(DEMO_START_MS + 10 * 60 * MINUTE_MS)
    present.step()
    assert in_order(present, station) or abs(curve_gap_k(present, station)) < 5  # runs again


def test_source_loss(present_of: PresentOf) -> None:
    present = present_of("source_loss", minutes=28)
    flow_before_m3h = [present.values(station)["primary_flow_m3h"] for station in range(12)]
    go(present, 120)
    for station in range(6):
        values = present.values(station)
        assert values["pump1_running"] == 1
        assert values["secondary_flow_m3h"] > 0.9 * present.town.design_flow_m3h[station]
        assert values["primary_flow_m3h"] < 0.15 * flow_before_m3h[station]
        assert values["primary_supply_temp_c"] < 45
        assert PRIMARY_TEMP_LOW in bits(values)
        assert values["secondary_supply_temp_c"] - values["secondary_return_temp_c"] < 1.0  # rule R4 (b), both terms
        assert curve_gap_k(present, station) > 10
    assert others_in_order(present, *range(6))


def test_power_and_comm_loss(present_of: PresentOf) -> None:
    present, dark, mute = present_of("power_and_comm_loss", minutes=19), 2, 7
    values = go(present, 23).values(dark)
    assert POWER_LOSS in bits(values)
    assert values["pump1_running"] == values["makeup_pump1_running"] == values["secondary_flow_m3h"] == 0
    assert not present.effects.silent.any()  # it speaks from its battery
    go(present, 45)
    assert np.flatnonzero(present.effects.silent).tolist() == [dark, mute]
    assert in_order(present, mute)  # heat goes on where only the line is lost
    assert others_in_order(present, dark)


def test_cold_building(present_of: PresentOf) -> None:
    present = present_of("cold_building", minutes=150, hours=12)  # 06:00
    rooms = np.array([room.room_id for room in present.town.rooms])
    cold = set(rooms[present.world.rooms.air_c < 17.9])
    assert cold == {f"S07-B01-{floor}02" for floor in range(1, 8)}
    assert present.world.rooms.air_c.min() > 16.3
    assert others_in_order(present)  # the station is in order: imbalance, not supply


def test_open_window(present_of: PresentOf) -> None:
    present = present_of("open_window", minutes=179)
    place = present.town.room_index["S11-B02-302"]
    before_c = present.world.rooms.air_c.copy()
    go(present, 200)
    fallen_k = before_c - present.world.rooms.air_c
    assert 1 < fallen_k[place] < 3
    same_building = present.town.building_of_room == present.town.building_of_room[place]
    same_building[place] = False
    assert abs(fallen_k[same_building]).max() < 0.8
    low_c = go(present, 360).world.rooms.air_c[place]
    assert go(present, 420).world.rooms.air_c[place] > low_c + 1  # shut again, it recovers


def test_dead_sensors(present_of: PresentOf) -> None:
    present = present_of("dead_sensors", minutes=58)
    heard: dict[int, list[float]] = {}
    while present.at_ms < DEMO_START_MS + 150 * MINUTE_MS:
        report = present.step()
        for room, row in zip(report.room.tolist(), report.values.tolist(), strict=True):
            heard.setdefault(room, []).append(row[0])
    dead = {room.room_id for place, room in enumerate(present.town.rooms) if place not in heard}
    assert dead == {"S01-B03-201", "S02-B02-302", "S05-B01-702", "S08-B01-401", "S10-B01-102", "S12-B01-602"}
    stuck = heard[present.town.room_index["S09-B02-301"]]
    assert len(set(stuck[1:])) == 1
    assert len(heard) == 394


def test_morning_step(present_of: PresentOf) -> None:
    present = present_of("morning_step", minutes=-390, hours=18)  # 21:00 the evening before
    of_station = present.town.station_of_room == 1
    assert present.world.rooms.air_c[of_station].min() > 18.0
    go(present, 150)  # 06:00
    air_c = present.world.rooms.air_c[of_station]
    assert air_c.min() > 16.2
    assert np.count_nonzero(air_c < 17.9) > 0.6 * len(air_c)
    assert present.world.rooms.air_c[~of_station].min() > 18.5
    values = present.values(1)
    assert values["secondary_supply_temp_c"] - values["secondary_return_temp_c"] > 1.5  # supplying, if far too little: no outage


def test_slow_leak(present_of: PresentOf) -> None:
    present, station = present_of("slow_leak", minutes=28), 4
    before = dict(present.values(station))
    after = go(present, 120).values(station)
    assert after["makeup_flow_m3h"] > 0.01 * after["secondary_flow_m3h"] > before["makeup_flow_m3h"]
    assert after["secondary_return_pressure_mpa"] < before["secondary_return_pressure_mpa"] - 0.02
    assert after["tank_level_m"] < before["tank_level_m"] - 0.2
    assert others_in_order(present, station)
    assert bits(go(present, 400).values(station)) == {RETURN_PRESSURE_LOW, LEVEL_LOW}

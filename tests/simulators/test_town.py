from collections import Counter

import pytest

from domain.curve import curve_faults
from simulators.town import Town, build_town


def test_the_town_has_the_size_that_the_demo_promises(town: Town) -> None:
    assert len(town.stations) == 12
    assert len(town.buildings) == 30
    assert len(town.rooms) == 400
    assert {station.source_id for station in town.stations} == {"HS1"}
    assert town.branch_of_station.tolist() == [0] * 6 + [1] * 6


def test_protocols_are_mixed_as_in_a_real_town(town: Town) -> None:
    assert Counter(access.protocol for access in town.access) == {"modbus_tcp": 6, "modbus_rtu_tcp": 3, "opcua": 3}
    assert sum(access.secure for access in town.access) == 1
    behind_one_gateway = Counter((access.protocol, access.server) for access in town.access if access.protocol == "modbus_tcp")
    assert set(behind_one_gateway.values()) == {3}
    addresses = [(access.protocol, access.server, access.unit) for access in town.access if access.protocol != "opcua"]
    assert len(set(addresses)) == len(addresses)


def test_rooms_lie_on_a_grid_of_floors_and_flats(town: Town) -> None:
    for building in town.buildings:
        rooms = [room for room in town.rooms if room.building_id == building.building_id]
        floors, units = {room.floor for room in rooms}, {room.unit for room in rooms}
        assert floors == set(range(1, (building.floors or 0) + 1))
        assert len(rooms) == len(floors) * len(units)
        assert all(room.room_id == f"{building.building_id}-{room.floor}{room.unit}" for room in rooms)
        assert (building.households or 0) >= len(rooms)


def test_most_rooms_are_homes_and_every_contract_names_its_schedule(town: Town) -> None:
    premises = Counter(room.premises for room in town.rooms)
    assert premises["residential"] > 350
    assert premises["bungalow"] == 20
    assert premises["contract"] == 12
    assert all((room.schedule == "office") == (room.premises == "contract") for room in town.rooms)


def test_ids_are_unique(town: Town) -> None:
    for ids in (
        [station.station_id for station in town.stations],
        [building.building_id for building in town.buildings],
        [room.room_id for room in town.rooms],
        [room.sensor_id for room in town.rooms],
    ):
        assert len(set(ids)) == len(ids)


def test_filed_curves_can_be_filed_and_share_their_outdoor_points(town: Town) -> None:
    for curve in town.curves:
        assert curve_faults(curve.outdoor_c, curve.supply_c) == []
        assert curve.outdoor_c == town.curves[0].outdoor_c  # the plant's arrays rely on it
        assert curve.supply_c[0] == pytest.approx(75, abs=1.5)


def test_the_same_town_is_built_each_time(town: Town) -> None:
    again = build_town()
    assert again.stations == town.stations
    assert again.rooms == town.rooms

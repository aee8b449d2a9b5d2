import time
from itertools import pairwise

import numpy as np
import pytest

from simulators.history import PointNames, history
from simulators.present import Present
from simulators.scenario import load_scenario
from simulators.sensing import ROOM_INTERVAL_S
from simulators.simulate import DEMO_START_MS
from simulators.town import Town
from simulators.world import World

HOUR_MS = 3_600_000


def test_blocks_are_columns_in_order_of_time(town: Town) -> None:
    blocks = list(history(town, load_scenario("normal", town), DEMO_START_MS, hours=3))
    for block in blocks:
        assert block.names is blocks[0].names
        assert block.point.dtype == np.int32
        assert block.measured_at.dtype == np.int64
        assert block.value.dtype == np.float64
        assert len(block.point) == len(block.measured_at) == len(block.value)
        assert (np.diff(block.measured_at) >= 0).all()
        assert np.isfinite(block.value).all()
        assert block.measured_at[-1] - block.measured_at[0] <= HOUR_MS
    for one, next_one in pairwise(blocks):
        assert one.measured_at[-1] <= next_one.measured_at[0]
    assert blocks[0].measured_at[0] > DEMO_START_MS - 3 * HOUR_MS
    assert DEMO_START_MS - 60_000 < blocks[-1].measured_at[-1] <= DEMO_START_MS


def test_every_instrument_speaks_at_its_interval(town: Town) -> None:
    blocks = list(history(town, load_scenario("normal", town), DEMO_START_MS, hours=2))
    counts = np.bincount(np.concatenate([block.point for block in blocks]), minlength=len(blocks[0].names))
    for name, count in zip(blocks[0].names, counts, strict=True):
        assert count == (120 if name.startswith("station/") else 7200 // ROOM_INTERVAL_S), name


def test_points_are_those_of_the_profiles(town: Town) -> None:
    names = PointNames(town).names
    assert len(set(names)) == len(names)
    assert "station/S01/secondary_supply_temp_c" in names
    assert "station/S01/pump1_frequency_hz" not in names  # the register map has none
    assert "station/S10/pump1_frequency_hz" in names
    assert "room/S01-B03-502/indoor_temp_c" in names
    assert "room/S01-B03-502/rssi_dbm" in names
    assert "room/S07-B01-101/rssi_dbm" not in names  # Zigbee2MQTT gives a link quality


def test_the_present_goes_on_where_history_ends(town: Town) -> None:
    """Values of the last instant of history are those that the servers show first."""
    scenario = load_scenario("demo", town)
    last = list(history(town, scenario, DEMO_START_MS, hours=2))[-1]
    present = Present(World(town, scenario, DEMO_START_MS, hours=2))
    present.world.advance_to(DEMO_START_MS)
    present = Present(present.world)
    said = {last.names[point]: value for point, value in zip(last.point, last.value, strict=True)}
    for place, station in enumerate(town.stations):
        for quantity, value in present.values(place).items():
            expected = said.get(f"station/{station.station_id}/{quantity}")
            assert expected is None or value == pytest.approx(expected, rel=1e-12), (station.station_id, quantity)


def test_two_days_are_told_within_two_seconds_of_work(town: Town) -> None:
    scenario = load_scenario("demo", town)
    began_s = time.process_time()
    readings = sum(len(block.point) for block in history(town, scenario, DEMO_START_MS, hours=48))
    assert readings > 1_500_000
    assert time.process_time() - began_s < 6  # 2 s on an idle machine; the limit leaves room for a busy one

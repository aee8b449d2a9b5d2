"""Random hours of a station, and days of rooms, whose values and intervals lie on the edges of the plausibility table."""

import random
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.policy import Policy
from domain.site import Building, Room, Site, Station
from tests.domain.oracle_screening import HOUR, MINUTE, Row

START = 1_768_348_800_000  # 2026-01-14 08:00 in Shanghai
NAN = float("nan")
CODES = (3276.7, -3276.8, NAN, 32767.0, -32768.0, 65535.0)
INSTRUMENTS = {
    "primary_supply_temp_c": (0, -0.1, 130, 130.1, 160, 160.1, 45.0, 44.9, 85.1),
    "primary_return_temp_c": (0, 110, 110.1, 39, 38.9, 40, 44),
    "secondary_supply_temp_c": (45.0, 40.0, 39.5, 60, 60.1, 85, 85.1, 100, 100.1, 0),
    "secondary_return_temp_c": (40.0, 40.5, 40.6, 45.5, 45.6, 60.1, 85.1, 39.9),
    "secondary_flow_m3h": (0, 0, 0.1, 80, 150, 150.1, -0.1, 32767.0),
    "primary_flow_m3h": (0, 30, 30.1, 5, 65535.0),
    "pump1_running": (0, 1),
    "pump2_frequency_hz": (0, 4.9, 5, 40, 55, 55.1, 45, 35),
    "pump2_command_hz": (40, 45.1, 50, 0),
    "valve_position_pct": (0, 40, 50, 100, 100.1, -0.1),
    "valve_command_pct": (40, 50, 50.1, 60.1),
    "secondary_supply_pressure_mpa": (0.3, 1.0, 1.01, 2.5, 2.6, -0.1, -0.11),
    "secondary_return_pressure_mpa": (0.3, 0.2, 1.01),
    "heat_energy_gj": (100, 101, 7, 3276.7),
    "secondary_volume_m3": (5, 6, 65535, 4),
    "makeup_flow_m3h": (0, -1, 0.5),
    "outdoor_temp_c": (-50, -50.1, 45, 45.1, -5),
    "secondary2_supply_temp_c": (40, 85.1),
    "secondary2_return_temp_c": (40.6, 40.5),
    "secondary2_flow_m3h": (0, 10),
}
ROOM_C = (
    (20.0, 20.5, 20.4),
    (20.0, 20.1, 23.1, 23.0, 17.0, 16.9),  # 23.1 − 20.1 is a little more than 3 in binary
    (20.0, 30.0, 30.1, 5.0, 4.9, 50.0, 50.1, -10.0, -10.1, 0.0, -0.0, 0.01, 3276.7, -3276.8, 65535.0, float("inf")),
)
BUILDINGS = {"A": "B1", "B": "B1", "C": "B1", "D": "B2", "E": None, "F": None}


def screening_day(seed: int, policy: Policy) -> tuple[Site, list[Row]]:
    """A site and its rows in order of measurement; a seed says everything about them."""
    chance = random.Random(f"screen {seed}")
    meters = chance.choice([None, 20.0]), chance.choice([None, 100.0])
    heating = chance.choice(["radiators", "floor"])
    stations = {"S1": Station("S1", design_flow_m3h=100.0, heating=heating, primary_meter_m3h=meters[0], secondary_meter_m3h=meters[1])}  # type: ignore[arg-type]
    rooms = {room: Room(room, building, "S1") for room, building in BUILDINGS.items()}
    buildings = {building: Building(building, "S1") for building in ("B1", "B2")}
    site = Site("day", ZoneInfo("Asia/Shanghai"), policy, Path(), Path(), stations=stations, buildings=buildings, rooms=rooms)
    rows = station_rows(chance) if chance.random() < 0.6 else room_rows(chance)
    return site, sorted({(row.point, row.at): row for row in rows}.values(), key=lambda row: row.at)


def station_rows(chance: random.Random) -> list[Row]:
    """Some of a station's instruments; supply may stand still for longer than six hours."""
    hours = chance.choice([1, 2, 8, 14])
    chosen = chance.sample(list(INSTRUMENTS), chance.randint(2, 9))
    if chance.random() < 0.5:
        chosen += ["secondary_supply_temp_c", "secondary_return_temp_c", "secondary_flow_m3h"]
    if chance.random() < 0.3:
        chosen += ["secondary_supply_pressure_mpa", "secondary_return_pressure_mpa", "pump1_running"]
    usual = chance.choice([1, 1, 4, 5, 5, 6]) * MINUTE
    gaps = (1, 5 * MINUTE - 1, 5 * MINUTE, 5 * MINUTE + 1, 10 * MINUTE, 30 * MINUTE, 7 * HOUR)
    rows: list[Row] = []
    for quantity in dict.fromkeys(chosen):
        at, value, changes = (
            chance.choice([0, 0, 1, MINUTE // 2]),
            chance.choice(INSTRUMENTS[quantity]),
            chance.choice([0, 0.02, 0.02, 0.1, 0.5]),
        )
        while at < hours * HOUR:
            if chance.random() < changes:
                value = chance.choice(CODES if chance.random() < 0.03 else INSTRUMENTS[quantity])
            rows.append(Row(f"station/S1/{quantity}", START + at, float(value), chance.random() < 0.01))
            at += usual if chance.random() < 0.97 else chance.choice(gaps)
    return rows


def room_rows(chance: random.Random) -> list[Row]:
    """Some rooms, some of whose sensors are stuck, step, or say 0.00, and some batteries."""
    hours = chance.choice([2, 26, 40, 60])
    gaps = (10 * MINUTE, 10 * MINUTE + 1, 10 * MINUTE - 1, 2 * HOUR, 20 * HOUR)
    rows: list[Row] = []
    for room in chance.sample(list(BUILDINGS), chance.randint(1, 6)):
        at, value, values = chance.choice([0, 0, 1, 5 * MINUTE]), 20.0, chance.choice(ROOM_C)
        changes, step = chance.choice([0, 0, 0.005, 0.05, 0.3]), chance.choice([5, 10, 10, 10, 30]) * MINUTE
        while at < hours * HOUR:
            if chance.random() < changes:
                value = chance.choice(values)
            rows.append(Row(f"room/{room}/indoor_temp_c", START + at, value, chance.random() < 0.01))
            at += step if chance.random() < 0.97 else chance.choice(gaps)
        if chance.random() < 0.5:
            for _ in range(chance.randint(1, 3)):
                at = START + chance.randrange(0, hours * HOUR, MINUTE)
                rows.append(Row(f"room/{room}/battery_pct", at, chance.choice([88.0, 10.0, 0.0])))
    return rows

"""What the town's instruments say about its state: noise, resolution, meters, pump bits, alarm words, room sensors.

Noise depends on instrument and instant alone, so that the same instant is always measured the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.stations import GJ_PER_KWH, RETURN_PRESSURE_MPA, STATE
from simulators.town import SensorFormat, Town

Columns = NDArray[np.float64]
Instants = NDArray[np.int64]
Places = NDArray[np.intp]
Flags = NDArray[np.bool_]

ROOM_INTERVAL_S = 300
ROOM_QUANTITIES = ("indoor_temp_c", "indoor_humidity_pct", "battery_pct", "rssi_dbm")

# Bits of the alarm word (domain.md).
PRIMARY_PRESSURE_LOW, SECONDARY_PRESSURE_HIGH, RETURN_PRESSURE_HIGH, RETURN_PRESSURE_LOW = 0, 1, 2, 3
PRIMARY_TEMP_LOW, SECONDARY_TEMP_HIGH, LEVEL_HIGH, LEVEL_LOW, PUMP1_FAULT, POWER_LOSS = 4, 5, 6, 7, 8, 15

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def noise(seed: int, channels: Places, at_s: Instants, places: Places) -> Columns:
    """Numbers of mean 0 and standard deviation 1 for channels, instants and places (broadcast), the same for the same arguments."""
    with np.errstate(over="ignore"):
        mixed = at_s.astype(np.uint64) * np.uint64(0xD1342543DE82EF95) + places.astype(np.uint64) * _GOLDEN
        mixed = mixed + (np.uint64(seed * 1_000_003) + channels.astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    total: Columns = np.zeros(mixed.shape)
    for shift in (0, 16, 32, 48):
        total += mixed >> np.uint64(shift) & np.uint64(0xFFFF)
    spread: Columns = (total / 65535 - 2.0) * 3.0**0.5  # a sum of four uniform numbers is nearly normal
    return spread


class StationInstruments:
    """The instruments of all stations."""

    def __init__(self, town: Town) -> None:
        random = np.random.default_rng([town.seed, 505])
        count = len(town.stations)
        self._seed = town.seed
        self._places = np.arange(count)
        self._outdoor_bias_k = random.normal(0.0, 0.25, count)  # each station has its own probe on its own wall
        self._primary_mpa = 0.92 - 0.018 * (np.arange(count) % 6)
        self._design_m3h = town.design_flow_m3h

    def read(self, at_ms: Instants, outdoor_c: Columns, state: Columns) -> dict[str, Columns]:
        """Every quantity of every station: columns [instant, station].

        ``at_ms`` and ``outdoor_c`` have one value per instant, ``state`` is [instant, STATE, station].
        """
        at_s = at_ms // 1000
        of = {name: state[:, row] for row, name in enumerate(STATE)}

        wobbles = noise(self._seed, np.arange(13)[:, None, None], at_s[:, None], self._places)

        def wobble(channel: int, size: float) -> Columns:
            wobbled: Columns = size * wobbles[channel]
            return wobbled

        share = of["secondary_flow_m3h"] / self._design_m3h
        flowing = of["secondary_flow_m3h"] > 0.005 * self._design_m3h
        primary_mpa = self._primary_mpa - 0.17 * (1 - of["source_drive"])
        read = {
            "outdoor_temp_c": _to(0.1, outdoor_c[:, None] + self._outdoor_bias_k + wobble(1, 0.05)),
            "primary_supply_temp_c": _to(0.1, of["primary_supply_c"] + wobble(2, 0.06)),
            "primary_return_temp_c": _to(0.1, of["primary_return_c"] + wobble(3, 0.06)),
            "secondary_supply_temp_c": _to(0.1, of["supply_c"] + wobble(4, 0.06)),
            "secondary_return_temp_c": _to(0.1, of["return_c"] + wobble(5, 0.06)),
            "primary_supply_pressure_mpa": _to(0.001, primary_mpa + wobble(6, 0.0012)),
            "primary_return_pressure_mpa": _to(0.001, primary_mpa - 0.35 * of["source_drive"] + wobble(7, 0.0012)),
            "secondary_supply_pressure_mpa": _to(0.001, of["return_pressure_mpa"] + 0.16 * share**2 + wobble(8, 0.0008)),
            "secondary_return_pressure_mpa": _to(0.001, of["return_pressure_mpa"] + wobble(9, 0.0008)),
            "valve_position_pct": _to(0.1, of["valve_pct"]),
            "tank_level_m": _to(0.01, of["tank_level_m"]),
            "primary_flow_m3h": _single(of["primary_flow_m3h"] * (1 + wobble(10, 0.004))),
            "primary_volume_m3": np.floor(of["primary_volume_m3"]),
            "heat_power_gjh": _single(of["heat_kw"] * GJ_PER_KWH * (1 + wobble(10, 0.004))),
            "heat_energy_gj": np.floor(of["energy_gj"] * 10) / 10,
            "makeup_flow_m3h": _single(of["makeup_m3h"] * (1 + wobble(11, 0.01))),
            "makeup_volume_m3": np.floor(of["makeup_volume_m3"]),
            "secondary_flow_m3h": _single(np.where(flowing, of["secondary_flow_m3h"] * (1 + wobble(12, 0.004)), 0.0)),
            "secondary_volume_m3": np.floor(of["secondary_volume_m3"]),
            "pump1_frequency_hz": _to(0.1, of["pump_hz"]),
            "pump1_running": (of["pump_hz"] > 0).astype(np.float64),
            "makeup_pump1_running": (of["makeup_m3h"] > 0.02).astype(np.float64),
            "supply_setpoint_c": _to(0.1, of["supply_target_c"]),
            "return_pressure_setpoint_mpa": np.full_like(share, RETURN_PRESSURE_MPA),
        }
        for name in ("pump2_frequency_hz", "pump2_running", "pump3_running", "makeup_pump2_running"):  # on standby
            read[name] = np.zeros_like(share)
        read["alarm_word"] = _alarm_word(read, of)
        return read


def _alarm_word(read: dict[str, Columns], of: dict[str, Columns]) -> Columns:
    bits = {
        PRIMARY_PRESSURE_LOW: read["primary_supply_pressure_mpa"] < 0.5,
        SECONDARY_PRESSURE_HIGH: read["secondary_supply_pressure_mpa"] > 0.8,
        RETURN_PRESSURE_HIGH: read["secondary_return_pressure_mpa"] > 0.6,
        RETURN_PRESSURE_LOW: read["secondary_return_pressure_mpa"] < 0.22,
        PRIMARY_TEMP_LOW: read["primary_supply_temp_c"] < 55,
        SECONDARY_TEMP_HIGH: read["secondary_supply_temp_c"] > 85,
        LEVEL_HIGH: read["tank_level_m"] > 1.95,
        LEVEL_LOW: read["tank_level_m"] < 0.5,
        PUMP1_FAULT: of["pump_tripped"] > 0,
        POWER_LOSS: of["power_lost"] > 0,
    }
    word = np.zeros_like(of["power_lost"])
    for bit, flags in bits.items():
        word += flags * float(1 << bit)
    return word


def _to(resolution: float, values: Columns) -> Columns:
    """Values as a register of this resolution gives them back."""
    return np.rint(values / resolution) * resolution


def _single(values: Columns) -> Columns:
    """Values as a 32-bit register gives them back."""
    return values.astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class RoomReadings:
    """What room sensors sent, one row per report: the room's place, the instant (UTC ms), and a column per quantity."""

    room: Places
    measured_at: Instants
    values: Columns  # [row, ROOM_QUANTITIES]


class RoomSensors:
    """The room sensors: each reports every five minutes at its own second; those of one edge box report together."""

    def __init__(self, town: Town) -> None:
        random = np.random.default_rng([town.seed, 606])
        count = len(town.rooms)
        self._seed = town.seed
        by_room = random.integers(0, ROOM_INTERVAL_S, count)
        by_building = random.integers(0, ROOM_INTERVAL_S, len(town.buildings))[town.building_of_room]
        edge = np.array([sensor_format == "edge_json" for sensor_format in town.formats])
        self._phase_s = np.where(edge, by_building, by_room)
        self._bias_k = random.normal(0.0, 0.05, count)
        self._humidity = random.normal(36.0, 4.0, count)
        self._battery = np.rint(random.uniform(72.0, 99.0, count))
        self._rssi = random.normal(-92.0, 9.0, count)
        self._last_c = np.full(count, 21.0)  # what a stuck sensor goes on to say

    def due(self, after_ms: int, until_ms: int) -> tuple[Places, Instants]:
        """The rooms that report in (after, until], at most five minutes long, and the instant of each report (UTC ms)."""
        last_s = (until_ms // 1000 - self._phase_s) // ROOM_INTERVAL_S * ROOM_INTERVAL_S + self._phase_s
        rooms = np.flatnonzero(last_s * 1000 > after_ms)
        return rooms, last_s[rooms] * 1000

    def read(self, rooms: Places, measured_at: Instants, air_c: Columns, dead: Flags, stuck: Flags) -> RoomReadings:
        """What these rooms report at these instants, where the air is ``air_c``; dead sensors report nothing."""
        alive = ~dead
        rooms, measured_at, air_c, stuck = rooms[alive], measured_at[alive], air_c[alive], stuck[alive]
        wobble = noise(self._seed, np.arange(21, 24)[:, None], measured_at // 1000, rooms)
        temp_c = _to(0.1, air_c + self._bias_k[rooms] + 0.04 * wobble[0])
        temp_c = np.where(stuck, self._last_c[rooms], temp_c)
        self._last_c[rooms] = temp_c
        humidity = np.rint(self._humidity[rooms] - 1.2 * (air_c - 21.0) + 0.8 * wobble[1])
        rssi = np.rint(self._rssi[rooms] + 2.5 * wobble[2])
        return RoomReadings(rooms, measured_at, np.column_stack((temp_c, humidity, self._battery[rooms], rssi)))


def quantities_of(sensor_format: SensorFormat) -> tuple[str, ...]:
    """The quantities a sensor of this format reports; Zigbee2MQTT has no signal strength in dBm."""
    return ROOM_QUANTITIES[:3] if sensor_format == "zigbee2mqtt" else ROOM_QUANTITIES

"""The register map of domain.md, typed from its table, through a real line into the journal; and what other devices do to numbers."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from domain.profile import ByteOrder, ModbusProfile
from domain.reading import Quality
from domain.site import Device
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.conftest import Collected, Collecting, MakeSite
from tests.collector.raw_modbus import Asked, RawModbus, Wire, exception, registers

BASE = 200
# "off, point, type, scale": offset from the block's start → (quantity, how it is packed, what it means, the raw number)
TABLE: dict[int, tuple[str, str, float, float]] = {
    6: ("outdoor_temp_c", "h", -17.5, -175),
    7: ("primary_supply_temp_c", "h", 95.3, 953),
    8: ("primary_return_temp_c", "h", 47.1, 471),
    9: ("secondary_supply_temp_c", "h", 46.5, 465),
    10: ("secondary_return_temp_c", "h", 35.8, 358),
    11: ("primary_supply_pressure_mpa", "h", 0.812, 812),
    12: ("primary_return_pressure_mpa", "h", 0.401, 401),
    13: ("secondary_supply_pressure_mpa", "h", 0.355, 355),
    14: ("secondary_return_pressure_mpa", "h", 0.248, 248),
    15: ("valve_position_pct", "h", 63.4, 634),
    16: ("tank_level_m", "h", 1.42, 142),
    17: ("primary_flow_m3h", "f", 47.25, 47.25),
    19: ("primary_volume_m3", "I", 3_123_456_789.0, 3_123_456_789),
    21: ("heat_power_gjh", "f", 8.5, 8.5),
    23: ("heat_energy_gj", "I", 123_456.7, 1_234_567),
    25: ("makeup_flow_m3h", "f", 0.375, 0.375),
    27: ("makeup_volume_m3", "I", 70_000.0, 70_000),
    31: ("secondary_flow_m3h", "f", 180.5, 180.5),
    33: ("secondary_volume_m3", "I", 99_999.0, 99_999),
    47: ("supply_setpoint_c", "h", 48.2, 482),
    49: ("return_pressure_setpoint_mpa", "h", 0.25, 25),
}
PUMPS = ("pump1_running", "pump2_running", "pump3_running", "makeup_pump1_running", "makeup_pump2_running")  # low byte of register 41
LAST = 49


def block(order: str, pumps: int, alarm: int) -> list[int]:
    """The 50 registers as the controller has them, of 32 bits in this order."""
    words = [0] * (LAST + 1)
    for offset, (_, form, _, raw) in TABLE.items():
        high_first = struct.unpack(">HH" if form != "h" else ">H", struct.pack(f">{form}", int(raw) if form != "f" else raw))
        for place, word in enumerate(high_first if order == "ABCD" else reversed(high_first)):
            words[offset + place] = word
    words[41], words[42] = pumps, alarm
    return words


@asynccontextmanager
async def line(make_site: MakeSite, collecting: Collecting, profile: ModbusProfile, polls: list[list[int]]) -> AsyncIterator[Collected]:
    """``collect`` on a device that answers with these registers from ``BASE`` on, at each poll the next, the last ones ever after."""
    turns = iter(polls[:-1])

    async def answer(asked: Asked, wire: Wire) -> None:
        words, first = next(turns, polls[-1]), asked.address - BASE
        inside = asked.function == profile.function and first >= 0 and first + asked.count <= len(words)
        await wire.reply(asked, registers(asked, *words[first : first + asked.count]) if inside else exception(asked, 2))

    async with RawModbus(answer).running() as server:
        device = Device("D1", "S01", "modbus_tcp", server.address, profile.name, unit=3, base=BASE, interval_s=0.1)
        async with collecting(make_site(devices=[device], profiles=[profile])) as collected:
            yield collected


def first_values(collected: Collected) -> dict[str, float]:
    """The first value of each quantity of the station; every one must be good."""
    rows = {name.removeprefix("station/S01/"): rows[0] for name, rows in collected.by_name().items() if name.startswith("station/")}
    assert {row.quality for row in rows.values()} <= {Quality.GOOD}
    return {quantity: row.value for quantity, row in rows.items()}


def shipped() -> ModbusProfile:
    profile = load_profile(Path(SHIPPED) / "xd100n.toml")
    assert isinstance(profile, ModbusProfile)
    return profile


@pytest.mark.parametrize("order", ["ABCD", "CDAB"])
async def test_every_register_of_the_map_is_read_as_the_table_says(make_site: MakeSite, collecting: Collecting, order: ByteOrder) -> None:
    wanted = {quantity: value for quantity, _, value, _ in TABLE.values()} | {pump: float(number % 2) for number, pump in enumerate(PUMPS)}
    wanted["alarm_word"] = 32768.0  # power loss alone is no code for "no value"
    async with line(make_site, collecting, replace(shipped(), byte_order=order), [block(order, 0b01010, 0x8000)]) as collected:
        await collected.until(lambda: len(first_values(collected)) == len(wanted))
        assert first_values(collected) == pytest.approx(wanted, abs=1e-9)


async def test_every_bit_of_the_alarm_word_and_of_the_pumps_is_its_own(make_site: MakeSite, collecting: Collecting) -> None:
    polls = [block("ABCD", 1 << bit % 5, 1 << bit) for bit in range(16)] + [block("ABCD", 0, 0xFFFF)]
    async with line(make_site, collecting, shipped(), polls) as collected:
        await collected.until(lambda: len(collected.rows("station/S01/alarm_word")) > 16)
        alarms = collected.rows("station/S01/alarm_word")[:17]
        assert [row.value for row in alarms] == [*(float(1 << bit) for bit in range(16)), 65535.0]
        assert [row.quality for row in alarms] == [Quality.GOOD] * 16 + [Quality.SENTINEL]
        for number, pump in enumerate(PUMPS):
            assert collected.values(f"station/S01/{pump}")[:16] == [float(bit % 5 == number) for bit in range(16)]


OTHER = """
kind = "modbus"
name = "other"
title = "a meter that mixes everything"
function = 3
byte_order = "CDAB"
[[register]]
quantity = "secondary_supply_temp_c"
offset = 0
type = "i16"
scale = 0.01
[[register]]
quantity = "primary_supply_pressure_mpa"
offset = 1
type = "u16"
scale = 0.001
[[register]]
quantity = "primary_flow_m3h"                # the manual says m3/h, the device means m3/s
offset = 2
type = "f32"
scale = 3600
[[register]]
quantity = "heat_energy_gj"
offset = 4
type = "u32"
scale = 0.1
byte_order = "ABCD"
[[register]]
quantity = "outdoor_temp_c"                  # shifted by the site's own transmitter, 4 to 20 mA on 0 to 1000
offset = 6
type = "u16"
scale = 0.1
add = -50.0
"""


async def test_a_profile_says_mixed_scales_types_orders_and_units(make_site: MakeSite, collecting: Collecting, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(OTHER, encoding="utf-8")
    profile = load_profile(tmp_path / "other.toml")
    assert isinstance(profile, ModbusProfile)
    flow = struct.unpack(">HH", struct.pack(">f", 0.0131))
    async with line(make_site, collecting, profile, [[4650, 812, flow[1], flow[0], 1_234_567 >> 16, 1_234_567 & 0xFFFF, 325]]) as collected:
        await collected.until(lambda: len(first_values(collected)) == 5)
        assert first_values(collected) == {
            "secondary_supply_temp_c": 46.5,
            "primary_supply_pressure_mpa": 0.812,
            "primary_flow_m3h": pytest.approx(47.16, rel=1e-6),
            "heat_energy_gj": 123_456.7,
            "outdoor_temp_c": -17.5,
        }

"""The shipped profiles are data that the simulators and the collector read each in their own way."""

import struct
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.profile import REGISTERS_OF
from domain.quantity import quantity
from simulators.profiles import PROFILES, RegisterBlock, node_items, station_quantities

BLOCK = RegisterBlock.of("xd100n")
QUIET = dict.fromkeys(station_quantities("xd100n"), 0.0)

# domain.md, "A real station controller's register map"
MANUAL = {
    "outdoor_temp_c": 6, "primary_supply_temp_c": 7, "primary_return_temp_c": 8, "secondary_supply_temp_c": 9,
    "secondary_return_temp_c": 10, "primary_supply_pressure_mpa": 11, "primary_return_pressure_mpa": 12,
    "secondary_supply_pressure_mpa": 13, "secondary_return_pressure_mpa": 14, "valve_position_pct": 15, "tank_level_m": 16,
    "primary_flow_m3h": 17, "primary_volume_m3": 19, "heat_power_gjh": 21, "heat_energy_gj": 23, "makeup_flow_m3h": 25,
    "makeup_volume_m3": 27, "secondary_flow_m3h": 31, "secondary_volume_m3": 33, "alarm_word": 42, "supply_setpoint_c": 47,
    "return_pressure_setpoint_mpa": 49,
}  # fmt: skip


def test_the_register_map_is_the_manuals() -> None:
    rows = {row["quantity"]: row for row in BLOCK.rows}
    assert {name: rows[name]["offset"] for name in MANUAL} == MANUAL
    pumps = {name: rows[name]["bit"] for name in rows.keys() - MANUAL.keys()}
    assert pumps == {"pump1_running": 0, "pump2_running": 1, "pump3_running": 2, "makeup_pump1_running": 3, "makeup_pump2_running": 4}
    assert BLOCK.length == 50
    assert BLOCK.function == 4


def test_no_two_registers_overlap() -> None:
    taken: set[int] = set()
    for row in BLOCK.rows:
        if row["type"] != "bit":
            registers = set(range(row["offset"], row["offset"] + REGISTERS_OF[row["type"]]))
            assert not taken & registers
            taken |= registers


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_profile_measures_quantities_that_there_are(path: object) -> None:
    document = tomllib.loads((PROFILES / getattr(path, "name", "")).read_text(encoding="utf-8"))
    assert document["name"] == getattr(path, "stem", "")
    rows = document.get("register") or document.get("node") or document["field"]
    for row in rows:
        quantity(row["quantity"])


def test_negative_temperatures_and_large_counters_are_encoded() -> None:
    registers = BLOCK.encode(
        {**QUIET, "outdoor_temp_c": -17.5, "heat_energy_gj": 123_456.7, "primary_flow_m3h": 47.25, "pump1_running": 1.0}
    )
    assert registers[6] == 0x10000 - 175
    assert (registers[23] << 16) + registers[24] == 1_234_567
    assert struct.unpack(">f", struct.pack(">HH", *registers[17:19]))[0] == 47.25
    assert registers[41] == 0b00001


@given(st.integers(0, 0xFFFF), st.lists(st.booleans(), min_size=5, max_size=5), st.floats(-40, 130), st.floats(0, 1e6, width=32))
def test_what_is_encoded_can_be_read_back(word: int, running: list[bool], supply_c: float, flow_m3h: float) -> None:
    pumps = dict(
        zip(("pump1_running", "pump2_running", "pump3_running", "makeup_pump1_running", "makeup_pump2_running"), running, strict=True)
    )
    values = {"alarm_word": word, "secondary_supply_temp_c": supply_c, "secondary_flow_m3h": flow_m3h}
    registers = BLOCK.encode({**QUIET, **values, **{name: float(on) for name, on in pumps.items()}})
    assert registers[42] == word
    assert [bool(registers[41] >> bit & 1) for bit in range(5)] == running
    assert abs(struct.unpack(">h", struct.pack(">H", registers[9]))[0] / 10 - supply_c) <= 0.0501
    assert struct.unpack(">f", struct.pack(">HH", *registers[31:33]))[0] == flow_m3h
    assert all(0 <= register <= 0xFFFF for register in registers)


def test_opc_items_have_chinese_names_mixed_units_and_their_station() -> None:
    namespace_uri, items = node_items("xd100n_opcua", "S10")
    assert namespace_uri.startswith("urn:")
    of = {item.quantity: item for item in items}
    assert of["secondary_supply_temp_c"].node == "s=HRZ.S10.二次供水温度"
    assert of["secondary_supply_pressure_mpa"].raw(0.46) == pytest.approx(460)  # kPa
    assert of["secondary_flow_m3h"].raw(180.0) == pytest.approx(0.05)  # m³/s
    assert of["pump1_running"].raw(1.0) is True
    assert len({item.node for item in items}) == len(items)
    assert {"pump1_frequency_hz", "alarm_word", "valve_position_pct"} <= of.keys()

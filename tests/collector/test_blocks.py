import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.blocks import Block, Request, readings_of, requests_of, settling, split, width
from domain.profile import REGISTERS_OF, ModbusProfile, Register, RegisterType
from domain.reading import Quality

STRUCT = {"i16": "h", "u16": "H", "i32": "i", "u32": "I", "i64": "q", "u64": "Q", "f32": "f", "f64": "d"}
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


def wire(kind: str, value: float, order: str) -> bytes:
    """The bytes on the wire, by the letters of the order: worked out from their meaning, not as the code does it."""
    plain = struct.pack(f">{STRUCT[kind]}", value)
    if len(plain) == 2:
        return plain
    words = [plain[at : at + 2] for at in range(0, len(plain), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words)


def numbers(kind: str) -> st.SearchStrategy[float]:
    bits = 8 * struct.calcsize(STRUCT[kind])
    if kind.startswith("f"):
        return st.floats(width=32 if kind == "f32" else 64, allow_nan=False)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind.startswith("i") else st.integers(0, 2**bits - 1)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[ModbusProfile, list[float], bytes]:
    """A profile of values one after the other with holes between them, the values, and the bytes of its one block."""
    order = draw(st.sampled_from(ORDERS))
    registers, values, payload = [], [], b""
    for _ in range(draw(st.integers(1, 12))):
        payload += b"\xaa" * 2 * draw(st.integers(0, 3))
        kind: RegisterType = draw(st.sampled_from(sorted(STRUCT)))
        value = draw(numbers(kind))
        registers.append(Register("heat_energy_gj", len(payload) // 2, kind))
        payload += wire(kind, value, order)
        values.append(value)
    payload = payload[2 * registers[0].offset :]
    return ModbusProfile("p", "p", tuple(registers), byte_order=order), values, payload  # type: ignore[arg-type]


@given(blocks())
@settings(deadline=None)
def test_every_type_and_byte_order_decodes_to_what_was_encoded(case: tuple[ModbusProfile, list[float], bytes]) -> None:
    profile, values, payload = case
    (request,) = requests_of(profile)
    assert request.size == len(payload)
    decoded, _ = request.decode(np.frombuffer(payload, np.uint8).reshape(1, -1))
    expected = [
        float(np.float32(value)) if register.type == "f32" else float(value)
        for register, value in zip(profile.registers, values, strict=True)
    ]
    assert decoded[0].tolist() == expected


@pytest.mark.parametrize(("order", "payload"), [("ABCD", "41c80000"), ("CDAB", "000041c8"), ("BADC", "c8410000"), ("DCBA", "0000c841")])
def test_the_letters_of_a_byte_order_are_the_bytes_on_the_wire(order: str, payload: str) -> None:
    profile = ModbusProfile("p", "p", (Register("primary_flow_m3h", 0, "f32"),), byte_order=order)  # type: ignore[arg-type]
    values, _ = requests_of(profile)[0].decode(np.frombuffer(bytes.fromhex(payload), np.uint8).reshape(1, 4))
    assert values.tolist() == [[25.0]]


def decode_words(*words: int, registers: list[Register]) -> tuple[list[float], list[int]]:
    (request,) = requests_of(ModbusProfile("p", "p", tuple(registers)))
    values, quality = request.decode(np.array([words], ">u2").view(np.uint8))
    return values[0].tolist(), quality[0].tolist()


def test_scale_and_addend_leave_no_dust() -> None:
    values, _ = decode_words(
        183,
        0xFFFF - 4,
        3,
        registers=[
            Register("secondary_supply_temp_c", 0, "i16", scale=0.1),
            Register("outdoor_temp_c", 1, "i16", scale=0.1, add=-40.0),
            Register("primary_volume_m3", 2, "u16", scale=1000.0),
        ],
    )
    assert values == [18.3, -40.5, 3000.0]


def test_bits_and_truth_values_come_out_of_registers() -> None:
    registers = [Register(f"pump{bit + 1}_running", 0, "bit", bit=bit) for bit in (0, 1, 15)]
    values, _ = decode_words(0x8001, 7, registers=[*registers, Register("makeup_pump_running", 1, "bool")])
    assert values == [1, 0, 1, 1]


def test_coils_are_packed_lowest_bit_first() -> None:
    profile = ModbusProfile("p", "p", tuple(Register(f"pump{n}_running", n, "bool") for n in range(1, 11)), function=1)
    (request,) = requests_of(profile)
    assert (request.offset, request.count, request.size) == (1, 10, 2)
    values, _ = request.decode(np.array([[0b1000_0101, 0b10]], np.uint8))
    assert values[0].tolist() == [1, 0, 1, 0, 0, 0, 0, 1, 0, 1]


def test_numbers_written_as_text_are_read_and_other_text_is_marked() -> None:
    registers = [Register("tank_level_m", 0, "string", length=3), Register("valve_position_pct", 3, "string", length=2)]
    words = np.frombuffer(b"1.25\0\0no! ", ">u2")
    values, quality = decode_words(*words, registers=registers)
    assert values[0] == 1.25
    assert np.isnan(values[1])
    assert quality == [Quality.GOOD, Quality.DECODE]


@pytest.mark.parametrize(("order", "wire"), [("ABCD", b"45.25\0"), ("CDAB", b"45.25\0"), ("BADC", b"542.\x005"), ("DCBA", b"542.\x005")])
def test_the_two_characters_of_a_register_stand_as_the_order_of_bytes_says(order: str, wire: bytes) -> None:
    register = Register("tank_level_m", 0, "string", length=3, byte_order=order)  # type: ignore[arg-type]
    values, quality = decode_words(*np.frombuffer(wire, ">u2"), registers=[register])
    assert (values, quality) == ([45.25], [Quality.GOOD])


def test_sentinels_are_marked_by_profile_and_by_custom() -> None:
    values, quality = decode_words(
        0x7FFF,
        0x8000,
        0xFFFF,
        0xFFFF,
        9999,
        0xFFFF,
        registers=[
            Register("secondary_supply_temp_c", 0, "i16", scale=0.1),
            Register("secondary_return_temp_c", 1, "i16", scale=0.1),
            Register("tank_level_m", 2, "u16"),
            Register("alarm_word", 3, "u16"),
            Register("valve_position_pct", 4, "u16", sentinels=(9999,)),
            Register("outdoor_temp_c", 5, "i16", scale=0.1),
        ],
    )
    assert quality == [Quality.SENTINEL, Quality.SENTINEL, Quality.SENTINEL, Quality.GOOD, Quality.SENTINEL, Quality.GOOD]
    assert values[5] == -0.1


def test_a_block_of_zeros_only_is_no_measurement() -> None:
    registers = [Register("secondary_supply_temp_c", 0, "i16"), Register("primary_flow_m3h", 8, "f32")]
    assert decode_words(*[0] * 10, registers=registers)[1] == [Quality.SENTINEL] * 2
    assert decode_words(*[0] * 9, 1, registers=registers)[1] == [Quality.GOOD] * 2
    assert decode_words(0, registers=[Register("pump1_running", 0, "bit")])[1] == [Quality.GOOD]


maps = st.lists(
    st.builds(
        Register,
        quantity=st.just("heat_energy_gj"),
        offset=st.integers(0, 400),
        type=st.sampled_from(["i16", "u32", "f64", "bit", "string"]),
        length=st.integers(1, 5),
        function=st.sampled_from([None, 3, 4, 1]),
    ),
    min_size=1,
    max_size=40,
)


@given(maps, st.integers(4, 125), st.integers(0, 20))
@settings(deadline=None)
def test_requests_cover_each_register_once_within_the_limits(registers: list[Register], most: int, hole: int) -> None:
    profile = ModbusProfile("p", "p", tuple(registers), max_registers=most, max_hole=hole)
    requests = requests_of(profile)
    assert sorted(map(id, (register for request in requests for register in request.registers))) == sorted(map(id, registers))
    for request in requests:
        end = request.offset
        for register in request.registers:
            assert request.function == (register.function or profile.function)
            assert register.offset - end <= hole
            assert request.offset <= register.offset
            end = max(end, register.offset + width(register, request.function))
        assert end == request.offset + request.count
        assert len(request.registers) == 1 or request.count <= (most if request.function != 1 else 2000)
    for one, other in pairwise(requests):
        assert one.function != other.function or one.offset <= other.offset


def test_a_device_that_bears_one_register_in_a_request_is_asked_value_by_value() -> None:
    registers = (*(Register("heat_energy_gj", offset, "u16") for offset in (0, 1, 4)), Register("primary_flow_m3h", 5, "f32"))
    requests = requests_of(ModbusProfile("p", "p", registers, max_registers=1))
    assert [(request.offset, request.count) for request in requests] == [(0, 1), (1, 1), (4, 1), (5, 2)], "a value is never parted"


def test_a_block_splits_at_its_widest_hole_then_in_the_middle_until_it_is_one_address() -> None:
    profile = ModbusProfile("p", "p", tuple(Register("heat_energy_gj", offset, "u16") for offset in (0, 1, 4, 5, 6, 12)))
    (request,) = requests_of(profile)
    parts = split(request)
    assert parts is not None
    assert [(part.offset, part.count) for part in parts] == [(0, 7), (12, 1)]
    again = split(parts[0])
    assert again is not None
    assert [(part.offset, part.count) for part in again] == [(0, 2), (4, 3)]
    once_more = split(again[1])
    assert once_more is not None
    assert sorted(part.count for part in once_more) == [1, 2]
    assert split(parts[1]) is None


def test_values_of_one_register_are_never_parted() -> None:
    bits = [Register(f"pump{bit + 1}_running", 3, "bit", bit=bit) for bit in range(4)]
    (request,) = requests_of(ModbusProfile("p", "p", (*bits, Register("primary_flow_m3h", 4, "f32"))))
    parts = split(request)
    assert parts is not None
    assert [(part.offset, part.count) for part in parts] == [(3, 1), (4, 2)]
    assert [split(part) for part in parts] == [None, None]


@given(maps, st.integers(1, 125))
@settings(deadline=None)
def test_no_reply_of_a_device_is_alike_to_that_of_the_settling_question(registers: list[Register], most: int) -> None:
    requests = requests_of(ModbusProfile("p", "p", tuple(registers), max_registers=most))
    known = {(request.function, request.size) for request in requests}
    question = settling(requests)
    if question is None:
        assert all(
            (request.function, 2 * count) in known for request in requests if request.function != 1 for count in range(1, request.count)
        )
        return
    assert (question.function, question.size) not in known
    assert any(
        request.function == question.function
        and request.offset <= question.offset
        and question.offset + question.count <= request.offset + request.count
        for request in requests
    )


def test_a_register_may_have_a_byte_order_of_its_own() -> None:
    registers = (Register("primary_flow_m3h", 0, "f32"), Register("secondary_flow_m3h", 2, "f32", byte_order="CDAB"))
    values, _ = requests_of(ModbusProfile("p", "p", registers))[0].decode(
        np.frombuffer(bytes.fromhex("41c80000000041c8"), np.uint8).reshape(1, 8)
    )
    assert values.tolist() == [[25.0, 25.0]]


def test_blocks_of_one_request_are_decoded_together_and_keep_their_points_and_times() -> None:
    request: Request = requests_of(ModbusProfile("p", "p", (Register("tank_level_m", 0, "i16"), Register("outdoor_temp_c", 1, "i16"))))[0]
    other: Request = requests_of(ModbusProfile("q", "q", (Register("tank_level_m", 0, "i16"),)))[0]
    made = [
        Block(request, np.array([1, 2], np.int32), struct.pack(">hh", 10, 20), 1000),
        Block(other, np.array([9], np.int32), struct.pack(">h", 90), 1500),
        Block(request, np.array([3, 4], np.int32), struct.pack(">hh", 30, 40), 2000),
    ]
    rows = {
        (point, at): value
        for part in readings_of(made)
        for point, at, value in zip(part.point.tolist(), part.measured_at.tolist(), part.value.tolist(), strict=True)
    }
    assert rows == {(1, 1000): 10, (2, 1000): 20, (3, 2000): 30, (4, 2000): 40, (9, 1500): 90}


def test_every_numeric_type_knows_how_many_registers_it_takes() -> None:
    assert all(REGISTERS_OF[kind] * 2 == struct.calcsize(code) for kind, code in STRUCT.items())

"""Blocks of registers decoded by columns, beside a reference that goes value by value as the manuals describe it."""

import math
import struct
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.blocks import Request, requests_of, split
from collector.scaling import Scaling
from collector.schedule import phases
from domain.profile import REGISTERS_OF, ByteOrder, ModbusProfile, Register, RegisterType
from domain.reading import Quality

CODES = {"i16": ">h", "u16": ">H", "i32": ">i", "u32": ">I", "i64": ">q", "u64": ">Q", "f32": ">f", "f64": ">d"}
TYPES: tuple[RegisterType, ...] = (*CODES, "bool", "bit", "string")  # type: ignore[arg-type]
ORDERS: tuple[ByteOrder, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
SENTINELS = (0.0, 1.0, -32768.0, 32767.0, 65535.0, 2147483647.0, -1.0)
MEASURED, COUNTER = "secondary_supply_temp_c", "heat_energy_gj"

registers_ = st.builds(
    Register,
    quantity=st.sampled_from([MEASURED, COUNTER, "alarm_word", "valve_position_pct"]),
    offset=st.integers(0, 40),
    type=st.sampled_from(TYPES),
    scale=st.sampled_from([1.0, 0.1, 0.01, 0.001, 10.0, 1000.0, 0.5, 2.5, -1.0, 1 / 3]),
    add=st.sampled_from([0.0, -40.0, 273.15]),
    bit=st.integers(0, 15),
    length=st.integers(1, 6),
    sentinels=st.lists(st.sampled_from(SENTINELS), max_size=2).map(tuple),
    byte_order=st.sampled_from([None, *ORDERS]),
)
# Random bytes, and often what devices send for "nothing": zeros, ones, the ends of a range, digits.
words_ = st.one_of(
    st.binary(min_size=2, max_size=2), st.sampled_from([b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\x00", b"\0\x01", b"21", b".5"])
)


@st.composite
def replies(draw: st.DrawFn) -> tuple[Request, list[bytes]]:
    """A request of any registers in any order of bytes, and one to four replies to it."""
    profile = ModbusProfile(
        "p", "p", tuple(draw(st.lists(registers_, min_size=1, max_size=12))), byte_order=draw(st.sampled_from(ORDERS)), max_hole=50
    )
    (request,) = requests_of(profile)
    sound = st.lists(words_, min_size=request.count, max_size=request.count).map(b"".join)
    return request, draw(st.lists(st.one_of(sound, st.just(bytes(request.size))), min_size=1, max_size=4))


def raw_of(register: Register, order: str, wire: bytes) -> float:
    """The number that these bytes are, most significant last or first as the order of bytes says; NaN where they are none."""
    if register.type == "string":
        if order in ("BADC", "DCBA"):
            wire = b"".join(wire[at : at + 2][::-1] for at in range(0, len(wire), 2))
        try:
            return float(wire.split(b"\0")[0].decode("ascii").strip())
        except ValueError:
            return math.nan
    if register.type == "bool":
        return float(wire != b"\0\0")
    if register.type == "bit":
        return float(int.from_bytes(wire, "big") >> register.bit & 1)
    words = [wire[at : at + 2] for at in range(0, len(wire), 2)]
    if len(words) > 1:
        words = [word[::-1] for word in words] if order in ("BADC", "DCBA") else words
        words = words[::-1] if order in ("CDAB", "DCBA") else words
    return float(struct.unpack(CODES[register.type], b"".join(words))[0])


def expected(request: Request, register: Register, payload: bytes) -> tuple[float, int]:
    """Value and quality of one register in one reply."""
    size = register.length if register.type == "string" else REGISTERS_OF[register.type]
    at = 2 * (register.offset - request.offset)
    raw = raw_of(register, register.byte_order or request.byte_order, payload[at : at + 2 * size])
    quality = Quality.DECODE if register.type == "string" and math.isnan(raw) else Quality.GOOD
    usual = {"i16": (-32768.0, 32767.0), "u16": (32767.0, 32768.0, 65535.0)}.get(register.type, ()) if measured(register) else ()
    if raw in (*register.sentinels, *usual) or (request.count >= 8 and not any(payload)):
        quality = Quality.SENTINEL
    return raw * register.scale + register.add, quality


def same(found: float, value: float) -> bool:
    return (math.isnan(value) and math.isnan(found)) or math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-12)


def measured(register: Register) -> bool:
    return register.quantity in (MEASURED, "valve_position_pct")


def test_garbage_that_outgrows_64_bits_becomes_infinite_and_spoils_no_neighbour() -> None:
    scaled = Scaling.of([1000.0, 0.1], [0.0, 0.0]).apply(np.array([[1.8e305, 183.0], [21.0, -5.0]]))
    assert scaled.tolist() == [[math.inf, 18.3], [21_000.0, -0.5]]


@given(replies())
@settings(deadline=None, max_examples=150)
def test_every_type_order_scale_addend_and_sentinel_comes_out_as_in_the_reference(case: tuple[Request, list[bytes]]) -> None:
    request, payloads = case
    values, qualities = request.decode(np.frombuffer(b"".join(payloads), np.uint8).reshape(len(payloads), request.size))
    for row, payload in enumerate(payloads):
        for column, register in enumerate(request.registers):
            value, quality = expected(request, register, payload)
            found = float(values[row, column])
            assert qualities[row, column] == quality, (register, payload.hex())
            assert (math.isnan(value) and math.isnan(found)) or math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-12) or found == value, (
                register
            )


@given(replies(), st.data())
@settings(deadline=None, max_examples=60)
def test_a_block_in_parts_says_the_same_as_the_whole(case: tuple[Request, list[bytes]], data: st.DataObject) -> None:
    """A device that refuses a block is asked for its parts, down to single addresses: no value may change on the way."""
    request, payloads = case
    payload = payloads[0]
    parts = [request]
    for _ in range(data.draw(st.integers(1, 6))):
        one = data.draw(st.sampled_from(parts))
        if (halves := split(one)) is not None:
            parts[parts.index(one) : parts.index(one) + 1] = halves
    assert sorted(map(id, (register for part in parts for register in part.registers))) == sorted(map(id, request.registers))
    whole = dict(zip(map(id, request.registers), decoded(request, payload), strict=True))
    for part in parts:
        begin = 2 * (part.offset - request.offset)
        piece = payload[begin : begin + part.size]
        for register, (value, quality) in zip(part.registers, decoded(part, piece), strict=True):
            before, mark = whole[id(register)]
            if any(piece) or part.count >= 8 or any(payload):
                assert quality == mark or not any(piece), register
            assert same(value, before)


def decoded(request: Request, payload: bytes) -> list[tuple[float, int]]:
    values, qualities = request.decode(np.frombuffer(payload, np.uint8).reshape(1, request.size))
    return list(zip(values[0].tolist(), qualities[0].tolist(), strict=True))


# ── when each is polled ───────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.floats(0.1, 3600), max_size=200))
def test_every_first_poll_lies_within_its_own_interval(intervals_s: list[float]) -> None:
    at = phases(intervals_s)
    assert len(at) == len(intervals_s)
    assert all(0 <= phase_s < interval_s for phase_s, interval_s in zip(at, intervals_s, strict=True))


@given(st.integers(2, 3000), st.data())
@settings(deadline=None, max_examples=60)
def test_polls_of_a_town_and_of_any_run_of_neighbours_are_spread(count: int, data: st.DataObject) -> None:
    """By the three-distance theorem no gap of n golden steps is wider than 2.62 / n of the interval; the last wraps round."""
    every = phases([10.0] * count)
    first = data.draw(st.integers(0, count - 2))
    many = data.draw(st.integers(2, count - first))
    run = sorted(every[first : first + many])
    gaps = [later - earlier for earlier, later in pairwise([*run, run[0] + 10.0])]
    assert max(gaps) <= 2.7 / many * 10.0
    assert min(gaps) > 0.38 / many * 10.0

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reading import Readings
from store.packing import DamagedError, pack, unpack

instants = st.integers(-(2**63), 2**63 - 1)
values = st.one_of(
    st.floats(width=64),
    st.floats(width=32),
    st.integers(-500, 2000).map(lambda tenths: tenths / 10),
    st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e308, -3276.8]),
)
rows = st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), instants, instants, values, st.integers(0, 255)), max_size=200)


def same(left: Readings, right: Readings) -> bool:
    """Bit for bit, NaN and -0.0 included."""
    return (
        np.array_equal(left.point, right.point)
        and np.array_equal(left.measured_at, right.measured_at)
        and np.array_equal(left.received_at, right.received_at)
        and np.array_equal(left.value.view(np.int64), right.value.view(np.int64))
        and np.array_equal(left.quality, right.quality)
    )


def columns(table: list[tuple[int, int, int, float, int]]) -> Readings:
    return Readings.of(
        [row[0] for row in table],
        [row[1] for row in table],
        [row[3] for row in table],
        received_at=[row[2] for row in table],
        quality=[row[4] for row in table],
    )


@given(rows)
def test_what_is_packed_comes_back_bit_for_bit(table: list[tuple[int, int, int, float, int]]) -> None:
    readings = columns(table)
    back = unpack(pack(readings))
    assert same(back, readings)
    assert [str(column.dtype) for column in (back.point, back.measured_at, back.value, back.quality)] == [
        "int32",
        "int64",
        "float64",
        "uint8",
    ]


@given(st.floats(width=64, allow_nan=True), st.integers(1, 300))
def test_any_one_value_comes_back_from_among_decimals(odd: float, count: int) -> None:
    value = np.round(np.linspace(15, 25, count), 1)
    value[count // 2] = odd
    readings = Readings.of(np.arange(count), np.arange(count), value)
    assert same(unpack(pack(readings)), readings)


@given(rows, st.data())
def test_one_flipped_bit_is_found(table: list[tuple[int, int, int, float, int]], data: st.DataObject) -> None:
    block = bytearray(pack(columns(table)))
    block[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedError):
        unpack(bytes(block))


@given(rows, st.data())
def test_a_torn_block_is_found(table: list[tuple[int, int, int, float, int]], data: st.DataObject) -> None:
    block = pack(columns(table))
    cut = data.draw(st.integers(0, len(block) - 1))
    with pytest.raises(DamagedError):
        unpack(block[:cut])
    with pytest.raises(DamagedError):
        unpack(block[:cut] + bytes(len(block) - cut) + b"x")


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(DamagedError):
        unpack(noise)


def test_a_town_s_readings_take_about_two_bytes_each() -> None:
    random = np.random.default_rng(7)
    count = 10_000
    measured_at = np.repeat(1_768_000_000_000 + np.cumsum(random.integers(0, 20, count // 20)), 20)
    value = np.round(np.tile(np.linspace(10, 60, 20), count // 20) + random.normal(0, 1, count), 1)
    readings = Readings.of(np.arange(count), measured_at, value, received_at=measured_at + 12)
    assert len(pack(readings)) / count < 2.0


def test_columns_can_be_written_to() -> None:
    back = unpack(pack(Readings.of([1, 2], [3, 4], [5.0, 6.5])))
    for column in (back.point, back.measured_at, back.received_at, back.value, back.quality):
        column[0] = 0

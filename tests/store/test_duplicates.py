import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.reading import Quality, Readings
from store.duplicates import newest, resolve

rows = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(-3, 6) | st.just(2**62) | st.just(-(2**62)),
        st.integers(0, 3),
        st.sampled_from([1.0, 2.0, float("nan")]),
        st.sampled_from([Quality.GOOD, Quality.RATE, Quality.RANGE]),
    ),
    max_size=60,
)
Row = tuple[int, int, int, float, Quality]


def columns(table: list[Row]) -> Readings:
    return Readings.of(
        [row[0] for row in table],
        [row[1] for row in table],
        [row[3] for row in table],
        received_at=[row[2] for row in table],
        quality=[row[4] for row in table],
    )


def by_the_rule(table: list[Row]) -> list[Row]:
    """R2 said plainly, one row at a time."""
    kept: dict[tuple[int, int], tuple[bool, int, Row]] = {}
    for row in table:
        point, measured_at, received_at, value, quality = row
        usable = not quality.bad and value == value
        before = kept.get((point, measured_at))
        if before is None or (usable, received_at) >= before[:2]:
            kept[point, measured_at] = (usable, received_at, row)
    return [kept[key][2] for key in sorted(kept)]


@given(rows)
def test_one_reading_stays_of_each_instant(table: list[Row]) -> None:
    expected = columns(by_the_rule(table))
    found = resolve(columns(table))
    assert found.point.tolist() == expected.point.tolist()
    assert found.measured_at.tolist() == expected.measured_at.tolist()
    assert found.received_at.tolist() == expected.received_at.tolist()
    assert found.quality.tolist() == expected.quality.tolist()
    assert np.array_equal(found.value, expected.value, equal_nan=True)


@given(rows, st.integers(0, 60))
def test_resolving_in_parts_gives_the_same(table: list[Row], cut: int) -> None:
    whole = resolve(columns(table))
    parts = resolve(Readings.concat([resolve(columns(table[:cut])), resolve(columns(table[cut:]))]))
    assert parts.measured_at.tolist() == whole.measured_at.tolist()
    assert parts.received_at.tolist() == whole.received_at.tolist()
    assert np.array_equal(parts.value, whole.value, equal_nan=True)


def test_a_bad_reading_received_later_never_hides_a_usable_one() -> None:
    both = Readings.of([1, 1], [10, 10], [21.0, 99.0], received_at=[11, 12], quality=[Quality.GOOD, Quality.RANGE])
    assert resolve(both).value.tolist() == [21.0]


@given(rows)
def test_the_newest_of_each_point_is_its_last_row(table: list[Row]) -> None:
    one = by_the_rule(table)
    expected = {row[0]: row[1] for row in one}
    found = newest(columns(table))
    assert dict(zip(found.point.tolist(), found.measured_at.tolist(), strict=True)) == expected

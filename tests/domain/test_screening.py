"""The plausibility table of domain.md, row by row; that live batches and whole files are judged alike; that nothing is dropped."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.reading import Quality, Readings
from domain.screening import Memory, Screen, Surroundings, screened
from domain.site import Room, Station

NAMES = [
    "station/S1/secondary_supply_temp_c",
    "room/R1/indoor_temp_c",
    "source/D1/latency_ms",
    "station/S1/heat_energy_gj",
    "station/S1/makeup_flow_m3h",
    "station/S1/pump2_running",
]


@pytest.fixture
def screen() -> Screen:
    found = Screen()
    found.learn([4, 0, 7, 2, 1, 30], NAMES)
    return found


IDS = dict(zip(NAMES, [4, 0, 7, 2, 1, 30], strict=True))


@pytest.mark.parametrize(
    ("name", "value", "quality"),
    [
        ("station/S1/secondary_supply_temp_c", 45.0, Quality.GOOD),
        ("station/S1/secondary_supply_temp_c", 0.0, Quality.GOOD),
        ("station/S1/secondary_supply_temp_c", -0.1, Quality.RANGE),
        ("station/S1/secondary_supply_temp_c", 100.0, Quality.SUSPECT_RANGE),
        ("station/S1/secondary_supply_temp_c", 100.1, Quality.RANGE),
        ("station/S1/secondary_supply_temp_c", 3276.7, Quality.SENTINEL),
        ("station/S1/secondary_supply_temp_c", float("nan"), Quality.NOT_A_NUMBER),
        ("room/R1/indoor_temp_c", float("inf"), Quality.NOT_A_NUMBER),
        ("room/R1/indoor_temp_c", -3276.8, Quality.SENTINEL),
        ("room/R1/indoor_temp_c", 4.9, Quality.SUSPECT_RANGE),
        ("room/R1/indoor_temp_c", -10.1, Quality.RANGE),
        ("source/D1/latency_ms", 1e9, Quality.GOOD),
        ("station/S1/heat_energy_gj", 3276.7, Quality.GOOD),
        ("station/S1/makeup_flow_m3h", -1.0, Quality.SUSPECT_RANGE),
        ("station/S1/pump2_running", 2.0, Quality.RANGE),
    ],
)
def test_what_can_not_be_true_is_marked(screen: Screen, name: str, value: float, quality: Quality) -> None:
    found = screen(Readings.of([IDS[name]], [1], [value]))
    assert found.quality.tolist() == [quality]
    np.testing.assert_equal(found.value, [value])


def test_marks_of_the_source_stay_unless_a_suspect_one_turns_out_bad(screen: Screen) -> None:
    marks = [Quality.CLOCK, Quality.CLOCK, Quality.BAD, Quality.SUSPECT]
    found = screen(Readings.of([0, 0, 0, 0], [1, 2, 3, 4], [60.0, 31.0, 60.0, float("nan")], quality=marks))
    assert found.quality.tolist() == [Quality.RANGE, Quality.CLOCK, Quality.BAD, Quality.NOT_A_NUMBER]


def test_nothing_is_dropped_and_the_given_columns_stay_as_they_were(screen: Screen) -> None:
    given = Readings.of([0, 4], [1, 2], [500.0, 40.0])
    assert len(screen(given)) == 2
    assert given.quality.tolist() == [0, 0]


# ── rules that need more than the value ───────────────────────────────────────────────────────────────────────────────

START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
S, MIN, H = 1000, 60_000, 3_600_000
GOOD = Quality.GOOD


def marks(series: dict[str, list[tuple[int, float]]], of: str, surroundings: Surroundings | None = None) -> list[int]:
    """The qualities of one point's readings. ``series``: name → (ms after the start, value)."""
    names = list(series)
    rows = sorted((at, names.index(name), value) for name, points in series.items() for at, value in points)
    at, point, value = zip(*rows, strict=True)
    readings = Readings.of(point, START + np.array(at), value)
    found = screened(names, readings, surroundings)
    np.testing.assert_equal(found.value, readings.value)
    own: list[int] = found.quality[found.point == names.index(of)].tolist()
    return own


def every(step: int, until: int, value: float, begin: int = 0) -> list[tuple[int, float]]:
    return [(at, value) for at in range(begin, until + 1, step)]


def station(quantity: str) -> str:
    return f"station/S1/{quantity}"


def at_once(values: dict[str, float], of: str, surroundings: Surroundings | None = None) -> int:
    """The mark of one value among others of the station at one instant."""
    (mark,) = marks({station(name): [(0, value)] for name, value in values.items()}, station(of), surroundings)
    return mark


@pytest.mark.parametrize(
    ("values", "of", "mark"),
    [
        ({"primary_supply_temp_c": 44.9, "secondary_supply_temp_c": 45.0}, "primary_supply_temp_c", Quality.BELOW_SECONDARY),
        ({"primary_supply_temp_c": 45.0, "secondary_supply_temp_c": 45.0}, "primary_supply_temp_c", GOOD),
        ({"primary_supply_temp_c": 44.9, "secondary_supply_temp_c": 45.0}, "secondary_supply_temp_c", GOOD),
        ({"primary_supply_temp_c": 131.0}, "primary_supply_temp_c", Quality.SUSPECT_RANGE),
        ({"primary_return_temp_c": 38.9, "secondary_return_temp_c": 40.0}, "primary_return_temp_c", Quality.BELOW_SECONDARY),
        ({"primary_return_temp_c": 39.0, "secondary_return_temp_c": 40.0}, "primary_return_temp_c", GOOD),
        (
            {"secondary_supply_pressure_mpa": 0.3, "secondary_return_pressure_mpa": 0.3, "pump1_running": 1},
            "secondary_supply_pressure_mpa",
            Quality.PRESSURE,
        ),
        (
            {"secondary_supply_pressure_mpa": 0.2, "secondary_return_pressure_mpa": 0.3, "pump2_frequency_hz": 40.0},
            "secondary_return_pressure_mpa",
            Quality.PRESSURE,
        ),
        (
            {"secondary_supply_pressure_mpa": 0.3, "secondary_return_pressure_mpa": 0.3, "pump1_running": 0},
            "secondary_supply_pressure_mpa",
            GOOD,
        ),
        ({"secondary_supply_pressure_mpa": 0.3, "secondary_return_pressure_mpa": 0.3}, "secondary_supply_pressure_mpa", GOOD),
        ({"secondary_supply_pressure_mpa": 1.1}, "secondary_supply_pressure_mpa", Quality.SUSPECT_RANGE),
        ({"primary_supply_pressure_mpa": 1.1}, "primary_supply_pressure_mpa", GOOD),
        ({"secondary_flow_m3h": 0.0, "pump1_running": 0, "pump3_running": 1}, "secondary_flow_m3h", Quality.NO_FLOW),
        ({"secondary_flow_m3h": 0.0, "pump1_running": 0}, "secondary_flow_m3h", GOOD),
        ({"secondary_flow_m3h": 0.0, "makeup_pump1_running": 1}, "secondary_flow_m3h", GOOD),
        ({"secondary_flow_m3h": 0.1, "pump1_running": 1}, "secondary_flow_m3h", GOOD),
        ({"secondary2_flow_m3h": 0.0, "pump1_running": 1}, "secondary2_flow_m3h", GOOD),  # which circuit the pump is of is not known
    ],
)
def test_instruments_of_a_circuit_that_contradict_each_other_are_marked(values: dict[str, float], of: str, mark: Quality) -> None:
    assert at_once(values, of) == mark
    assert at_once(dict(reversed(values.items())), of) == mark, "whoever reports first"


def test_limits_of_the_station_itself() -> None:
    floor = Surroundings({"S1": Station("S1", heating="floor", primary_meter_m3h=20.0, secondary_meter_m3h=100.0)})
    assert at_once({"secondary_supply_temp_c": 61.0}, "secondary_supply_temp_c", floor) == Quality.SUSPECT_RANGE
    assert at_once({"secondary_return_temp_c": 60.0}, "secondary_return_temp_c", floor) == GOOD
    assert at_once({"primary_supply_temp_c": 95.0}, "primary_supply_temp_c", floor) == GOOD
    assert at_once({"secondary_supply_temp_c": 61.0}, "secondary_supply_temp_c") == GOOD
    assert at_once({"secondary_flow_m3h": 150.1}, "secondary_flow_m3h", floor) == Quality.RANGE
    assert at_once({"secondary_flow_m3h": 150.0}, "secondary_flow_m3h", floor) == GOOD
    assert at_once({"primary_flow_m3h": 30.1}, "primary_flow_m3h", floor) == Quality.RANGE
    assert at_once({"secondary_flow_m3h": 5000.0}, "secondary_flow_m3h") == GOOD


def test_return_above_supply_is_marked_after_half_an_hour_with_flow() -> None:
    supply, back, flow = station("secondary_supply_temp_c"), station("secondary_return_temp_c"), station("secondary_flow_m3h")
    series = {supply: every(MIN, 40 * MIN, 40.0), back: every(MIN, 40 * MIN, 40.6), flow: every(MIN, 40 * MIN, 50.0)}
    expected = [GOOD] * 30 + [Quality.RETURN_ABOVE_SUPPLY] * 11
    assert marks(series, back) == expected
    assert marks(series, supply) == expected
    assert set(marks({**series, flow: every(MIN, 40 * MIN, 0.0)}, back)) == {GOOD}, "standing water is no contradiction"
    assert set(marks({**series, back: every(MIN, 40 * MIN, 40.5)}, back)) == {GOOD}
    broken = [(at, 40.0 if at == 20 * MIN else 40.6) for at, _ in every(MIN, 60 * MIN, 0.0)]
    lasting = {supply: every(MIN, 60 * MIN, 40.0), back: broken, flow: every(MIN, 60 * MIN, 50.0)}
    assert marks(lasting, back) == [GOOD] * 51 + [Quality.RETURN_ABOVE_SUPPLY] * 10, "begun anew at 00:21"
    unmetered = {supply: series[supply], back: series[back], station("pump1_running"): every(MIN, 40 * MIN, 0.0)}
    assert set(marks(unmetered, back)) == {GOOD}, "no pump runs"


def test_command_and_feedback_apart_for_five_minutes_are_marked() -> None:
    valve, command = station("valve_position_pct"), station("valve_command_pct")
    series = {valve: every(MIN, 8 * MIN, 40.0), command: every(MIN, 8 * MIN, 51.0)}
    assert marks(series, valve) == [GOOD] * 5 + [Quality.FEEDBACK] * 4
    assert set(marks({**series, command: every(MIN, 8 * MIN, 50.0)}, valve)) == {GOOD}
    pump, wanted = station("pump2_frequency_hz"), station("pump2_command_hz")
    assert marks({pump: every(MIN, 6 * MIN, 20.0), wanted: every(MIN, 6 * MIN, 25.1)}, pump) == [GOOD] * 5 + [Quality.FEEDBACK] * 2
    other = station("pump1_command_hz")
    assert set(marks({pump: every(MIN, 6 * MIN, 20.0), other: every(MIN, 6 * MIN, 50.0)}, pump)) == {GOOD}, "another pump's command"


def test_a_value_too_old_is_not_compared_with() -> None:
    series = {station("secondary_supply_temp_c"): [(0, 50.0)], station("primary_supply_temp_c"): [(5 * MIN, 45.0), (5 * MIN + 1, 45.0)]}
    assert marks(series, station("primary_supply_temp_c")) == [Quality.BELOW_SECONDARY, GOOD]


def test_a_counter_that_falls_is_marked_once() -> None:
    volume = station("secondary_volume_m3")
    assert marks({volume: [(0, 100.0), (S, 100.0), (2 * S, 7.0), (3 * S, 8.0)]}, volume) == [GOOD, GOOD, Quality.COUNTER_BACKWARDS, GOOD]
    flow = station("heat_power_gjh")
    assert set(marks({flow: [(0, 100.0), (S, 7.0)]}, flow)) == {GOOD}


@pytest.mark.parametrize(
    ("after", "value", "mark"),
    [
        (10 * MIN, 23.1, Quality.RATE),
        (10 * MIN, 16.9, Quality.RATE),
        (10 * MIN, 23.0, GOOD),
        (10 * MIN + 1, 24.0, GOOD),
    ],
)
def test_a_room_that_steps_is_marked(after: int, value: float, mark: Quality) -> None:
    room = "room/R1/indoor_temp_c"
    assert marks({room: [(0, 20.0), (after, value)]}, room) == [GOOD, mark]


def test_a_probes_exact_zero_with_a_battery_is_no_measurement() -> None:
    room, battery = "room/R1/indoor_temp_c", "room/R1/battery_pct"
    assert marks({room: [(0, 0.0)], battery: [(0, 88.0)]}, room) == [Quality.SENTINEL]
    assert marks({battery: [(0, 88.0)], room: [(0, 0.0)]}, room) == [Quality.SENTINEL]
    assert marks({room: [(H, 0.0)], battery: [(0, 88.0)]}, room) == [Quality.SENTINEL]
    assert marks({room: [(25 * H, 0.0)], battery: [(0, 88.0)]}, room) == [Quality.SUSPECT_RANGE]
    assert marks({room: [(0, 0.0)]}, room) == [Quality.SUSPECT_RANGE], "without a battery it may be frost"
    assert marks({room: [(0, 0.1)], battery: [(0, 88.0)]}, room) == [Quality.SUSPECT_RANGE]
    assert marks({room: [(0, 20.0), (MIN, 0.0), (2 * MIN, 20.0)], battery: [(0, 88.0)]}, room) == [GOOD, Quality.SENTINEL, GOOD]


TWO_ROOMS = Surroundings(rooms={"A": Room("A", "B1"), "B": Room("B", "B1"), "C": Room("C", "B2")})
ROOM_A, ROOM_B, ROOM_C = (f"room/{room}/indoor_temp_c" for room in "ABC")


def waves(step: int, until: int, low: float, high: float) -> list[tuple[int, float]]:
    return [(at, high if at // (2 * H) % 2 else low) for at in range(0, until + 1, step)]


def test_a_room_stuck_for_a_day_while_others_of_its_building_move_is_bad() -> None:
    stuck = every(10 * MIN, 30 * H, 20.3)
    found = marks({ROOM_A: stuck, ROOM_B: waves(10 * MIN, 30 * H, 19.0, 19.5)}, ROOM_A, TWO_ROOMS)
    assert found == [GOOD] * 144 + [Quality.STUCK] * 37
    assert set(marks({ROOM_A: stuck, ROOM_B: waves(10 * MIN, 30 * H, 19.0, 19.4)}, ROOM_A, TWO_ROOMS)) == {GOOD}, "nobody moves"
    assert set(marks({ROOM_A: stuck, ROOM_C: waves(10 * MIN, 30 * H, 19.0, 21.0)}, ROOM_A, TWO_ROOMS)) == {GOOD}, "another building"
    assert set(marks({ROOM_A: stuck}, ROOM_A, TWO_ROOMS)) == {GOOD}, "nobody to compare with"
    moved = [(at, 20.4 if at == 20 * H else 20.3) for at, _ in stuck]
    assert set(marks({ROOM_A: moved, ROOM_B: waves(10 * MIN, 30 * H, 19.0, 20.0)}, ROOM_A, TWO_ROOMS)) == {GOOD}
    assert set(marks({ROOM_A: stuck, ROOM_B: waves(10 * MIN, 30 * H, 19.0, 20.0)}, ROOM_B, TWO_ROOMS)) == {GOOD}


def test_a_stuck_room_that_moves_again_is_good_again() -> None:
    values = [*every(10 * MIN, 26 * H, 20.3), (26 * H + 10 * MIN, 20.4), (26 * H + 20 * MIN, 20.4)]
    found = marks({ROOM_A: values, ROOM_B: waves(10 * MIN, 27 * H, 19.0, 20.0)}, ROOM_A, TWO_ROOMS)
    assert found[144:] == [Quality.STUCK] * 13 + [GOOD] * 2


def test_a_stations_supply_stuck_for_six_hours_in_operation_is_bad() -> None:
    supply, back, flow = station("secondary_supply_temp_c"), station("secondary_return_temp_c"), station("secondary_flow_m3h")
    series = {supply: every(MIN, 8 * H, 45.0), back: waves(MIN, 8 * H, 38.0, 40.0), flow: every(MIN, 8 * H, 60.0)}
    assert marks(series, supply) == [GOOD] * 360 + [Quality.STUCK] * 121
    assert set(marks(series, back)) == {GOOD}
    assert set(marks({**series, flow: every(MIN, 8 * H, 0.0)}, supply)) == {GOOD}, "out of operation"
    assert set(marks({**series, back: every(MIN, 8 * H, 38.0)}, supply)) == {GOOD}, "nothing moves"


def test_an_outdoor_temperature_off_the_towns_median_is_marked() -> None:
    series = {f"station/S{n}/outdoor_temp_c": [(0, -10.0), (MIN, -10.0 if n else -4.9)] for n in range(4)}
    assert marks(series, "station/S0/outdoor_temp_c") == [GOOD, Quality.OUTDOOR]
    assert marks(series, "station/S1/outdoor_temp_c") == [GOOD, GOOD]
    two = dict(list(series.items())[:2])
    assert marks(two, "station/S0/outdoor_temp_c") == [GOOD, GOOD], "two have no median"


def test_a_time_ahead_of_its_receipt_is_marked_and_spoils_nothing_after_it() -> None:
    room = "room/R1/indoor_temp_c"
    readings = Readings.of([0, 0, 0], START + np.array([0, 11 * MIN, MIN]), [20.0, 21.0, 25.0], received_at=START + np.array([0, 0, MIN]))
    assert screened([room], readings).quality.tolist() == [GOOD, Quality.CLOCK, Quality.RATE]


def test_late_readings_are_judged_by_their_value_alone() -> None:
    screen = Screen()
    screen.learn([0], ["room/R1/indoor_temp_c"])
    assert screen(Readings.of([0], [START + H], [20.0])).quality.tolist() == [GOOD]
    assert screen(Readings.of([0, 0], [START, START + 1], [30.1, 24.0])).quality.tolist() == [Quality.SUSPECT_RANGE, GOOD]
    assert screen(Readings.of([0], [START + H + MIN], [20.5])).quality.tolist() == [GOOD]


def test_bad_readings_are_no_history() -> None:
    room = "room/R1/indoor_temp_c"
    found = marks({room: [(0, 20.0), (MIN, 60.0), (2 * MIN, 20.1)]}, room)
    assert found == [GOOD, Quality.RANGE, GOOD]


INSTRUMENTS = [
    *map(station, ("primary_supply_temp_c", "primary_return_temp_c", "secondary_supply_temp_c", "secondary_return_temp_c")),
    *map(station, ("secondary_flow_m3h", "pump1_running", "secondary_volume_m3", "secondary_supply_pressure_mpa")),
    *map(station, ("secondary_return_pressure_mpa", "valve_position_pct", "valve_command_pct", "makeup_flow_m3h")),
    ROOM_A, "room/A/battery_pct", ROOM_B,
]  # fmt: skip


@st.composite
def days(draw: st.DrawFn) -> tuple[Readings, list[int]]:
    """Some hours of a station and two rooms in order of time, and where to cut them."""
    count = draw(st.integers(1, 150))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    at = np.cumsum(random.choice([0, 1, 30 * S, 3 * MIN, 20 * MIN, 3 * H], count, p=[0.3, 0.1, 0.2, 0.2, 0.15, 0.05]))
    value = random.choice([0.0, 1.0, 38.0, 40.0, 45.0, 52.0, 3276.7, np.nan], count)
    point = random.integers(0, len(INSTRUMENTS), count)
    cuts = draw(st.lists(st.integers(0, count), max_size=8))
    return Readings.of(point, START + at, value), sorted({0, count, *cuts})


@given(days())
@settings(deadline=None, max_examples=200)
def test_however_the_readings_are_cut_into_batches_the_marks_are_the_same(day: tuple[Readings, list[int]]) -> None:
    readings, cuts = day
    whole = screened(INSTRUMENTS, readings, TWO_ROOMS)
    in_parts, one_by_one = Screen(TWO_ROOMS), Screen(TWO_ROOMS)
    for screen in (in_parts, one_by_one):
        screen.learn(range(len(INSTRUMENTS)), INSTRUMENTS)
    # What reports at one instant is one answer of one device: it is not cut.
    ends = [cut for cut in cuts if cut in (0, len(readings)) or readings.measured_at[cut - 1] != readings.measured_at[cut]]
    steps = [0, *(np.flatnonzero(np.diff(readings.measured_at)) + 1).tolist(), len(readings)]
    for screen, places in ((in_parts, ends), (one_by_one, steps)):
        found = [screen(readings.take(slice(begin, end))).quality for begin, end in pairwise(places)]
        assert np.concatenate(found).tolist() == whole.quality.tolist()


@given(days(), st.permutations(range(len(INSTRUMENTS))))
@settings(deadline=None)
def test_however_often_the_screen_begins_anew_with_what_it_knew_the_marks_are_the_same(
    day: tuple[Readings, list[int]], order: list[int]
) -> None:
    readings, cuts = day
    whole = screened(INSTRUMENTS, readings, TWO_ROOMS)
    ends = [cut for cut in cuts if cut in (0, len(readings)) or readings.measured_at[cut - 1] != readings.measured_at[cut]]
    found, memory = [], Screen(TWO_ROOMS).memory()
    for begin, end in pairwise(ends):
        screen = Screen(TWO_ROOMS)
        screen.remember(Memory.of(memory.columns()))
        for part in (order[:5], order[5:]):  # in any order: slots are not what is kept
            screen.learn(part, [INSTRUMENTS[number] for number in part])
        found.append(screen(readings.take(slice(begin, end))).quality)
        memory = screen.memory()
    assert np.concatenate(found).tolist() == whole.quality.tolist()


def test_a_stuck_room_is_found_though_the_screen_began_anew_in_between() -> None:
    names = [ROOM_A, ROOM_B]
    rows = sorted(
        [(at, 0, value) for at, value in every(10 * MIN, 30 * H, 20.3)]
        + [(at, 1, value) for at, value in waves(10 * MIN, 30 * H, 19.0, 19.5)]
    )
    at, point, value = zip(*rows, strict=True)
    readings = Readings.of(point, START + np.array(at), value)
    cut = sum(instant < 20 * H for instant in at)
    before, after, forgetful = Screen(TWO_ROOMS), Screen(TWO_ROOMS), Screen(TWO_ROOMS)
    for screen in (before, forgetful):
        screen.learn([0, 1], names)
    before(readings.take(slice(0, cut)))
    after.remember(before.memory())
    after.learn([1], names[1:])
    after.learn([0], names[:1])
    rest = readings.take(slice(cut, len(readings)))
    stuck = after(rest).quality[rest.point == 0].tolist()
    assert stuck == [GOOD] * 24 + [Quality.STUCK] * 37
    assert Quality.STUCK not in forgetful(rest).quality.tolist()


def test_what_does_not_fit_together_is_not_remembered() -> None:
    screen = Screen(TWO_ROOMS)
    screen.learn(range(len(INSTRUMENTS)), INSTRUMENTS)
    columns = screen.memory().columns()
    for name in columns:
        with pytest.raises(ValueError, match=name):
            Memory.of({other: column for other, column in columns.items() if other != name})
        with pytest.raises(ValueError, match="lengths"):
            Memory.of({**columns, name: np.concatenate([columns[name], columns[name][:1]])})


@given(days(), st.integers(0, 2**32))
@settings(deadline=None)
def test_nothing_is_dropped_or_altered_in_any_order(day: tuple[Readings, list[int]], seed: int) -> None:
    readings = day[0].take(np.random.default_rng(seed).permutation(len(day[0])))
    found = screened(INSTRUMENTS, readings, TWO_ROOMS)
    for name in ("point", "measured_at", "received_at", "value"):
        np.testing.assert_array_equal(getattr(found, name), getattr(readings, name))
    given_marks = replace(readings, quality=np.full(len(readings), Quality.DEVICE_ERROR, np.uint8))
    assert set(screened(INSTRUMENTS, given_marks, TWO_ROOMS).quality.tolist()) <= {Quality.DEVICE_ERROR}


def test_points_may_be_learnt_while_readings_come() -> None:
    screen = Screen(TWO_ROOMS)
    for number, name in enumerate([*INSTRUMENTS, *(f"room/X{n}/indoor_temp_c" for n in range(300))]):
        screen.learn([number], [name])
        assert screen(Readings.of([number], [START + number * MIN], [1.0])).quality[0] < 64
    assert screen(Readings.of([0], [START + 400 * MIN], [-1.0])).quality.tolist() == [Quality.RANGE]

"""The audit against the oracle, the worked cases of R2, and the contract's figures."""

from collections.abc import Sequence
from datetime import date, datetime, time
from math import inf, nan
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from compliance.audit import Audit, By, Question, audit, excluded_nowhere, seconds
from domain.errors import ConfigError
from domain.policy import Policy, PolicyVersion, Window
from domain.reading import Quality, Readings
from domain.site import Exclusion, Room
from tests.compliance.oracle import Figures, Law, OracleReading, OracleRoom, judge_slowly

SHANGHAI, BERLIN, LORD_HOWE = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
MINUTE = 60_000
SEASON = ((11, 15), (3, 15))


def law(valid_from: date, season: tuple[tuple[int, int], tuple[int, int]] | None, day_c: float, night_c: float, office_c: float) -> Law:
    limits = {
        "residential": [(time(6), time(21), day_c), (time(21), time(6), night_c)],
        "bungalow": [(time(), time(), 16.0)],
        "office": [(time(8, 30, 15), time(18), office_c), (time(18), time(8, 30, 15), 12.0)],
    }
    return Law(valid_from, season, limits)


def as_policy(laws: Sequence[Law]) -> Policy:
    def seconds_of(clock: time) -> int:
        return clock.hour * 3600 + clock.minute * 60 + clock.second

    def windows(rows: Sequence[tuple[time, time, float]]) -> tuple[Window, ...]:
        found = []
        for start, stop, limit_c in rows:
            first, last = seconds_of(start), seconds_of(stop) or 86_400
            found += [Window(first, last, limit_c)] if first < last else [Window(first, 86_400, limit_c), Window(0, last, limit_c)]
        return tuple(sorted(found, key=lambda window: window.from_s))

    versions = tuple(PolicyVersion(one.valid_from, one.season, {name: windows(rows) for name, rows in one.limits.items()}) for one in laws)
    return Policy("test", versions, "0" * 64)


LAWS = (law(date(2000, 1, 1), SEASON, 18.0, 16.0, 20.0), law(date(2027, 1, 1), None, 20.0, 20.0, 21.0))
POLICY = as_policy(LAWS)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    """UTC milliseconds of a local time."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


# Where limits step, seasons and versions change, clocks go forward and back.
CORNERS = [
    (SHANGHAI, at("2026-12-01T06:00:00")),
    (SHANGHAI, at("2026-12-01T21:00:00")),
    (SHANGHAI, at("2026-11-15T00:00:00")),
    (SHANGHAI, at("2026-03-16T00:00:00")),
    (SHANGHAI, at("2027-01-01T00:00:00")),
    (SHANGHAI, at("2026-12-01T08:30:00")),
    (BERLIN, at("2027-03-28T03:00:00", BERLIN)),
    (BERLIN, at("2027-10-31T03:00:00", BERLIN)),
    (LORD_HOWE, at("2027-04-04T02:00:00", LORD_HOWE)),
]


@st.composite
def towns(draw: st.DrawFn) -> tuple[ZoneInfo, list[OracleRoom], int, int]:
    """A zone, one to three rooms and a period of up to 100 minutes around an instant at which something steps."""
    zone, corner = draw(st.sampled_from(CORNERS))
    from_ms = corner - draw(st.integers(0, 50 * MINUTE))
    to_ms = corner + draw(st.integers(1, 50 * MINUTE))
    instants = st.integers(-60, 60).map(lambda minutes: corner + minutes * MINUTE) | st.integers(from_ms - 40 * MINUTE, to_ms)
    values = st.sampled_from([15.9, 16.0, 16.1, 17.0, 17.9, 18.0 - 5e-10, 18.0, 20.0, 21.0, nan, inf]) | st.floats(10, 25)
    readings = st.builds(
        OracleReading,
        instants,
        values,
        st.integers(0, 3),
        st.sampled_from([0, 0, 0, 0, int(Quality.SUSPECT), int(Quality.RATE), int(Quality.BAD), int(Quality.STUCK)]),
    )
    spans = st.tuples(instants, st.none() | st.integers(1, 30 * MINUTE)).map(lambda s: (s[0], None if s[1] is None else s[0] + s[1]))
    rooms = st.builds(
        OracleRoom,
        st.sampled_from(["residential", "bungalow", "office"]),
        st.sampled_from([30 * MINUTE, 5 * MINUTE, 7 * MINUTE + 321, 90 * MINUTE]),
        st.sampled_from([0.0, 0.0, 0.1, -0.7]),
        st.lists(readings, max_size=12),
        st.lists(spans, max_size=2),
    )
    return zone, draw(st.lists(rooms, min_size=1, max_size=3)), from_ms, to_ms


def asked(zone: ZoneInfo, rooms: Sequence[OracleRoom], from_ms: int | None, to_ms: int | None, by: By = "room") -> Audit:
    """The audit of the oracle's rooms."""
    own = [
        Room(
            f"R{row}",
            premises="contract" if room.held_to == "office" else room.held_to,  # type: ignore[arg-type]
            schedule="office" if room.held_to == "office" else None,
            offset_k=room.offset_k,
            hold_max_min=room.hold_ms / MINUTE,
        )
        for row, room in enumerate(rooms)
    ]
    excluded = [Exclusion(f"R{row}", start, end) for row, room in enumerate(rooms) for start, end in room.excluded]
    rows = [(row, reading) for row, room in enumerate(rooms) for reading in room.readings]
    readings = Readings.of(
        [row for row, _ in rows],
        [reading.measured_at for _, reading in rows],
        [reading.value for _, reading in rows],
        received_at=[reading.received_at for _, reading in rows],
        quality=[reading.quality for _, reading in rows],
    )
    names = [f"room/R{row}/indoor_temp_c" for row in range(len(rooms))]
    return audit(names, readings, Question(POLICY, zone, own, excluded, from_ms=from_ms, to_ms=to_ms, by=by))


def compare(row: dict[str, Any], slow: Figures) -> None:
    """The audit's figures of one room against the oracle's."""
    for name in ("judged", "compliant", "breach", "unknown", "breach_day", "breach_night", "longest_breach"):
        assert row[f"{name}_s"] * 1000 == pytest.approx(getattr(slow, f"{name}_ms"), abs=1e-6), name
    assert row["judged_s"] == pytest.approx(row["compliant_s"] + row["breach_s"] + row["unknown_s"], abs=1e-9)
    assert (row["readings"], row["readings_breach"]) == (slow.readings, slow.readings_breach)
    assert row["deficit_kh"] == pytest.approx(float(slow.deficit_kms / 3_600_000), abs=2e-9)
    known_ms = slow.compliant_ms + slow.breach_ms
    if known_ms:
        assert row["min_c"] == pytest.approx(float(min(slow.values)), abs=1e-8)
        assert row["max_c"] == pytest.approx(float(max(slow.values)), abs=1e-8)
        assert row["mean_c"] == pytest.approx(float(slow.integral_kms / known_ms), abs=1e-8)
        assert row["compliance_rate"] == slow.compliant_ms / known_ms
    else:
        assert (row["min_c"], row["max_c"], row["mean_c"], row["compliance_rate"]) == (None, None, None, None)
    assert row["coverage"] == (known_ms / slow.judged_ms if slow.judged_ms else None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(towns())
@example((SHANGHAI, [OracleRoom("residential", 30 * MINUTE)], at("2026-12-01T05:59:59"), at("2026-12-01T06:00:01")))
def test_the_audit_is_the_rule(town: tuple[ZoneInfo, list[OracleRoom], int, int]) -> None:
    zone, rooms, from_ms, to_ms = town
    found = asked(zone, rooms, from_ms, to_ms)
    slow = [judge_slowly(room, LAWS, zone, from_ms, to_ms) for room in rooms]
    for row, figures in zip(found.rooms, slow, strict=True):
        compare(row, figures)
    totals: dict[str, Any] = found.totals
    assert totals["breach_s"] * 1000 == pytest.approx(sum(figures.breach_ms for figures in slow), abs=1e-6)
    known = [one for one in slow if one.judged_ms and 2 * (one.compliant_ms + one.breach_ms) >= one.judged_ms]
    without = sum(one.breach_ms == 0 for one in known)
    assert (totals["rooms"], totals["rooms_known"], totals["rooms_without_breach"]) == (len(rooms), len(known), without)
    assert totals["households_rate"] == (without / len(known) if known else None)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(towns())
def test_days_add_up_to_the_period(town: tuple[ZoneInfo, list[OracleRoom], int, int]) -> None:
    zone, rooms, from_ms, to_ms = town
    found = asked(zone, rooms, from_ms, to_ms, "day")
    assert found.groups is not None
    days: list[dict[str, Any]] = list(found.groups)
    for key in ("judged_s", "compliant_s", "breach_s", "unknown_s", "breach_day_s", "deficit_kh", "readings", "readings_breach"):
        assert sum(day[key] for day in days) == pytest.approx(found.totals[key], abs=1e-6)


def simple(rows: Sequence[tuple[str, str, float]], zone: ZoneInfo = SHANGHAI, **asked_for: Any) -> Audit:
    """The audit of (room, local time, value) rows under the test's policy."""
    rooms = list(dict.fromkeys(row[0] for row in rows))
    names = [f"room/{room}/indoor_temp_c" for room in rooms]
    readings = Readings.of([rooms.index(row[0]) for row in rows], [at(row[1], zone) for row in rows], [row[2] for row in rows])
    return audit(names, readings, Question(asked_for.pop("policy", POLICY), zone, **asked_for))


def every_ten_minutes(start: str, stop: str, value: float) -> list[tuple[str, str, float]]:
    instants = np.arange(np.datetime64(start), np.datetime64(stop), np.timedelta64(10, "m"))
    return [("R", str(instant), value) for instant in instants]


def test_case_1_the_band_edge_at_six() -> None:
    """17.9 from 05:00 to 07:00: compliant until 06:00:00, breach after; the last reading (06:50) stands to 07:20."""
    room: dict[str, Any] = simple(every_ten_minutes("2026-12-01T05:00", "2026-12-01T07:00", 17.9)).rooms[0]
    assert (room["compliant_s"], room["breach_s"], room["breach_day_s"], room["unknown_s"]) == (3600, 4800, 4800, 0)
    assert room["deficit_kh"] == pytest.approx(0.1 * 4800 / 3600)


def test_case_2_silence_is_unknown() -> None:
    found = simple([("R", "2026-12-01T12:00", 17.0)], to_ms=at("2026-12-01T14:00"))
    room: dict[str, Any] = found.rooms[0]
    assert (room["breach_s"], room["unknown_s"], room["coverage"], room["compliance_rate"]) == (1800, 5400, 0.25, 0.0)
    assert found.totals["rooms_known"] == 0
    assert found.totals["households_rate"] is None


def test_case_7_the_new_policy_from_midnight() -> None:
    room: dict[str, Any] = simple([("R", "2026-12-31T23:50", 19.0)]).rooms[0]
    assert (room["compliant_s"], room["breach_night_s"]) == (600, 1200)


def test_case_8_the_end_of_the_season() -> None:
    room: dict[str, Any] = simple([("R", "2026-03-15T23:50", 15.0), ("R", "2026-03-16T00:05", 15.0)]).rooms[0]
    assert (room["judged_s"], room["breach_s"], room["readings"]) == (600, 600, 1)


def test_exactly_the_limit_is_warm_enough() -> None:
    assert simple([("R", "2026-12-01T12:00", 18.0)]).totals["breach_s"] == 0
    assert simple([("R", "2026-12-01T12:00", 18.0 - 9e-10)]).totals["breach_s"] == 0
    assert simple([("R", "2026-12-01T12:00", 18.0 - 2e-9)]).totals["breach_s"] == 1800


def test_an_offset_that_ends_at_the_limit_in_decimals() -> None:
    """17.7 + 0.3 is 18 in a spreadsheet and 18.0 − 4e-15 in binary."""
    found = simple([("R", "2026-12-01T12:00", 17.7)], rooms=[Room("R", offset_k=0.3)])
    assert found.totals["breach_s"] == 0


def test_the_period_without_from_and_to() -> None:
    rooms = [Room("slow", hold_max_min=120)]
    rows = [("slow", "2026-12-01T12:00", 20.0), ("quick", "2026-12-01T12:10", 20.0), ("quick", "2026-12-01T13:20", 20.0)]
    document = simple(rows, rooms=rooms).document()
    assert (document["from"], document["to"]) == ("2026-12-01T12:00:00+08:00", "2026-12-01T14:00:00+08:00")


def test_bad_readings_make_no_period() -> None:
    readings = Readings.of([0, 0], [at("2026-12-01T12:00"), at("2026-12-01T13:00")], [20.0, 20.0], quality=[int(Quality.BAD), 0])
    found = audit(["room/R/indoor_temp_c"], readings, Question(POLICY, SHANGHAI))
    assert found.from_ms == at("2026-12-01T13:00")


def test_nothing_at_all() -> None:
    found = audit([], Readings.empty(), Question(POLICY, SHANGHAI, rooms=[Room("R")], by="day"))
    assert (found.from_ms, found.to_ms, found.groups) == (None, None, [])
    assert found.rooms[0]["judged_s"] == 0
    assert found.totals["compliance_rate"] is None


def test_rooms_of_the_file_come_first_and_silent_ones_are_unknown() -> None:
    rows = [("new", "2026-12-01T12:00", 20.0), ("B", "2026-12-01T12:00", 20.0)]
    found = simple(rows, rooms=[Room("A", "H1", "S1"), Room("B", "H1", "S1")])
    rooms: list[Any] = found.rooms
    assert [room["room_id"] for room in rooms] == ["A", "B", "new"]
    assert [room["unknown_s"] for room in rooms] == [1800, 0, 0]
    assert [room["building_id"] for room in rooms] == ["H1", "H1", None]


def test_other_points_are_not_rooms() -> None:
    names = ["station/S1/outdoor_temp_c", "room/R/battery_pct", "room/R/indoor_temp_c", "station/S1/indoor_temp_c"]
    instants = [at("2026-12-01T12:00")] * 3
    found = audit(names, Readings.of([0, 1, 2], instants, [-5, 80, 20]), Question(POLICY, SHANGHAI))
    assert [room["room_id"] for room in found.rooms] == ["R"]


def test_groups_hold_the_same_figures_as_totals() -> None:
    rooms = [Room("A", "H1", "S1"), Room("B", "H2", "S1"), Room("C", "H2", "S1")]
    rows = [
        ("A", "2026-12-01T12:00", 17.0),
        ("B", "2026-12-01T12:00", 20.0),
        ("C", "2026-12-01T12:00", 20.0),
        ("new", "2026-12-01T12:00", 20.0),
    ]
    found = simple(rows, rooms=rooms, by="building")
    assert found.groups is not None
    assert [(group["key"], group["rooms"], group["breach_s"]) for group in found.groups] == [("H1", 1, 1800), ("H2", 2, 0), (None, 1, 0)]
    assert [list(group) for group in found.groups] == [["key", *found.totals]] * 3
    by_station = simple(rows, rooms=rooms, by="station").groups
    assert by_station is not None
    assert [group["key"] for group in by_station] == ["S1", None]
    assert by_station[0]["households_rate"] == pytest.approx(2 / 3)


def test_days_are_local_and_all_there() -> None:
    found = simple([("R", "2026-11-14T22:00", 20.0), ("R", "2026-11-16T01:00", 17.0)], by="day")
    assert found.groups is not None
    assert [(day["key"], day["judged_s"], day["readings"]) for day in found.groups] == [
        ("2026-11-14", 0, 0),
        ("2026-11-15", 86_400, 0),
        ("2026-11-16", 5400, 1),
    ]


def test_screening_takes_what_cannot_be_true_for_bad() -> None:
    rows = [
        ("R", "2026-12-01T12:00", 20.0),
        ("R", "2026-12-01T12:10", -3276.8),
        ("R", "2026-12-01T12:15", 51.0),
        ("R", "2026-12-01T12:16", 40.0),
    ]
    taken: dict[str, Any] = simple(rows).rooms[0]
    screened: dict[str, Any] = simple(rows, screen=True).rooms[0]
    assert (taken["min_c"], taken["readings"]) == (-3276.8, 4)
    assert (screened["min_c"], screened["max_c"], screened["readings"]) == (20.0, 40.0, 2)


def test_a_policy_without_the_schedule_of_a_room_in_the_period() -> None:
    old = Law(date(2000, 1, 1), SEASON, {"residential": LAWS[0].limits["residential"]})
    policy = as_policy((old, LAWS[1]))
    office = [Room("R", premises="contract", schedule="office")]
    assert simple([("R", "2027-01-02T12:00", 20.0)], rooms=office, policy=policy).totals["judged_s"] == 1800
    with pytest.raises(ConfigError, match=r"policy test: room R: schedule: 'office': .*valid from 2000-01-01 has no such"):
        simple([("R", "2026-12-01T12:00", 20.0)], rooms=office, policy=policy)


def test_exclusions_of_rooms_that_nobody_judges_are_told() -> None:
    exclusions = [Exclusion("R", 0, None), Exclusion("typo", 0, None), Exclusion("typo", 5, 6)]
    question = Question(POLICY, SHANGHAI, [Room("R")], exclusions)
    assert excluded_nowhere(question, audit([], Readings.empty(), question)) == ["typo"]


def test_seconds_are_whole_where_they_can_be() -> None:
    assert [repr(seconds(duration)) for duration in (0, 1000, 1500, 1, 123_456_789_001)] == ["0", "1", "1.5", "0.001", "123456789.001"]

"""Service deadlines (R7) from stored steps: worked by hand, over holds, reopenings and merges."""

from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.complaint_cases import StandingDuties, table_of
from compliance.complaint_life import NEXT_STATES, WORKED_ON, Deed, Step, following, holds, rounds
from compliance.escalation import escalations
from compliance.service_duties import Calendar, Case, DutyState, duty_states, handled_in_time, next_due, stand_until
from compliance.working_days import is_working_day
from domain.deadlines import Within
from domain.site import Site
from store.site_folder import load_policy

ZONE = ZoneInfo("Asia/Shanghai")
CALENDAR = Calendar(ZONE)
POLICY = load_policy(Path("default"))
TABLES = {
    name: load_policy(Path(policy)).deadline_tables[name] for name, policy in (("A", "default"), ("B", "profile-b"), ("C", "profile-c"))
}
ON_SITE = "low_temperature_on_site"
MIN, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def at(text: str) -> int:
    """UTC ms of ``DD HH:MM`` in December 2026, or of a whole local date and time."""
    full = text if len(text) > 8 else f"2026-12-{text}"
    return round(datetime.fromisoformat(full).replace(tzinfo=ZONE).timestamp() * 1000)


def case(
    steps: str = "",
    deeds: str = "",
    *,
    category: str = "low_temperature",
    severity: str = "ordinary",
    origin: str = "resident",
    kind: str = "household",
    reported: str = "01 08:00",
    merged: tuple[Case, ...] = (),
) -> Case:
    """``steps`` and ``deeds`` as "on_site 01 08:20, …"; reported on the 1st at 08:00."""
    taken, done = ([word.strip().split(" ", 1) for word in words.split(",") if word.strip()] for words in (steps, deeds))
    rows = tuple(Step(name, at(when)) for name, when in taken), tuple(Deed(name, at(when)) for name, when in done)
    return Case(category, severity, origin, kind, at(reported), *rows, merged)


def states(one: Case, now: str, table: str = "A") -> dict[str, DutyState]:
    """The duties of the last round, by name."""
    return {state.duty.duty: state for state in duty_states(one, TABLES[table], CALENDAR, at(now))}


@pytest.mark.parametrize(
    ("table", "category", "severity", "duty", "due"),
    [
        ("A", "low_temperature", "ordinary", "low_temperature_on_site", "01 08:30"),
        ("A", "low_temperature", "ordinary", "low_temperature_cured", "03 08:00"),
        ("A", "leak", "ordinary", "leak_on_site", "01 08:30"),
        ("A", "other", "ordinary", "slip_handed_over", "01 08:10"),
        ("A", "other", "ordinary", "complaint_verified", "03 08:00"),
        ("A", "other", "ordinary", "slip_filed", "06 08:00"),
        ("B", "low_temperature", "ordinary", "low_temperature_contact", "01 08:30"),
        ("B", "low_temperature", "ordinary", "low_temperature_on_site", "01 10:00"),
        ("B", "low_temperature", "ordinary", "low_temperature_cured", "02 08:00"),
        ("B", "leak", "ordinary", "leak_on_site", "01 08:30"),
        ("B", "pipe_burst", "ordinary", "burst_repaired", "02 08:00"),
        ("B", "other", "ordinary", "opinion_answered", "01 09:00"),
        ("B", "other", "ordinary", "complaint_verified", "09 00:00"),  # Tuesday: 2, 3, 4, 7, 8 are the five working days
        ("C", "low_temperature", "ordinary", "low_temperature_contact", "01 09:00"),
        ("C", "leak", "ordinary", "leak_contact", "01 08:15"),
        ("C", "leak", "ordinary", "leak_on_site", "01 08:40"),
        ("C", "pipe_burst", "ordinary", "burst_repaired", "01 14:00"),
        ("C", "pipe_burst", "major", "burst_repaired_major", "02 04:00"),
        ("C", "heat_stopped", "ordinary", "heat_stopped_on_site", "01 09:00"),
        ("C", "heat_stopped", "ordinary", "heat_stopped_answered", "01 11:00"),
        ("C", "other", "ordinary", "opinion_answered", "01 09:00"),
        ("C", "other", "ordinary", "complaint_verified", "01 09:00"),
    ],
)
def test_the_table_of_r7(table: str, category: str, severity: str, duty: str, due: str) -> None:
    found = states(case(category=category, severity=severity), "01 08:01", table)[duty]
    assert (found.due_at, found.standing) == (at(due), "open")


@pytest.mark.parametrize(("table", "closed", "resolved"), [("A", 3 * DAY, 7 * DAY), ("B", 2 * DAY, 2 * DAY)])
def test_call_backs_start_with_the_cure_and_with_the_closing(table: str, closed: int, resolved: int) -> None:
    one = case("accepted 01 08:01, resolved 01 12:00, called_back 01 13:00, closed 01 14:00")
    found = states(one, "01 14:00", table)
    assert found["call_back_complaint"].due_at == at("01 14:00") + closed
    assert found["call_back_repair"].due_at == at("01 12:00") + resolved
    assert "call_back_repair" not in states(case("accepted 01 08:01"), "01 14:00", table)
    assert "call_back_repair" not in states(case("resolved 01 09:00", category="other"), "01 14:00", table)


def test_a_call_back_before_closing_serves_both_clocks_and_one_that_reached_nobody_none() -> None:
    steps = "resolved 01 12:00, called_back 01 13:00, closed 01 14:00"
    one = case(steps, "call_back 01 13:00")
    assert {name: states(one, "20 08:00")[name].standing for name in ("call_back_repair", "call_back_complaint")} == {
        "call_back_repair": "kept",
        "call_back_complaint": "kept",
    }
    nobody = Case(one.category, one.severity, one.origin, one.kind, one.reported_at, one.steps, (Deed("call_back", at("01 13:00"), False),))
    assert states(nobody, "20 08:00")["call_back_complaint"].standing == "overdue"
    late = case(steps, "call_back 05 09:00")
    assert states(late, "20 08:00")["call_back_complaint"].standing == "late"
    assert states(late, "20 08:00")["call_back_repair"].standing == "kept"


def test_a_duty_is_kept_to_the_very_instant_and_overdue_after_it() -> None:
    assert states(case("on_site 01 08:30"), "01 09:00")[ON_SITE].standing == "kept"
    open_ = case()
    on_the_dot = duty_states(open_, TABLES["A"], CALENDAR, at("01 08:30"))
    assert next(one for one in on_the_dot if one.duty.duty == "low_temperature_on_site").standing == "open"
    past = duty_states(open_, TABLES["A"], CALENDAR, at("01 08:30") + 1)
    assert next(one for one in past if one.duty.duty == "low_temperature_on_site").standing == "overdue"
    assert states(case("on_site 01 08:31"), "01 09:00")[ON_SITE].standing == "late"


def test_what_is_resolved_was_on_site() -> None:
    assert states(case("accepted 01 08:05, resolved 01 08:20"), "01 09:00")[ON_SITE].standing == "kept"


def test_sensors_and_maintenance_owe_residents_nothing() -> None:
    assert set(states(case(origin="sensor"), "01 08:01")) == {"low_temperature_on_site", "low_temperature_cured"}
    assert states(case(origin="sensor", kind="maintenance"), "01 08:01") == {}


def test_time_held_moves_a_deadline_and_nothing_else() -> None:
    """Nobody was at home from 08:10 to 10:10: two hours of which the company could do nothing."""
    one = case("accepted 01 08:05", "held 01 08:10, resumed 01 10:10")
    assert states(one, "01 10:20")[ON_SITE].due_at == at("01 10:30")
    assert states(one, "01 09:00")[ON_SITE].standing == "held"
    assert states(one, "01 10:30")[ON_SITE].standing == "open"
    assert states(one, "01 10:31")[ON_SITE].standing == "overdue"
    assert (
        states(case("accepted 01 08:05, on_site 01 10:25", "held 01 08:10, resumed 01 10:10"), "05 08:00")[
            "low_temperature_on_site"
        ].standing
        == "kept"
    )


def test_a_hold_after_the_deadline_excuses_nothing() -> None:
    one = case("accepted 01 08:05", "held 01 08:40")
    found = states(one, "01 12:00")[ON_SITE]
    assert (found.standing, found.due_at) == ("overdue", at("01 08:30"))
    assert states(one, "01 12:00")["low_temperature_cured"].standing == "held"


def test_working_on_ends_a_hold_that_nobody_resumed() -> None:
    one = case("accepted 01 08:05, dispatched 01 09:10", "held 01 08:10")
    assert holds(one.deeds, one.steps) == [(at("01 08:10"), at("01 09:10"))]
    assert states(one, "01 09:20")[ON_SITE].due_at == at("01 09:30")


def test_reopening_starts_every_clock_anew_and_leaves_the_past_as_it_was() -> None:
    one = case("on_site 01 08:20, resolved 01 20:00, closed 02 08:00, reopened 10 09:00, on_site 10 09:40")
    found = [(state.duty.duty, state.started_at, state.standing) for state in duty_states(one, TABLES["A"], CALENDAR, at("10 10:00"))]
    assert ("low_temperature_on_site", at("01 08:00"), "kept") in found
    assert ("low_temperature_cured", at("01 08:00"), "kept") in found
    assert ("low_temperature_on_site", at("10 09:00"), "late") in found
    assert ("low_temperature_cured", at("10 09:00"), "open") in found
    assert [(one.reported_at, one.until) for one in rounds(one.reported_at, one.steps)] == [
        (at("01 08:00"), at("10 09:00")),
        (at("10 09:00"), None),
    ]
    assert handled_in_time(one, TABLES["A"], CALENDAR, at("10 10:00")) is False


def test_a_hold_of_the_first_round_does_not_lengthen_the_second() -> None:
    one = case("accepted 01 08:05, resolved 01 12:00, reopened 02 08:00", "held 01 08:10, resumed 01 11:10")
    second = [state for state in duty_states(one, TABLES["A"], CALENDAR, at("02 08:10")) if state.started_at == at("02 08:00")]
    assert {state.duty.duty: state.due_at for state in second}[ON_SITE] == at("02 08:30")
    assert all(state.held_ms == 0 for state in second)


def test_a_rejection_ends_what_was_owed_in_time_and_not_what_was_late() -> None:
    found = states(case("accepted 01 08:05, rejected 01 08:50"), "05 08:00")
    assert (found[ON_SITE].standing, found["low_temperature_cured"].standing) == ("late", "void")
    assert next_due(list(found.values())) is None


def test_what_is_found_on_the_user_s_side_was_not_the_company_s_to_cure() -> None:
    """R7 asks for the cure of the company's cause: overdue until it is found out, not owed after that; the way there stays late."""
    user_s = replace(case("resolved 04 08:00"), deeds=(Deed("found", at("04 08:00"), cause="user_side"),))
    assert states(user_s, "04 07:59")["low_temperature_cured"].standing == "overdue"
    assert (states(user_s, "05 08:00")["low_temperature_cured"].standing, states(user_s, "05 08:00")[ON_SITE].standing) == ("void", "late")
    own = replace(case("resolved 04 08:00"), deeds=(Deed("found", at("04 08:00"), cause="air_lock"),))
    assert states(own, "05 08:00")["low_temperature_cured"].standing == "late"
    assert states(case("rejected 04 08:00"), "05 08:00")["low_temperature_cured"].standing == "void"


def test_a_cause_found_in_one_round_says_nothing_of_the_next() -> None:
    found = (Deed("found", at("01 09:00"), cause="user_side"), Deed("found", at("09 08:00"), cause="air_lock"))
    again = replace(case("resolved 01 09:00, reopened 05 08:00, resolved 09 08:00"), deeds=found)
    every = [one.standing for one in duty_states(again, TABLES["A"], CALENDAR, at("10 08:00")) if one.duty.duty == "low_temperature_cured"]
    assert every == ["void", "late"]


def test_merging_ends_the_clocks_of_one_and_holds_the_other_to_the_earlier_report() -> None:
    early = case("accepted 01 08:05, merged 01 09:00")
    into = case(reported="01 08:50")
    assert {state.standing for state in states(early, "05 08:00").values()} == {"late", "void"}
    alone = states(into, "01 08:55")["low_temperature_cured"]
    together = case(reported="01 08:50", merged=(early,))
    after = states(together, "01 09:05")
    assert (alone.due_at, after["low_temperature_cured"].due_at) == (at("03 08:50"), at("03 08:00"))
    assert states(together, "01 08:55")["low_temperature_cured"].due_at == at("03 08:50"), "what is merged later is not known yet"


def test_who_was_on_site_for_the_one_was_on_site_for_both() -> None:
    early = case("accepted 01 08:05, on_site 01 08:20, merged 01 09:00", "verified 01 08:25")
    together = case(reported="01 08:50", merged=(early,))
    found = states(together, "01 09:05")
    assert (found[ON_SITE].standing, found[ON_SITE].done_at) == ("kept", at("01 08:20"))
    assert found["complaint_verified"].standing == "kept"


def test_a_sensor_s_complaint_with_a_resident_s_merged_into_it_owes_the_resident() -> None:
    resident = case("merged 01 09:00")
    assert "complaint_verified" in states(case(origin="sensor", reported="01 07:00", merged=(resident,)), "01 10:00")


def test_what_is_merged_after_a_reopening_leaves_the_first_round_as_it_was() -> None:
    early = case("merged 03 09:00", reported="01 06:00")
    first = "on_site 01 08:20, resolved 01 12:00, called_back 01 13:00, closed 01 13:05"
    alone = case(f"{first}, reopened 03 08:00")
    together = replace(alone, merged=(early,))
    before, after = (duty_states(one, TABLES["A"], CALENDAR, at("03 10:00")) for one in (alone, together))
    round_one = [state for state in before if state.started_at < at("03 08:00")]
    assert [state for state in after if state in round_one] == round_one
    cured = [state for state in after if state.duty.duty == "low_temperature_cured"]
    assert [state.due_at for state in cured] == [at("03 08:00"), at("03 06:00")], "the second round is held to the earlier report"


def test_a_wait_ends_when_its_complaint_is_merged() -> None:
    early = case("merged 01 09:00", "held 01 08:10")
    found = states(case(reported="01 08:50", merged=(early,)), "02 09:00")["low_temperature_cured"]
    assert (found.held_ms, found.standing) == (50 * 60_000, "open")


def test_the_shorter_clock_does_not_overrule_another() -> None:
    """zammad 5177: each clock is its own."""
    found = states(case("accepted 01 08:02", "handed_over 01 08:05"), "01 08:06")
    assert {name: state.due_at for name, state in found.items()} == {
        "low_temperature_on_site": at("01 08:30"),
        "low_temperature_cured": at("03 08:00"),
        "slip_handed_over": at("01 08:10"),
        "complaint_verified": at("03 08:00"),
        "slip_filed": at("06 08:00"),
    }
    assert next_due(list(found.values())) == found[ON_SITE]


@pytest.mark.parametrize(
    ("steps", "deeds", "duty", "done"),
    [
        ("accepted 01 08:02, dispatched 01 08:07", "", "slip_handed_over", "01 08:07"),
        ("accepted 01 08:02, resolved 01 09:00", "", "slip_handed_over", "01 09:00"),
        ("accepted 01 08:02, dispatched 01 08:07", "handed_over 01 08:05", "slip_handed_over", "01 08:05"),
        ("accepted 01 08:02", "call_back 01 10:00", "complaint_verified", "01 10:00"),
        ("resolved 01 10:00, called_back 01 11:00, closed 01 12:00", "", "slip_filed", "01 12:00"),
        ("resolved 01 10:00, called_back 01 11:00, closed 01 12:00", "filed 01 11:30", "slip_filed", "01 11:30"),
        ("resolved 01 10:00", "", "slip_filed", None),
    ],
)
def test_what_a_step_does_besides(steps: str, deeds: str, duty: str, done: str | None) -> None:
    """Whoever is sent has the slip, whoever was reached was asked, what is closed is filed: nobody writes it down twice."""
    found = states(case(steps, deeds), "01 13:00")[duty]
    assert found.done_at == (at(done) if done else None)


def test_overdue_goes_up_one_step_and_a_second_after_as_long_again() -> None:
    def told(now: str) -> list[tuple[str, str, int]]:
        return [(one.duty, one.told, one.at) for one in escalations(list(states(case(), now).values()), at(now)) if one.duty == ON_SITE]

    assert told("01 08:30") == []
    assert told("01 08:31") == [(ON_SITE, "department_head", at("01 08:30"))]
    assert told("01 09:01") == [
        (ON_SITE, "department_head", at("01 08:30")),
        (ON_SITE, "manager", at("01 09:00")),
    ]
    assert len(told("09 09:01")) == 2


@given(
    st.lists(st.tuples(st.sampled_from([*NEXT_STATES, "held", "resumed", "verified"]), st.integers(0, 20 * DAY)), max_size=12), st.data()
)
def test_whatever_happens_a_clock_is_never_before_its_start_and_what_is_kept_was_done(
    marks: list[tuple[str, int]], data: st.DataObject
) -> None:
    start = at("01 08:00")
    ordered = sorted(((name, start + when) for name, when in marks), key=lambda mark: mark[1])
    steps = tuple(Step(name, when) for name, when in ordered if name in NEXT_STATES and name != "new")
    deeds = tuple(Deed(name, when) for name, when in ordered if name not in NEXT_STATES)
    one = Case("low_temperature", "ordinary", "resident", "household", start, steps, deeds)
    now = start + data.draw(st.integers(0, 30 * DAY))
    for table in TABLES.values():
        for state in duty_states(one, table, CALENDAR, now):
            assert state.started_at >= start
            assert state.held_ms >= 0
            if state.standing in ("kept", "late") and state.done_at is not None:
                assert state.started_at <= state.done_at <= now
                assert (state.done_at <= state.due_at) == (state.standing == "kept")
            if state.standing == "overdue":
                assert state.due_at < now


MARKS = st.lists(
    st.tuples(st.sampled_from([*NEXT_STATES, "held", "resumed", "verified", "answered"]), st.integers(0, 20 * DAY)), max_size=8
)


def stored(marks: list[tuple[str, int]], merged: tuple[Case, ...] = ()) -> Case:
    start = at("01 08:00")
    ordered = sorted(((name, start + when) for name, when in marks), key=lambda mark: mark[1])
    steps = tuple(Step(name, when) for name, when in ordered if name in NEXT_STATES and name != "new")
    deeds = tuple(Deed(name, when) for name, when in ordered if name not in NEXT_STATES)
    return Case("low_temperature", "ordinary", "resident", "household", start, steps, deeds, merged)


@settings(deadline=None)
@given(MARKS, MARKS, st.lists(st.integers(0, 30 * DAY), min_size=1, max_size=8), st.integers(1, 8))
def test_duties_that_stand_are_those_computed_anew_at_every_instant(
    marks: list[tuple[str, int]], others: list[tuple[str, int]], looks: list[int], changes_at: int
) -> None:
    site = Site("town", ZONE, POLICY, Path(), Path())
    standing = StandingDuties()
    cases = {1: stored(marks), 2: stored(others, (stored([*marks, ("merged", DAY)]),))}
    for number, look in enumerate(looks):  # in any order: a clock may be set back
        if number == changes_at:
            cases = {**cases, 1: stored(others)}  # what was asked for is never changed itself
        now = at("01 08:00") + look
        fresh = {key: duty_states(one, table_of(POLICY, CALENDAR, one.reported_at), CALENDAR, now) for key, one in cases.items()}
        assert standing.of(site, cases, now) == fresh
        assert standing.of(site, cases, now) == fresh


@settings(deadline=None)
@given(MARKS, st.integers(0, 30 * DAY), st.data())
def test_nothing_changes_before_the_instant_that_is_named(marks: list[tuple[str, int]], look: int, data: st.DataObject) -> None:
    one, now = stored(marks), at("01 08:00") + look
    for table in TABLES.values():
        before = duty_states(one, table, CALENDAR, now)
        until = stand_until(one, before, now)
        assert until >= now
        later = data.draw(st.integers(now, min(until, now + 60 * DAY)))
        assert duty_states(one, table, CALENDAR, later) == before


def test_thousands_of_duties_are_not_computed_again_while_nothing_happens() -> None:
    site, standing = Site("town", ZONE, POLICY, Path(), Path()), StandingDuties()
    cases = {number: stored([("accepted", MIN)]) for number in range(100)}
    first = standing.of(site, cases, at("01 08:11"))  # the slip was to be handed over within ten minutes
    again = standing.of(site, {number: stored([("accepted", MIN)]) for number in range(100)}, at("01 08:20"))
    assert all(again[number] is first[number] for number in cases)  # read anew, but the same
    cases[7] = stored([("accepted", MIN), ("on_site", 15 * MIN)])
    changed = standing.of(site, cases, at("01 08:21"))
    assert [number for number in cases if changed[number] is not first[number]] == [7]
    late = standing.of(site, cases, at("01 08:31"))  # who was to be on site within half an hour is overdue
    assert [number for number in cases if late[number] is changed[number]] == [7]


def test_states_a_person_may_take() -> None:
    assert following("resolved", "resident") == ("called_back", "reopened")
    assert following("resolved", "sensor") == ("called_back", "reopened", "closed")
    assert following("merged", "resident") == ()
    assert set(WORKED_ON) < set(NEXT_STATES)


@pytest.mark.parametrize(
    ("day", "working"),
    [
        ("2026-02-14", True),  # a Saturday worked before Spring Festival
        ("2026-02-17", False),
        ("2026-02-20", False),  # a Friday off
        ("2026-02-28", True),
        ("2026-10-10", True),
        ("2026-12-05", False),
        ("2027-01-01", False),
        ("2027-02-08", False),
        ("2027-03-01", True),
    ],
)
def test_working_days_of_china(day: str, working: bool) -> None:
    assert is_working_day(date.fromisoformat(day), {}) is working


def test_the_site_s_file_goes_before_the_calendar() -> None:
    assert is_working_day(date(2027, 2, 20), {date(2027, 2, 20): True})
    assert not is_working_day(date(2026, 12, 1), {date(2026, 12, 1): False})


def test_five_working_days_over_spring_festival() -> None:
    """From Thursday 12 February 2026: 13, 14 (a Saturday, worked), 24, 25, 26; to the end of that day."""

    def due(site_days: dict[date, bool]) -> int:
        return Within(5, "workdays").due_ms(at("2026-02-12 15:00"), ZONE, partial(is_working_day, site_days=site_days))

    assert due({}) == at("2026-02-27 00:00")
    assert due({date(2026, 2, 14): False}) == at("2026-02-28 00:00")


def test_a_major_burst_owes_the_ordinary_time_where_the_table_has_no_other() -> None:
    assert set(states(case(category="pipe_burst", severity="major", origin="sensor"), "01 08:01", "B")) == {"burst_repaired"}
    assert set(states(case(category="pipe_burst", severity="major", origin="sensor"), "01 08:01", "C")) == {"burst_repaired_major"}
    assert set(states(case(category="pipe_burst", origin="sensor"), "01 08:01", "C")) == {"burst_repaired"}

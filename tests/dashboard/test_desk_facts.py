"""What the desk's lists say: the queue as it is asked for, who is to be called, what is like a complaint, what was frozen with it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, update

from dashboard.actions.complaints import assign_complaint, move_complaint, record_call_back
from dashboard.facts.complaints import Dossier, complaint_queue, dossier
from dashboard.facts.desk import Wanted, areas, call_back_rows, queue_counts, queue_rows, similar_complaints, time_line
from dashboard.facts.evidence import frozen_evidence
from dashboard.facts.people import people
from dashboard.facts.town import Town
from domain.clock import Clock
from store.records import tables
from tests.dashboard.sample_complaints import COLD, DESK, HOUR_MS, MINUTE_MS
from tests.dashboard.sample_town import NOW_MS, write_town

COLD_BUILDING_COMPLAINT, CURED, CALLED, STOPPED_HOME, LEAK = 1, 5, 6, 7, 8


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town whose records a test may change; without readings."""
    opened = Town(write_town(tmp_path, rooms=False).site, Clock.starting_at(NOW_MS, 1e-6))
    yield opened
    opened.close()


def case(town: Town, number: int) -> Dossier:
    found = dossier(town, number)
    assert found is not None
    return found


def numbers(town: Town, me: str = DESK.name, **wanted: str) -> list[int]:
    return [row.complaint.id for row in queue_rows(town, Wanted(**wanted), me)]


def test_the_queue_as_it_is_asked_for(town: Town) -> None:
    everything = numbers(town)
    assert {COLD_BUILDING_COMPLAINT, CURED, STOPPED_HOME, LEAK} <= set(everything)
    assert CALLED not in everything, "called back, closed, filed: nothing is owed any more"
    assert numbers(town, show="mine") == [number for number in everything if number in (CURED, LEAK)]
    assert numbers(town, "nobody", show="mine") == []
    assert set(numbers(town, show="overdue")) == {row.complaint.id for row in complaint_queue(town) if (row.left_ms or 0) < 0}
    assert numbers(town, origin="sensor") == [number for number in everything if number not in (2, CURED, STOPPED_HOME, LEAK)]
    assert numbers(town, area="station/S08") == [number for number in everything if number in (4, LEAK)]
    assert set(numbers(town, area="district/二区")) | set(numbers(town, area="district/一区")) == set(everything)
    assert numbers(town, area="station/NOWHERE") == []
    by_duty = numbers(town, duty="low_temperature_on_site")
    assert COLD_BUILDING_COMPLAINT in by_duty
    assert LEAK not in by_duty
    assert CALLED in numbers(town, show="over")


def test_an_overdue_duty_uses_up_its_time_and_one_that_began_now_none(town: Town) -> None:
    rows = {row.complaint.id: row for row in complaint_queue(town)}
    assert rows[COLD_BUILDING_COMPLAINT].share == 1.0
    assert all(0.0 <= row.share <= 1.0 for row in rows.values())
    assert [row.share for row in rows.values() if row.duty is None] == [0.0] * sum(row.duty is None for row in rows.values())


def test_the_counts_above_the_queue(town: Town) -> None:
    counts = queue_counts(town, DESK.name)
    assert (counts.open, counts.mine, counts.call_back) == (len(complaint_queue(town)), len(numbers(town, show="mine")), 1)
    assert counts.overdue == len(numbers(town, show="overdue"))


def test_every_open_complaint_is_in_the_queue_however_old(town: Town) -> None:
    with town.records.begin() as connection:
        connection.execute(update(tables.complaints).where(tables.complaints.c.id == LEAK).values(opened_at=NOW_MS - 400 * 24 * HOUR_MS))
    town.shared.forget()
    assert LEAK in numbers(town)


def test_who_is_to_be_called_back_and_who_was(town: Town) -> None:
    to_do, called = call_back_rows(town)
    assert (to_do.complaint.id, to_do.done, [call.reached for call in to_do.calls]) == (CURED, None, [False])
    assert to_do.left_ms is not None
    assert to_do.left_ms > 0
    assert called.complaint.id == CALLED
    assert called.done is not None
    assert (called.done.who, called.done.satisfied, called.done.remark) == (DESK.name, True, "已恢复，满意")
    record_call_back(town.records, DESK, CURED, "resolved", False, "还是冷", NOW_MS)
    town.shared.forget()
    first, second = call_back_rows(town)
    assert [row.complaint.id for row in (first, second)] == [CURED, CALLED], "the latest call first"
    assert first.done is not None
    assert first.done.satisfied is False
    assert queue_counts(town, DESK.name).call_back == 0


def test_whom_to_call_back_is_read_anew_only_when_something_was_stored_and_its_time_runs_on(town: Town) -> None:
    read: list[str] = []
    event.listen(town.records, "before_cursor_execute", lambda _c, _cursor, statement, *_: read.append(statement))
    town.shared.life_s = 0.0  # as when a moment has passed
    before = call_back_rows(town)
    read.clear()
    town.clock = Clock.starting_at(NOW_MS + HOUR_MS, 1e-6)
    later = call_back_rows(town)
    assert [one for one in read if not one.startswith(("BEGIN", "SELECT (SELECT max("))] == [], "but the newest numbers"
    assert before[0].left_ms is not None
    assert later[0].left_ms == before[0].left_ms - HOUR_MS
    record_call_back(town.records, DESK, CURED, "resolved", True, "热了", NOW_MS)
    assert [row.complaint.id for row in call_back_rows(town) if row.done is None] == []


def test_one_cured_again_is_to_be_called_again(town: Town) -> None:
    record_call_back(town.records, DESK, CURED, "resolved", False, "还是冷", NOW_MS)
    for seen, to in (("called_back", "reopened"), ("reopened", "accepted"), ("accepted", "resolved")):
        move_complaint(town.records, DESK, CURED, seen, to, "还是冷", NOW_MS)
    town.shared.forget()
    row = call_back_rows(town)[0]
    assert (row.complaint.id, row.done, len(row.calls)) == (CURED, None, 2)


def test_similar_complaints_the_nearest_place_first(town: Town) -> None:
    building = case(town, COLD_BUILDING_COMPLAINT).complaint
    assert [(one.complaint.id, one.how) for one in similar_complaints(town, building)] == [(3, "building")]
    leak = case(town, LEAK).complaint
    assert similar_complaints(town, leak) == [], "the closed one of this station is about something else"
    assert similar_complaints(town, replace(leak, id=99))[0].how == "place"
    assert similar_complaints(town, replace(leak, id=98, opened_at=NOW_MS + 40 * 24 * HOUR_MS)) == []


def test_the_time_line_tells_steps_deeds_and_who_was_told_in_order(town: Town) -> None:
    assign_complaint(town.records, DESK, LEAK, DESK.name, "维修张", "夜班", NOW_MS)
    told = {"subject": f"complaint/{LEAK}", "duty": "leak_on_site", "started_at": NOW_MS, "step": 1, "told": "department_head"}
    with town.records.begin() as connection:
        connection.execute(tables.escalations.insert().values({**told, "due_at": NOW_MS - MINUTE_MS, "at": NOW_MS - MINUTE_MS}))
    town.shared.forget()
    line = time_line(case(town, LEAK))
    assert [one.at for one in line] == sorted(one.at for one in line)
    assert [(one.kind, getattr(one.row, "to_state", "") or getattr(one.row, "kind", "")) for one in line] == [
        ("step", "new"),
        ("step", "accepted"),
        ("deed", "assigned"),
        ("deed", "contacted"),
        ("told", ""),
        ("deed", "assigned"),
    ]


def test_the_evidence_is_what_was_stored_whatever_the_history_says(town: Town) -> None:
    frozen = frozen_evidence(town, case(town, COLD_BUILDING_COMPLAINT))
    assert list(frozen.rooms) == ["101", "102", "103", "201", "202", "203"]
    first = frozen.rooms["101"]
    assert len(first) == 145
    assert first.at_ms[-1] == frozen.opened_at
    assert frozen.facts["outdoor_c"] == -9.4
    assert frozen.from_ms == frozen.opened_at - 24 * HOUR_MS
    assert set(frozen.limit.value.tolist()) == {16.0, 18.0}
    assert frozen.same_policy


def test_a_home_without_a_sensor_has_no_line_and_another_policy_is_told(town: Town) -> None:
    home = case(town, STOPPED_HOME)
    frozen = frozen_evidence(town, home)
    assert (frozen.rooms, frozen.facts["limit_c"]) == ({}, 18.0)
    assert not frozen_evidence(town, replace(home, evidence={**home.evidence, "policy_sha256": "0" * 64})).same_policy
    assert frozen_evidence(town, replace(home, evidence={})).same_policy


def test_work_is_given_to_accounts_that_are_not_shut(town: Town) -> None:
    rows = [("张工", "engineer", False), ("访客", "viewer", False), ("离职", "service", True), ("客服李", "service", False)]
    with town.records.begin() as connection:
        for name, role, disabled in rows:
            connection.execute(tables.accounts.insert().values(name=name, role=role, created_at=0, disabled=disabled))
    assert people(town) == ["客服李", "张工"]


def test_areas_are_districts_then_stations(town: Town) -> None:
    assert areas(town)[:3] == ["district/一区", "district/二区", "station/S01"]
    assert COLD.split("-")[0] in [one.partition("/")[2] for one in areas(town)]

"""What the desk does with complaints: residents' reports, merging, holding, calling back; and what the queue then says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select

from dashboard.actions.acting import RefusedError
from dashboard.actions.complaints import (
    ResidentReport,
    assign_complaint,
    attach_to_outage,
    merge_complaint,
    move_complaint,
    open_resident_complaint,
    record_call_back,
    record_deed,
)
from dashboard.facts.complaints import complaint_queue, dossier, evidence_now
from dashboard.facts.town import Town
from dashboard.roles import Account
from domain.clock import Clock
from domain.site import Site
from store.records.tables import audit, complaint_deeds, complaint_transitions, complaints, outages
from tests.dashboard.sample_town import COLD_BUILDING, HOUR_MS, MINUTE_MS, NOW_MS, SampleTown, write_town

DESK = Account("客服李", "service")
ROOM = f"room/{COLD_BUILDING}-101"
HOME = f"building/{COLD_BUILDING}"


def report(subject: str = HOME) -> ResidentReport:
    return ResidentReport(subject, "low_temperature", "phone", "家里只有15度")


@pytest.fixture
def site(sample: SampleTown) -> Site:
    return sample.site


@pytest.fixture
def opened(records: Engine, site: Site) -> Callable[..., int]:
    def open_(**more: object) -> int:
        return open_resident_complaint(records, DESK, site, replace(report(), **more), {"outdoor_c": -9.4}, NOW_MS)  # type: ignore[arg-type]

    return open_


def state_of(records: Engine, number: int) -> str:
    with records.connect() as connection:
        return str(connection.execute(select(complaints.c.state).where(complaints.c.id == number)).scalar())


def test_a_resident_s_complaint_is_a_household_s_row_with_its_evidence(records: Engine, opened: Callable[..., int]) -> None:
    number = opened(address="3单元502", reporter="张女士", contact="138****0000")
    with records.connect() as connection:
        row = connection.execute(select(complaints)).one()
        walk = connection.execute(select(complaint_transitions.c.from_state, complaint_transitions.c.to_state)).all()
    assert (row.id, row.kind, row.origin, row.subject, row.state) == (number, "household", "resident", HOME, "new")
    assert (row.building_id, row.station_id, row.category, row.source) == (COLD_BUILDING, COLD_BUILDING[:3], "low_temperature", "phone")
    assert (row.reason, row.address, row.evidence) == ("家里只有15度", "3单元502", {"outdoor_c": -9.4})
    assert [tuple(step) for step in walk] == [("none", "new")]


def test_two_residents_may_complain_in_one_millisecond(opened: Callable[..., int]) -> None:
    assert opened() != opened()


def test_posted_twice_is_one_complaint(records: Engine, opened: Callable[..., int]) -> None:
    first = opened(source="hotline_12345", external_id="GD-2026-0042")
    assert opened(source="hotline_12345", external_id="GD-2026-0042") == first
    assert opened(source="app", external_id="GD-2026-0042") != first
    with records.connect() as connection:
        assert connection.execute(select(func.count()).select_from(complaints)).scalar() == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"subject": "building/NOWHERE"}, "room, building or station"),
        ({"subject": "moon"}, "room, building or station"),
        ({"category": "noise"}, "category"),
        ({"severity": "huge"}, "category"),
        ({"source": "pigeon"}, "phone, counter, app"),
        ({"external_id": ""}, "1 to 128"),
        ({"reported_at": NOW_MS + 1}, "future"),
    ],
)
def test_a_report_that_can_t_be_one(records: Engine, opened: Callable[..., int], wrong: dict[str, object], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        opened(**wrong)
    with records.connect() as connection:
        assert connection.execute(select(func.count()).select_from(complaints)).scalar() == 0


def test_who_may_not_open_one_is_refused_and_audited(records: Engine, site: Site) -> None:
    with pytest.raises(RefusedError):
        open_resident_complaint(records, Account("高工", "engineer"), site, report(), {}, NOW_MS)
    with records.connect() as connection:
        assert [tuple(row) for row in connection.execute(select(audit.c.action, audit.c.refused))] == [("open_complaint", True)]


def test_a_resident_is_called_back_before_it_is_closed(records: Engine, opened: Callable[..., int]) -> None:
    number = opened()
    for seen, to in (("new", "accepted"), ("accepted", "dispatched"), ("dispatched", "on_site"), ("on_site", "resolved")):
        move_complaint(records, DESK, number, seen, to, "", NOW_MS, cause="air_lock" if to == "resolved" else "")
    for to in ("closed", "called_back"):
        with pytest.raises(RefusedError):
            move_complaint(records, DESK, number, "resolved", to, "", NOW_MS)
    record_call_back(records, DESK, number, "resolved", None, "无人接听", NOW_MS + 1)
    assert state_of(records, number) == "resolved"
    record_call_back(records, DESK, number, "resolved", True, "满意", NOW_MS + 2)
    assert state_of(records, number) == "called_back"
    move_complaint(records, DESK, number, "called_back", "closed", "", NOW_MS + 3)
    record_call_back(records, DESK, number, "closed", False, "又冷了", NOW_MS + 4)
    assert state_of(records, number) == "closed"
    with records.connect() as connection:
        assert connection.execute(select(complaints.c.cause)).scalar() == "air_lock"
    with pytest.raises(RefusedError, match="cause"):
        move_complaint(records, DESK, number, "closed", "reopened", "又冷了", NOW_MS, cause="ghosts")


def test_a_call_back_before_the_cure_is_none(records: Engine, opened: Callable[..., int]) -> None:
    with pytest.raises(RefusedError, match="follows the cure"):
        record_call_back(records, DESK, opened(), "new", True, "", NOW_MS)


def test_merging_once_into_an_open_one(records: Engine, opened: Callable[..., int]) -> None:
    first, second, third = opened(), opened(), opened()
    merge_complaint(records, DESK, first, "new", second, "同一户", NOW_MS)
    assert state_of(records, first) == "merged"
    for number, seen, into in ((first, "merged", second), (second, "new", first), (second, "new", second), (second, "new", 999)):
        with pytest.raises(RefusedError):
            merge_complaint(records, DESK, number, seen, into, "", NOW_MS)
    with pytest.raises(RefusedError, match="meanwhile"):
        merge_complaint(records, DESK, third, "accepted", second, "", NOW_MS)
    with pytest.raises(RefusedError):
        record_deed(records, DESK, first, "contacted", "", NOW_MS)


def test_who_accepts_it_has_it_in_hand_until_somebody_is_sent(records: Engine, opened: Callable[..., int]) -> None:
    number = opened()
    move_complaint(records, DESK, number, "new", "accepted", "", NOW_MS)
    assert hands(records, number) == DESK.name
    move_complaint(records, DESK, number, "accepted", "dispatched", "", NOW_MS + 1, assignee=" 维修张 ")
    assert hands(records, number) == "维修张"
    assign_complaint(records, DESK, number, "维修张", "维修赵", "换班", NOW_MS + 2)
    with pytest.raises(RefusedError, match="meanwhile"):
        assign_complaint(records, DESK, number, "维修张", "维修王", "", NOW_MS + 3)
    with pytest.raises(RefusedError, match="in hand"):
        assign_complaint(records, DESK, number, "维修赵", "  ", "", NOW_MS + 3)
    with records.connect() as connection:
        kept = connection.execute(select(complaint_deeds.c.body, complaint_deeds.c.why).where(complaint_deeds.c.kind == "assigned")).all()
    assert [(body["to"], why) for body, why in kept] == [(DESK.name, ""), ("维修张", ""), ("维修赵", "换班")]
    with pytest.raises(RefusedError):
        assign_complaint(records, Account("访客", "viewer"), number, "维修赵", "自己", "", NOW_MS + 4)
    move_complaint(records, DESK, number, "dispatched", "rejected", "用户自行关阀", NOW_MS + 5, cause="user_side")
    with pytest.raises(RefusedError, match="not worked on"):
        assign_complaint(records, DESK, number, "维修赵", "维修王", "", NOW_MS + 6)


def hands(records: Engine, number: int) -> str:
    with records.connect() as connection:
        return str(connection.execute(select(complaints.c.assignee).where(complaints.c.id == number)).scalar())


def outage(records: Engine, station_id: str, state: str = "open", at: int = NOW_MS) -> int:
    row = {"subject": f"station/{station_id}", "station_id": station_id, "state": state, "started_at": at, "started_earliest": at}
    with records.begin() as connection:
        key = connection.execute(insert(outages).values({**row, "opened_at": at, "stations": [station_id]})).inserted_primary_key
    assert key is not None
    return int(key[0])


def test_a_complaint_belongs_to_one_outage_of_its_station(records: Engine, opened: Callable[..., int]) -> None:
    number = opened()
    own, other, gone = outage(records, COLD_BUILDING[:3]), outage(records, "S01"), outage(records, COLD_BUILDING[:3], "erased", NOW_MS + 1)
    for wrong, words in ((other, "other stations"), (gone, "no such outage"), (999, "no such outage")):
        with pytest.raises(RefusedError, match=words):
            attach_to_outage(records, DESK, number, wrong, "", NOW_MS)
    attach_to_outage(records, DESK, number, own, "泵停", NOW_MS)
    with pytest.raises(RefusedError, match="already"):
        attach_to_outage(records, DESK, number, own, "", NOW_MS)
    with records.connect() as connection:
        assert connection.execute(select(complaints.c.outage_id)).scalar() == own
        deed = connection.execute(select(complaint_deeds)).one()
        audited = connection.execute(select(audit.c.after).where(audit.c.action == "attach_to_outage")).scalar_one()
    assert (deed.kind, deed.body, deed.why, deed.who, audited) == ("of_outage", {"outage": own}, "泵停", DESK.name, {"outage_id": own})


def test_a_hold_has_a_reason_and_something_to_hold(records: Engine, opened: Callable[..., int]) -> None:
    number = opened()
    with pytest.raises(RefusedError, match="reason"):
        record_deed(records, DESK, number, "held", "", NOW_MS)
    record_deed(records, DESK, number, "held", "家中无人", NOW_MS)
    record_deed(records, DESK, number, "resumed", "", NOW_MS + MINUTE_MS)
    move_complaint(records, DESK, number, "new", "rejected", "用户自行关阀", NOW_MS, cause="user_side")
    with pytest.raises(RefusedError, match="not worked on"):
        record_deed(records, DESK, number, "held", "家中无人", NOW_MS)
    with pytest.raises(RefusedError, match="No such deed"):
        record_deed(records, DESK, number, "call_back", "", NOW_MS)


def test_the_queue_is_by_the_time_left_and_a_dossier_tells_all(tmp_path: Path) -> None:
    town = Town(write_town(tmp_path, rooms=False).site, Clock.starting_at(NOW_MS, 1.0))
    number = open_resident_complaint(town.records, DESK, town.site, report(ROOM), evidence_now(town, ROOM), NOW_MS - 40 * MINUTE_MS)
    early = open_resident_complaint(town.records, DESK, town.site, report(), {}, NOW_MS - 39 * MINUTE_MS)
    record_deed(town.records, DESK, number, "held", "家中无人", NOW_MS - 39 * MINUTE_MS)
    merge_complaint(town.records, DESK, early, "new", number, "同一户", NOW_MS - 20 * MINUTE_MS)
    queue = complaint_queue(town)
    assert [row.left_ms for row in queue] == sorted((row.left_ms for row in queue), key=lambda left: (left is None, left or 0))
    mine = next(row for row in queue if row.complaint.id == number)
    assert mine.complaint.kind == "room"
    assert mine.duty is not None
    assert early not in [row.complaint.id for row in queue]
    found = dossier(town, number)
    assert found is not None
    assert (found.merged, [deed.kind for deed in found.deeds], found.proposal, found.call_backs) == (
        [early],
        ["held", "attached"],
        None,
        [],
    )
    owed = {"low_temperature_on_site", "low_temperature_cured", "slip_handed_over", "complaint_verified", "slip_filed"}
    assert {duty.duty.duty for duty in found.duties} == owed
    assert dossier(town, 999) is None
    town.close()


def test_evidence_of_now_for_a_room_and_for_a_home_without_a_sensor(town: Town) -> None:
    of_room, of_home = evidence_now(town, ROOM), evidence_now(town, HOME)
    assert (of_room["limit_c"], of_room["policy"], of_room["station_id"]) == (18.0, "default", COLD_BUILDING[:3])
    assert len(of_room["readings"]) > 100
    assert of_room["station"]["heat"] == "supplying"
    assert -18 < of_room["outdoor_c"] < -5
    assert of_home["outdoor_c"] == of_room["outdoor_c"]
    assert "readings" not in of_home
    assert of_room["readings"][0][0] >= NOW_MS - 25 * HOUR_MS

"""Homes found while somebody is on the phone, and what is known of them at once."""

import pytest

from dashboard.facts.phone import known_of
from dashboard.facts.places import find_places, places
from dashboard.facts.town import Town
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, STOPPED


def found(town: Town, typed: str) -> list[tuple[str, str]]:
    return [(f"{one.subject.kind}/{one.subject.subject_id}", one.rest) for one in find_places(town, typed)]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("人民路小区3号楼101", (f"room/{COLD_BUILDING}-101", "")),
        ("人民路3 101", (f"room/{COLD_BUILDING}-101", "")),
        ("101 人民路 3栋", (f"room/{COLD_BUILDING}-101", "")),
        ("人民路3号楼", (f"building/{COLD_BUILDING}", "")),
        ("人民路小区 3 号楼 2单元909", (f"building/{COLD_BUILDING}", "2单元909")),
        ("s05-b11", (f"building/{COLD_BUILDING}", "")),
        ("S05-B11-203", (f"room/{COLD_BUILDING}-203", "")),
        ("人民路小区3号楼，2单元909", (f"building/{COLD_BUILDING}", "2单元909")),
    ],
)
def test_a_home_by_what_people_say(town: Town, typed: str, first: tuple[str, str]) -> None:
    assert found(town, typed)[0] == first


def test_3_is_not_13_but_may_be_begun(town: Town) -> None:
    names = [one.subject.name for one in find_places(town, "3号楼")]
    assert names
    assert all("3号楼" in name and "13号楼" not in name for name in names[:3])
    assert f"room/{COLD_BUILDING}-203" in [place for place, _ in found(town, "人民路3 20")], "203 is being typed"
    assert found(town, "人民路3 201")[0][0] == f"room/{COLD_BUILDING}-201"


@pytest.mark.parametrize("typed", ["", "   ", "火星大道", "号楼", "!!!", "(", "((", "%_"])
def test_what_is_no_home_finds_none_and_breaks_nothing(town: Town, typed: str) -> None:
    assert found(town, typed) == []


def test_no_more_than_a_list_can_show(town: Town) -> None:
    assert len(find_places(town, "小区")) == 8
    assert len(places(town).find("小区", most=500)) > 300


def test_a_number_finds_where_it_called_from_before(town: Town) -> None:
    assert found(town, "138 0000-0003") == [("building/S03-B06", "4单元601")]
    assert found(town, "13899999999") == []


def test_a_name_with_html_is_only_text(town: Town) -> None:
    (first, *_rest) = find_places(town, "s01-b00")
    assert first.subject.name == EVIL


def test_what_is_known_of_a_home_whose_station_stands_still(town: Town) -> None:
    known = known_of(town, f"building/{STOPPED}-B06")
    assert known.station is not None
    assert known.station.heat == "stopped"
    assert known.room is None
    ((outage, notice),) = known.outages
    assert (outage.station_id, outage.cause, notice) == (STOPPED, "pump_trip", None)
    assert [row.address for row, _ in known.complaints] == ["4单元601"]


def test_what_is_known_of_a_room(town: Town) -> None:
    known = known_of(town, f"room/{COLD_BUILDING}-102")
    assert known.room is not None
    assert known.room.limit_c == 18.0
    assert known.building is not None
    assert known.building.subject_id == COLD_BUILDING
    assert known.counts is not None
    assert known.counts.breach == 9
    assert {row.kind for row, _ in known.complaints} == {"building", "maintenance"}
    assert known.outages == []

"""What is due next: one list for the whole town, the earliest first, in which no notice is crowded out."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete, insert, select, update

from dashboard.facts.due import Due, due_list
from dashboard.facts.limited_town import within
from dashboard.facts.town import Town
from dashboard.markup import html
from dashboard.moments import HOUR_MS, MINUTE_MS, Moments
from dashboard.text import speech
from domain.clock import Clock
from domain.site import Site
from store.records.tables import alarms, notices
from tests.dashboard.sample_town import NOW_MS, OVERDUE, STOPPED

ALL = 100


@pytest.fixture
def dues(town: Town) -> list[Due]:
    return [one for one, _ in due_list(town, ALL).rows]


def by_what(dues: list[Due]) -> Mapping[str, list[Due]]:
    return {what: [one for one in dues if one.what == what] for what in ("notice", "review", "duty", "call_back", "shelf")}


def test_the_list_is_ordered_by_time_and_counts_what_is_over(town: Town, dues: list[Due]) -> None:
    assert [one.at for one in dues] == sorted(one.at for one in dues)
    found = due_list(town, ALL)
    assert found.overdue == sum(one.at < NOW_MS for one in dues) > 0
    assert found.soon == sum(NOW_MS <= one.at < NOW_MS + HOUR_MS for one in dues)
    assert found.all == len(dues)


def test_a_stop_owes_its_notice_at_eight_hours_and_one_that_is_due_its_review_ten_minutes_later(dues: list[Due]) -> None:
    found = by_what(dues)
    (notice,), (review,) = found["notice"], found["review"]
    assert (notice.subject, notice.at) == (f"station/{STOPPED}", round(NOW_MS - 6.4 * HOUR_MS) + 8 * HOUR_MS)
    assert (review.subject, review.at) == (f"station/{OVERDUE}", round(NOW_MS - 0.2 * HOUR_MS) + 10 * MINUTE_MS)
    assert review.at < NOW_MS  # overdue: the wall says so
    assert (notice.address, review.address) == ("outages?outage=1", "outages?notice=1")


def test_where_nobody_reviews_a_due_notice_is_over_at_once(town: Town) -> None:
    site: Site = replace(town.site, publish="auto")
    other = Town(site, Clock.starting_at(NOW_MS, 1.0))
    try:
        found = by_what([one for one, _ in due_list(other, ALL).rows])
        assert found["review"] == []
        assert [one.at for one in found["notice"] if one.subject == f"station/{OVERDUE}"] == [round(NOW_MS - 0.2 * HOUR_MS)]
    finally:
        other.close()


def test_each_complaint_stands_once_with_what_presses_and_a_call_back_as_one(dues: list[Due]) -> None:
    found = by_what(dues)
    assert [one.number for one in found["call_back"]] == [5]
    duties = {one.number: (one.category, one.target) for one in found["duty"]}
    assert len(duties) == len(found["duty"])
    assert duties[8] == ("leak", "handed_over")
    assert all(one.address == f"complaints?complaint={one.number}" for one in (*found["duty"], *found["call_back"]))


def test_notices_are_not_crowded_out_by_what_is_over_for_longer(town: Town) -> None:
    shown = due_list(town, 3)
    assert [one.what for one, _ in shown.rows].count("notice") == [one.what for one, _ in shown.rows].count("review") == 1
    assert [one.at for one, _ in shown.rows] == sorted(one.at for one, _ in shown.rows)
    assert shown.all > len(shown.rows) == 3
    assert [one.what for one, _ in due_list(town, 1).rows] == ["review"]


def test_nor_do_notices_of_later_crowd_out_what_is_over(town: Town) -> None:
    with town.records.begin() as connection:
        row = dict(connection.execute(select(notices).where(notices.c.state == "due")).mappings().one())
        more = [row | {"id": 100 + n, "outage_id": None, "due_at": NOW_MS + HOUR_MS + n} for n in range(12)]
        connection.execute(insert(notices), more)
    town.shared.forget()
    try:
        shown = [one for one, _ in due_list(town, 8).rows]
        assert sum(one.what in ("notice", "review") for one in shown) == 4
        assert sum(one.what == "duty" and one.at < NOW_MS for one in shown) == 4
    finally:
        with town.records.begin() as connection:  # the next test finds the town as it was
            connection.execute(delete(notices).where(notices.c.id >= 100))


def test_a_shelf_ends_and_what_is_published_owes_nothing(town: Town) -> None:
    records: Engine = town.records
    with records.begin() as connection:
        number = connection.execute(select(alarms.c.id).where(alarms.c.kind == "water_high")).scalar_one()
        shelf = {"shelved_until": NOW_MS + 30 * MINUTE_MS}
        connection.execute(update(alarms).where(alarms.c.id == number).values(shelf))
        connection.execute(update(notices).where(notices.c.state == "due").values(state="published", published_at=NOW_MS))
    town.shared.forget()
    found = by_what([one for one, _ in due_list(town, ALL).rows])
    assert [(one.at, one.subject, one.address) for one in found["shelf"]] == [
        (NOW_MS + 30 * MINUTE_MS, "station/S08", f"alarms?alarm={number}")
    ]
    assert found["review"] == []
    assert [one.subject for one in found["notice"]] == [f"station/{STOPPED}"]
    with records.begin() as connection:  # the next test finds the town as it was
        connection.execute(update(alarms).where(alarms.c.id == number).values(shelved_until=None))
        connection.execute(update(notices).where(notices.c.subject == f"station/{OVERDUE}").values(state="due", published_at=None))


def test_a_dispatcher_of_one_district_sees_what_is_due_there(town: Town) -> None:
    limited = within(town, {"一区"})
    subjects = {one.subject for one, _ in due_list(limited, ALL).rows}
    assert f"station/{STOPPED}" in subjects  # S03 stands in the first district, S12 in the second
    assert f"station/{OVERDUE}" not in subjects


SAID = {"zh": ("超 2 分", "确认停热通告", "转交", "回访"), "en": ("2 min over", "Confirm the notice", "hand over", "Call back")}


@pytest.mark.parametrize("language", SAID)
def test_the_list_says_what_where_and_how_long_and_escapes(town: Town, language: str) -> None:
    say = speech(language)
    text = html("wall_due.html", language, due=due_list(town, ALL), now_ms=NOW_MS, moments=Moments(town.site.timezone, say))
    assert all(one in text for one in SAID[language])
    assert "&lt;img" in text  # a building's name that holds HTML
    assert "<img" not in text

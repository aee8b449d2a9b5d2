"""What is kept between two refreshes of the wall is what would be read anew: duties, floods, the day's figures, cards, the map."""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, insert, update

from compliance.alarm_figures import Flood, floods
from dashboard.actions.acting import RefusedError
from dashboard.actions.complaints import ResidentReport, merge_complaint, move_complaint, open_resident_complaint, record_deed
from dashboard.cards import KEPT, _html, cards
from dashboard.facts.alarm_system import LIFE_S, flood_now
from dashboard.facts.alarms import alarm_counts
from dashboard.facts.complaints import complaint_rows, duties_of, pressing
from dashboard.facts.due import due_list
from dashboard.facts.duties import KEPT_S, standing_duties
from dashboard.facts.rooms import DAY_KEPT_S, DAY_LIFE_S, day_figures
from dashboard.facts.stations import station_states, worst_first
from dashboard.facts.town import KEPT_S as RECORDS_KEPT_S
from dashboard.facts.town import Town
from dashboard.facts.wall import changes, headline
from dashboard.moments import DAY_MS, MINUTE_MS, Moments
from dashboard.roles import Account
from dashboard.screen import Screen, screen_of
from dashboard.text import speech
from domain.clock import Clock
from store.records import open_records
from store.records.tables import alarms, complaints, room_days
from tests.dashboard.sample_complaints import DESK
from tests.dashboard.sample_town import NOW_MS, write_town

DAY = "2026-01-15"


class Kept:
    """A town of the test's own, looked at anew at every question; what is kept for longer goes by ``now_s``."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(write_town(folder, rooms=False).site, Clock.starting_at(NOW_MS, 1e-6))
        self.town.shared.life_s = 0.0
        self.town.shared.now_s = lambda: self.now_s
        self.now_s = 1_000.0
        self.read: list[str] = []
        event.listen(self.town.records, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.read.append(statement)

    def at(self, now_ms: int) -> None:
        self.town.clock = Clock.starting_at(now_ms, 1e-6)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path)
    yield found
    found.town.close()


def duties_are_those_of_the_records(town: Town) -> None:
    now_ms = town.now_ms()
    ids = [row.id for row in complaint_rows(town)]
    standing = standing_duties(town, "queue", ids, now_ms)
    assert {one: states for one, states in standing.items() if states} == {
        one: states for one, states in duties_of(town, ids, now_ms).items() if states
    }


AFTER = ("accepted", "dispatched", "on_site", "resolved", "called_back", "closed", "rejected", "reopened")


def act(town: Town, rng: random.Random, at: int) -> None:
    """Does one thing or another with complaints. Raises RefusedError for what can't be done."""
    one, other = (rng.choice(complaint_rows(town)) for _ in range(2))
    match rng.randrange(4):
        case 0:
            report = ResidentReport(f"room/{rng.choice(list(town.site.rooms))}", "low_temperature", "phone", "冷")
            open_resident_complaint(town.records, DESK, town.site, report, {}, at)
        case 1:
            move_complaint(town.records, DESK, one.id, one.state, rng.choice(AFTER), "冷", at, cause="user_side")
        case 2:
            record_deed(town.records, DESK, one.id, rng.choice(("contacted", "held", "resumed")), "冷", at)
        case _:
            merge_complaint(town.records, DESK, one.id, one.state, other.id, "同一户", at)


def test_duties_are_kept_in_step_with_whatever_is_done(kept: Kept) -> None:
    town, at, rng, done = kept.town, NOW_MS, random.Random(5), 0
    duties_are_those_of_the_records(town)
    for _ in range(80):
        at += rng.randrange(30 * MINUTE_MS)
        kept.at(at)
        with suppress(RefusedError):
            act(town, rng, at)
            done += 1
        duties_are_those_of_the_records(town)
    assert done > 30


def test_only_what_something_was_stored_about_is_read_again(kept: Kept) -> None:
    town = kept.town
    pressing(town)
    before = pressing(town)
    assert pressing(town) is before
    record_deed(town.records, DESK, before[0][0].id, "contacted", "", NOW_MS)
    kept.read.clear()
    pressing(town)
    cases = [one for one in kept.read if "complaint_transitions.to_state" in one]
    assert [one.count("?") for one in cases] == [2], "one complaint, and what is left out"


def test_rows_that_are_gone_and_those_changed_without_a_word_are_seen_in_time(kept: Kept) -> None:
    town = kept.town
    with town.records.begin() as connection:
        row = {"kind": "room", "origin": "resident", "subject": "room/x", "opened_at": NOW_MS, "state": "new"}
        (added,) = connection.execute(insert(complaints).values(row)).inserted_primary_key or (0,)
    duties_are_those_of_the_records(town)
    with town.records.begin() as connection:
        connection.execute(delete(complaints).where(complaints.c.id == added))
    duties_are_those_of_the_records(town)
    with town.records.begin() as connection:
        connection.execute(update(complaints).values(category="leak"))
    kept.now_s += KEPT_S + 1
    duties_are_those_of_the_records(town)


def flood_of_all(raised: list[int], now_ms: int) -> Flood | None:
    found = floods(raised, now_ms)
    return found[-1] if found and found[-1].to_ms is None else None


@pytest.mark.parametrize("seed", range(4))
def test_a_flood_is_that_of_all_alarms_of_the_day_at_any_pace(kept: Kept, seed: int) -> None:
    town, rng = kept.town, random.Random(seed)
    with town.records.begin() as connection:
        connection.execute(delete(alarms))
    raised: list[int] = []
    now_ms, seen = NOW_MS, set()
    for step in range(120):
        passed_ms = rng.choice((2_000, 30_000, 4 * MINUTE_MS, 25 * MINUTE_MS if seed % 2 else 1_000))  # a demo's clock runs fast
        fresh = sorted(now_ms + rng.randrange(1, passed_ms) for _ in range(rng.choice((0, 0, 1, 2, 7))))
        now_ms += passed_ms
        with town.records.begin() as connection:
            for place, at in enumerate(fresh):
                row = {"kind": "room_low", "subject": f"room/{step}-{place}", "pending_at": 1, "raised_at": at}
                connection.execute(insert(alarms).values(row))
        raised += fresh
        kept.at(now_ms)
        kept.now_s += rng.choice((1.0, 1.0, LIFE_S))
        found = flood_now(town)
        assert found == flood_of_all([at for at in raised if at > now_ms - DAY_MS], now_ms)
        seen.add(found is None)
    assert seen == {True, False}


def test_the_day_s_sums_are_computed_anew_when_watch_has_computed_them_anew(kept: Kept) -> None:
    town = kept.town
    first = day_figures(town, DAY)
    kept.read.clear()
    kept.now_s += DAY_LIFE_S + 1
    assert day_figures(town, DAY) == first
    assert not any("sum(" in one for one in kept.read)
    computed = {"breach_ms": 1, "compliant_ms": 3, "unknown_ms": 0, "computed_at": NOW_MS + 1}
    with town.records.begin() as connection:
        connection.execute(update(room_days).where(room_days.c.day == DAY).values(computed))
    assert day_figures(town, DAY) == first, "watch computes it no oftener"
    kept.now_s += DAY_LIFE_S + 1
    assert day_figures(town, DAY).rate == 0.75
    with town.records.begin() as connection:
        connection.execute(update(room_days).where(room_days.c.day == DAY).values(breach_ms=3))
    kept.now_s += DAY_KEPT_S + 1
    assert day_figures(town, DAY).rate == 0.5


def test_a_card_is_rendered_when_it_shows_something_else_and_its_age_at_every_moment(kept: Kept) -> None:
    town, chinese, english = kept.town, *(Moments(kept.town.site.timezone, speech(language)) for language in ("zh", "en"))
    state = replace(worst_first(station_states(town), 1)[0], comm="lost")
    known = {name: replace(one, value=50.0, measured_at=NOW_MS - 4_000, stale=False) for name, one in state.values.items()}
    state = replace(state, values=known)
    _html.cache_clear()

    def shown(moments: Moments, now_ms: int, **other: Any) -> str:
        return next(cards([replace(state, **other)], {}, moments, now_ms))

    at_first = shown(chinese, NOW_MS)
    later = shown(chinese, NOW_MS + 3_000)
    assert _html.cache_info().misses == 1
    assert later == at_first.replace(chinese.age(NOW_MS - 4_000, NOW_MS), chinese.age(NOW_MS - 4_000, NOW_MS + 3_000))
    assert later != at_first
    assert "Link lost" in shown(english, NOW_MS)
    assert "Link lost" not in shown(english, NOW_MS, comm="ok")
    assert "S&lt;b&gt;" in shown(chinese, NOW_MS, station=replace(state.station, name="S<b>"))
    old = {name: replace(one, stale=True) for name, one in known.items()}
    assert shown(chinese, NOW_MS + MINUTE_MS, values=old) != shown(chinese, NOW_MS + 2 * MINUTE_MS, values=old)
    for number in range(2 * KEPT):
        shown(chinese, NOW_MS, target_c=number / 10)
    assert _html.cache_info().currsize == KEPT


def test_what_shows_no_moment_is_rendered_only_when_its_values_are_others(kept: Kept) -> None:
    town = kept.town
    now: Screen = screen_of(town, Account("王", "viewer"), "zh")
    values: dict[str, object] = {"troubles": [{"store": "history", "since_ms": NOW_MS}]}
    same: dict[str, object] = {"troubles": [{"store": "history", "since_ms": NOW_MS}]}
    first = now.shared_html("troubles.html", "", lambda: values, timeless=True)
    assert now.shared_html("troubles.html", "", lambda: same, timeless=True) is first
    other: dict[str, object] = {"troubles": [{"store": "journal", "since_ms": NOW_MS}]}
    assert "日志" in now.shared_html("troubles.html", "", lambda: other, timeless=True)
    assert now.shared_html("troubles.html", "", lambda: values, timeless=True) == first


def test_nothing_is_asked_of_the_records_while_nothing_is_stored(kept: Kept) -> None:
    town, moments = kept.town, Moments(kept.town.site.timezone, speech("zh"))

    def wall() -> tuple[Any, ...]:
        return headline(town, moments), due_list(town, 8), changes(town)

    first = wall()
    kept.read.clear()
    assert wall() == first
    assert [one for one in kept.read if one.startswith(("SELECT", "WITH")) and "room_days" not in one] == []
    another = open_records(town.site.data / "records.db")  # as watch does
    with another.begin() as connection:
        connection.execute(insert(alarms).values(kind="room_low", subject="room/x", pending_at=1, raised_at=NOW_MS, state="unacknowledged"))
    another.dispose()
    later = wall()
    assert later[0].alarms.unacknowledged == first[0].alarms.unacknowledged + 1
    kept.now_s += RECORDS_KEPT_S + 1
    kept.read.clear()
    assert wall() == later
    assert any("FROM alarms" in one for one in kept.read)


def test_a_shelf_ends_by_the_clock_alone(kept: Kept) -> None:
    town = kept.town
    with town.records.begin() as connection:
        row = {"kind": "room_low", "pending_at": 1, "raised_at": NOW_MS, "state": "unacknowledged"}
        ends = [NOW_MS + MINUTE_MS, NOW_MS + 5 * MINUTE_MS]
        connection.execute(insert(alarms), [{**row, "subject": f"room/{until}", "shelved_until": until} for until in ends])

    def seen() -> tuple[int, int, int]:
        counts = alarm_counts(town)
        return counts.unacknowledged, counts.shelved, sum(one.what == "shelf" for one, _ in due_list(town, 1_000).rows)

    at_first = seen()
    for passed_ms, ended in ((MINUTE_MS - 1, 0), (MINUTE_MS, 1), (5 * MINUTE_MS - 1, 1), (5 * MINUTE_MS, 2)):
        kept.at(NOW_MS + passed_ms)
        assert seen() == (at_first[0] + ended, at_first[1] - ended, at_first[2] - ended)

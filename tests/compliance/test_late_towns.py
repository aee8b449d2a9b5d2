"""Random towns through the live loop, restarted at random: fed in time it decides what the rules say; fed late, it ends up there (R4).

``KEEPWARM_LIVE_TOWNS=500`` makes the comparison longer, ``KEEPWARM_ORACLE_SEED=70000`` begins it elsewhere.
"""

import os
import random
from collections.abc import Callable

import pytest
from sqlalchemy import select

from compliance import station_state
from domain.site import Site
from store.records import tables
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed
from tests.compliance.oracle_heat import judge_outages
from tests.compliance.oracle_rooms import Row, read
from tests.compliance.oracle_rules import decide
from tests.compliance.oracle_towns import random_town
from tests.compliance.test_cases import with_subjects
from tests.compliance.test_oracle_rules import FIRST, line

TOWNS = int(os.environ.get("KEEPWARM_LIVE_TOWNS", "12"))
AFTER_MS = 1_500  # passes fall between whole seconds: what is received a moment after it was measured is there

Standing = tuple[str, int, int, int, int | None, int | None, tuple[str, ...]]


def fed(rows: list[Row], until_ms: int, live: Feed, seed: int) -> None:
    """All rows at their receipt, and a pass when the last has come."""
    with_receipt = [(name, at, value, quality, at if got is None else got) for name, at, value, quality, got in rows]
    live.run(with_receipt, until_ms, random.Random(seed), offset_ms=AFTER_MS % 1_000)


def said_live(live: Feed, to_ms: int) -> list[tuple[int, str, str, str]]:
    """What the loop decided up to an instant, without what only a loop can say: a planned stop is over, a source's notice is amended as
    more of its stations follow.
    """
    every = [event for event in live.events() if event.at <= to_ms]
    decided = [event for event in every if not (event.event == "notice.amended" and event.subject.startswith("source/"))]
    planned = {event.at for event in decided if event.event == "notice.closed" and "started_at" not in event.body}
    said = [line(one.at, one.event, one.subject, one.body) for one in decided if one.event != "notice.closed" or one.at not in planned]
    return sorted(said)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + TOWNS))
def test_the_live_loop_decides_what_the_rules_say(seed: int, feed: Callable[[Site], Feed]) -> None:
    town = random_town(seed)
    to_ms = read(town.site, town.rows, town.to_ms).to_ms
    expected = sorted(line(*said) for said in decide(town.site, town.rows, to_ms))
    live = feed(with_subjects(town.site, {name for name, *_ in town.rows}))
    fed(town.rows, to_ms + AFTER_MS, live, seed)
    assert said_live(live, to_ms) == expected


# What the live loop keeps of the past is made so little that half a day does for months.
SHORT = {"WINDOW_MS": 20 * MINUTE_MS, "RUNS_MS": 90 * MINUTE_MS, "DAILY": 2, "WEEK_MS": 4 * HOUR_MS}
LATE_MS = [0] * 40 + [3 * MINUTE_MS, 40 * MINUTE_MS, 3 * HOUR_MS, 11 * HOUR_MS, 40 * HOUR_MS]


def late_rows(rows: list[Row], chance: random.Random) -> list[Row]:
    """Stretches of a point's readings come late, together or one by one."""
    first = min(at for _, at, *_ in rows)
    late: list[Row] = [
        (next(name for name, *_ in rows if name.startswith("station/")), first - MINUTE_MS, 0.0, 65, None)
    ]  # bad: the watch begins
    delay = dict.fromkeys((name for name, *_ in rows), 0)
    for name, at, value, quality, got in sorted(rows, key=lambda row: row[1]):
        if not name.startswith("station/"):
            continue
        if chance.random() < 0.05:
            delay[name] = chance.choice(LATE_MS)
        late.append((name, at, value, quality, (at if got is None else got) + delay[name]))
    return late


def standing(live: Feed) -> list[Standing]:
    columns = tables.outages.c
    with live.records.connect() as connection:
        rows = connection.execute(select(tables.outages).where(columns.state != "erased")).all()
    names = ("subject", "started_at", "started_earliest", "opened_at", "ended_at", "ended_seen_at")
    return sorted(((*(getattr(row, name) for name in names), tuple(row.stations)) for row in rows), key=str)


def with_stations() -> list[int]:
    """Seeds of towns whose stations are several and speak."""
    seeds = []
    for seed in range(FIRST, FIRST + 8 * TOWNS):
        town = random_town(seed)
        if len(town.site.stations) > 2 and any(name.startswith("station/") for name, *_ in town.rows):
            seeds.append(seed)
    return seeds[:TOWNS]


@pytest.mark.parametrize("seed", with_stations())
def test_late_readings_leave_the_outages_that_the_rules_say(
    seed: int, feed: Callable[[Site], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SHORT.items():
        monkeypatch.setattr(station_state, name, value)
    town = random_town(seed)
    rows = late_rows(town.rows, random.Random(seed))
    until_ms = max(got or at for _, at, _, _, got in rows) + MINUTE_MS
    live = feed(with_subjects(town.site, {name for name, *_ in rows}))
    fed(rows, until_ms, live, seed)
    outages, _ = judge_outages(read(town.site, rows, until_ms))
    expected: list[Standing] = []
    for one in outages:
        if one.opened_at <= until_ms:
            body = one.said(one.closed_at or until_ms, "").body
            stations = tuple(sorted(map(str, body["stations"])))
            expected.append((one.subject, one.started_at, one.started_earliest, one.opened_at, one.ended_at, one.closed_at, stations))
    assert standing(live) == sorted(expected, key=str)

"""Several watches, each with its share of a town, decide together what one decides alone; and none waits for another."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from compliance.replay import replay
from compliance.watch import Watch
from domain.share import share_of
from domain.site import Building, Room, Share, Site, Station
from store.live import read_live
from store.records import tables
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, as_readings, every, local_ms
from tests.compliance.test_live_equals_replay import START, decided, story, town

COUNT = 2


def shared_town(site: Site) -> Site:
    """The town of ``story`` with two heat sources, which two nodes divide."""
    found = town(site)
    return replace(
        found, stations={key: replace(one, source_id="H1" if key in {"S1", "S2"} else "H3") for key, one in found.stations.items()}
    )


def shares(fed: Feed) -> list[Feed]:
    """The same stores, under one node each."""
    return [replace(fed, site=share_of(fed.site, Share(number, COUNT)), watch=None) for number in range(1, COUNT + 1)]


def test_the_town_is_divided(site: Site) -> None:
    parts = [share_of(shared_town(site), Share(number, COUNT)) for number in range(1, COUNT + 1)]
    assert sorted(sorted(part.stations) for part in parts) == [["S1", "S2"], ["S3", "S4"]]


@pytest.mark.parametrize("seed", range(2))
def test_two_nodes_decide_what_one_decides(seed: int, site: Site, feed: Callable[[Site], Feed]) -> None:
    chance = random.Random(seed)
    rows = story(chance)
    until = max(at for _, at, _ in rows)
    fed = feed(shared_town(site))
    for node in shares(fed):
        if node.site.share.number == 1:
            node.run(rows, until, chance)
        else:
            node.names = {name for name, _, _ in rows}
            node._judge(until, chance)
    expected = decided(replay(fed.site, *as_readings(rows), to_ms=until).events)
    assert len(expected) > 50
    assert decided(fed.events()) == expected


def test_each_node_keeps_its_own_place_figures_and_live_state(site: Site, feed: Callable[[Site], Feed]) -> None:
    fed = feed(shared_town(site))
    start, until = local_ms(START), local_ms(START) + 8 * HOUR_MS
    rows = [row for room_id in fed.site.rooms for row in every(f"room/{room_id}/indoor_temp_c", start, until, 17.5)]
    fed._append([(at, name, at, value, 0) for name, at, value in sorted(rows, key=lambda row: row[1])])
    watches = [Watch(node.site, fed.journal, fed.history, fed.points, fed.records, start) for node in shares(fed)]
    for watch in watches:
        while watch.step(until):
            pass
        watch.judge_days()
        watch.snapshot()
        watch.write_live()
    assert set(fed.journal.cursors()) == {"watch-1-of-2", "watch-2-of-2"}
    days = tables.room_days.c
    with fed.records.connect() as connection:
        figures = connection.execute(select(days.room_id, days.breach_ms)).all()
    assert sorted(row.room_id for row in figures) == sorted(fed.site.rooms)  # neither removed the other's
    assert {row.breach_ms for row in figures} == {2 * HOUR_MS}
    live = read_live(fed.site.data / "live")
    assert sorted(live.rooms.column("room_id").to_pylist()) == sorted(fed.site.rooms)
    assert sorted(live.stations.column("station_id").to_pylist()) == sorted(fed.site.stations)
    assert live.judged_at_ms == until


def test_a_node_goes_on_from_its_own_snapshot(site: Site, feed: Callable[[Site], Feed]) -> None:
    """Restarted between breach and alarm, with the other node far behind."""
    cold = {"S1": Station("S1", source_id="H1"), "S3": Station("S3", source_id="H3")}
    buildings = {"B1": Building("B1", "S1"), "B3": Building("B3", "S3")}
    rooms = {"A": Room("A", "B1"), "C": Room("C", "B3")}
    fed = feed(replace(site, stations=cold, buildings=buildings, rooms=rooms))
    start = local_ms("2026-01-14 12:00")
    nodes = shares(fed)
    (mine,) = [node for node in nodes if "A" in node.site.rooms]
    fed._append([(at, name, at, value, 0) for name, at, value in every("room/A/indoor_temp_c", start, start + 40 * MINUTE_MS, 17.0)])
    first = Watch(mine.site, fed.journal, fed.history, fed.points, fed.records, start)
    while first.step(start + 40 * MINUTE_MS):
        pass
    first.snapshot()
    again = Watch(mine.site, fed.journal, fed.history, fed.points, fed.records, start + 50 * MINUTE_MS)
    assert again.cursor == fed.journal.last()
    fed._append(
        [
            (at, name, at, value, 0)
            for name, at, value in every("room/A/indoor_temp_c", start + 40 * MINUTE_MS, start + 90 * MINUTE_MS, 17.0)
        ]
    )
    while again.step(start + 90 * MINUTE_MS):
        pass
    raised = [event.at for event in fed.events() if event.event == "alarm.raised"]
    assert raised == [start + 60 * MINUTE_MS]

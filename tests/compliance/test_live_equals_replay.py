"""The live loop, restarted at random and fed late, decides what ``replay`` decides with hindsight."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from compliance.events import Event
from compliance.replay import replay
from domain.site import Building, Room, Site, Station
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, Row, as_readings, every, local_ms

START = "2026-01-14 00:00"


def decided(events: Sequence[Event]) -> list[tuple[int, str, str, str]]:
    """What must agree: instant, event, subject and the parts that identify the decision. With hindsight nothing is amended."""
    keys = ("hours", "started_at", "started_earliest", "ended_at", "stations", "cause", "kind", "rooms")
    return sorted(
        (event.at, event.event, event.subject, str([event.body.get(key) for key in keys if event.event != "notice.closed"]))
        for event in events
        if event.event != "notice.amended"
    )


def town(site: Site) -> Site:
    stations = {f"S{k}": Station(f"S{k}", source_id="H1", design_flow_m3h=100.0) for k in range(1, 5)}
    buildings = {f"B{k}": Building(f"B{k}", f"S{(k + 1) // 2}", households=40) for k in range(1, 9)}
    rooms = {f"B{k}-{n}": Room(f"B{k}-{n}", f"B{k}", f"S{(k + 1) // 2}") for k in range(1, 9) for n in range(6)}
    return replace(site, stations=stations, buildings=buildings, rooms=rooms)


def story(chance: random.Random) -> list[Row]:
    """Two days: stations stop and come back at random, rooms wander around their limits, sensors fall silent."""
    rows: list[Row] = []
    start, end = local_ms(START), local_ms(START) + 40 * HOUR_MS
    for k in range(1, 5):
        at, flow = start + chance.randrange(60_000), 80.0
        change = at
        while at < end:
            if at >= change:
                flow = chance.choice([80.0, 80.0, 0.0, 0.0, float("nan")])
                change = at + chance.choice([10, 20, 40, 90, 300, 620]) * MINUTE_MS
            if flow == flow:
                rows.append((f"station/S{k}/secondary_flow_m3h", at, flow))
            at += 2 * MINUTE_MS
    for building in range(1, 9):
        cold = chance.choice([0.0, 0.0, 1.5])
        for room in range(6):
            value = chance.uniform(18.5, 20.0) - cold
            at = start + chance.randrange(600_000)
            while at < end:
                value = min(21.0, max(15.0, value + chance.uniform(-0.35, 0.35)))
                rows.append((f"room/B{building}-{room}/indoor_temp_c", at, round(value, 1)))
                at += chance.choice([10, 10, 10, 10, 10, 45, 200]) * MINUTE_MS
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_live_equals_replay_across_restarts(seed: int, site: Site, feed: Callable[[Site], Feed]) -> None:
    chance = random.Random(seed)
    rows = story(chance)
    until = max(at for _, at, _ in rows)
    live = feed(town(site))
    live.run(rows, until, chance, delay=lambda dice: dice.choice([200, 900, 2_500]))
    expected = decided(replay(live.site, *as_readings(rows), to_ms=until).events)
    assert live.restarts > 3
    assert len(expected) > 50
    assert decided(live.events()) == expected


def test_worked_case_5_notice_waits_out_a_tentative_supply(site: Site, feed: Callable[[Site], Feed]) -> None:
    flow = "station/S1/secondary_flow_m3h"
    rows = [
        *every(flow, "2026-01-14 20:00", "2026-01-14 22:00", 80.0, 1),
        *every(flow, "2026-01-14 22:00", "2026-01-15 05:50", 0.0, 1),
        *every(flow, "2026-01-15 05:50", "2026-01-15 06:10", 80.0, 1),
        *every(flow, "2026-01-15 06:10", "2026-01-15 07:00", 0.0, 1),
    ]
    live = feed(replace(site, stations={"S1": Station("S1", design_flow_m3h=100.0)}))
    live.run(rows, local_ms("2026-01-15 07:00"), random.Random(1))
    due = [event for event in live.events() if event.event == "notice.due"]
    assert [(event.at, event.body["started_at"]) for event in due] == [(local_ms("2026-01-15 06:10"), local_ms("2026-01-14 22:00"))]

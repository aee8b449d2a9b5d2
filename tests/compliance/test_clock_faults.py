"""The host's clock jumps, readings are dated ahead, the process dies inside the 8 h clock: decided once, at its instant (R5)."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from compliance.replay import replay
from domain.reading import Readings
from domain.site import Room, Site, Station
from tests.compliance.feeding import HOUR_MS, MINUTE_MS, Feed, Row, as_readings, every, local_ms
from tests.compliance.test_late_outages import FLOW, Live
from tests.compliance.test_live_equals_replay import decided

STOP = "2026-01-14 22:00"
DUE = [("06:00", "notice.due")]
ROOM = "room/R1/indoor_temp_c"


@pytest.fixture
def live(site: Site, feed: Callable[[Site], Feed]) -> Live:
    town = replace(site, stations={"S1": Station("S1", design_flow_m3h=100.0)}, rooms={"R1": Room("R1", station_id="S1")})
    return Live(feed(town))


def arrive(live: Live, rows: list[Row], now_ms: int) -> None:
    """The rows arrive when they are measured, by whatever clock; a pass follows at ``now_ms`` of the host's clock."""
    if rows:
        ids = live.live.points.ids([name for name, *_ in rows])
        at = [at for _, at, _ in rows]
        live.live.journal.append(Readings.of(ids, at, [value for *_, value in rows], received_at=at))
    while live.watch.step(now_ms):
        pass
    while live.watch.judge_late():
        live.watch.step(now_ms)


def stopped_since_ten(live: Live, until: str) -> list[Row]:
    rows = [*every(FLOW, "2026-01-14 20:00", STOP, 80.0, 1), *every(FLOW, STOP, until, 0.0, 1)]
    live.arrive(rows, until)
    return rows


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
def test_a_clock_that_jumps_and_is_set_right_tells_nothing_twice(jump_ms: int, live: Live) -> None:
    rows = stopped_since_ten(live, "2026-01-15 02:00")
    now_ms = local_ms("2026-01-15 02:00")
    for minute in range(0, 7 * 60, 5):
        wrong_ms = jump_ms if 60 <= minute < 90 else 0
        host_ms = now_ms + minute * MINUTE_MS + wrong_ms  # the host dates what it reads by its own clock
        value = 0.0 if minute < 5 * 60 else 80.0
        one = [(FLOW, host_ms, value), (ROOM, host_ms + 1, 17.0)]
        rows += one
        arrive(live, one, host_ms + 2)
        if minute % 60 == 55:
            live.again()
    assert live.said("outage.opened") == [("22:15", "outage.opened")]
    assert live.said("notice.due", "notice.closed") == [*DUE, ("07:30", "notice.closed")]
    judged_ms = now_ms + 7 * HOUR_MS
    arrive(live, [], judged_ms)
    wanted = [one for one in replay(live.live.site, *as_readings(rows), to_ms=judged_ms).events if not one.event.startswith("alarm")]
    found = [one for one in live.live.events() if one.event.startswith(("outage", "notice")) and one.event != "notice.amended"]
    assert decided(found) == decided([one for one in wanted if one.event.startswith(("outage", "notice"))])


def test_small_steps_backwards_change_nothing(live: Live) -> None:
    chance = random.Random(3)
    rows = sorted(
        [
            *every(FLOW, "2026-01-14 20:00", STOP, 80.0, 1),
            *every(FLOW, STOP, "2026-01-15 06:30", 0.0, 1),
            *every(ROOM, "2026-01-14 20:00", "2026-01-15 06:30", 15.0, 10),
        ],
        key=lambda row: row[1],
    )
    for start in range(0, len(rows), 30):
        part = rows[start : start + 30]
        arrive(live, part, part[-1][1] + chance.choice([0, 900, -2_000, -30_000, 5_000]))
    until_ms = rows[-1][1] + 10_000
    arrive(live, [], until_ms)
    assert decided(live.live.events()) == decided(replay(live.live.site, *as_readings(rows), to_ms=until_ms).events)


@pytest.mark.parametrize("ahead_ms", [90_000, 50 * MINUTE_MS])
def test_readings_from_the_future_count_from_their_instant_on(ahead_ms: int, live: Live) -> None:
    until = "2026-01-15 07:30"
    rows = [
        *every(FLOW, "2026-01-14 20:00", STOP, 80.0, 2),
        *every(FLOW, STOP, "2026-01-15 06:30", 0.0, 2),
        *every(FLOW, "2026-01-15 06:30", until, 80.0, 2),
    ]
    for start in range(0, len(rows), 11):
        part = rows[start : start + 11]
        arrive(live, part, part[-1][1] - ahead_ms)
        assert all(event.at <= live.watch.judged_at for event in live.live.events()), "nothing is decided before its instant"
        if start % 66 == 0:
            live.watch.snapshot()
            live.again()
    now_ms = rows[-1][1] - ahead_ms
    while now_ms < rows[-1][1]:  # nothing more arrives: what was dated ahead comes true by itself
        now_ms += 90_000
        arrive(live, [], now_ms)
    assert decided(live.live.events()) == decided(replay(live.live.site, *as_readings(rows), to_ms=now_ms).events)


@pytest.mark.parametrize("kept", [True, False])
def test_a_restart_inside_the_eight_hours_leaves_the_notice_at_its_instant(kept: bool, live: Live) -> None:
    stopped_since_ten(live, "2026-01-15 05:59")
    if kept:
        live.watch.snapshot()
    live.again()
    live.arrive([], "2026-01-15 05:59")
    assert live.said("notice.due") == []
    live.again()
    live.arrive(every(FLOW, "2026-01-15 05:59", "2026-01-15 06:05", 0.0, 1), "2026-01-15 06:05")
    assert live.said("notice.due") == DUE
    live.again()
    live.arrive([], "2026-01-15 06:06")
    assert live.said("notice.due") == DUE

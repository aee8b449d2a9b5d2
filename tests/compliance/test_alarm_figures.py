"""Floods, stale and chattering alarms, and the figures of ISA-18.2 beside their targets."""

import random

import pytest

from compliance.alarm_figures import AlarmSpan, Flood, chattering, figures, floods, stale, standing

MINUTE, HOUR = 60_000, 3_600_000


def at_minutes(*minutes: float) -> list[int]:
    return [round(minute * MINUTE) for minute in minutes]


def test_ten_in_ten_minutes_are_no_flood_the_eleventh_is() -> None:
    ten = at_minutes(*range(10))
    assert floods(ten, HOUR) == []
    # the eleventh at 9.5: the flood is over when fewer than 5 of the last ten minutes are left: the seventh (at 6 min) leaves at 16
    assert floods([*ten, *at_minutes(9.5)], HOUR) == [Flood(round(9.5 * MINUTE), 16 * MINUTE, 11)]


def test_an_alarm_counts_for_ten_minutes_the_end_not_included() -> None:
    assert floods(at_minutes(0, *range(1, 11)), HOUR) == []  # the first has left as the eleventh comes
    assert floods([1, *at_minutes(*range(1, 11))], HOUR) == [Flood(10 * MINUTE, 16 * MINUTE, 11)]


def test_a_flood_goes_on_while_five_are_left_and_counts_what_comes() -> None:
    assert floods([0] * 11 + at_minutes(9, 9, 9, 9, 9), HOUR) == [Flood(0, 19 * MINUTE, 16)]
    assert floods([0] * 11, 5 * MINUTE) == [Flood(0, None, 11)]
    assert floods([0] * 11, 10 * MINUTE) == [Flood(0, 10 * MINUTE, 11)]


@pytest.mark.parametrize("seed", range(30))
def test_floods_by_looking_at_every_second(seed: int) -> None:
    chance = random.Random(seed)
    raised = [chance.randrange(3000) * 1000 for _ in range(chance.randrange(20, 90))]
    since, expected = None, []
    for now in range(0, 4000_000, 1000):
        count = sum(now - 10 * MINUTE < one <= now for one in raised)
        if since is None and count > 10:
            since = now
        elif since is not None and count < 5:
            expected.append((since, now))
            since = None
    assert [(flood.from_ms, flood.to_ms) for flood in floods(raised, 4000_000)] == expected


def test_standing_and_stale() -> None:
    old, new = AlarmSpan("room_low", "room/R1", 0), AlarmSpan("room_low", "room/R2", HOUR)
    over = AlarmSpan("room_low", "room/R3", 0, 2 * HOUR)
    assert standing([new, over, old], HOUR) == [over, old, new]
    assert standing([new, over, old], 2 * HOUR) == [old, new]
    assert stale([new, old], 24 * HOUR) == []
    assert stale([new, old], 24 * HOUR + 1) == [old]


def test_chattering_is_three_times_within_a_day() -> None:
    def raised(*hours: float) -> list[AlarmSpan]:
        return [AlarmSpan("room_low", "room/R1", round(hour * HOUR)) for hour in hours]

    assert chattering(raised(0, 12, 24)) == {}
    assert chattering(raised(0, 12, 23.9, 30)) == {("room_low", "room/R1"): 3}
    assert chattering(raised(0, 40, 5, 41, 42, 43)) == {("room_low", "room/R1"): 4}


def test_figures_beside_their_targets() -> None:
    calm = [AlarmSpan("room_low", f"room/R{n}", n * HOUR, n * HOUR + 1) for n in range(24)]
    by_name = {figure.name: figure for figure in figures(calm, 0, 24 * HOUR)}
    assert {name: figure.value for name, figure in by_name.items()} == {
        "alarms per hour": 1.0,
        "share of time in flood": 0.0,
        "share of the ten most frequent alarms": 10 / 24,
        "stale alarms": 0,
        "chattering alarms": 0,
    }
    assert [name for name, figure in by_name.items() if not figure.kept] == ["share of the ten most frequent alarms"]
    morning = [AlarmSpan("room_low", f"room/R{n}", 7 * HOUR) for n in range(400)]
    flooded = next(figure for figure in figures(morning, 0, 24 * HOUR) if figure.name == "share of time in flood")
    assert flooded.value == pytest.approx(10 / 1440)
    assert flooded.kept
    assert all(figure.kept for figure in figures([], 0, 24 * HOUR))

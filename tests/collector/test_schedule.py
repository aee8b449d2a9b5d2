from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from collector.backoff import Backoff
from collector.schedule import Patience, Turn, phases
from domain.clock import Clock


def test_polls_are_spread_over_the_interval_and_within_each_gateway() -> None:
    at = phases([10.0] * 100)
    assert all(0 <= phase < 10 for phase in at)
    ordered = sorted(at)
    gaps = [later - earlier for earlier, later in pairwise(ordered)]
    assert max(gaps) < 0.25  # 0.1 would be perfect
    behind_one_gateway = sorted(at[40:44])
    assert min(later - earlier for earlier, later in pairwise(behind_one_gateway)) > 1.0


def test_a_turn_on_time_overruns_nothing() -> None:
    turn = Turn(5.0, 10.0)
    assert turn.begin(5.2) == 0
    assert turn.due == 15.0


def test_turns_that_passed_are_skipped_and_counted() -> None:
    turn = Turn(5.0, 10.0)
    assert turn.begin(37.0) == 3
    assert turn.due == 45.0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_turns_stay_on_their_grid_and_none_is_given_twice(delays: list[float]) -> None:
    turn, now, taken, skipped = Turn(3.0, 10.0), 0.0, 0, 0
    for delay in delays:
        now = max(now, turn.due) + delay
        due = turn.due
        skipped += turn.begin(now)
        taken += 1
        assert turn.due > due
        assert turn.due > now - 1e-6 or turn.due + 10 > now
    assert abs(turn.due - (3.0 + 10.0 * (taken + skipped))) < 1e-6


def test_back_off_doubles_to_its_bound_with_jitter_and_starts_again() -> None:
    backoff = Backoff(1.0, 8.0, Random(1))
    bounds = [1, 2, 4, 8, 8]
    delays = [backoff.failed() for _ in bounds]
    assert all(bound / 2 <= delay <= bound for delay, bound in zip(delays, bounds, strict=True))
    assert delays[3] != delays[4]
    backoff.succeeded()
    assert backoff.failed() <= 1


def test_back_off_keeps_pace_with_a_fast_clock() -> None:
    assert (Backoff.at_pace(Clock()).first_s, Backoff.at_pace(Clock()).most_s) == (1.0, 30.0)
    fast = Backoff.at_pace(Clock(speed=60))
    assert fast.first_s < 0.1
    assert fast.most_s == 2.0


def test_a_unit_alone_has_its_whole_time_out() -> None:
    patience = Patience(3.0, 10.0, shared=False, clock=Clock())
    assert patience.wait_s == 3.0
    patience.silent()
    assert patience.wait_s == 3.0


def test_a_silent_unit_takes_at_most_an_eighth_of_its_gateways_time() -> None:
    patience = Patience(3.0, 1.0, shared=True, clock=Clock())
    for _ in range(20):
        waited_s = patience.wait_s
        assert waited_s <= 1.0
        assert patience.silent() >= 8 * waited_s


def test_a_slow_unit_behind_a_gateway_is_given_its_time_in_the_end() -> None:
    patience = Patience(2.0, 10.0, shared=True, clock=Clock())
    waits = []
    for _ in range(6):
        waits.append(patience.wait_s)
        patience.silent()
    assert waits[-1] == 2.0
    patience.answered(1.8)
    assert patience.wait_s == 2.0


def test_the_usual_latency_bounds_the_patience_with_a_healthy_unit() -> None:
    patience = Patience(3.0, 0.5, shared=True, clock=Clock())
    for _ in range(50):
        patience.answered(0.01)
    assert patience.wait_s == 0.25

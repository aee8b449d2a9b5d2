"""Computed once for all viewers, and not for ever."""

import threading
import time
from itertools import count

import pytest

from dashboard.facts.shared import Shared
from dashboard.lockout import Lockout, guesser_at


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_many_viewers_cost_one_computation() -> None:
    shared, computed = Shared(60.0), []

    def compute() -> int:
        computed.append(threading.get_ident())
        time.sleep(0.05)
        return 7

    values: list[int] = []
    viewers = [threading.Thread(target=lambda: values.append(shared.of("wall", compute))) for _ in range(20)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    assert values == [7] * 20
    assert len(computed) == 1


def test_a_value_grows_old_an_error_is_not_kept_and_other_keys_are_their_own() -> None:
    clock = Clock()
    shared = Shared(2.0, now_s=clock)
    assert shared.of("a", lambda: 1) == 1
    assert shared.of("a", lambda: 2) == 1
    assert shared.of("b", lambda: 3) == 3
    clock.now_s = 2.0
    with pytest.raises(ZeroDivisionError):
        shared.of("a", lambda: 1 // 0)
    assert shared.of("a", lambda: 4) == 4


def test_only_so_many_are_kept_and_actions_are_seen_at_once() -> None:
    shared = Shared(60.0, most=3)
    for key in range(10):
        shared.of(key, lambda: "old")
    assert shared.of(0, lambda: "new") == "new"
    assert shared.of(9, lambda: "new") == "old"
    shared.of("for ever", lambda: 1, life_s=float("inf"))
    shared.forget()
    assert shared.of(9, lambda: "new") == "new"
    assert shared.of("for ever", lambda: 2) == 1


def test_what_is_done_while_it_is_computed_is_seen_at_once() -> None:
    """One viewer's look was under way when another acted: it must not be kept, as it was before the act, for ten minutes."""
    shared, complaints = Shared(600.0), ["new"]
    looked_at, acted = threading.Event(), threading.Event()

    def slow_look() -> str:
        found = complaints[0]
        looked_at.set()
        assert acted.wait(10)
        return found

    viewer = threading.Thread(target=shared.of, args=("complaints", slow_look))
    viewer.start()
    assert looked_at.wait(10)
    complaints[0] = "accepted"
    shared.forget()
    acted.set()
    assert shared.of("complaints", lambda: complaints[0]) == "accepted"
    viewer.join()
    assert shared.of("complaints", lambda: pytest.fail("kept")) == "accepted"


def test_what_is_kept_for_ever_stays_also_when_something_is_done_while_it_is_computed() -> None:
    shared = Shared()

    def compute() -> int:
        shared.forget()
        return 1

    assert shared.of("site", compute, life_s=float("inf")) == 1
    assert shared.of("site", lambda: 2, life_s=float("inf")) == 1


def test_guesses_are_counted_by_key_and_forgotten_in_time() -> None:
    clock = Clock()
    lockout = Lockout(3, 60.0, now_s=clock)
    for _ in range(2):
        lockout.failed("a")
    assert lockout.locked_s("a") == 0
    lockout.failed("a")
    assert lockout.locked_s("a") == 60.0
    assert lockout.locked_s("b") == 0
    clock.now_s = 59.0
    assert lockout.locked_s("a") == 1.0
    clock.now_s = 60.0
    assert lockout.locked_s("a") == 0
    lockout.failed("a")
    assert lockout.locked_s("a") == 0
    lockout.succeeded("a")
    assert lockout.locked_s("a") == 0


def test_made_up_names_do_not_fill_the_memory() -> None:
    lockout = Lockout(3, 60.0, keys=100)
    for number in range(1_000):
        lockout.failed(f"name {number}")
    assert len(lockout._failures) == 100


def test_a_flood_of_made_up_names_frees_nobody_who_is_locked() -> None:
    lockout = Lockout(3, 60.0, keys=100, now_s=Clock())
    for _ in range(3):
        lockout.failed("victim")
    for number in range(1_000):
        lockout.failed(f"name {number}")
    assert lockout.locked_s("victim") == 60.0
    assert len(lockout._failures) == 100


@pytest.mark.parametrize(
    ("address", "guesser"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_whoever_has_a_network_of_addresses_is_one_guesser(address: str, guesser: str) -> None:
    assert guesser_at(address) == guesser


def test_of_another_mark_it_is_computed_anew_however_young() -> None:
    clock, computed = Clock(), count(1)
    shared = Shared(1.0, now_s=clock)

    def of(mark: str) -> int:
        return shared.of("rows", lambda: next(computed), life_s=10.0, mark=(mark,))

    assert [of("a"), of("a"), of("b"), of("b"), of("a")] == [1, 1, 2, 2, 3]
    clock.now_s = 10.0
    assert of("a") == 4  # the same, but old
    shared.forget()
    assert of("a") == 5


def test_an_error_leaves_no_mark_behind() -> None:
    shared = Shared(10.0)
    assert shared.of("rows", lambda: 1, mark="a") == 1
    with pytest.raises(ZeroDivisionError):
        shared.of("rows", lambda: 1 // 0, mark="b")
    assert shared.of("rows", lambda: 2, mark="b") == 2

from collector.catching_up import CatchingUp

AT = 1_796_083_200_000


def test_a_kept_session_is_caught_up_since_the_connection_was_last_there() -> None:
    catching_up = CatchingUp(None)
    catching_up.connected(resumed=True, wall_ms=0)
    assert catching_up.away_since_ms is None
    catching_up.alive(AT, 1000)
    catching_up.connected(resumed=True, wall_ms=5000)
    assert catching_up.away_since_ms == AT


def test_a_new_session_has_kept_nothing() -> None:
    catching_up = CatchingUp(AT)
    catching_up.connected(resumed=False, wall_ms=0)
    assert catching_up.away_since_ms is None


def test_it_ends_when_messages_are_of_now_again() -> None:
    catching_up = CatchingUp(AT)
    catching_up.connected(resumed=True, wall_ms=0)
    for number in range(38):
        catching_up.saw(of_now=number != 18)
        assert catching_up.away_since_ms == AT
    catching_up.saw(of_now=True)
    assert catching_up.away_since_ms is None


def test_it_ends_after_a_minute() -> None:
    catching_up = CatchingUp(AT)
    catching_up.connected(resumed=True, wall_ms=0)
    catching_up.alive(AT + 59_000, 59_000)
    assert catching_up.away_since_ms == AT
    catching_up.alive(AT + 61_000, 61_000)
    assert catching_up.away_since_ms is None

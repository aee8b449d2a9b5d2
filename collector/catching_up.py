"""After a silence: is this message out of what the broker kept for us? Then its own time counts, however long ago (faults.md, MQTT)."""

UP_TO_DATE_AFTER = 20
AT_MOST_MS = 60_000


class CatchingUp:
    """What one broker has kept for us, as far as it can be known. Instants are the clock's; ``wall_ms`` any steady milliseconds.

    Catching up begins with a connection whose session the broker had kept, and ends after 20 messages on end that are of now, or
    after a minute. ``last_connected_ms`` is None where we were never connected.
    """

    def __init__(self, last_connected_ms: int | None) -> None:
        self.last_connected_ms = last_connected_ms
        self.away_since_ms: int | None = None
        self._until_ms = 0.0
        self._of_now = 0

    def connected(self, *, resumed: bool, wall_ms: float) -> None:
        """A new connection stands."""
        self.away_since_ms = self.last_connected_ms if resumed else None
        self._until_ms = wall_ms + AT_MOST_MS
        self._of_now = 0

    def alive(self, now_ms: int, wall_ms: float) -> None:
        """The connection still stands."""
        self.last_connected_ms = now_ms
        if wall_ms > self._until_ms:
            self.away_since_ms = None

    def saw(self, *, of_now: bool) -> None:
        """A message was read: whether its times lie near its receipt."""
        self._of_now = self._of_now + 1 if of_now else 0
        if self._of_now >= UP_TO_DATE_AFTER:
            self.away_since_ms = None

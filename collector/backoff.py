"""How long to wait before trying again: the one place for doubling and jitter."""

from random import Random
from typing import Self

from domain.clock import Clock

FIRST_S = 1.0
MOST_S = 30.0

_RANDOM = Random()


class Backoff:
    """Delays that double from ``first_s`` to ``most_s`` (wall seconds); each is drawn from the upper half of its bound.

    The jitter spreads the reconnects after everything was restarted at once.
    """

    def __init__(self, first_s: float, most_s: float, random: Random | None = None) -> None:
        self.first_s = first_s
        self.most_s = max(first_s, most_s)
        self._bound_s = first_s
        self._random = random or _RANDOM

    @classmethod
    def at_pace(cls, clock: Clock) -> Self:
        """From 1 s to 30 s of the wall; under a fast clock from 5 s to 2 min of that clock, but never below 50 ms and 2 s."""
        return cls(min(FIRST_S, max(0.05, clock.wall_s(5))), min(MOST_S, max(2.0, clock.wall_s(120))))

    def failed(self) -> float:
        """The delay in wall seconds before the next attempt; the one after that waits longer."""
        delay_s = self._bound_s * self._random.uniform(0.5, 1.0)
        self._bound_s = min(self.most_s, self._bound_s * 2)
        return delay_s

    def succeeded(self) -> None:
        """Starts again from the shortest delay."""
        self._bound_s = self.first_s

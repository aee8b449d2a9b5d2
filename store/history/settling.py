"""What a history has taken and may still lose by dying: remembered until it can't any more (``History.settle_s``)."""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

Place = TypeVar("Place")


class Portion(NamedTuple, Generic[Place]):
    """Written at this second (wall, of a steady clock), by this run of the back end, up to this place."""

    at_s: float
    boot: str
    place: Place


class Settling(Generic[Place]):
    """The portions on their way, in order; a place is whatever tells the writer from where to go on."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._portions: deque[Portion[Place]] = deque()

    def __len__(self) -> int:
        return len(self._portions)

    def add(self, at_s: float, boot: str, place: Place) -> None:
        """Notes that everything up to this place has been written."""
        self._portions.append(Portion(at_s, boot, place))

    def settled(self, at_s: float, boot: str) -> Place | None:
        """The place up to which nothing can be lost any more; None where that is no news."""
        place = None
        while self._portions and at_s - self._portions[0].at_s >= self._settle_s and self._portions[0].boot == boot:
            place = self._portions.popleft().place
        return place

    def broken(self, boot: str) -> bool:
        """Whether the back end was started anew meanwhile: what had not settled is forgotten here, and must be written again."""
        if all(portion.boot == boot for portion in self._portions):
            return False
        self._portions.clear()
        return True

    def clear(self) -> None:
        """Forgets all portions."""
        self._portions.clear()

"""Who is on duty, and what is carried over from shift to shift: read from the entries of the log, which are only ever added.

took_over ─▶ notes, open points, points done ─▶ handed_over ─▶ took_over …      an open point stays until an entry says it is done
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

TOOK_OVER: Final = "took_over"
HANDED_OVER: Final = "handed_over"
NOTE: Final = "note"
POINT: Final = "point"
DONE: Final = "done"
DUTY: Final = (TOOK_OVER, HANDED_OVER)


@dataclass(frozen=True)
class Entry:
    """One entry. ``refers_to`` is the point that is done, or the entry of duty that came before.

    ``body`` of a hand-over holds what stood then: ``open_points`` (ids) and the ``standing`` figures of the town.
    """

    id: int
    at: int
    kind: str
    who: str
    text: str = ""
    refers_to: int | None = None
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shift:
    """One shift: ``who`` has it from ``from_ms`` on, None before anybody took over; its entries in order, its own take-over first.

    ``handed_over`` is the hand-over that ended it, None while it goes on (or where the next one just took over); ``to_ms`` is when the
    next one took over.
    """

    who: str | None
    from_ms: int | None
    entries: tuple[Entry, ...]
    handed_over: Entry | None = None
    to_ms: int | None = None

    @property
    def id(self) -> int | None:
        """The entry that began it."""
        return self.entries[0].id if self.who is not None else None


def entries_of(rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The log from the rows of its table."""
    return [Entry(**row) for row in rows]


def shifts(entries: Sequence[Entry]) -> list[Shift]:
    """All shifts, the first one first, from entries in their order."""
    starts = [0, *(row for row, entry in enumerate(entries) if entry.kind == TOOK_OVER and row)]
    found = []
    for start, stop in zip(starts, [*starts[1:], len(entries)], strict=True):
        mine = tuple(entries[start:stop])
        taken = mine[0] if mine and mine[0].kind == TOOK_OVER else None
        ended = next((entry for entry in mine if entry.kind == HANDED_OVER), None)
        next_at = entries[stop].at if stop < len(entries) else None
        found.append(Shift(taken.who if taken else None, taken.at if taken else None, mine, ended, next_at))
    return found


def open_points(entries: Sequence[Entry]) -> list[Entry]:
    """The points that no entry says are done, the oldest first: whoever takes over takes these over."""
    done = {entry.refers_to for entry in entries if entry.kind == DONE}
    return [entry for entry in entries if entry.kind == POINT and entry.id not in done]


def last_duty(entries: Sequence[Entry]) -> Entry | None:
    """The last entry that says who is on duty."""
    return next((entry for entry in reversed(entries) if entry.kind in DUTY), None)


def on_duty(entries: Sequence[Entry]) -> str | None:
    """Who is on duty now: who took over last, also while his hand-over waits to be taken; None before anybody did."""
    return next((entry.who for entry in reversed(entries) if entry.kind == TOOK_OVER), None)

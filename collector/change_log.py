"""The log of what changes: a line each, and one line for all of them when many change at once.

records ──▶ changes since the last look ──▶ the first few of a while: a line each
                                               └── the rest of it ──▶ one line a kind: how many, where, why, who

A gateway that dies takes a hundred units with it, a cut fibre a thousand stations: who reads the log wants to know that, and nothing else
to drown in it. How each of them stands is told in the health file, as points, and on the page of data health.
"""

from collections import Counter
from collections.abc import Iterable

import structlog

from collector.health import Change, Flip, SourceHealth

EACH = 5  # changes of a while that have a line of their own
WHILE_S = 10.0
NAMED = 10  # of many, these are named

log = structlog.get_logger("collect")


class ChangeLog:
    """Tells what the records say has changed. Instants are the event loop's seconds."""

    def __init__(self) -> None:
        self._told = 0
        self._held: list[Change] = []
        self._until = 0.0

    def tell(self, records: Iterable[SourceHealth], now: float) -> None:
        """To be called every second or so: logs the changes since the last call, or holds them for the line of this while."""
        if now >= self._until:
            storm = len(self._held) > EACH
            self._flush()
            self._told, self._until = (EACH if storm else 0), now + WHILE_S
        for record in records:
            for change in record.take_changes():
                if self._told < EACH:
                    self._told += 1
                    _tell_one(change)
                else:
                    self._held.append(change)

    def end(self, records: Iterable[SourceHealth]) -> None:
        """Tells what is left."""
        self.tell(records, self._until)
        self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, []
        if len(held) <= EACH:
            for change in held:
                _tell_one(change)
            return
        for flip in Flip:
            alike = [change for change in held if change.flip is flip]
            if len(alike) == 1:
                _tell_one(alike[0])
            elif alike:
                _tell_many(flip, alike)


def _tell_one(change: Change) -> None:
    (log.warning if change.flip.bad else log.info)(change.flip.one, **change.about)


def _tell_many(flip: Flip, changes: list[Change]) -> None:
    about = {
        "count": str(len(changes)),
        "where": _most(Counter(change.where for change in changes)),
        "who": _listed([change.subject for change in changes]),
    }
    if reasons := Counter(change.about["reason"] for change in changes if "reason" in change.about):
        about["reason"] = _most(reasons)
    (log.warning if flip.bad else log.info)(flip.many, **about)


def _most(counted: Counter[str]) -> str:
    """The most frequent with their counts: ``10.0.0.7:502 (95), 10.0.0.8:502 (3), 12 more``."""
    return _listed([f"{name} ({count})" for name, count in counted.most_common()], 3)


def _listed(names: list[str], most: int = NAMED) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - most
    return ", ".join([*names[:most], f"{more} more"] if more > 0 else names)

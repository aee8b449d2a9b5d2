"""One history carried over into another: read, written, read again and compared, day by day; it goes on where it was stopped.

source ─▶ portions ─▶ target ─▶ read back ─▶ compared ─▶ settled ─▶ day done, noted in the place file
"""

import json
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np

from domain.errors import StoreError
from domain.reading import Readings
from store.history.frontier import replacing
from store.history.parts import DAY_MS, FIRST_MS, LAST_MS
from store.history.protocol import History
from store.history.settling import Settling
from store.history.take_in import Tell
from store.history.walk import Portion, walk

_TIDY_EVERY: Final = 16  # portions
_BEFORE_ALL: Final = -1


@dataclass(frozen=True)
class Carried:
    """How far a migration came, and what it found, in readings.

    ``read`` in the source, ``found`` in the target afterwards, the same or received later; ``altered`` stand there with another
    value, and ``missing`` do not stand there. ``set_aside`` is what the target itself says it did not keep (older than its retention,
    quarantined): part of the missing.
    """

    last_day: int = _BEFORE_ALL
    read: int = 0
    found: int = 0
    missing: int = 0
    altered: int = 0
    set_aside: int = 0

    @property
    def whole(self) -> bool:
        """Whether the target holds everything, but for what its own settings exclude."""
        return not self.altered and self.missing <= self.set_aside


class PlaceFile:
    """Where a migration stands, in one small file of ``folder`` for each pair of histories."""

    def __init__(self, folder: Path, source: History, target: History) -> None:
        self._path = folder / f"{source.identity()[:16]}-{target.identity()[:16]}.json"

    def load(self) -> Carried:
        """As far as it came; the beginning where there is no (readable) file."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return Carried(**{field.name: int(found[field.name]) for field in fields(Carried)})
        except (OSError, ValueError, KeyError, TypeError):
            return Carried()

    def save(self, carried: Carried) -> None:
        """Notes how far it came. Raises StoreError when the disk does not take it."""
        part = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(asdict(carried)), encoding="utf-8")
            part.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path}: {error}") from error

    def remove(self) -> None:
        """Nothing is to be gone on with: the next time begins anew."""
        self._path.unlink(missing_ok=True)


class Migration:
    """Carries the readings of ``points`` (ids) over. The source may be written to meanwhile; run it again for what came late."""

    def __init__(self, source: History, target: History, points: int, place: PlaceFile, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._points = points
        self._place = place
        self._tell = tell
        self._settling = Settling[Carried](target.settle_s)
        self._counted_before = sum(target.counts().values())

    def run(self) -> Carried:
        """Goes on from the place to the end, which is settled when this returns.

        Raises StoreError when one of the two can't go on; the next run then goes on from the last day that was done.
        """
        days = list(self._source.days())
        while True:
            done = self._pass(days, self._place.load())
            if done is not None:
                self._place.remove()
                return done

    def _pass(self, days: list[int], carried: Carried) -> Carried | None:
        """All days after those that are done; None when the target was started anew and may have forgotten some of it."""
        left = [day for day in days if day > carried.last_day]
        ready = len(days) - len(left)
        number = 0
        for number, portion in enumerate(walk(self._source.read, range(self._points), left, FIRST_MS, LAST_MS), 1):
            self._tell("copying", (ready + portion.share * len(left)) / len(days))
            boot = self._target.boot()
            carried = self._carry(portion, carried)
            if portion.points[-1] == self._points - 1:
                carried = replace(carried, last_day=portion.from_ms // DAY_MS)
                self._settling.add(time.monotonic(), boot, carried)
            if not self._note_settled():
                return None
            if number % _TIDY_EVERY == 0:
                self._target.tidy()
        if number:
            self._target.tidy()
        while len(self._settling):
            self._tell("waiting until the history has it on its disk", None)
            time.sleep(min(1.0, self._target.settle_s / 10))
            if not self._note_settled():
                return None
        return carried

    def _carry(self, portion: Portion, carried: Carried) -> Carried:
        """Writes one portion, and counts what of it then stands in the target."""
        self._target.write(portion.readings)
        missing, altered = compared(portion.readings, self._target.read(portion.points, portion.from_ms, portion.to_ms))
        set_aside = sum(self._target.counts().values()) - self._counted_before
        self._counted_before += set_aside
        count = len(portion.readings)
        return Carried(
            carried.last_day,
            carried.read + count,
            carried.found + count - missing - altered,
            carried.missing + missing,
            carried.altered + altered,
            carried.set_aside + set_aside,
        )

    def _note_settled(self) -> bool:
        boot = self._target.boot()
        settled = self._settling.settled(time.monotonic(), boot)
        if settled is not None:
            self._place.save(settled)
        return not self._settling.broken(boot)


def compared(wanted: Readings, there: Readings) -> tuple[int, int]:
    """How many of the readings do not stand there at all, and for how many a worse one does. Both have one of each instant."""
    wins, rows = replacing(there, wanted)
    return int(np.count_nonzero(rows < 0)), int(np.count_nonzero(wins & (rows >= 0)))

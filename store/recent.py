"""The newest reading of every point, in memory, kept fresh from the journal's end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.reading import Readings
from store.duplicates import newest
from store.history.protocol import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import CURSOR

_BEYOND_ALL_MS = 2**62
_WITHOUT_HISTORY = 2_000_000  # readings of the journal to begin from when the history can't be read

_log = structlog.get_logger()


@dataclass(frozen=True)
class Newest:
    """One reading per point asked for. Where ``known`` is false there never was one: value NaN, instants 0."""

    known: NDArray[np.bool_]
    measured_at: NDArray[np.int64]
    received_at: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @classmethod
    def none(cls, count: int) -> "Newest":
        """No reading for so many points."""
        return cls(
            np.zeros(count, np.bool_),
            np.zeros(count, np.int64),
            np.zeros(count, np.int64),
            np.full(count, np.nan),
            np.zeros(count, np.uint8),
        )

    def __len__(self) -> int:
        return len(self.known)

    def take(self, rows: NDArray[np.intp]) -> "Newest":
        """These rows; −1 stands for a point that nobody knows."""
        found = rows >= 0
        rows = np.where(found, rows, 0)
        if not len(self):
            return Newest.none(len(rows))
        return Newest(
            self.known[rows] & found,
            np.where(found, self.measured_at[rows], 0),
            np.where(found, self.received_at[rows], 0),
            np.where(found, self.value[rows], np.nan),
            np.where(found, self.quality[rows], np.uint8(0)),
        )

    def grown(self, count: int) -> "Newest":
        """With room for so many points."""
        more = Newest.none(count - len(self))
        return Newest(
            np.append(self.known, more.known),
            np.append(self.measured_at, more.measured_at),
            np.append(self.received_at, more.received_at),
            np.append(self.value, more.value),
            np.append(self.quality, more.quality),
        )

    def fold(self, fresh: Readings) -> None:
        """Puts these readings (at most one per point) in place where they are not older than what stands there."""
        point = fresh.point
        at, received = self.measured_at[point], self.received_at[point]
        later = ~self.known[point] | (fresh.measured_at > at) | ((fresh.measured_at == at) & (fresh.received_at >= received))
        fresh = fresh.take(later)
        self.known[fresh.point] = True
        self.measured_at[fresh.point] = fresh.measured_at
        self.received_at[fresh.point] = fresh.received_at
        self.value[fresh.point] = fresh.value
        self.quality[fresh.point] = fresh.quality


class Recent:
    """The newest reading of every point, and the newest usable one (R2: not bad, finite), for one process.

    Starts from the history's latest and the journal beyond it; ``refresh`` adds what has arrived since.
    """

    def __init__(self, journal: Journal, history: History, points: PointRegistry) -> None:
        self._journal = journal
        self._points = points
        self._any = Newest.none(0)
        self._usable = Newest.none(0)
        self._cursor = self._begin(history)
        self.refresh()

    def refresh(self) -> int:
        """Takes in what has arrived since the last time; returns how many readings that were.

        Raises StoreError when the journal can't be read; what was known stays known.
        """
        count = 0
        while True:
            cursor, readings = self._journal.read(self._cursor)
            if cursor == self._cursor:
                return count
            self._take_in(readings)
            self._cursor = cursor
            count += len(readings)

    def of(self, point_names: Sequence[str], *, usable: bool = False) -> Newest:
        """The newest reading of each of these points, in their order; ``usable`` asks for the newest that rules may use."""
        ids = [self._points.find(name) for name in point_names]
        if None in ids and self._points.refresh():
            ids = [self._points.find(name) for name in point_names]
        rows = np.fromiter((-1 if point is None else point for point in ids), np.intp, len(ids))
        return self.of_ids(rows, usable=usable)

    def of_ids(self, points: Sequence[int] | NDArray[np.integer], *, usable: bool = False) -> Newest:
        """As ``of``, for the registry's ids."""
        known = self._usable if usable else self._any
        rows = np.asarray(points, np.intp)
        return known.take(np.where(rows < len(known), rows, -1))

    def _begin(self, history: History) -> int:
        """Fills in what the history knows; returns the cursor from which the journal knows more."""
        cursor = self._journal.cursor(CURSOR)
        self._points.refresh()  # what the history has by now may be of points registered since
        points = np.arange(len(self._points), dtype=np.int32)
        try:
            self._take_in(Readings.concat([history.latest(points, _BEYOND_ALL_MS), history.latest(points, _BEYOND_ALL_MS, usable=True)]))
        except StoreError as error:
            _log.warning("newest values start from the journal alone: the history can't be read", reason=str(error))
            return self._journal.before_newest(_WITHOUT_HISTORY)
        return cursor

    def _take_in(self, readings: Readings) -> None:
        if not len(readings):
            return
        size = int(readings.point.max()) + 1
        if size > len(self._any):
            size = max(size, len(self._points), len(self._any) * 2)
            self._any, self._usable = self._any.grown(size), self._usable.grown(size)
        self._any.fold(newest(readings))
        self._usable.fold(newest(readings.usable()))

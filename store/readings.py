"""Readings as the pages see them: the history, and what the journal has that the history has not got yet."""

import numpy as np

from domain.reading import Readings
from store.duplicates import resolve
from store.history.parts import DAY_MS
from store.history.protocol import History, Points
from store.journal import Journal
from store.rollup import Rollup, roll_up

CURSOR = "history"  # the forwarder's cursor in the journal
FRESH_AT_MOST = 2_000_000  # readings taken out of the journal once and kept: 58 MB


class FreshReadings:
    """What the journal has of [from_ms, to_ms) that the history has not got yet, for whoever reads many points one after the other.

    It is unpacked once for all of them, as long as it is not much; the cursor is taken now, so what is forwarded meanwhile is seen
    twice, not missed.
    """

    def __init__(self, journal: Journal, points: Points, from_ms: int, to_ms: int) -> None:
        self._journal = journal
        self._cursor = journal.cursor(CURSOR)
        few = journal.backlog_after(self._cursor).readings <= FRESH_AT_MOST
        self._kept = journal.read_measured(self._cursor, points, from_ms, to_ms) if few else None

    def read(self, points: Points, from_ms: int, to_ms: int) -> Readings:
        """Those of some of the points in a part of the time, in order of arrival. Raises StoreError when the journal can't be read."""
        kept = self._kept
        if kept is None:
            return self._journal.read_measured(self._cursor, points, from_ms, to_ms)
        return kept.take((kept.measured_at >= from_ms) & (kept.measured_at < to_ms) & np.isin(kept.point, points))


def read_readings(history: History, journal: Journal, points: Points, from_ms: int, to_ms: int) -> Readings:
    """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), duplicates resolved.

    Everything accepted by the journal is there, forwarded or not. Raises StoreError when either store can't be read.
    """
    # The cursor first: what is forwarded while we read is then seen twice, not missed.
    cursor = journal.cursor(CURSOR)
    return with_fresh(history, journal.read_measured(cursor, points, from_ms, to_ms), points, from_ms, to_ms)


def with_fresh(history: History, fresh: Readings, points: Points, from_ms: int, to_ms: int) -> Readings:
    """As ``read_readings``, with what the journal had after the history's cursor taken out of it before."""
    kept = history.read(points, from_ms, to_ms)
    return resolve(Readings.concat([kept, fresh])) if len(fresh) else kept


def days_of_readings(history: History, journal: Journal) -> list[int]:
    """The UTC days (since 1970) on which there may be readings, forwarded or not, in order."""
    cursor, days = journal.cursor(CURSOR), set[int]()
    while True:
        sequence, fresh = journal.read(cursor)
        if sequence == cursor:
            return sorted(days.union(history.days()))
        days.update(np.unique(fresh.measured_at // DAY_MS).tolist())
        cursor = sequence


def read_rollup(history: History, journal: Journal, points: Points, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
    """What the usable readings of these points did in each stretch [from_ms + k·step_ms, from_ms + (k + 1)·step_ms), cut at to_ms.

    For long spans: a season by the hour is a few thousand rows a point. Everything accepted by the journal counts, forwarded or not.
    Hours stored by the history are used where ``from_ms`` and ``step_ms`` are whole hours. Raises StoreError when either store can't
    be read.
    """
    cursor = journal.cursor(CURSOR)  # first: see read_readings
    fresh = journal.read_measured(cursor, points, from_ms, to_ms)
    if not len(fresh):
        return history.rollup(points, from_ms, to_ms, step_ms)
    # From the first stretch that the journal knows more of, the readings themselves: as a rule the last minutes.
    cut_ms = from_ms + (int(fresh.measured_at.min()) - from_ms) // step_ms * step_ms
    last = roll_up(resolve(Readings.concat([history.read(points, cut_ms, to_ms), fresh])), cut_ms, to_ms, step_ms)
    both = Rollup.concat([history.rollup(points, from_ms, cut_ms, step_ms), last])
    return both.take(np.lexsort((both.at, both.point)))

"""Readings as the pages see them: the history, and what the journal has that the history has not got yet."""

from domain.reading import Readings
from store.duplicates import resolve
from store.history.protocol import History, Points
from store.journal import Journal

CURSOR = "history"  # the forwarder's cursor in the journal


def read_readings(history: History, journal: Journal, points: Points, from_ms: int, to_ms: int) -> Readings:
    """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), duplicates resolved.

    Everything accepted by the journal is there, forwarded or not. Raises StoreError when either store can't be read.
    """
    # The cursor first: what is forwarded while we read is then seen twice, not missed.
    cursor = journal.cursor(CURSOR)
    fresh = journal.read_measured(cursor, points, from_ms, to_ms)
    kept = history.read(points, from_ms, to_ms)
    return resolve(Readings.concat([kept, fresh])) if len(fresh) else kept

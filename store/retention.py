"""How much the journal keeps, and for how long it can go on alone: rules over the table of its batches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.sqlite import Database

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_INFLOW_BATCHES = 1_000  # the recent inflow is that of the last so many batches
_LONGEST_PAUSE = 10  # times the usual one: a longer silence says nothing of the inflow
_AT_ONCE = 500  # batches deleted in one transaction: the collector's commits wait for it


@dataclass(frozen=True)
class Pruned:
    """What one pruning deleted. ``lost`` are the readings among them that some consumer had not read yet."""

    batches: int = 0
    readings: int = 0
    lost: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":
        return Pruned(self.batches + other.batches, self.readings + other.readings, self.lost + other.lost)


@dataclass(frozen=True)
class Backlog:
    """What one consumer has not read yet; ``oldest_received_at`` is None when there is nothing."""

    batches: int
    readings: int
    oldest_received_at: int | None


def prune(database: Database, now_ms: int, max_days: float, max_bytes: int, *, unread: bool = True) -> Pruned:
    """Deletes the oldest batches: read by all and past their days first, then as many as the file is too large by, also ``unread``."""
    until_ms = now_ms - round(max_days * DAY_MS)
    aged = _in_steps(database, lambda: _aged(database, until_ms))
    return aged + _in_steps(database, lambda: _excess(database, max_bytes, None if unread else read_by_all(database)))


def used_bytes(database: Database) -> int:
    """How many bytes of the file hold something."""
    pages, free, size = (database.rows(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def backlog(database: Database, cursor: int) -> Backlog:
    """What came after this batch."""
    oldest = database.rows(
        "SELECT sequence, readings_total - readings, first_received_at FROM batches WHERE sequence > ? ORDER BY sequence LIMIT 1", (cursor,)
    )
    if not oldest:
        return Backlog(0, 0, None)
    first, before, received_at = oldest[0]
    last, total = database.rows("SELECT sequence, readings_total FROM batches ORDER BY sequence DESC LIMIT 1")[0]
    return Backlog(last - first + 1, total - before, received_at)


def autonomy_h(database: Database, max_bytes: int) -> float:
    """Hours of the recent inflow that fit into what unread batches leave of ``max_bytes``; infinite without an inflow."""
    rows = database.rows("SELECT sequence, bytes_total FROM batches ORDER BY sequence DESC LIMIT 1")
    if not rows:
        return float("inf")
    newest, bytes_newest = rows[0]
    recent = database.rows(
        "SELECT last_received_at, bytes_total FROM batches WHERE sequence >= ? ORDER BY sequence", (newest - _INFLOW_BATCHES,)
    )
    elapsed_ms = _elapsed_ms(np.array([received_at for received_at, _ in recent], np.int64))
    if not elapsed_ms:
        return float("inf")
    # Pages, indices and gaps of the file, for each byte of a batch.
    file_bytes = used_bytes(database) / max(1, bytes_newest - _bytes_before(database, 0))
    room = max_bytes - (bytes_newest - _bytes_before(database, read_by_all(database) + 1)) * file_bytes
    inflow = (bytes_newest - recent[0][1]) * file_bytes / elapsed_ms
    return float(max(0.0, room) / inflow / HOUR_MS)


def _elapsed_ms(received_at: NDArray[np.int64]) -> float:
    """For how long these batches came in. A host's clock may jump: a step back counts nothing, one forth as a long pause at most."""
    steps = np.diff(received_at)
    steps = steps[steps > 0]
    return float(np.minimum(steps, _LONGEST_PAUSE * np.median(steps)).sum()) if len(steps) else 0.0


def read_by_all(database: Database) -> int:
    """The batch up to which every consumer has read; 0 while none has ever advanced: then everything is unread."""
    return int(database.rows("SELECT coalesce(min(sequence), 0) FROM cursors WHERE instr(name, '@') = 0")[0][0])


def _bytes_before(database: Database, sequence: int) -> int:
    """``bytes_total`` as it was before the first batch that is not older than this one."""
    rows = database.rows("SELECT bytes_total - length(packed) FROM batches WHERE sequence >= ? ORDER BY sequence LIMIT 1", (sequence,))
    rows = rows or database.rows("SELECT bytes_total FROM batches ORDER BY sequence DESC LIMIT 1")
    return int(rows[0][0])


def _aged(database: Database, until_ms: int) -> int | None:
    """The last of the oldest batches that are past their days and read by all, of as many as one step deletes."""
    statement = "SELECT sequence, last_received_at FROM batches WHERE sequence <= ? ORDER BY sequence LIMIT ?"
    last = None
    for sequence, received_at in database.rows(statement, (read_by_all(database), _AT_ONCE)):
        if received_at >= until_ms:
            break
        last = sequence
    return last


def _excess(database: Database, max_bytes: int, up_to: int | None) -> int | None:
    """The last of the oldest batches (at most batch ``up_to``) that the file must lose to fit, of as many as one step deletes."""
    excess = used_bytes(database) - max_bytes
    last = None
    for sequence, size in database.rows("SELECT sequence, length(packed) FROM batches ORDER BY sequence LIMIT ?", (_AT_ONCE,)):
        if excess <= 0 or (up_to is not None and sequence > up_to):
            break
        last, excess = sequence, excess - size
    return last


def _in_steps(database: Database, up_to: Callable[[], int | None]) -> Pruned:
    total = Pruned()
    while (last := up_to()) is not None:
        step = _delete(database, last)
        if not step.batches:
            break
        total += step
    return total


def _delete(database: Database, last: int) -> Pruned:
    """Deletes the batches up to and with this one; never the newest, which carries the sums on."""
    with database.writing() as connection:
        read = read_by_all(database)
        doomed = "FROM batches WHERE sequence <= ? AND sequence < (SELECT max(sequence) FROM batches)"
        batches, readings, lost_batches, lost = connection.execute(
            f"SELECT count(*), coalesce(sum(readings), 0), count(*) FILTER (WHERE sequence > ?), "
            f"coalesce(sum(readings) FILTER (WHERE sequence > ?), 0) {doomed}",
            (read, read, last),
        ).fetchone()
        connection.execute(f"DELETE {doomed}", (last,))
        connection.execute("UPDATE losses SET batches = batches + ?, readings = readings + ?", (lost_batches, lost))
    return Pruned(batches, readings, lost)

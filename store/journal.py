"""The journal: every accepted reading in order of arrival, durable, read by each consumer at its own pace.

A reading is *accepted* when ``append`` has returned. The journal is the only spool: it takes readings while everything behind it
is down, and keeps them for ``max_days``, longer for a consumer that has not read them yet, until ``max_bytes`` are full.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.reading import Readings
from domain.site import JournalKeep, Site
from store.packing import DamagedError, pack, unpack
from store.rescue import readable, rescue
from store.retention import Backlog, Pruned, autonomy_h, backlog, prune, used_bytes
from store.sqlite import Database, is_damage

BATCH_READINGS = 50_000  # larger appends become several batches of one transaction, so that readers need not hold them whole
_PAGE_BYTES = 16_384  # blobs of 2 kB (1 000 readings) fill pages of 4 kB badly: 4.1 bytes a reading instead of 2.4

_PLACE = "@"  # between a consumer's name and that of a place it remembers: such rows hold no batch back

_VERSION = 1
# AUTOINCREMENT: a sequence is never given twice, whatever was pruned. ``*_total`` count up to and with this batch, so that sums
# over any stretch are differences of two rows.
_LAYOUT = (
    """CREATE TABLE batches (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        first_measured_at INTEGER NOT NULL,
        last_measured_at INTEGER NOT NULL,
        first_received_at INTEGER NOT NULL,
        last_received_at INTEGER NOT NULL,
        readings INTEGER NOT NULL,
        readings_total INTEGER NOT NULL,
        bytes_total INTEGER NOT NULL,
        packed BLOB NOT NULL
    )""",
    "CREATE TABLE cursors (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL)",
    "CREATE TABLE losses (id INTEGER PRIMARY KEY CHECK (id = 1), batches INTEGER NOT NULL, readings INTEGER NOT NULL)",
    "INSERT INTO losses VALUES (1, 0, 0)",
    # A new journal counts on from the time of its making: a cursor kept elsewhere from a journal that was lost then points before
    # everything in the new one, not beyond it.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('batches', {made_at})",
)
_INSERT = """INSERT INTO batches
    (first_measured_at, last_measured_at, first_received_at, last_received_at, readings, readings_total, bytes_total, packed)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

T = TypeVar("T")

_log = structlog.get_logger()


class Journal:
    """The journal of one site, in ``journal.db``: one process appends, any number of processes read at the same time.

    When the file holds ``max_bytes`` of unread readings it keeps the ``newest`` ones (the oldest are deleted) or the ``oldest`` (new
    ones are not taken); ``lost`` counts both. ``damaged`` counts the batches that this object found altered on the disk and skipped;
    where pages of the file itself are damaged, whoever writes next replaces it by what can be read. Every method raises StoreError
    when the file can't be read or written (disk full, locked): nothing is half done then.
    """

    def __init__(self, path: Path, max_days: float = 7.0, max_bytes: int = 2_000_000_000, keep: JournalKeep = "newest") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = _open(path)
        self._max_days = max_days
        self._max_bytes = max_bytes
        self._keep = keep
        self._seen_damaged: set[int] = set()
        self._pages_damaged = False
        self._full = False

    @property
    def damaged(self) -> int:
        """How many batches this object found altered on the disk and skipped."""
        return len(self._seen_damaged)

    # ── the collector's side ──────────────────────────────────────────────────────────────────────────────────────────

    def append(self, readings: Readings) -> int:
        """Accepts the readings: they are on the disk when this returns. Gives the sequence of their (last) batch.

        Without readings nothing is written. A full journal that keeps the oldest does not take them: they are counted as lost.
        """
        if not len(readings):
            return self.last()
        pieces = [readings.take(slice(at, at + BATCH_READINGS)) for at in range(0, len(readings), BATCH_READINGS)]
        packed = [pack(piece) for piece in pieces]
        if self._keep == "oldest" and self._is_full():
            self._mended(lambda: self._refuse(len(pieces), len(readings)))
            return self.last()
        return self._mended(lambda: self._append(pieces, packed))

    def _append(self, pieces: list[Readings], packed: list[bytes]) -> int:
        with self._database.writing() as connection:
            totals = connection.execute("SELECT readings_total, bytes_total FROM batches ORDER BY sequence DESC LIMIT 1").fetchone()
            readings_total, bytes_total = totals or (0, 0)
            sequence = 0
            for piece, block in zip(pieces, packed, strict=True):
                readings_total += len(piece)
                bytes_total += len(block)
                row = (*_span(piece.measured_at), *_span(piece.received_at), len(piece), readings_total, bytes_total, block)
                sequence = connection.execute(_INSERT, row).lastrowid or 0
        return sequence

    # ── the consumers' side ───────────────────────────────────────────────────────────────────────────────────────────

    def read(self, after: int, max_readings: int = 200_000) -> tuple[int, Readings]:
        """The readings that arrived after the batch ``after``, in order of arrival, and the cursor to go on from.

        Whole batches: at least one, then as many as begin within ``max_readings``. When there are none: ``after`` and no readings.
        Damaged batches are skipped and counted; the cursor goes past them.
        """
        try:
            sequence, rows = self._rows_after(after, max_readings)
        except StoreError as error:
            if not is_damage(error):
                raise
            sequence, rows = self._rows_around_damage(after, max_readings)
        return sequence, Readings.concat(list(self._unpacked(rows)))

    def read_measured(self, after: int, points: NDArray[np.int32] | Sequence[int], from_ms: int, to_ms: int) -> Readings:
        """Readings of these points measured in [from_ms, to_ms) that arrived after the batch ``after``, in order of arrival."""
        wanted = np.unique(np.asarray(points, np.int32))
        statement = """SELECT sequence, packed FROM batches
            WHERE sequence > ? AND last_measured_at >= ? AND first_measured_at < ? ORDER BY sequence"""
        parts: list[Readings] = []
        with self._database.stepping(statement, (after, from_ms, to_ms)) as cursor:
            for batch in self._unpacked(cursor):
                inside = (batch.measured_at >= from_ms) & (batch.measured_at < to_ms) & np.isin(batch.point, wanted)
                parts.append(batch.take(inside))
        return Readings.concat(parts)

    def last(self) -> int:
        """The sequence of the newest batch; the number everything comes after where there is none yet."""
        return int(self._mended(lambda: self._database.rows("SELECT seq FROM sqlite_sequence WHERE name = 'batches'"))[0][0])

    def before_newest(self, readings: int) -> int:
        """The cursor after which about this many of the newest readings lie (whole batches, at least as many where there are)."""
        newest = self._database.rows("SELECT readings_total FROM batches ORDER BY sequence DESC LIMIT 1")
        first = self._database.rows("SELECT sequence FROM batches ORDER BY sequence LIMIT 1")
        if not newest:
            return self.last()
        low, high = first[0][0] - 1, self.last()  # sequences follow one another without gaps
        while high - low > 1:
            middle = (low + high) // 2
            total = self._database.rows("SELECT readings_total FROM batches WHERE sequence >= ? ORDER BY sequence LIMIT 1", (middle,))[0][0]
            low, high = (middle, high) if newest[0][0] - total >= readings else (low, middle)
        return int(low)

    def cursor(self, name: str) -> int:
        """Where this consumer stands: it has read up to and with this batch; 0 for one that never advanced."""
        rows = self._mended(lambda: self._database.rows("SELECT sequence FROM cursors WHERE name = ?", (name,)))
        return int(rows[0][0]) if rows else 0

    def cursors(self) -> dict[str, int]:
        """Every consumer that ever advanced, and where it stands."""
        return {name: sequence for name, sequence in self._cursor_rows() if _PLACE not in name}

    def places(self, name: str) -> dict[str, int]:
        """Where this consumer stood last with each of the places that it named when it advanced."""
        return {row.removeprefix(name + _PLACE): sequence for row, sequence in self._cursor_rows() if row.startswith(name + _PLACE)}

    def advance(self, name: str, sequence: int, place: str | None = None) -> None:
        """Remembers durably that this consumer is done up to and with this batch; a lower number makes it read again.

        ``place`` is for a consumer that carries readings to one of several places: where it stands is remembered for each.
        """
        rows = [(row, sequence) for row in ((name,) if place is None else (name, name + _PLACE + place))]

        def advance() -> None:
            with self._database.writing() as connection:
                connection.executemany(
                    "INSERT INTO cursors VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence", rows
                )

        self._mended(advance)

    def forget(self, name: str) -> None:
        """Removes a consumer that is no more, so that nothing is kept for it."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM cursors WHERE name = ?", (name,))

    # ── retention ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def prune(self, now_ms: int) -> Pruned:
        """Deletes the oldest batches: those older than ``max_days`` that every consumer has read; and, while the file holds more
        than ``max_bytes``, also younger ones, in the end (where it keeps the newest) even unread ones, which are counted as lost.

        The newest batch always stays. While no consumer has ever advanced, everything counts as unread. A file found damaged is
        replaced first.
        """
        if self._pages_damaged:
            self._rescue()
        pruned = self._mended(lambda: prune(self._database, now_ms, self._max_days, self._max_bytes, unread=self._keep == "newest"))
        if pruned.lost:
            _log.error("journal full: unread readings deleted", readings=pruned.lost, max_bytes=self._max_bytes)
        return pruned

    def lost(self) -> int:
        """How many readings were ever deleted before every consumer had read them, or not taken because the journal was full."""
        return int(self._mended(lambda: self._database.rows("SELECT readings FROM losses"))[0][0])

    def used_bytes(self) -> int:
        """How many bytes of the file hold something."""
        return used_bytes(self._database)

    def backlog(self, name: str) -> Backlog:
        """What this consumer has not read yet."""
        return self.backlog_after(self.cursor(name))

    def backlog_after(self, sequence: int) -> Backlog:
        """What came after this batch."""
        return backlog(self._database, sequence)

    def autonomy_h(self) -> float:
        """For how many more hours everything behind the journal may stay down before an unread reading is lost.

        The bytes that unread batches don't fill, divided by the recent inflow; infinite while there is none to judge by.
        """
        return autonomy_h(self._database, self._max_bytes)

    def close(self) -> None:
        """Gives the file back."""
        self._database.close()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_full(self) -> bool:
        """Whether there is no room, not even by deleting what everybody has read; told when it changes."""
        full = used_bytes(self._database) >= self._max_bytes
        if full:
            self._mended(lambda: prune(self._database, 0, self._max_days, self._max_bytes, unread=False))
            full = used_bytes(self._database) >= self._max_bytes
        if full and not self._full:
            _log.error("journal full: new readings are not taken", max_bytes=self._max_bytes)
        elif self._full and not full:
            _log.info("journal has room again", lost=self.lost())
        self._full = full
        return full

    def _refuse(self, batches: int, readings: int) -> None:
        with self._database.writing() as connection:
            connection.execute("UPDATE losses SET batches = batches + ?, readings = readings + ?", (batches, readings))

    def _mended(self, work: Callable[[], T]) -> T:
        """What ``work`` gives; a file that it finds damaged is replaced, and the work done again.

        Not for reading batches: what can't be read of them is passed over, and the writer replaces the file in its own time.
        """
        try:
            return work()
        except StoreError as error:
            if not is_damage(error):
                raise
            _log.error("journal: its file is damaged", path=str(self._database.path), reason=str(error))
        self._rescue()
        return work()

    def _rescue(self) -> None:
        """Replaces the file by what can be read of it, unless another process has done so meanwhile."""
        with self._database.alone():
            self._pages_damaged = False
            if self._database.sound():
                return
            found = rescue(self._database, _open)
        _log.error("journal: replaced by what could be read of it", path=str(self._database.path), **asdict(found))

    def _cursor_rows(self) -> list[tuple[str, int]]:
        return self._mended(lambda: self._database.rows("SELECT name, sequence FROM cursors ORDER BY name"))

    def _rows_after(self, after: int, max_readings: int) -> tuple[int, list[tuple[int, bytes]]]:
        rows: list[tuple[int, bytes]] = []
        found = 0
        statement = "SELECT sequence, readings, packed FROM batches WHERE sequence > ? ORDER BY sequence"
        with self._database.stepping(statement, (after,)) as cursor:
            for sequence, count, packed in cursor:
                rows.append((sequence, packed))
                found += count
                if found >= max_readings:
                    break
        return (rows[-1][0] if rows else after), rows

    def _rows_around_damage(self, after: int, max_readings: int) -> tuple[int, list[tuple[int, bytes]]]:
        """As ``_rows_after`` where pages of the file itself are damaged: each batch is asked for alone."""
        self._pages_damaged = True
        rows: list[tuple[int, bytes]] = []
        found = 0
        sequence = after or min(readable(self._database), default=self.last() + 1) - 1
        while sequence < self.last() and found < max_readings:
            sequence += 1
            try:
                row = self._database.rows("SELECT readings, packed FROM batches WHERE sequence = ?", (sequence,))
            except StoreError as error:
                self._note_damaged(sequence, error)
                continue
            if row:
                rows.append((sequence, row[0][1]))
                found += row[0][0]
        return sequence, rows

    def _unpacked(self, rows: Iterable[tuple[int, bytes]]) -> Iterator[Readings]:
        for sequence, packed in rows:
            try:
                yield unpack(packed)
            except DamagedError as error:
                self._note_damaged(sequence, error)

    def _note_damaged(self, sequence: int, reason: Exception) -> None:
        if sequence not in self._seen_damaged:
            self._seen_damaged.add(sequence)
            _log.error("journal: damaged batch skipped", path=str(self._database.path), sequence=sequence, reason=str(reason))


def _open(path: Path) -> Database:
    layout = [statement.replace("{made_at}", str(time.time_ns() // 1_000_000)) for statement in _LAYOUT]
    return Database(path, layout, _VERSION, page_bytes=_PAGE_BYTES, guarded=True)


def _span(column: NDArray[np.int64]) -> tuple[int, int]:
    return int(column.min()), int(column.max())


def open_journal(site: Site) -> Journal:
    """The site's journal, with the retention that its settings name."""
    return Journal(site.data / "journal.db", site.stores.journal_days, site.stores.journal_bytes, site.stores.journal_keep)

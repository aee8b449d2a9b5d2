"""One SQLite file as the stores use it: WAL, every commit on the disk, many processes at once."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import finalize

from domain.errors import StoreError

BUSY_S = 30.0
_PAUSE_S = 0.01


def only_read(path: Path) -> str:
    """The address of a file that can be read and not written, such as one on a backup's medium; empty for one that can be written.

    SQLite wants to write beside each file that it reads, unless it is told that nobody else changes it: so it is where nobody has it
    open. Raises StoreError where there is no such file.
    """
    folder = path.absolute().parent
    # Whether it exists is asked first: one that another process makes meanwhile is there, and may be written, when that is asked.
    if not folder.is_dir() or (os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))):
        return ""
    if not path.is_file():
        raise StoreError(f"{path}: there is none, and none can be made here: permission denied")
    log, index = (path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm"))
    pending = log.exists() and log.stat().st_size > 0
    if pending and not index.exists():
        raise StoreError(f"{path}: its last changes stand in {log.name} and can't be read where nobody may write: copy both elsewhere")
    return f"{path.absolute().as_uri()}?{'mode=ro' if pending or index.exists() else 'immutable=1'}"


class Database:
    """A connection to one file, safe for the threads of one process; other processes open the file for themselves.

    ``layout`` are the statements that make the tables of a new file, ``version`` is the number of that layout. A ``guarded`` file may
    be replaced as a whole (``replace``): its writers tell each other by a lock file beside it. Every method raises StoreError where
    SQLite can't do what is asked (disk full, locked for too long, damaged).
    """

    def __init__(self, path: Path, layout: Sequence[str], version: int, *, page_bytes: int = 4096, guarded: bool = False) -> None:
        self.path = path
        self.lock = RLock()
        read_at = only_read(path)
        self._guard = self._open_guard() if guarded and not read_at else None
        self._unguard = finalize(self, os.close, self._guard) if self._guard is not None else None
        with self._errors():
            self._connection = sqlite3.connect(
                read_at or path, uri=bool(read_at), timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
        try:
            if not read_at:
                self._settings(page_bytes)
            self._lay_out(layout, version)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's write lock from its start; on the disk when the block ends, undone when it fails."""
        with self.lock, self._errors(), self._guarding(fcntl.LOCK_SH):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows that one statement finds."""
        with self.lock, self._errors():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def stepping(self, statement: str, values: Sequence[Any] = ()) -> Iterator[sqlite3.Cursor]:
        """The rows of one statement, fetched one by one: for rows too large to hold all at once."""
        with self.lock, self._errors():
            cursor = self._connection.execute(statement, values)
            try:
                yield cursor
            finally:
                cursor.close()

    def sound(self) -> bool:
        """Whether SQLite finds the file's pages in order: all of them are looked at."""
        try:
            return self.rows("PRAGMA quick_check(1)") == [("ok",)]
        except StoreError as error:
            if is_damage(error):
                return False
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While no process writes to the (guarded) file: theirs wait."""
        with self.lock, self._guarding(fcntl.LOCK_EX):
            yield

    def replace(self, other: "Database") -> None:
        """Takes over the whole content of another file, all or nothing, under the eyes of everybody who has this one open.

        Whatever was in this file's pages does not matter, but for the first.
        """
        with self.lock, self._errors():
            other._connection.backup(self._connection)  # noqa: SLF001 - of this very class

    def close(self) -> None:
        """Gives the file back."""
        with self.lock:
            self._connection.close()
            if self._unguard is not None:
                self._unguard()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _open_guard(self) -> int:
        try:
            return os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{self.path}: {error}") from error

    @contextmanager
    def _guarding(self, how: int) -> Iterator[None]:
        if self._guard is None:
            yield
            return
        fcntl.flock(self._guard, how)
        try:
            yield
        finally:
            fcntl.flock(self._guard, fcntl.LOCK_UN)

    def _settings(self, page_bytes: int) -> None:
        with self._errors():
            self._connection.execute(f"PRAGMA page_size = {page_bytes}")  # heeded by a new file only
        # SQLite does not wait for the busy timeout when two processes turn a new file to WAL at once.
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise StoreError(f"{self.path}: {error}") from error
                time.sleep(_PAUSE_S)
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {error}") from error
        with self._errors():
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = OFF")

    def _lay_out(self, layout: Sequence[str], version: int) -> None:
        if self._version() == version:
            return
        with self.writing() as connection:
            found = self._version()
            if found not in {0, version}:
                raise StoreError(f"{self.path}: its layout is {found}, this version of Keepwarm knows {version}")
            if found == 0:
                for statement in layout:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version}")

    def _version(self) -> int:
        return int(self.rows("PRAGMA user_version")[0][0])


def is_damage(error: StoreError) -> bool:
    """Whether SQLite found pages of the file altered, rather than being unable to do something just now."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

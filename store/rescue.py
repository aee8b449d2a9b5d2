"""A journal whose file is damaged goes on with everything of it that can be read: same batches, same numbers, same places of consumers.

damaged file ─▶ batches that can be read, one by one around the damage ─▶ a new file ─▶ in the place of the old content
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.errors import StoreError
from store.packing import DamagedError, check
from store.sqlite import Database, is_damage

COLUMNS: Final = (
    "sequence",
    "first_measured_at",
    "last_measured_at",
    "first_received_at",
    "last_received_at",
    "readings",
    "readings_total",
    "bytes_total",
    "packed",
)
_LIST: Final = ", ".join(COLUMNS)
_INSERT: Final = f"INSERT INTO batches ({_LIST}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - our own words
_AT_ONCE: Final = 200
_BEYOND: Final = 2_000  # numbers tried in vain before the search ends, where the file no longer says how far they go


@dataclass(frozen=True)
class Rescued:
    """What was saved, and what was not: batches and readings that some consumer had not read yet count as ``lost_readings``."""

    batches: int
    lost_batches: int
    lost_readings: int


def rescue(damaged: Database, make: Callable[[Path], Database]) -> Rescued:
    """Replaces the content of a damaged journal by what can be read of it; ``make`` opens a new, empty journal file.

    Nobody may write to it meanwhile (``Database.alone``). Raises StoreError when that can't be done; the file is then as it was.
    """
    path = damaged.path.with_name(f"{damaged.path.name}.rescue")
    _remove(path)
    fresh = make(path)
    try:
        found = _copy(damaged, fresh)
        damaged.replace(fresh)
    finally:
        fresh.close()
        _remove(path)
    return found


def _copy(damaged: Database, fresh: Database) -> Rescued:
    cursors = _rows(damaged, "SELECT name, sequence FROM cursors")
    read = min((sequence for name, sequence in cursors if "@" not in name), default=0)
    losses = _rows(damaged, "SELECT batches, readings FROM losses") or [(0, 0)]
    saved = lost_batches = lost_readings = 0
    last = total = None
    for rows in _in_portions(_batches(damaged)):
        with fresh.writing() as connection:
            connection.executemany(_INSERT, rows)
        for row in rows:
            sequence, before = row[0], row[6] - row[5]
            if last is not None and total is not None and sequence > last + 1 and sequence - 1 > read:
                lost_batches += sequence - 1 - max(last, read)
                lost_readings += max(0, before - total)
            last, total = sequence, row[6]
            saved += 1
    with fresh.writing() as connection:
        connection.executemany("INSERT INTO cursors VALUES (?, ?)", cursors)
        connection.execute("UPDATE losses SET batches = ?, readings = ?", (losses[0][0] + lost_batches, losses[0][1] + lost_readings))
        # Numbers go on behind all that were ever given; where the file no longer tells, behind any that it can have given by now.
        told = _last_given(damaged)
        given = max([told, last or 0, *(sequence for _, sequence in cursors)])
        connection.execute("UPDATE sqlite_sequence SET seq = max(?, iif(?, 0, seq)) WHERE name = 'batches'", (given, bool(told)))
    return Rescued(saved, lost_batches, lost_readings)


def readable(database: Database) -> list[int]:
    """The numbers of the batches in a damaged file that can still be found, in order.

    From both ends as far as pages are sound, then one by one in between; where an end itself is damaged, from the other one on until
    nothing more turns up.
    """
    up, sound = _run(database, "SELECT sequence FROM batches WHERE sequence > ? ORDER BY sequence LIMIT ?", 0)
    if sound:
        return up
    down, _ = _run(database, "SELECT sequence FROM batches WHERE sequence < ? ORDER BY sequence DESC LIMIT ?", 2**63 - 1)
    if up and down:
        between = (sequence for sequence in range(up[-1] + 1, down[-1]) if _there(database, sequence))
        return [*up, *between, *reversed(down)]
    if up:
        return [*up, *_further(database, up[-1], 1)]
    start = down[-1] if down else _last_given(database) + 1
    return [*reversed(_further(database, start, -1)), *reversed(down)]


def _run(database: Database, statement: str, start: int) -> tuple[list[int], bool]:
    """The numbers that one statement finds from ``start`` on, and whether it came to the end without meeting damage."""
    found: list[int] = []
    while True:
        try:
            rows = database.rows(statement, (found[-1] if found else start, _AT_ONCE))
        except StoreError as error:
            if not is_damage(error):
                raise
            return found, False
        if not rows:
            return found, True
        found += [row[0] for row in rows]


def _further(database: Database, start: int, step: int) -> list[int]:
    """The numbers beyond ``start`` that are there, each tried by itself, until many in a row are not."""
    found, sequence, misses = [], start, 0
    while misses < _BEYOND and sequence + step > 0:
        sequence += step
        misses = 0 if _there(database, sequence) else misses + 1
        if not misses:
            found.append(sequence)
    return found


def _there(database: Database, sequence: int) -> bool:
    return bool(_rows(database, "SELECT 1 FROM batches WHERE sequence = ?", (sequence,)))


def _batches(damaged: Database) -> Iterator[tuple[Any, ...]]:
    """Every batch that can be read and is sound, in order."""
    for sequence in readable(damaged):
        for row in _rows(damaged, f"SELECT {_LIST} FROM batches WHERE sequence = ?", (sequence,)):  # noqa: S608 - our own words
            if _sound(row):
                yield row


def _sound(row: tuple[Any, ...]) -> bool:
    try:
        check(row[-1])
    except (DamagedError, TypeError):
        return False
    return all(isinstance(number, int) for number in row[:-1])


def _last_given(damaged: Database) -> int:
    found = _rows(damaged, "SELECT seq FROM sqlite_sequence WHERE name = 'batches'")
    return int(found[0][0]) if found and isinstance(found[0][0], int) else 0


def _rows(database: Database, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
    """The rows that a statement finds; none where their pages are damaged."""
    try:
        return database.rows(statement, values)
    except StoreError as error:
        if not is_damage(error):
            raise
        return []


def _in_portions(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    portion: list[tuple[Any, ...]] = []
    for row in rows:
        portion.append(row)
        if len(portion) >= _AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion


def _remove(path: Path) -> None:
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}.lock")):
        name.unlink(missing_ok=True)

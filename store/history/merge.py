"""Merging small files of a day into larger ones, without ever holding a day in memory."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from domain.reading import Readings
from store.duplicates import resolve
from store.history.part_file import Footer, PartReader, write_part
from store.history.parts import Part, part_path, parts_in, superseded

FAN = 8  # so many files of a size become one: each reading is written again log₈ times in all
_SMALL_ROWS = 1_000
_AT_ONCE = 200_000  # readings held in memory
_ABANDONED_S = 3_600.0  # no file takes that long to write


class DamagedPartError(Exception):
    """A file that can't be read; ``part`` says which."""

    def __init__(self, part: Part, reason: Exception) -> None:
        super().__init__(f"{part.path}: {reason}")
        self.part = part


def due(rows: Sequence[int], *, finished: bool) -> slice | None:
    """Which neighbouring files, of so many rows each in order of writing, should be merged into one now; None for none.

    Of a ``finished`` day all; otherwise ``FAN`` or more of one order of size, with smaller ones that lie between them. A large file
    is never written again for the sake of a few small ones.
    """
    if finished:
        return slice(0, len(rows)) if len(rows) > 1 else None
    levels = [0 if count < _SMALL_ROWS else int(math.log(count / _SMALL_ROWS, FAN)) for count in rows]
    for level in sorted(set(levels)):
        start = 0
        for at, found in enumerate([*levels, level + 1]):
            if found > level:
                if levels[start:at].count(level) >= FAN:
                    return slice(start, at)
                start = at + 1
    return None


def part_rows(part: Part, reader: PartReader) -> int:
    """How many readings this file holds. Raises DamagedPartError when it can't be read."""
    return int(_footer(reader, part).rows.sum())


def merge(run: Sequence[Part], reader: PartReader, name: Callable[[int], str]) -> None:
    """Writes one file that stands for these neighbours. They stay until ``sweep``: readers may have listed them.

    Raises DamagedPartError for a file that can't be read, OSError when the disk does not take the new one.
    """
    target = part_path(run[0].path.parent, run[0].first, run[-1].last)
    write_part(target, _merged(run, reader), name)


def sweep(folder: Path, grace_s: float) -> None:
    """Removes the files for which another has stood for at least ``grace_s`` wall seconds, and what killed writers left behind."""
    for old, instead in superseded(parts_in(folder)):
        if _age_s(instead.path) >= grace_s:
            old.path.unlink(missing_ok=True)
    for abandoned in folder.glob(".*.tmp"):
        if _age_s(abandoned) >= _ABANDONED_S:
            abandoned.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    """Wall seconds since the file was written; −1 when it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return -1.0


def _merged(run: Sequence[Part], reader: PartReader) -> Iterator[Readings]:
    first = -(2**31)
    for last in cuts(run, reader):
        # In order of writing: of two readings received at one moment the later row counts.
        yield resolve(Readings.concat([span_of(reader, part, first, last) for part in run]))
        first = last + 1


def cuts(run: Sequence[Part], reader: PartReader) -> list[int]:
    """The last point of each stretch of points that holds about as many readings as fit in memory."""
    footers = [_footer(reader, part) for part in run]
    if not footers:
        return []
    last_point = np.concatenate([footer.last_point for footer in footers])
    rows = np.concatenate([footer.rows for footer in footers])
    order = np.argsort(last_point, kind="stable")
    stretch = np.cumsum(rows[order]) // _AT_ONCE
    last_point = last_point[order]
    cuts = last_point[np.append(stretch[1:] != stretch[:-1], True)]
    return [int(cut) for cut in np.unique(cuts)]


def _footer(reader: PartReader, part: Part) -> Footer:
    try:
        return reader.footer(part.path)
    except (OSError, pa.ArrowException) as error:
        raise DamagedPartError(part, error) from error


def span_of(reader: PartReader, part: Part, first_point: int, last_point: int) -> Readings:
    """The file's readings of the points from ``first_point`` to ``last_point``. Raises DamagedPartError when it can't be read."""
    try:
        return reader.read_span(part.path, first_point, last_point)
    except (OSError, pa.ArrowException) as error:
        raise DamagedPartError(part, error) from error

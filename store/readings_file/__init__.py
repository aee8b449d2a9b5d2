"""Readings files (architecture.md): CSV, gzipped CSV or Parquet ⇄ names of points and columns of readings.

file ─▶ header ─▶ columns by Arrow ─▶ Readings        every file that is as it should be
                     └ anything odd ─▶ row by row     finds line, column and value of a mistake, or reads it all the same
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from domain.errors import ConfigError, Mistake
from domain.reading import Readings
from store.readings_file.csv_file import Piece, Source, csv_pieces, read_csv
from store.readings_file.on_disk import on_disk
from store.readings_file.parquet_file import parquet_pieces, read_parquet

__all__ = ["Piece", "read_pieces", "read_readings"]


def read_readings(paths: Sequence[Path], *, assume_timezone: ZoneInfo | None = None) -> tuple[list[str], Readings]:
    """The names of the points and the readings of these files, in the order of files and rows; ``point`` is an index of the names.

    An empty or non-finite value has the quality ``NOT_A_NUMBER`` unless the file calls it bad itself; an empty ``received_at`` is
    ``measured_at``. A time without offset is read in ``assume_timezone``.
    Raises ConfigError for a file that can't be read, and for the first cell that is not what it should be.
    """
    number: dict[str, int] = {}
    parts = []
    for path in paths:
        names, part = _read_file(path, assume_timezone)
        if len(paths) == 1:
            return names, part
        index = np.array([number.setdefault(name, len(number)) for name in names], np.int32)
        parts.append(Readings(index[part.point], part.measured_at, part.received_at, part.value, part.quality))
    return list(number), Readings.concat(parts)


def read_pieces(path: Path, *, assume_timezone: ZoneInfo | None = None) -> Iterator[Piece]:
    """One file as ``read_readings`` reads it, a stretch after the other in constant memory; each has names of its own.

    Raises ConfigError when it comes to the mistake.
    """
    shown = str(path)
    path = on_disk(path)
    source = _source(path, shown)
    if source is None:
        yield from parquet_pieces(path, shown, assume_timezone)
        return
    with _ends_named(shown):
        yield from csv_pieces(source, shown, assume_timezone)


def _read_file(path: Path, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    shown = str(path)
    path = on_disk(path)
    source = _source(path, shown)
    if source is None:
        return read_parquet(path, shown, zone)
    with _ends_named(shown):
        return read_csv(source, shown, zone)


def _source(path: Path, shown: str) -> Source | None:
    """The file's text; None where it is Parquet. Raises ConfigError where it is neither, or can't be read."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        fault = {FileNotFoundError: "no such file", IsADirectoryError: "a folder; a file belongs here"}.get(type(error))
        raise ConfigError(Mistake(shown, fault or f"can't be read: {(error.strerror or str(error)).lower()}")) from error
    if start == b"PAR1":
        return None
    if start == b"PK\x03\x04":
        raise ConfigError(Mistake(shown, "a workbook or archive; readings are CSV, gzipped CSV or Parquet"))
    return Source(path, gzipped=start.startswith(b"\x1f\x8b"))


@contextmanager
def _ends_named(shown: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(Mistake(shown, f"can't be read to its end: {str(error).lower()}")) from error

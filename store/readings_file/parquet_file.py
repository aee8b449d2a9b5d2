"""Readings in Parquet."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import ConfigError, Mistake
from domain.reading import Quality, Readings
from store.readings_file.columns import ARROW_ERRORS, OddError, check_columns, from_columns
from store.readings_file.csv_file import Piece
from store.readings_file.rows import from_rows

_INDEX = re.compile(r"__index_level_\d+__")  # what pandas adds of a table that was sorted or filtered; it is nobody's
_ROWS_AT_ONCE = 250_000
_READ_AT_ONCE = 1 << 20


def read_parquet(path: Path, shown: str, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    """Names and readings of one file; ``shown`` is its name in messages.

    Raises ConfigError for the first mistake.
    """
    number: dict[str, int] = {}
    with _damage_named(shown), _open(path, shown) as file:
        whole = _room_for(file.metadata.num_rows, received="received_at" in file.schema_arrow.names)
        given = 0
        for group in range(file.metadata.num_row_groups):
            for batch in file.iter_batches(_READ_AT_ONCE, row_groups=[group]):
                names, part = _readings(pa.Table.from_batches([batch]), shown, zone, given)
                _put(part, np.array([number.setdefault(name, len(number)) for name in names], np.int32), whole, given)
                given += len(part)
    return list(number), whole


def _room_for(rows: int, *, received: bool) -> Readings:
    """Readings to be filled in: one piece of memory a column, and none twice."""
    measured_at = np.empty(rows, np.int64)
    received_at = np.empty(rows, np.int64) if received else measured_at
    return Readings(np.empty(rows, np.int32), measured_at, received_at, np.empty(rows, np.float64), np.zeros(rows, np.uint8))


def _put(part: Readings, index: NDArray[np.int32], whole: Readings, row: int) -> None:
    """Fills a part in from this row on; ``index`` gives the whole's point for each of the part's."""
    rows = slice(row, row + len(part))
    whole.point[rows] = index[part.point]
    whole.measured_at[rows] = part.measured_at
    if whole.received_at is not whole.measured_at:
        whole.received_at[rows] = part.received_at
    whole.value[rows] = part.value
    if part.quality.any():
        whole.quality[rows] = part.quality


def parquet_pieces(path: Path, shown: str, zone: ZoneInfo | None) -> Iterator[Piece]:
    """The same, a stretch after the other: never more than a row group is held.

    Raises ConfigError when it comes to the mistake.
    """
    given = 0
    with _damage_named(shown), _open(path, shown) as file:
        for group in range(file.metadata.num_row_groups):  # asked for all at once, it holds on to those it has given
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], use_threads=False):
                names, readings = _readings(pa.Table.from_batches([batch]), shown, zone, given)
                given += len(readings)
                yield Piece(names, readings, given / file.metadata.num_rows)


def _open(path: Path, shown: str) -> Any:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, read_dictionary=["point"])  # a name for each row would be written out only to be looked up again
    check_columns([name for name in file.schema_arrow.names if not _INDEX.fullmatch(name)], shown, None)
    return file


@contextmanager
def _damage_named(shown: str) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, *ARROW_ERRORS) as error:  # the former of the columns' names
        raise ConfigError(Mistake(shown, f"a damaged Parquet file: {' '.join(str(error).split())}")) from error


def _readings(table: pa.Table, shown: str, zone: ZoneInfo | None, given: int = 0) -> tuple[list[str], Readings]:
    """Names and readings of a table that comes after ``given`` rows of its file."""
    try:
        return from_columns(table, zone)
    except (OddError, UnicodeDecodeError, *ARROW_ERRORS):
        pass
    try:
        return from_rows(_parquet_rows(table, given), shown, zone)
    except UnicodeDecodeError as error:
        raise ConfigError(Mistake(shown, "a damaged Parquet file: it holds text that is not UTF-8")) from error


def _parquet_rows(table: pa.Table, row: int) -> Iterator[tuple[str, dict[str, str]]]:
    for batch in table.to_batches(max_chunksize=10_000):
        for record in batch.to_pylist():
            row += 1
            yield f"row {row}", {name: _text(name, value) for name, value in record.items()}


def _text(column: str, value: object) -> str:
    """A value of a Parquet file as it would stand in a CSV file."""
    if value is None:
        return ""
    if column == "quality" and isinstance(value, int) and value in set(Quality):
        return Quality(value).name
    return value.isoformat() if isinstance(value, datetime) else str(value)

"""Arrow columns → readings, without a look at single rows."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import ConfigError, Mistake
from domain.reading import FIRST_BAD, Quality, Readings
from store.readings_file.rows import QUALITIES, is_point, one_blank
from store.site_folder.instants import EARLIEST_MS, LATEST_MS
from store.site_folder.suggestion import nearest
from store.site_folder.table import Columns

COLUMNS = Columns(("point", "measured_at", "value"), ("quality", "received_at"))
_ROWS_AT_ONCE = 1 << 17
ARROW_ERRORS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError, OSError, EOFError, zlib.error)


_NUMBERS = {
    "double": "f8", "float": "f4", "halffloat": "f2", "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8",
}  # fmt: skip


class OddError(Exception):
    """The columns hold something that only a look at the rows can judge."""


def check_columns(columns: Sequence[str], shown: str, line: int | None = 1) -> None:
    """Raises ConfigError unless these are the columns of readings; ``line`` is where they are named."""
    mistakes = []
    for position, name in enumerate(columns):
        if name not in COLUMNS.all:
            missing = [column for column in COLUMNS.all if column not in columns]
            mistakes.append(Mistake(shown, f"unknown column; {nearest(name, missing or COLUMNS.all)}", line=line, key=name or "column"))
        elif name in columns[:position]:
            mistakes.append(Mistake(shown, "this column stands here twice; one must go", line=line, key=name))
    remedy = f"this column is missing; the columns are {','.join(COLUMNS.all)}"
    mistakes.extend(Mistake(shown, remedy, line=line, key=name) for name in COLUMNS.required if name not in columns)
    if mistakes:
        raise ConfigError(*mistakes)


def from_columns(table: pa.Table, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    """Names and readings of a table.

    Raises OddError, or one of Arrow's errors, where a look at the rows is needed.
    """
    names, point = _occurring(*_dictionary(table.column("point")))
    for name in names:
        _odd_unless(is_point(name) and name == one_blank(name))
    measured = table.column("measured_at")
    _odd_unless(measured.null_count == 0)
    measured_at = received_at = _instants(measured, zone)
    if "received_at" in table.column_names:
        received = table.column("received_at")
        given = _present(received)
        received_at = measured_at.copy()
        received_at[given] = _instants(received, zone)
    value = _numbers(table.column("value"))
    quality = _qualities(table, len(value))
    quality[~np.isfinite(value) & (quality < FIRST_BAD)] = Quality.NOT_A_NUMBER
    return names, Readings(point, measured_at, received_at, value, quality)


# Arrow's own to_numpy, to_pylist and cast load pandas or its compute functions, either of which takes longer than to judge
# 100 000 readings: the buffers are read as they are.


def _buffer(column: pa.ChunkedArray, kind: str) -> NDArray[Any]:
    """The column's values as they lie in memory, anything where it is null."""
    parts = [
        np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * np.dtype(kind).itemsize) for chunk in column.chunks if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _present(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which rows are not null."""
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    bits = [
        np.ones(len(chunk), np.uint8)
        if chunk.buffers()[0] is None
        else np.unpackbits(np.frombuffer(chunk.buffers()[0], np.uint8), bitorder="little")[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
    ]
    return np.concatenate(bits).astype(np.bool_)


def _dictionary(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int32]]:
    """The different texts of a column, null as empty, and for each row the index of its own."""
    if not pa.types.is_dictionary(column.type):
        _odd_unless(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
        column = column.dictionary_encode()
    if not len(column):
        return [], np.empty(0, np.int32)
    column = column.unify_dictionaries()
    _odd_unless(str(column.type.value_type) in ("string", "large_string") and str(column.type.index_type) in _NUMBERS)
    names = [name.as_py() for name in column.chunk(0).dictionary]
    index = _buffer(column, _NUMBERS[str(column.type.index_type)]).astype(np.int32, copy=False)
    if column.null_count:
        names.append("")
        index[~_present(column)] = len(names) - 1
    return names, index


def _occurring(names: list[str], index: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """Without the texts that no row has: the dictionary of a Parquet file may name more, and a point named is one measured."""
    occurs = np.zeros(len(names), np.bool_)
    for row in range(0, len(index), _ROWS_AT_ONCE):  # numpy turns indices into its own kind first: never all of them at once
        occurs[index[row : row + _ROWS_AT_ONCE]] = True
    if occurs.all():
        return names, index
    number = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    return [name for name, kept in zip(names, occurs.tolist(), strict=True) if kept], number[index]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of numbers, NaN where it is null."""
    kind = str(column.type)
    numbers = _buffer(column, _NUMBERS[kind]) if kind in _NUMBERS else _buffer(column.cast(pa.float64()), "f8")
    numbers = numbers.astype(np.float64, copy=False)
    if column.null_count:
        numbers[~_present(column)] = np.nan
    return numbers


def _instants(column: pa.ChunkedArray, zone: ZoneInfo | None) -> NDArray[np.int64]:
    """A column of times in UTC milliseconds, those that are null left out."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.timestamp("ns", "UTC"))
    instants = _timestamps(column, zone) if pa.types.is_timestamp(column.type) else _epoch_seconds(column)
    _odd_unless(len(instants) == 0 or (int(instants.min()) >= EARLIEST_MS and int(instants.max()) < LATEST_MS))
    return instants


def _timestamps(column: pa.ChunkedArray, zone: ZoneInfo | None) -> NDArray[np.int64]:
    ticks = _buffer(column, "i8")
    if column.null_count:
        ticks = ticks[_present(column)]
    per_s = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[column.type.unit]
    instants = ticks if per_s == 1000 else ticks * (1000 // per_s) if per_s < 1000 else (ticks + per_s // 2000) // (per_s // 1000)
    if column.type.tz is not None or not len(instants):
        return instants
    if zone is None:
        raise OddError
    return _localised(instants, zone)


def _epoch_seconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    _odd_unless(str(column.type) in _NUMBERS)
    seconds = _numbers(column)[_present(column)]
    _odd_unless(bool(np.all(np.abs(seconds) < LATEST_MS / 1000)))
    return np.asarray(np.rint(seconds * 1000), np.int64)


def _localised(local_ms: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """UTC milliseconds of local times. Zones change their offset at whole minutes, so each minute is looked up once."""
    minutes, which = np.unique(local_ms // 60_000, return_inverse=True)
    offsets = []
    for minute in minutes.tolist():
        _odd_unless(EARLIEST_MS <= minute * 60_000 < LATEST_MS)
        local = datetime.fromtimestamp(minute * 60, UTC).replace(tzinfo=zone)
        offsets.append(round((local.utcoffset() or timedelta()).total_seconds() * 1000))
    return local_ms - np.array(offsets, np.int64)[which]


def _qualities(table: pa.Table, rows: int) -> NDArray[np.uint8]:
    if "quality" not in table.column_names:
        return np.zeros(rows, np.uint8)
    column = table.column("quality")
    if str(column.type) in _NUMBERS:
        numbers = _numbers(column)
        numbers[np.isnan(numbers)] = Quality.GOOD
        _odd_unless(bool(np.isin(numbers, [int(quality) for quality in Quality]).all()))
        return numbers.astype(np.uint8)
    words, which = _dictionary(column)
    codes = [QUALITIES.get(word.strip().lower()) for word in words]
    _odd_unless(None not in codes)
    return np.array(codes, np.uint8)[which]


def _odd_unless(holds: bool) -> None:
    if not holds:
        raise OddError

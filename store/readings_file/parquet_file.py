"""Readings in Parquet."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from domain.errors import ConfigError, Mistake
from domain.reading import Quality, Readings
from store.readings_file.columns import ARROW_ERRORS, OddError, check_columns, from_columns
from store.readings_file.rows import from_rows


def read_parquet(path: Path, shown: str, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    """Names and readings of one file; ``shown`` is its name in messages.

    Raises ConfigError for the first mistake.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        check_columns(file.schema_arrow.names, shown, None)
        table = file.read()
    except ARROW_ERRORS as error:
        raise ConfigError(Mistake(shown, f"a damaged Parquet file: {' '.join(str(error).split())}")) from error
    try:
        return from_columns(table, zone)
    except (OddError, UnicodeDecodeError, *ARROW_ERRORS):
        pass
    try:
        return from_rows(_parquet_rows(table), shown, zone)
    except UnicodeDecodeError as error:
        raise ConfigError(Mistake(shown, "a damaged Parquet file: it holds text that is not UTF-8")) from error


def _parquet_rows(table: pa.Table) -> Iterator[tuple[str, dict[str, str]]]:
    row = 0
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

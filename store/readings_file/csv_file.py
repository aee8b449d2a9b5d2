"""Readings in CSV, in any encoding that a spreadsheet program writes."""

import io
import re
from collections.abc import Iterable, Iterator
from gzip import GzipFile
from pathlib import Path
from typing import IO, NamedTuple, cast
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.csv as pacsv

from domain.errors import ConfigError, Mistake
from domain.reading import Readings
from store.readings_file.columns import ARROW_ERRORS, COLUMNS, OddError, check_columns, from_columns
from store.readings_file.rows import from_rows
from store.site_folder.cells import NUMBER
from store.site_folder.encoding import MARKED, decode
from store.site_folder.table import csv_lines, delimiter_of

_OFFSET = re.compile(r"(Z|[+-]\d{2}(:?\d{2})?)$", re.IGNORECASE)
_SAMPLE_BYTES = 1 << 16
_BLOCK_BYTES = 8 << 20


class Source(NamedTuple):
    """Where the bytes of a file come from: from disk, through gzip, or (``content``) from memory."""

    path: Path
    gzipped: bool = False
    content: bytes | None = None

    def open(self) -> IO[bytes]:
        """The bytes from the start."""
        if self.content is not None:
            return io.BytesIO(self.content)
        return cast("IO[bytes]", GzipFile(self.path)) if self.gzipped else self.path.open("rb")

    def open_for_arrow(self) -> pa.NativeFile:
        """The bytes from the start, by Arrow's own means.

        2026-11: pyarrow 26 reading a Python file in threads aborts the process at exit, about once in fifty runs.
        """
        if self.content is not None:
            return pa.BufferReader(self.content)
        return pa.input_stream(str(self.path), compression="gzip" if self.gzipped else None)


class _Header(NamedTuple):
    """The columns of a CSV file, its delimiter, and the first cell of each column that is not empty."""

    columns: list[str]
    delimiter: str
    samples: dict[str, str]


def read_csv(source: Source, shown: str, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    """Names and readings of one file; ``shown`` is its name in messages.

    Raises ConfigError for the first mistake, OSError, EOFError or zlib.error where the bytes themselves can't be had.
    """
    with source.open() as stream:
        sample = stream.read(_SAMPLE_BYTES)
    if sample.startswith(MARKED):
        return _read_text(source, shown, zone)
    header = _header(sample.decode("utf-8-sig", "replace"), shown)
    try:
        return from_columns(_csv_table(source, header), zone)
    except (OddError, *ARROW_ERRORS):
        if not _is_utf_8(source):
            return _read_text(source, shown, zone)
        with io.TextIOWrapper(source.open(), "utf-8-sig", newline="") as lines:
            return from_rows(_csv_rows(lines, header, shown), shown, zone)


def _read_text(source: Source, shown: str, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    """A file in another encoding, as if it had been saved in UTF-8."""
    with source.open() as stream:
        content = decode(stream.read(), shown).encode()
    return read_csv(source._replace(content=content), shown, zone)


def _is_utf_8(source: Source) -> bool:
    try:
        with io.TextIOWrapper(source.open(), "utf-8", newline="") as lines:
            while lines.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _header(sample: str, shown: str) -> _Header:
    lines = [line for line in sample.splitlines() if line.strip()]
    if not lines:
        raise ConfigError(Mistake(shown, f"the file is empty; its first line names the columns: {','.join(COLUMNS.all)}"))
    delimiter = delimiter_of(lines[0])
    rows = csv_lines(lines[:200], delimiter, shown)
    _, columns = next(rows)
    check_columns(columns, shown)
    samples: dict[str, str] = {}
    try:
        for _, cells in rows:
            for column, cell in zip(columns, cells, strict=False):
                if cell:
                    samples.setdefault(column, cell)
    except ConfigError:
        pass  # the row by row reading will find and name it
    return _Header(columns, delimiter, samples)


def _csv_table(source: Source, header: _Header) -> pa.Table:
    types = {"point": pa.dictionary(pa.int32(), pa.string()), "quality": pa.dictionary(pa.int32(), pa.string()), "value": pa.float64()}
    types |= {name: _time_type(header.samples.get(name, "")) for name in ("measured_at", "received_at")}
    with source.open_for_arrow() as stream:
        return pacsv.read_csv(
            stream,
            read_options=pacsv.ReadOptions(column_names=header.columns, skip_rows=1, block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(delimiter=header.delimiter),
            convert_options=pacsv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )


def _time_type(sample: str) -> pa.DataType:
    """How Arrow shall read a column of times whose first cell is this."""
    if NUMBER.fullmatch(sample):
        return pa.float64()
    return pa.timestamp("ns", "UTC") if not sample or _OFFSET.search(sample[10:]) else pa.timestamp("ns")


def _csv_rows(lines: Iterable[str], header: _Header, shown: str) -> Iterator[tuple[int, dict[str, str]]]:
    rows = (row for row in csv_lines(lines, header.delimiter, shown) if any(row[1]))
    next(rows)
    for line, cells in rows:
        if len(cells) != len(header.columns):
            fault = f"{len(cells)} cells where the header names {len(header.columns)} columns"
            raise ConfigError(Mistake(shown, fault, line=line))
        yield line, dict(zip(header.columns, cells, strict=True))

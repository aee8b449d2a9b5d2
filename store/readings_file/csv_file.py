"""Readings in CSV, in any encoding that a spreadsheet program writes."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from gzip import GzipFile
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast
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
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SAMPLE_BYTES = 1 << 16
_BLOCK_BYTES = 8 << 20
_PIECE_BYTES = 1 << 20  # of the file at a time; Arrow reads up to 32 of them ahead
_ROWS_AT_ONCE = 50_000


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
        return self.open_with_share()[0]

    def open_with_share(self) -> tuple[pa.NativeFile, Callable[[], float]]:
        """The same, and what tells how much of it has been read (0 to 1)."""
        raw = pa.OSFile(str(self.path)) if self.content is None else pa.BufferReader(self.content)
        size = max(1, raw.size())
        gzipped = self.gzipped and self.content is None
        return (pa.CompressedInputStream(raw, "gzip") if gzipped else raw), lambda: min(1.0, raw.tell() / size)

    def share(self, stream: IO[bytes]) -> float:
        """How much of a stream of ``open`` has been read (0 to 1)."""
        size = self.path.stat().st_size if self.content is None else len(self.content)
        packed: IO[bytes] = getattr(stream, "fileobj", None) or stream
        return min(1.0, packed.tell() / max(1, size))


class Piece(NamedTuple):
    """A stretch of a file: names of points, readings (``point`` is an index of the names), and how much of the file is read (0 to 1)."""

    names: list[str]
    readings: Readings
    share: float


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


def csv_pieces(source: Source, shown: str, zone: ZoneInfo | None) -> Iterator[Piece]:
    """The same, a stretch after the other, in constant memory (but for a file that is not UTF-8, which is held as text).

    Raises as ``read_csv`` does, when it comes to the mistake.
    """
    with source.open() as stream:
        sample = stream.read(_SAMPLE_BYTES)
    if sample.startswith(MARKED):
        yield from csv_pieces(_in_utf_8(source, shown), shown, zone)
        return
    header = _header(sample.decode("utf-8-sig", "replace"), shown)
    given = 0
    try:
        for table, share in _csv_tables(source, header):
            names, readings = from_columns(table, zone)
            yield Piece(names, readings, share)
            given += len(readings)
    except (OddError, *ARROW_ERRORS):
        if not _is_utf_8(source):
            source = _in_utf_8(source, shown)
        yield from _row_pieces(source, header, shown, zone, given)


def _row_pieces(source: Source, header: _Header, shown: str, zone: ZoneInfo | None, given: int) -> Iterator[Piece]:
    """What comes after the first ``given`` rows, row by row."""
    with source.open() as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as lines:
        rows = islice(_csv_rows(lines, header, shown), given, None)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            yield Piece(*from_rows(some, shown, zone), source.share(stream))


def _in_utf_8(source: Source, shown: str) -> Source:
    """A file in another encoding, as if it had been saved in UTF-8."""
    with source.open() as stream:
        return source._replace(content=decode(stream.read(), shown).encode())


def _read_text(source: Source, shown: str, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    return read_csv(_in_utf_8(source, shown), shown, zone)


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
    if _CONTROL.search(lines[0]):
        raise ConfigError(Mistake(shown, "no text; readings are CSV, gzipped CSV or Parquet", line=1))
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
    with source.open_for_arrow() as stream:
        return pacsv.read_csv(stream, **_csv_options(header))


def _csv_tables(source: Source, header: _Header) -> Iterator[tuple[pa.Table, float]]:
    """The file block by block, and how much of it has been read."""
    stream, share = source.open_with_share()
    with stream, pacsv.open_csv(stream, **_csv_options(header, _PIECE_BYTES)) as blocks:
        for batch in blocks:
            yield pa.Table.from_batches([batch]), share()


def _csv_options(header: _Header, block_bytes: int = _BLOCK_BYTES) -> dict[str, Any]:
    types = {"point": pa.dictionary(pa.int32(), pa.string()), "quality": pa.dictionary(pa.int32(), pa.string()), "value": pa.float64()}
    types |= {name: _time_type(header.samples.get(name, "")) for name in ("measured_at", "received_at")}
    return {
        "read_options": pacsv.ReadOptions(column_names=header.columns, skip_rows=1, block_size=block_bytes),
        "parse_options": pacsv.ParseOptions(delimiter=header.delimiter),
        "convert_options": pacsv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
    }


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

"""A table from a spreadsheet program: CSV or XLSX, its header checked, its rows as text with their lines."""

import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple
from zipfile import BadZipFile, ZipFile

from domain.errors import ConfigError, Mistake
from store.site_folder.encoding import decode, read_bytes
from store.site_folder.suggestion import nearest

OLD_WORKBOOK: Final = "the old workbook format is not read; save it as .xlsx or CSV"
_OLD_WORKBOOK, _WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"  # how such files begin
UNPACKED_MOST: Final = 1 << 30  # bytes of a workbook: twice a million rooms
# What reading a damaged or made-up workbook raises: of the archive, its compression and password, its XML, its parts.
DAMAGED: Final = (
    *(BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError),
    *(SyntaxError, KeyError, IndexError, ValueError, TypeError, AttributeError),
)


class Columns(NamedTuple):
    """The columns a table must have and those it may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All columns, in the order of the documentation."""
        return self.required + self.optional


class Row(NamedTuple):
    """One row: its line in the file (the first is 1) and its cells by column, stripped of blanks around them."""

    line: int
    cells: dict[str, str]


@dataclass
class Table:
    """The rows of one file in ``folder``; ``shown`` is its name in messages. Mistakes found in it are added to ``mistakes``.

    ``readable`` is False when not all rows could be had, so that nobody misses an id in them.
    """

    shown: str
    folder: Path
    mistakes: list[Mistake]
    columns: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    readable: bool = True

    def wrong(self, line: int | None, column: str | None, value: str | None, remedy: str) -> None:
        """Notes one mistake."""
        self.mistakes.append(Mistake(self.shown, remedy, line=line, key=column, value=value))


def read_table(path: Path, shown: str, columns: Columns, mistakes: list[Mistake]) -> Table:
    """Reads a table; every mistake of its form is added to ``mistakes``, none is raised."""
    table = Table(shown, path.parent, mistakes)
    try:
        lines = list(_workbook_lines(path, shown) if path.suffix.lower() == ".xlsx" else _csv_lines(path, shown))
    except ConfigError as error:
        mistakes.extend(error.mistakes)
        table.readable = False
        return table
    filled = [(line, cells) for line, cells in lines if any(cells)]
    if not filled:
        table.wrong(None, None, None, f"the file is empty; its first line names the columns: {','.join(columns.all)}")
        table.readable = False
        return table
    (header_line, header), *rows = filled
    _check_header(table, header_line, header, rows, columns)
    table.columns = frozenset(header) & frozenset(columns.all)
    table.readable = table.columns.issuperset(columns.required)
    if table.readable:
        fitting = [(line, cells) for line, cells in rows if _fits(table, header, line, cells)]
        table.rows.extend(_row(table, header, line, cells) for line, cells in fitting)
        table.readable = len(fitting) == len(rows)
    return table


def _check_header(table: Table, line: int, header: list[str], rows: list[tuple[int, list[str]]], columns: Columns) -> None:
    for position, name in enumerate(header):
        if not name:
            if any(len(cells) > position and cells[position] for _, cells in rows):
                table.wrong(line, None, None, f"column {position + 1} holds cells and has no name; known: {', '.join(columns.all)}")
        elif name not in columns.all:
            missing = [column for column in columns.all if column not in header]
            table.wrong(line, name, None, f"unknown column; {nearest(name, missing)}")
        elif name in header[:position]:
            table.wrong(line, name, None, "this column stands here twice; one must go")
    for name in columns.required:
        if name not in header:
            table.wrong(line, name, None, f"this column is missing; the columns are {','.join(columns.all)}")


def _fits(table: Table, header: list[str], line: int, cells: list[str]) -> bool:
    if len(cells) < len(header) or any(cells[len(header) :]):
        table.wrong(line, None, None, f"{len(cells)} cells where the header names {len(header)} columns")
        return False
    return True


def _row(table: Table, header: list[str], line: int, cells: list[str]) -> Row:
    return Row(line, {name: cell for name, cell in zip(header, cells, strict=False) if name in table.columns})


def delimiter_of(header: str) -> str:
    """What separates the cells: a comma, or the tab or semicolon of some spreadsheet programs."""
    return max(",\t;", key=header.count)


def _csv_lines(path: Path, shown: str) -> Iterator[tuple[int, list[str]]]:
    content = read_bytes(path, shown)
    if content.startswith(_OLD_WORKBOOK):
        raise ConfigError(Mistake(shown, OLD_WORKBOOK))
    if content.startswith(_WORKBOOK):
        raise ConfigError(Mistake(shown, "a workbook that is not called so; let its name end in .xlsx, or save it as CSV"))
    text = decode(content, shown)
    yield from csv_lines(io.StringIO(text, newline=""), delimiter_of(text.split("\n", 1)[0]), shown)


def csv_lines(stream: Iterable[str], delimiter: str, shown: str) -> Iterator[tuple[int, list[str]]]:
    """The line each record begins in, and its cells, stripped. ``stream`` gives lines with their ends.

    Raises ConfigError where the text is no CSV (a quote that never ends).
    """
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [" ".join(cell.split()) for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(
            Mistake(shown, f"no valid CSV: {error}; a cell with quotes in it is quoted, its quotes doubled", line=line)
        ) from error


def _workbook_lines(path: Path, shown: str) -> Iterator[tuple[int, list[str]]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    content = io.BytesIO(read_bytes(path, shown))
    try:
        if sum(part.file_size for part in ZipFile(content).infolist()) > UNPACKED_MOST:
            raise ConfigError(
                Mistake(shown, f"it unpacks to more than {UNPACKED_MOST >> 20} MiB; no table is as large, save it anew or as CSV")
            )
        sheet = load_workbook(content, read_only=True, data_only=True).worksheets[0]
        for line, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield line, [_cell_text(cell) for cell in cells]
    except (*DAMAGED, InvalidFileException) as error:
        raise ConfigError(Mistake(shown, f"no readable workbook ({error}); save it as .xlsx or CSV again")) from error


def _cell_text(cell: object) -> str:
    """What a person sees in a cell: 101 for the number 101.0, an ISO time for a date."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    return " ".join(str(cell).split())

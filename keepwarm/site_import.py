"""``keepwarm site import``: rows from spreadsheets into a site's tables; all of them or, with any mistake, none.

files ──▶ which table each is ──▶ rows by id over those there ──▶ the whole site checked as it would be ──▶ written, file by file
"""

import csv
import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import click

from domain.errors import ConfigError, Mistake
from keepwarm.output_file import write_whole
from keepwarm.processes import site_argument
from store.site_folder import read_site
from store.site_folder.load import SITE_FILE, TABLES
from store.site_folder.table import Columns, Row, read_table

IMPORTED = ("stations", "buildings", "rooms", "devices")  # in the order in which they refer to one another
ID_OF = {name: TABLES[name].required[0] for name in IMPORTED}


@click.group()
def site() -> None:
    """Builds up the tables of a SITE."""


@site.command("import")
@site_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--table", type=click.Choice(IMPORTED), help="Which table the files are for; else their columns tell.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
def import_(folder: Path, files: tuple[Path, ...], table: str | None, *, dry_run: bool) -> None:
    """Takes rows of FILES (CSV or XLSX) into SITE's stations, buildings, rooms and devices.

    A row whose id is there already changes it: cells of columns that the file has, empty ones too. Rows that a file does not have stay.
    The whole site is checked as it would be then; with any mistake, in the files or together, nothing is written.
    """
    folder = folder.absolute()
    if not (folder / SITE_FILE).is_file():
        raise ConfigError(Mistake(str(folder), f"no site: a folder with {SITE_FILE} in it; keepwarm init makes one"))
    changes: dict[str, Change] = {}
    mistakes: list[Mistake] = []
    for path in files:
        name = table or _table_of(path, mistakes)
        if name is not None:
            if name not in changes:
                changes[name] = Change.of(folder, name, mistakes)
            changes[name].take(path, mistakes)
    if mistakes:
        raise ConfigError(*mistakes)
    _check(folder, changes)
    for name in IMPORTED:
        if name in changes:
            for line in changes[name].lines():
                click.echo(line)
            if not dry_run:
                write_whole(folder / f"{name}.csv", changes[name].content())
    click.echo("nothing was written (dry run)" if dry_run else "written; a collector that runs takes it up when it is started again")


def _table_of(path: Path, mistakes: list[Mistake]) -> str | None:
    """The table that a file's columns are those of: the one whose id it has. None (noted) when there is none."""
    before = len(mistakes)
    columns = Columns((), tuple(dict.fromkeys(column for name in IMPORTED for column in TABLES[name].all)))
    found = read_table(path, str(path), columns, mistakes)
    if len(mistakes) > before:
        return None
    fitting = [name for name in IMPORTED if ID_OF[name] in found.columns and found.columns <= set(TABLES[name].all)]
    if not fitting:
        ids = ", ".join(ID_OF.values())
        mistakes.append(Mistake(str(path), f"its columns fit no table; one of {ids} must be there, or say which with --table"))
        return None
    return fitting[-1]


class Origin(NamedTuple):
    """Where a row's cells were written by a person: which file, which line of it, which columns."""

    file: str
    line: int
    columns: frozenset[str]


@dataclass
class Change:
    """One table as it is and as it will be: cells by id, in the order of the file, new rows after them."""

    name: str
    columns: list[str]
    before: dict[str, dict[str, str]]
    after: dict[str, dict[str, str]] = field(default_factory=dict)
    origins: dict[str, list[Origin]] = field(default_factory=dict)  # the newest first

    @classmethod
    def of(cls, folder: Path, name: str, mistakes: list[Mistake]) -> "Change":
        """The table of a site folder, empty where there is none."""
        if (folder / f"{name}.xlsx").exists():
            mistakes.append(Mistake(f"{name}.xlsx", f"is a workbook, which is not written to; save it as {name}.csv first"))
            return cls(name, list(TABLES[name].required), {})
        path = folder / f"{name}.csv"
        if not path.exists():
            return cls(name, list(TABLES[name].required), {})
        table = read_table(path, path.name, TABLES[name], mistakes)
        rows = _by_id(name, table.rows)
        columns = [column for column in TABLES[name].all if column in table.columns]
        origins = {row.cells[ID_OF[name]]: [Origin(path.name, row.line, table.columns)] for row in table.rows}
        return cls(name, columns, rows, {key: dict(cells) for key, cells in rows.items()}, origins)

    def take(self, path: Path, mistakes: list[Mistake]) -> None:
        """Takes in the rows of a file; what is wrong with its form is added to ``mistakes``."""
        partly = Columns((ID_OF[self.name],), tuple(column for column in TABLES[self.name].all if column != ID_OF[self.name]))
        table = read_table(path, str(path), partly, mistakes)
        seen: dict[str, int] = {}
        for row in table.rows:
            key = row.cells.get(ID_OF[self.name], "")
            if not key:
                table.wrong(row.line, ID_OF[self.name], None, "an id is missing")
            elif seen.setdefault(key, row.line) != row.line:
                table.wrong(row.line, ID_OF[self.name], key, f"line {seen[key]} has this id already")
            self.after.setdefault(key, {}).update(row.cells)
            self.origins.setdefault(key, []).insert(0, Origin(str(path), row.line, table.columns))
        wanted = set(self.columns) | set(table.columns)
        self.columns = [column for column in TABLES[self.name].all if column in wanted]

    def lines(self) -> list[str]:
        """What changes, a line for each row, and their counts at the end."""
        new = [key for key in self.after if key not in self.before]
        changed = {key: self._differences(key) for key in self.before if self._differences(key)}
        same = len(self.before) - len(changed)
        return [
            *(f"+ {self.name} {key}: {_shown(self.after[key])}" for key in new),
            *(f"~ {self.name} {key}: {what}" for key, what in changed.items()),
            f"{self.name}: {len(new)} new, {len(changed)} changed, {same} as before",
        ]

    def _differences(self, key: str) -> str:
        old, new = self.before[key], self.after[key]
        columns = [column for column in self.columns if old.get(column, "") != new.get(column, "")]
        return ", ".join(f"{column} {old.get(column, '')!r} → {new.get(column, '')!r}" for column in columns)

    def content(self) -> bytes:
        """The table as a CSV file."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([cells.get(column, "") for column in self.columns] for cells in self.after.values())
        return text.getvalue().encode()

    def origin(self, key: str, column: str | None) -> Origin:
        """Where this cell of a row comes from; the row, where no file has the cell."""
        origins = self.origins[key]
        return next((one for one in origins if column in one.columns), origins[0])

    def where_written(self, path: Path, mistake: Mistake) -> Mistake:
        """A mistake in the table at ``path``, as it would be, told as one in the file that a person wrote."""
        if mistake.line is None:
            return mistake
        keys = {row.line: row.cells[ID_OF[self.name]] for row in read_table(path, path.name, TABLES[self.name], []).rows}
        origin = self.origin(keys[mistake.line], mistake.key)

        def told(line: re.Match[str]) -> str:
            other = self.origin(keys[int(line[1])], mistake.key)
            return f"line {other.line}" if other.file == origin.file else f"line {other.line} of {other.file}"

        return replace(mistake, file=origin.file, line=origin.line, remedy=re.sub(r"\bline (\d+)\b", told, mistake.remedy))


def _by_id(name: str, rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    return {row.cells[ID_OF[name]]: dict(row.cells) for row in rows}


def _shown(cells: dict[str, str]) -> str:
    return ", ".join(f"{column}={cell}" for column, cell in cells.items() if cell)


def _check(folder: Path, changes: dict[str, Change]) -> None:
    """The whole site as it would be.

    Raises ConfigError with every mistake; files and lines are those that a person wrote.
    """
    with tempfile.TemporaryDirectory() as scratch:
        there = Path(scratch) / folder.name
        there.mkdir()
        for path in folder.iterdir():
            if path.stem not in changes or path.suffix != ".csv":
                (there / path.name).symlink_to(path)
        for name, change in changes.items():
            (there / f"{name}.csv").write_bytes(change.content())
        found, mistakes = read_site(there)
        if found is None:
            raise ConfigError(*(_where_written(there, changes, mistake) for mistake in mistakes))


def _where_written(there: Path, changes: dict[str, Change], mistake: Mistake) -> Mistake:
    path = there / mistake.file
    change = changes.get(path.stem) if path.suffix == ".csv" else None
    return mistake if change is None else change.where_written(path, mistake)

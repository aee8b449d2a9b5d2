"""Makes one report in a process of its own: those who watch the pages give it neither their memory nor their time."""

import os
import pickle
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy.exc import SQLAlchemyError

from compliance.report.document import build_report
from compliance.report.period import Period
from dashboard.facts.limited_town import within
from dashboard.facts.town import Town
from dashboard.report.files import WRITERS
from domain.clock import Clock
from domain.errors import StoreError
from domain.site import Site

PAGE: Final = ".page.json"
ROWS_SHOWN: Final = 50
RECORDS: Final = 3
_NICE: Final = 5


@dataclass(frozen=True)
class Document:
    """To be made: the report on a period and an area as of ``now_ms``, as far as these districts reach, as JSON at ``path``."""

    site: Site
    districts: tuple[str, ...]
    period: Period
    area: str
    now_ms: int
    path: Path

    def make(self) -> None:
        """Writes the document, and the page's part of it beside."""
        town = Town(self.site, Clock())
        try:
            seen = within(town, self.districts)
            stores = seen.history, seen.journal, seen.points
            document = build_report(seen.site, seen.records, stores, self.period, self.now_ms, self.area)
        finally:
            town.close()
        _write(self.path.with_suffix(PAGE), orjson.dumps(page_part(document)))
        _write(self.path, WRITERS["json"](document))


@dataclass(frozen=True)
class Rendering:
    """To be made: another form of the document that stands at ``path``, beside it."""

    path: Path
    form: str

    def make(self) -> None:
        """Writes the file."""
        _write(self.path.with_suffix(f".{self.form}"), WRITERS[self.form](orjson.loads(self.path.read_bytes())))


def main() -> None:
    """Makes what standard input asks for, whole or not at all; ends at once when input does.

    Ends with what was in the way, and with ``RECORDS`` where it was the records.
    """
    os.nice(_NICE)
    order: Document | Rendering = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the dashboard, which started us
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        order.make()
    except SQLAlchemyError as error:
        sys.stderr.write(str(error).partition("\n")[0])  # the statement and an address to look it up follow
        sys.exit(RECORDS)
    except (StoreError, OSError) as error:
        sys.exit(str(error))


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):  # past Python's buffer, whose lock would outlive us
        pass
    os._exit(1)


def page_part(document: dict[str, Any]) -> dict[str, Any]:
    """What the page shows, and how long the tables are that it shows the first rows of."""
    long = {name: document[name] for name in ("outages", "stations")}
    shown = {name: rows[:ROWS_SHOWN] for name, rows in long.items()}
    return {**document, **shown, "rows": {name: len(rows) for name, rows in long.items()}, "station_days": []}


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()

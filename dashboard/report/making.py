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
_NICE: Final = 5


@dataclass(frozen=True)
class Order:
    """What is to be made: the document of a period and an area as of ``now_ms``, as far as these districts reach, as JSON at ``path``.

    Without a period: of the document that stands there already, another ``form`` beside it.
    """

    site: Site
    districts: tuple[str, ...]
    period: Period | None
    area: str
    now_ms: int
    path: Path
    form: str


def main() -> None:
    """Makes what the order on standard input says, whole or not at all. Ends with 1 and what was in the way; at once when input ends."""
    os.nice(_NICE)
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the dashboard, which started us
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        if order.period is not None:
            _document(order, order.period)
        else:
            _write(order.path.with_suffix(f".{order.form}"), WRITERS[order.form](orjson.loads(order.path.read_bytes())))
    except SQLAlchemyError as error:
        sys.exit("records: " + str(error).partition("\n")[0])  # the statement and an address to look it up follow
    except (StoreError, OSError) as error:
        sys.exit(str(error))


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):  # past Python's buffer, whose lock would outlive us
        pass
    os._exit(1)


def _document(order: Order, period: Period) -> None:
    town = Town(order.site, Clock())
    try:
        seen = within(town, order.districts)
        stores = seen.history, seen.journal, seen.points
        document = build_report(seen.site, seen.records, stores, period, order.now_ms, order.area)
    finally:
        town.close()
    _write(order.path.with_suffix(PAGE), orjson.dumps(page_part(document)))
    _write(order.path, WRITERS["json"](document))


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

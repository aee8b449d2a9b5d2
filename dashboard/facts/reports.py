"""Reports as the pages ask for them: periods that have begun, and the files of each, made once for all who ask within ten minutes.

page, download ─▶ report_of, report_file ─▶ a process of its own (``dashboard.report.making``) ─▶ DATA/reports/
"""

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from compliance.report.area import area_of
from compliance.report.period import Period, parse_period
from dashboard.facts.town import Town
from dashboard.report.making import PAGE, RECORDS, Document, Rendering
from dashboard.text import Speech
from dashboard.words import ORIGIN, name_of
from domain.errors import StoreError

LIFE_S: Final = 600.0
KEPT_S: Final = 86_400.0
MONTHS, QUARTERS, SEASONS = 14, 6, 4
_ONE_AT_A_TIME: Final = threading.Lock()  # a large one keeps a core busy for a while
_COMMAND: Final = (sys.executable, "-m", "dashboard.report.making")


def period_names(today: date) -> dict[str, list[str]]:
    """The names of the latest months, quarters and heating seasons that may have begun, the latest first."""
    month = today.year * 12 + today.month - 1
    quarter = month // 3
    season = today.year if today.month >= 7 else today.year - 1
    return {
        "month": [f"{one // 12}-{one % 12 + 1:02}" for one in range(month, month - MONTHS, -1)],
        "quarter": [f"{one // 4}-Q{one % 4 + 1}" for one in range(quarter, quarter - QUARTERS, -1)],
        "season": [f"{one}-{one + 1}" for one in range(season, season - SEASONS, -1)],
    }


def duty_name(row: Mapping[str, Any], say: Speech) -> str:
    """What a row of a report's duties is called: one duty may be owed to residents and for sensors, and is counted apart."""
    return f"{say.pick(row['name_zh'], row['name_en'])} · {say(name_of(ORIGIN, row['origin']))}"


def report_of(town: Town, period: str, area: str) -> dict[str, Any]:
    """What the page shows of the document of ``keepwarm report``: its figures, and the first rows of its long tables.

    Raises ConfigError for a period or area there is none of, StoreError when it can't be made.
    """
    path = _made(town, period, area)
    return town.shared.of(("report page", path), lambda: orjson.loads(path.with_suffix(PAGE).read_bytes()), life_s=LIFE_S)


def report_file(town: Town, period: str, area: str, form: str) -> Path:
    """The file that ``keepwarm report`` writes in this form (json, xlsx, pdf). Raises as ``report_of``."""
    path = _made(town, period, area)
    if form == "json":
        return path

    def render() -> Path:
        _made_by_another_process(town, Rendering(path, form))
        return path.with_suffix(f".{form}")

    return town.shared.of(("report file", path, form), render, life_s=LIFE_S)


def _made(town: Town, period: str, area: str) -> Path:
    """The document as JSON, with its page's part beside it."""
    asked = parse_period(period, town.site.policy, town.site.timezone, town.now_ms())
    area_of(town.site, area)
    return town.shared.of(("report", period, area), lambda: _make(town, asked, area), life_s=LIFE_S)


def _make(town: Town, period: Period, area: str) -> Path:
    now_ms = town.now_ms()
    folder = town.whole.site.data / "reports"
    name = sha256(orjson.dumps([sorted(town.districts), period.name, area, now_ms])).hexdigest()[:24]
    order = Document(town.whole.site, tuple(sorted(town.districts)), period, area, now_ms, folder / f"{name}.json")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            with suppress(FileNotFoundError):  # another one's process has given its file its name meanwhile
                if old.stat().st_mtime < time.time() - KEPT_S:
                    old.unlink()
    except OSError as error:
        raise StoreError(f"{folder}: {error}") from error
    _made_by_another_process(town, order)
    return order.path


def _made_by_another_process(town: Town, order: Document | Rendering) -> None:
    """Returns when the files are there. Raises StoreError when they can't be made."""
    with _ONE_AT_A_TIME, subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            pickler = pickle.Pickler(process.stdin)
            pickler.fast = True  # remembers nothing of a hundred thousand rooms, none of which refers to itself
            pickler.dump(order)
            process.stdin.flush()  # and held open: its end would tell that we are gone
            words = process.stderr.read().decode("utf-8", "replace").strip()
        except OSError as error:
            words = str(error)
        ended = process.wait()
    with town.asking("records" if ended == RECORDS else "history"):
        if ended:
            raise StoreError(words.rpartition("\n")[2] or f"the process that makes reports ended with {ended}")

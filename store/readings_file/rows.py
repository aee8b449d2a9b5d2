"""Rows of text → readings, one after the other: names the first mistake, or reads what is odd but right."""

import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn
from zoneinfo import ZoneInfo

from domain.errors import ConfigError, Mistake
from domain.quantity import parse_point
from domain.reading import Quality, Readings
from store.site_folder.cells import NUMBER
from store.site_folder.instants import LATEST_MS, NaiveTimeError, bounded_ms, parse_instant

QUALITIES = {"": Quality.GOOD, "uncertain": Quality.SUSPECT} | {quality.name.lower(): quality for quality in Quality}

_MILLISECONDS = re.compile(r"\d{12,13}")
REASONS = [quality.name.lower() for quality in Quality if quality.name not in ("GOOD", "SUSPECT", "BAD")]
_NO_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_TIME = "a time with offset, such as 2026-11-15T06:00:00+08:00, or epoch seconds"


def is_point(name: str) -> bool:
    """Whether this names a point."""
    try:
        parse_point(name)
    except ValueError:
        return False
    return True


def one_blank(name: str) -> str:
    """The name as the tables of a site have it: no blanks around it, and one where there are several."""
    return " ".join(name.split())


def from_rows(rows: Iterable[tuple[int | str, dict[str, str]]], shown: str, zone: ZoneInfo | None) -> tuple[list[str], Readings]:
    """Names and readings, one row after the other.

    Raises ConfigError at the first cell that is not what it should be.
    """
    number: dict[str, int] = {}
    columns: list[list[Any]] = [[], [], [], [], []]
    for where, cells in rows:
        reader = _Row(shown, where, cells, zone)
        measured_at = reader.instant("measured_at")
        value = reader.value()
        quality = reader.quality()
        if not math.isfinite(value) and not quality.bad:
            quality = Quality.NOT_A_NUMBER
        name = reader.point(number)
        received_at = reader.instant("received_at") if cells.get("received_at") else measured_at
        for column, item in zip(columns, (number.setdefault(name, len(number)), measured_at, received_at, value, quality), strict=True):
            column.append(item)
    point, measured, received, values, qualities = columns
    return list(number), Readings.of(point, measured, values, received_at=received, quality=qualities)


class _Row(NamedTuple):
    """One row of a file; its cells are read as what they should be."""

    shown: str
    where: int | str
    cells: dict[str, str]
    zone: ZoneInfo | None

    def fail(self, column: str, remedy: str) -> NoReturn:
        """The mistake in this column's cell."""
        value = self.cells[column] or None
        if isinstance(self.where, int):
            raise ConfigError(Mistake(self.shown, remedy, line=self.where, key=column, value=value))
        raise ConfigError(Mistake(self.shown, remedy, key=f"{self.where}: {column}", value=value))

    def point(self, known: dict[str, int]) -> str:
        name = one_blank(self.cells["point"])
        if name not in known and not is_point(name):
            self.fail("point", "a point is station/ID/quantity, room/ID/quantity or source/ID/quantity")
        return name

    def instant(self, column: str) -> int:
        text = self.cells[column]
        try:
            if NUMBER.fullmatch(text):
                seconds = float(text)
                return bounded_ms(round(seconds * 1000) if abs(seconds) < 1e12 else LATEST_MS)
            return parse_instant(text, self.zone)
        except NaiveTimeError:
            self.fail(column, f"{_TIME}; for times without offset say whose they are with --assume-timezone")
        except ValueError:
            self.fail(column, "epoch time in seconds; this looks like milliseconds" if _MILLISECONDS.fullmatch(text) else _TIME)

    def value(self) -> float:
        text = self.cells["value"]
        if not text or _NO_NUMBER.fullmatch(text):
            return math.nan
        if not NUMBER.fullmatch(text):
            self.fail("value", "a number with a decimal point; a value that is not there is left empty")
        return float(text)

    def quality(self) -> Quality:
        word = self.cells.get("quality", "").lower()
        if word not in QUALITIES:
            self.fail("quality", f"good, suspect, bad or a reason ({', '.join(REASONS)}); empty is good")
        return QUALITIES[word]

"""The cells of one row, read as what they should be; every mistake is noted, none is raised."""

import math
import re
from collections.abc import Collection, Sequence
from typing import overload
from zoneinfo import ZoneInfo

from store.site_folder.instants import parse_cell_instant
from store.site_folder.suggestion import nearest
from store.site_folder.table import Row, Table

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
TIME_FORM = "a time such as 2026-11-15T06:00:00+08:00 (without offset it is local)"


def range_text(low: float, high: float, *, above_low: bool = False) -> str:
    """A range in words: "from -90 to 90", "above 0 and at most 60", "above 0"."""
    first = f"{'above' if above_low else 'from'} {low:g}"
    if math.isinf(high):
        return first if above_low else f"of at least {low:g}"
    return f"{first} {'and at most' if above_low else 'to'} {high:g}"


class Cells:
    """One row of a table."""

    def __init__(self, table: Table, row: Row) -> None:
        self.table = table
        self.row = row

    def wrong(self, column: str, remedy: str) -> None:
        """Notes a mistake in this row's cell of that column."""
        self.table.wrong(self.row.line, column, self.row.cells.get(column, "") or None, remedy)

    def text(self, column: str) -> str:
        """The cell's text, empty where there is no such cell."""
        return self.row.cells.get(column, "")

    def identity(self, column: str, seen: dict[str, int]) -> str | None:
        """An id that no row before has; ``seen`` holds the line of each. None (noted) where there is none or it is a repetition."""
        found = self.text(column)
        if not found:
            self.wrong(column, "an id is missing")
            return None
        if found in seen:
            self.wrong(column, f"this id stands in line {seen[found]} already; each must be there once")
            return None
        seen[found] = self.row.line
        return found

    def reference(self, column: str, known: Collection[str] | None, what: str, *, needed: bool) -> str | None:
        """An id of another table. ``known`` None means that this table is not there to be looked at."""
        found = self.text(column)
        if not found:
            if needed:
                self.wrong(column, f"the id of a {what} is missing")
            return None
        if known is not None and found not in known:
            self.wrong(column, f"no such {what}; {nearest(found, known)}")
            return None
        return found

    def choice(self, column: str, words: Sequence[str], default: str | None) -> str | None:
        """One of these words, in any case. ``default`` for an empty cell; None (noted) for anything else."""
        found = self.text(column)
        if not found and default is not None:
            return default
        if found.lower() in words:
            return found.lower()
        self.wrong(column, f"one of {', '.join(words)}")
        return None

    @overload
    def number(self, column: str, low: float, high: float, default: float, *, above_low: bool = False) -> float: ...
    @overload
    def number(self, column: str, low: float, high: float, default: None, *, above_low: bool = False) -> float | None: ...
    def number(self, column: str, low: float, high: float, default: float | None, *, above_low: bool = False) -> float | None:
        """A number in [low, high], or in (low, high]. ``default`` for an empty cell and (noted) for anything else."""
        found = self.text(column)
        if not found:
            return default
        if NUMBER.fullmatch(found):
            value = float(found)
            if low <= value <= high and math.isfinite(value) and not (above_low and value == low):
                return value
        self.wrong(column, f"a number {range_text(low, high, above_low=above_low)}")
        return default

    @overload
    def whole(self, column: str, low: int, high: int, default: int) -> int: ...
    @overload
    def whole(self, column: str, low: int, high: int, default: None) -> int | None: ...
    def whole(self, column: str, low: int, high: int, default: int | None) -> int | None:
        """A whole number in [low, high]. ``default`` for an empty cell and (noted) for anything else."""
        found = self.text(column)
        if not found:
            return default
        if NUMBER.fullmatch(found):
            value = float(found)
            if value.is_integer() and low <= value <= high:
                return int(value)
        self.wrong(column, f"a whole number {range_text(low, high)}")
        return default

    def position(self) -> tuple[float | None, float | None]:
        """``lat`` and ``lon`` in degrees, both or neither."""
        lat = self.number("lat", -90, 90, None)
        lon = self.number("lon", -180, 180, None)
        for one, other in (("lat", "lon"), ("lon", "lat")):
            if self.text(other) and not self.text(one):
                self.wrong(one, f"{other} is given, so {one} must be too")
        return lat, lon

    def instant(self, column: str, zone: ZoneInfo, *, needed: bool) -> int | None:
        """A time in UTC milliseconds; without offset it is local. None for an empty cell and (noted) for anything else."""
        found = self.text(column)
        if not found:
            if needed:
                self.wrong(column, f"{TIME_FORM} is missing")
            return None
        try:
            return parse_cell_instant(found, zone)
        except ValueError:
            self.wrong(column, TIME_FORM)
            return None

    def span(self, zone: ZoneInfo, *, open_end: bool) -> tuple[int, int | None] | None:
        """``from`` and ``to``, in order; ``to`` may be empty (None) where the end may be open. None (noted) where it is no span."""
        from_ms = self.instant("from", zone, needed=True)
        to_ms = self.instant("to", zone, needed=not open_end)
        if from_ms is None or (to_ms is None and (self.text("to") or not open_end)):
            return None
        if to_ms is not None and to_ms <= from_ms:
            self.wrong("to", f"a time after from ({self.text('from')})")
            return None
        return from_ms, to_ms

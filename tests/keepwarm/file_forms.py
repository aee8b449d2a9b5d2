"""The same readings in every form that the contract lets a readings file have."""

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from tests.keepwarm.naive_audit import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at_ms: int) -> datetime:
    """An aware instant of UTC ms."""
    return EPOCH + timedelta(milliseconds=at_ms)


def _short(at: datetime) -> str:
    """ISO 8601 with no more digits than needed, as ``…:00Z`` for UTC."""
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def _epoch(at_ms: int) -> str:
    return str(at_ms // 1000) if at_ms % 1000 == 0 else f"{at_ms / 1000:.3f}"


def naive(at_ms: int, zone: ZoneInfo) -> str | None:
    """The local time without offset, or None where clocks put back make it stand for another instant."""
    local = instant(at_ms).astimezone(zone).replace(tzinfo=None, fold=0)
    return None if local.replace(tzinfo=zone).timestamp() * 1000 != at_ms else local.isoformat(sep=" ", timespec="milliseconds")


# How a CSV file may write an instant.
TIMES: dict[str, Callable[[int, ZoneInfo], str]] = {
    "utc": lambda at_ms, _: _short(instant(at_ms)),
    "zone": lambda at_ms, zone: _short(instant(at_ms).astimezone(zone)),
    "far": lambda at_ms, _: _short(instant(at_ms).astimezone(timezone(timedelta(hours=-9, minutes=-30)))),
    "space": lambda at_ms, _: instant(at_ms).astimezone(timezone(timedelta(hours=8))).isoformat(" ", "milliseconds"),
    "micro": lambda at_ms, _: instant(at_ms).isoformat(timespec="microseconds"),
    "epoch": lambda at_ms, _: _epoch(at_ms),
    "epoch.000": lambda at_ms, _: f"{at_ms // 1000}.{at_ms % 1000:03d}",
}
NUMBERS: dict[str, Callable[[float], str]] = {
    "repr": repr,
    "exponent": lambda value: f"{value:.17e}",
    "padded": lambda value: f"{value:.12f}" if float(f"{value:.12f}") == value else repr(value),
}


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written."""

    times: Sequence[str]  # names of TIMES, taken in turn; "naive" is local
    number: str
    columns: Sequence[str]
    gap: str = ""  # how a value that is not there is written
    bom: bool = False
    line_end: str = "\n"
    quote_all: bool = False
    blank_lines: bool = False
    last_line_ends: bool = True
    gzipped: bool = False

    def write(self, path: Path, rows: Sequence[Row], zone: ZoneInfo) -> Path:
        """Writes the file; its ending tells gzip."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator=self.line_end, quoting=csv.QUOTE_ALL if self.quote_all else csv.QUOTE_MINIMAL)
        writer.writerow(self.columns)
        for number, row in enumerate(rows):
            writer.writerow([self._cell(column, row, number, zone) for column in self.columns])
            if self.blank_lines and number % 3 == 0:
                text.write(self.line_end)
        content = text.getvalue() if self.last_line_ends else text.getvalue().rstrip("\r\n")
        data = (b"\xef\xbb\xbf" if self.bom else b"") + content.encode()
        path = path.with_suffix(".csv.gz" if self.gzipped else ".csv")
        path.write_bytes(gzip.compress(data, 1) if self.gzipped else data)
        return path

    def _cell(self, column: str, row: Row, number: int, zone: ZoneInfo) -> str:
        if column == "point":
            return f"room/{row.room}/indoor_temp_c"
        if column == "value":
            return self.gap if row.value is None else NUMBERS[self.number](row.value) if row.value - row.value == 0 else repr(row.value)
        if column == "quality":
            return row.quality
        at_ms = row.measured_ms if column == "measured_at" else row.received_ms
        if at_ms is None:
            return ""
        form = self.times[number % len(self.times)]
        if form == "naive":
            local = naive(at_ms, zone)
            return TIMES["zone"](at_ms, zone) if local is None else local
        return TIMES[form](at_ms, zone)


# How a Parquet file may hold an instant.
INSTANTS: dict[str, pa.DataType] = {
    "ms utc": pa.timestamp("ms", "UTC"),
    "us shanghai": pa.timestamp("us", "Asia/Shanghai"),
    "ns utc": pa.timestamp("ns", "UTC"),
    "epoch float": pa.float64(),
    "text": pa.string(),
}


@dataclass(frozen=True)
class ParquetForm:
    """How a Parquet file is written."""

    times: str
    columns: Sequence[str]
    dictionary: bool = False
    rows_per_group: int = 1024

    def write(self, path: Path, rows: Sequence[Row], _zone: ZoneInfo) -> Path:
        """Writes the file."""
        path = path.with_suffix(".parquet")
        table = pa.table({column: self._column(column, rows) for column in self.columns})
        pq.write_table(table, path, row_group_size=self.rows_per_group)
        return path

    def _column(self, column: str, rows: Sequence[Row]) -> pa.Array:
        if column == "point":
            points = pa.array([f"room/{row.room}/indoor_temp_c" for row in rows], pa.string())
            return points.dictionary_encode() if self.dictionary else points
        if column == "value":
            return pa.array([row.value for row in rows], pa.float64())
        if column == "quality":
            return pa.array([row.quality or None for row in rows], pa.string())
        instants = [row.measured_ms if column == "measured_at" else row.received_ms for row in rows]
        if self.times == "text":
            return pa.array([None if at_ms is None else _short(instant(at_ms)) for at_ms in instants], pa.string())
        if self.times == "epoch float":
            return pa.array([None if at_ms is None else at_ms / 1000 for at_ms in instants], pa.float64())
        return pa.array([None if at_ms is None else instant(at_ms) for at_ms in instants], INSTANTS[self.times])


Form = CsvForm | ParquetForm

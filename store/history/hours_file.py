"""Least, mean, greatest and count of each hour and point, in one Parquet file a month: a season of a point is five reads, not 121.

    history/hours/2026-01.parquet

The file says of each day up to which write it counts (``days``). A day of which more has been written since is read from its own
files, so late readings count at once, and are taken into the month when they have ceased to come.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from store.history.part_file import sync
from store.history.parts import DAY_MS
from store.rollup import Rollup

HOUR_MS: Final = 3_600_000
FOLDER: Final = "hours"
ROW_GROUP: Final = 16_384
_DAYS: Final = b"days"
_SCHEMA: Final = pa.schema(
    [
        pa.field("point", pa.int32(), nullable=False),
        pa.field("at", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("count", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Month:
    """What one file tells of itself: the days it counts, and the points that each row group spans."""

    stamp: tuple[int, int]
    days: dict[int, int]
    metadata: Any
    first_point: NDArray[np.int32]
    last_point: NDArray[np.int32]


class DamagedMonthError(Exception):
    """A month's file that can't be read; ``path`` says which."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


def month_of(day: int) -> str:
    """The month of a UTC day counted from 1970-01-01: ``2026-01``."""
    return str(np.datetime64(day, "D").astype("datetime64[M]"))


class HoursFiles:
    """The files of one history, in its folder ``hours``."""

    def __init__(self, history: Path) -> None:
        self._folder = history / FOLDER
        self._months: dict[str, Month] = {}

    def path(self, month: str) -> Path:
        """Where the file of this month is, if there is one."""
        return self._folder / f"{month}.parquet"

    def months(self, first: str, last: str) -> list[str]:
        """The months from ``first`` to ``last`` that have a file."""
        try:
            return sorted(path.stem for path in self._folder.iterdir() if path.suffix == ".parquet" and first <= path.stem <= last)
        except FileNotFoundError:
            return []

    def days(self, month: str) -> dict[int, int]:
        """The days that the month's file counts, each with the last write counted; empty without a file that can be read."""
        found = self._month(month)
        return found.days if found else {}

    def read(self, month: str, days: Iterable[int], points: NDArray[np.int32]) -> Rollup:
        """The hours of these days and points (sorted), sorted by (point, at).

        Raises OSError or pyarrow.ArrowException when the file can't be read.
        """
        with self._open(month) as opened:
            if opened is None:
                return Rollup.empty()
            found, file = opened
            wanted = np.searchsorted(points, found.first_point) < np.searchsorted(points, found.last_point, side="right")
            if not wanted.any():
                return Rollup.empty()
            hours = _hours(file.read_row_groups(np.flatnonzero(wanted).tolist(), use_threads=False))
        return hours.take(np.isin(hours.point, points) & np.isin(hours.at // DAY_MS, list(days)))

    def replace(self, month: str, days: Mapping[int, int], spans: Iterable[tuple[int, int, Rollup]]) -> None:
        """Counts these days anew (write numbers by day), keeping the others of the month.

        ``spans`` are (first point, last point, the days' hours of these points), one after the other over all points. Raises
        DamagedMonthError when the others can't be read, OSError when the disk does not take the file.
        """
        kept = [day for day in self.days(month) if day not in days]
        counted = {**self.days(month), **days}
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{month}.{os.getpid()}.tmp"
        schema = _SCHEMA.with_metadata({_DAYS: json.dumps(counted).encode()})
        try:
            with pq.ParquetWriter(
                part,
                schema,
                compression="zstd",
                use_dictionary=["low", "high", "count"],
                column_encoding={"point": "DELTA_BINARY_PACKED", "at": "BYTE_STREAM_SPLIT", "mean": "BYTE_STREAM_SPLIT"},
                write_statistics=["point"],
                write_page_checksum=True,
            ) as writer:
                for hours in _filled(self._merged(month, kept, spans)):
                    writer.write_table(_table(hours, schema), row_group_size=ROW_GROUP)
            sync(part)
            part.replace(self.path(month))
        finally:
            part.unlink(missing_ok=True)

    def _merged(self, month: str, kept: list[int], spans: Iterable[tuple[int, int, Rollup]]) -> Iterator[Rollup]:
        for first, last, fresh in spans:
            old = self._span(month, kept, first, last) if kept else Rollup.empty()
            both = Rollup.concat([old, fresh])
            yield both.take(np.lexsort((both.at, both.point)))

    def _span(self, month: str, days: list[int], first_point: int, last_point: int) -> Rollup:
        try:
            with self._open(month) as opened:
                if opened is None:
                    return Rollup.empty()
                found, file = opened
                groups = np.flatnonzero((found.last_point >= first_point) & (found.first_point <= last_point))
                if not len(groups):
                    return Rollup.empty()
                hours = _hours(file.read_row_groups(groups.tolist(), use_threads=False))
        except (OSError, pa.ArrowException) as error:
            raise DamagedMonthError(self.path(month), error) from error
        return hours.take((hours.point >= first_point) & (hours.point <= last_point) & np.isin(hours.at // DAY_MS, days))

    @contextmanager
    def _open(self, month: str) -> Iterator[tuple[Month, Any] | None]:
        """What the month's file tells of itself, and the file, open; None where there is none that can be read.

        It may be replaced at any time: what one file tells must not be looked for in its successor.
        """
        path = self.path(month)
        while (found := self._month(month)) is not None:
            with pq.ParquetFile(path, metadata=found.metadata, page_checksum_verification=True) as file:
                if _stamp(path) == found.stamp:
                    yield found, file
                    return
        yield None

    def _month(self, month: str) -> Month | None:
        path = self.path(month)
        try:
            stamp = _stamp(path)
            if month not in self._months or self._months[month].stamp != stamp:
                self._months[month] = _month_of(pq.read_metadata(path), stamp)
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            return None
        return self._months[month]


def _stamp(path: Path) -> tuple[int, int]:
    """Tells a file from those that replace it."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ino


def _month_of(metadata: Any, stamp: tuple[int, int]) -> Month:
    days = {int(day): int(number) for day, number in json.loads(metadata.metadata[_DAYS]).items()}
    points = [metadata.row_group(index).column(0).statistics for index in range(metadata.num_row_groups)]
    first, last = [statistics.min_raw for statistics in points], [statistics.max_raw for statistics in points]
    return Month(stamp, days, metadata, np.array(first, np.int32), np.array(last, np.int32))


def _filled(parts: Iterable[Rollup]) -> Iterator[Rollup]:
    """The same hours in pieces of at least a row group each: spans of few points would make many small ones."""
    waiting: list[Rollup] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= ROW_GROUP:
            yield Rollup.concat(waiting)
            waiting = []
    if sum(map(len, waiting)):
        yield Rollup.concat(waiting)


def _hours(table: pa.Table) -> Rollup:
    return Rollup(
        table.column("point").to_numpy(),
        table.column("at").cast(pa.int64()).to_numpy(),
        table.column("low").to_numpy(),
        table.column("mean").to_numpy(),
        table.column("high").to_numpy(),
        table.column("count").to_numpy().astype(np.int64),
    )


def _table(hours: Rollup, schema: pa.Schema) -> pa.Table:
    at = pa.array(hours.at).cast(pa.timestamp("ms", "UTC"))
    columns = [pa.array(hours.point), at, *map(pa.array, (hours.low, hours.mean, hours.high)), pa.array(hours.count.astype(np.int32))]
    return pa.table(columns, schema=schema)

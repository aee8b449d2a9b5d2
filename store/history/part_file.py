"""One Parquet file of readings: sorted by point and time, in row groups small enough that one point is found fast."""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.reading import Readings

# All that a device says at one poll has one time: within a row group zstd finds it again, so larger ones are smaller on the disk
# (1.5 bytes a reading with 16 000 rows, 1.0 with 32 000, 0.8 with 64 000) and slower for one point.
ROW_GROUP = 32_768
_FOOTERS_KEPT = 4_096

# ``name`` makes a file readable without the registry of points; sorted by point, it costs next to nothing. Times are kept as the
# moment of measurement and the delay to receipt: delays repeat, moments of receipt don't.
SCHEMA = pa.schema(
    [
        pa.field("point", pa.int32(), nullable=False),
        pa.field("name", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("measured_at", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("delay_ms", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("quality", pa.uint8(), nullable=False),
    ]
)
_COLUMNS = ["point", "measured_at", "delay_ms", "value", "quality"]


@dataclass(frozen=True)
class Footer:
    """What a file tells of itself: for each row group the points and instants it spans, and its rows."""

    metadata: Any
    first_point: NDArray[np.int32]
    last_point: NDArray[np.int32]
    first_at: NDArray[np.int64]
    last_at: NDArray[np.int64]
    rows: NDArray[np.int64]


def write_part(path: Path, pieces: Iterable[Readings], name: Callable[[int], str]) -> int:
    """Writes one file, whole and on the disk or not at all; returns how many readings it holds.

    ``pieces`` follow one another in order of (point, measured_at). Raises OSError when the disk does not take it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    count = 0
    try:
        with pq.ParquetWriter(
            part,
            SCHEMA,
            compression="zstd",
            compression_level=3,
            use_dictionary=["name", "value", "quality"],
            # Split into bytes of one weight, repeated times are repeated bytes; packed differences would hide them.
            column_encoding={"point": "DELTA_BINARY_PACKED", "measured_at": "BYTE_STREAM_SPLIT", "delay_ms": "BYTE_STREAM_SPLIT"},
            write_statistics=["point", "measured_at"],
            write_page_checksum=True,
            max_rows_per_page=ROW_GROUP,  # and not several pages in a group: each is compressed for itself
        ) as writer:
            for piece in pieces:
                for at in range(0, len(piece), ROW_GROUP):
                    writer.write_table(_table(piece.take(slice(at, at + ROW_GROUP)), name))
                count += len(piece)
        sync(part)
        part.replace(path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return count


class PartReader:
    """Reads part files. Their footers are kept: a file once named never changes.

    Methods raise FileNotFoundError when a merge has removed the file meanwhile, OSError or pyarrow.ArrowException when it is damaged.
    """

    def __init__(self) -> None:
        self._footers: OrderedDict[Path, Footer] = OrderedDict()
        self._lock = Lock()

    def footer(self, path: Path) -> Footer:
        """What the file tells of itself."""
        with self._lock:
            found = self._footers.get(path)
            if found is not None:
                self._footers.move_to_end(path)
                return found
        footer = _footer(pq.read_metadata(path))
        with self._lock:
            self._footers[path] = footer
            if len(self._footers) > _FOOTERS_KEPT:
                self._footers.popitem(last=False)
        return footer

    def read(self, path: Path, points: NDArray[np.int32], from_ms: int, to_ms: int) -> Readings:
        """The readings of these points (sorted, each once) measured in [from_ms, to_ms), in the file's order."""
        footer = self.footer(path)
        # A group is worth reading when some wanted point lies within its span.
        wanted = np.searchsorted(points, footer.first_point) < np.searchsorted(points, footer.last_point, side="right")
        wanted &= (footer.last_at >= from_ms) & (footer.first_at < to_ms)
        if not wanted.any():
            return Readings.empty()
        readings = self._groups(path, footer, np.flatnonzero(wanted))
        return readings.take(_rows(readings, points, from_ms, to_ms))

    def read_span(self, path: Path, first_point: int, last_point: int) -> Readings:
        """The readings of the points from ``first_point`` to ``last_point``, both included."""
        footer = self.footer(path)
        groups = np.flatnonzero((footer.last_point >= first_point) & (footer.first_point <= last_point))
        if not len(groups):
            return Readings.empty()
        readings = self._groups(path, footer, groups)
        start, stop = np.searchsorted(readings.point, [first_point, last_point + 1])
        return readings.take(slice(int(start), int(stop)))

    def pieces(self, path: Path, at_once: int = 200_000) -> Iterator[Readings]:
        """All readings of the file, in its order, about so many at a time."""
        footer = self.footer(path)
        number = np.cumsum(footer.rows) // at_once
        for piece in np.unique(number).tolist():
            yield self._groups(path, footer, np.flatnonzero(number == piece))

    @staticmethod
    def _groups(path: Path, footer: Footer, groups: NDArray[np.intp]) -> Readings:
        with pq.ParquetFile(path, metadata=footer.metadata, page_checksum_verification=True) as file:
            table = file.read_row_groups(groups.tolist(), columns=_COLUMNS, use_threads=False)
        measured_at = table.column("measured_at").cast(pa.int64()).to_numpy()
        return Readings(
            table.column("point").to_numpy(),
            measured_at,
            measured_at + table.column("delay_ms").to_numpy(),
            table.column("value").to_numpy(),
            table.column("quality").to_numpy(),
        )


def _footer(metadata: Any) -> Footer:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    columns = {metadata.schema.column(index).name: index for index in range(metadata.num_columns)}
    if not columns.keys() >= set(_COLUMNS):
        raise pa.ArrowInvalid("a file of other columns is none of ours")
    point = [group.column(columns["point"]).statistics for group in groups]
    measured = [group.column(columns["measured_at"]).statistics for group in groups]
    if any(statistics is None for statistics in (*point, *measured)):
        raise pa.ArrowInvalid("a row group without statistics is none of ours")
    return Footer(
        metadata,
        np.array([statistics.min_raw for statistics in point], np.int32),
        np.array([statistics.max_raw for statistics in point], np.int32),
        np.array([statistics.min_raw for statistics in measured], np.int64),
        np.array([statistics.max_raw for statistics in measured], np.int64),
        np.array([group.num_rows for group in groups], np.int64),
    )


def _rows(readings: Readings, points: NDArray[np.int32], from_ms: int, to_ms: int) -> NDArray[np.bool_]:
    """Which rows are of these points and of that time; the readings are sorted by point."""
    inside: NDArray[np.bool_] = (readings.measured_at >= from_ms) & (readings.measured_at < to_ms)
    if len(points) == 1:
        start, stop = np.searchsorted(readings.point, [points[0], points[0] + 1])
        inside[:start] = False
        inside[stop:] = False
        return inside
    at = np.minimum(np.searchsorted(points, readings.point), len(points) - 1)
    inside &= points[at] == readings.point
    return inside


def _table(readings: Readings, name: Callable[[int], str]) -> pa.Table:
    first = np.flatnonzero(np.append(True, readings.point[1:] != readings.point[:-1])[: len(readings)])
    names = pa.array([name(int(point)) for point in readings.point[first]], pa.string())
    codes = np.repeat(np.arange(len(first), dtype=np.int32), np.diff(np.append(first, len(readings))))
    return pa.table(
        [
            pa.array(readings.point),
            pa.DictionaryArray.from_arrays(pa.array(codes), names),
            pa.array(readings.measured_at).cast(pa.timestamp("ms", "UTC")),
            pa.array(readings.received_at - readings.measured_at),
            pa.array(readings.value),
            pa.array(readings.quality),
        ],
        schema=SCHEMA,
    )


def sync(path: Path) -> None:
    """What was written to this file, or renamed in this folder, is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The newest reading of every point and the newest usable one, in one small file beside the days: nobody has to look through them.

The file says for each day up to which write it has seen it (``covered``). What was written since is read from the day's newer files, so
the answer is right however old the file is; without it, the days themselves are looked through.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.reading import Readings
from store.duplicates import newest
from store.history.part_file import sync

FILE: Final = "newest.parquet"
_COVERED: Final = b"covered"
_ROW_GROUP: Final = 65_536  # held in memory twice while it is written
_SCHEMA: Final = pa.schema(
    [
        pa.field("point", pa.int32()),
        pa.field("measured_at", pa.int64()),
        pa.field("received_at", pa.int64()),
        pa.field("value", pa.float64()),
        pa.field("quality", pa.uint8()),
        pa.field("usable", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class NewestRows:
    """``any``: the newest reading of each point, sorted by point; ``behind``: the newest usable one of those points whose newest is not.

    ``covered`` is the last write seen of each day.
    """

    any: Readings
    behind: Readings
    covered: dict[int, int]

    @classmethod
    def none(cls) -> "NewestRows":
        """Nothing seen yet."""
        return cls(Readings.empty(), Readings.empty(), {})

    def of(self, points: NDArray[np.int32], *, usable: bool) -> Readings:
        """The rows of these points (sorted)."""
        found = _of(self.any, points)
        return newest(Readings.concat([_of(self.behind, points), found.usable()])) if usable else found

    def seeing(self, readings: Readings) -> "NewestRows":
        """With these readings, written later than all before, taken into account."""
        fresh = newest(readings)
        now = _folded(self.any, fresh)
        bad = np.setdiff1d(fresh.point, _of(now, fresh.point).usable().point, assume_unique=True)
        usable = [self.of(bad, usable=True), readings.take(np.isin(readings.point, bad)).usable()]
        others = self.behind.take(~np.isin(self.behind.point, fresh.point))
        return replace(self, any=now, behind=newest(Readings.concat([others, *usable])))

    def since(self, first_ms: int) -> "NewestRows":
        """Without readings measured before this instant."""
        return replace(self, any=_since(self.any, first_ms), behind=_since(self.behind, first_ms))


class NewestFile:
    """The file in ``folder``; read again only when it has been replaced."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._seen: tuple[tuple[int, int], NewestRows] | None = None

    def load(self) -> NewestRows | None:
        """What the file says; None where there is none that can be read."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if self._seen is None or self._seen[0] != stamp:
                with pq.ParquetFile(self._path, page_checksum_verification=True) as file:
                    self._seen = (stamp, _rows(file.read(use_threads=False)))
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            return None
        return self._seen[1]

    def save(self, rows: NewestRows) -> None:
        """Replaces the file. Raises OSError when the disk does not take it."""
        part = self._path.with_name(f".{FILE}.{os.getpid()}.tmp")
        schema = _SCHEMA.with_metadata({_COVERED: json.dumps(rows.covered).encode()})
        try:
            with pq.ParquetWriter(part, schema, compression="zstd", write_page_checksum=True) as writer:
                for usable, some in ((False, rows.any), (True, rows.behind)):
                    columns = [some.point, some.measured_at, some.received_at, some.value, some.quality, np.full(len(some), usable)]
                    writer.write_table(pa.table(columns, schema=schema), row_group_size=_ROW_GROUP)
            sync(part)
            status = part.stat()
            part.replace(self._path)
            self._seen = ((status.st_mtime_ns, status.st_ino), rows)
        finally:
            part.unlink(missing_ok=True)


def _of(rows: Readings, points: NDArray[np.int32]) -> Readings:
    return rows.take(np.isin(rows.point, points, assume_unique=True))


def _since(rows: Readings, first_ms: int) -> Readings:
    young = rows.measured_at >= first_ms
    return rows if young.all() else rows.take(young)


def _folded(known: Readings, fresh: Readings) -> Readings:
    """The newest of both, each sorted by point with one row of each; of one instant the one that counts (``duplicates.resolve``)."""
    at = np.searchsorted(known.point, fresh.point)
    there = at < len(known)
    there[there] = known.point[at[there]] == fresh.point[there]
    better = newest(Readings.concat([known.take(at[there]), fresh.take(there)]))  # of the few that are in both
    rows = at[there] + np.cumsum(~there)[there]  # where they stand once the first ones of other points are between them
    first = fresh.take(~there)
    # Column by column, each copied once: of a large town all together are more than is worth holding twice.
    merged = [np.insert(column, at[~there], more) for column, more in zip(_columns(known), _columns(first), strict=True)]
    for column, fresher in zip(merged, _columns(better), strict=True):
        column[rows] = fresher
    return Readings(*merged)


def _columns(readings: Readings) -> tuple[NDArray[Any], ...]:
    return readings.point, readings.measured_at, readings.received_at, readings.value, readings.quality


def _rows(table: pa.Table) -> NewestRows:
    covered = {int(day): int(number) for day, number in json.loads(table.schema.metadata[_COVERED]).items()}
    usable = table.column("usable").to_numpy()
    both = Readings(*(table.column(name).to_numpy() for name in ("point", "measured_at", "received_at", "value", "quality")))
    rows, behind = both.take(~usable), both.take(usable)
    # Until 2026-11 the file held a usable row of every point: those that are the newest themselves need none.
    return NewestRows(rows, behind.take(~np.isin(behind.point, rows.usable().point)), covered)

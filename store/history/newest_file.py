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
    """One row a point, sorted by point: ``any`` reading, and ``usable`` ones; ``covered`` is the last write seen of each day."""

    any: Readings
    usable: Readings
    covered: dict[int, int]

    @classmethod
    def none(cls) -> "NewestRows":
        """Nothing seen yet."""
        return cls(Readings.empty(), Readings.empty(), {})

    def of(self, points: NDArray[np.int32], *, usable: bool) -> Readings:
        """The rows of these points (sorted)."""
        rows = self.usable if usable else self.any
        return rows.take(np.isin(rows.point, points, assume_unique=True))

    def seeing(self, readings: Readings) -> "NewestRows":
        """With these readings, written later than all before, taken into account."""
        return replace(self, any=_folded(self.any, newest(readings)), usable=_folded(self.usable, newest(readings.usable())))

    def since(self, first_ms: int) -> "NewestRows":
        """Without readings measured before this instant."""
        return replace(
            self,
            any=self.any.take(self.any.measured_at >= first_ms),
            usable=self.usable.take(self.usable.measured_at >= first_ms),
        )


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
                for usable, some in ((False, rows.any), (True, rows.usable)):
                    columns = [some.point, some.measured_at, some.received_at, some.value, some.quality, np.full(len(some), usable)]
                    writer.write_table(pa.table(columns, schema=schema), row_group_size=_ROW_GROUP)
            sync(part)
            status = part.stat()
            part.replace(self._path)
            self._seen = ((status.st_mtime_ns, status.st_ino), rows)
        finally:
            part.unlink(missing_ok=True)


def _folded(known: Readings, fresh: Readings) -> Readings:
    """The newest of both, each sorted by point with one row of each; of one instant the one that counts (``duplicates.resolve``)."""
    at = np.searchsorted(known.point, fresh.point)
    there = at < len(known)
    there[there] = known.point[at[there]] == fresh.point[there]
    rows = at[there]
    better = newest(Readings.concat([known.take(rows), fresh.take(there)]))  # of the few that are in both
    merged = Readings(*(column.copy() for column in _columns(known)))
    for column, fresher in zip(_columns(merged), _columns(better), strict=True):
        column[rows] = fresher
    if there.all():
        return merged
    first = fresh.take(~there)
    pairs = zip(_columns(merged), _columns(first), strict=True)
    return Readings(*(np.insert(column, at[~there], more) for column, more in pairs))


def _columns(readings: Readings) -> tuple[NDArray[Any], ...]:
    return readings.point, readings.measured_at, readings.received_at, readings.value, readings.quality


def _rows(table: pa.Table) -> NewestRows:
    covered = {int(day): int(number) for day, number in json.loads(table.schema.metadata[_COVERED]).items()}
    usable = table.column("usable").to_numpy()
    both = Readings(*(table.column(name).to_numpy() for name in ("point", "measured_at", "received_at", "value", "quality")))
    return NewestRows(both.take(~usable), both.take(usable), covered)

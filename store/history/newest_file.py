"""The newest reading of every point and the newest usable one, in one small file beside the days: nobody has to look through them.

The file says for each day up to which write it has seen it (``covered``). What was written since is read from the day's newer files, so
the answer is right however old the file is; without it, the days themselves are looked through.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.reading import Readings
from store.duplicates import newest
from store.history.part_file import sync

FILE: Final = "newest.parquet"
_COVERED: Final = b"covered"


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
        """With these readings taken into account."""
        fresh = newest(readings)
        known = replace(self, any=newest(Readings.concat([self.any, fresh])))
        fresh = newest(readings.usable())
        return replace(known, usable=newest(Readings.concat([self.usable, fresh])))

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
                self._seen = (stamp, _rows(pq.read_table(self._path, page_checksum_verification=True, use_threads=False)))
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            return None
        return self._seen[1]

    def save(self, rows: NewestRows) -> None:
        """Replaces the file. Raises OSError when the disk does not take it."""
        both = Readings.concat([rows.any, rows.usable])
        names = ["point", "measured_at", "received_at", "value", "quality", "usable"]
        columns = [both.point, both.measured_at, both.received_at, both.value, both.quality, np.arange(len(both)) >= len(rows.any)]
        table = pa.table(columns, names=names).replace_schema_metadata({_COVERED: json.dumps(rows.covered).encode()})
        part = self._path.with_name(f".{FILE}.{os.getpid()}.tmp")
        try:
            pq.write_table(table, part, compression="zstd", write_page_checksum=True)
            sync(part)
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)


def _rows(table: pa.Table) -> NewestRows:
    covered = {int(day): int(number) for day, number in json.loads(table.schema.metadata[_COVERED]).items()}
    usable = table.column("usable").to_numpy()
    both = Readings(*(table.column(name).to_numpy() for name in ("point", "measured_at", "received_at", "value", "quality")))
    return NewestRows(both.take(~usable), both.take(usable), covered)

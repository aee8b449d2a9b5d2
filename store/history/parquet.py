"""The embedded history: Parquet files by UTC day, read by many processes while one writes."""

import fcntl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import structlog
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.reading import Readings
from store.duplicates import newest, resolve
from store.history.merge import DamagedPartError, due, merge, part_rows, sweep
from store.history.part_file import PartReader, write_part
from store.history.parts import DAY_MS, FIRST_DAY, LAST_DAY, Part, current, day_folder, days_in, next_number, part_path, parts_in
from store.history.protocol import Points, sorted_points
from store.rollup import Rollup, roll_up

QUARANTINE: Final = "quarantine"
IDENTITY: Final = "identity"
_TRIES: Final = 20
_QUIET: Final = 10  # times the grace: so long nothing must have been written to a day before it is merged into one file
_LATEST_DAYS: Final = 30  # on so many days a silent point's last reading is looked for

_log = structlog.get_logger()


class ParquetHistory:
    """Readings in ``folder``, one folder a day, sorted by point and time within each file.

    ``name`` gives the name of a point; each file carries the names of its points. Readings measured before 1970 or after 2199
    go to ``quarantine/`` and are counted in ``quarantined``; files that can't be read are passed over and counted in ``damaged``.
    ``grace_s``: for how long (wall seconds) a merged file's originals stay for readers that have listed them already.
    """

    settle_s: float = 0.0

    def __init__(self, folder: Path, name: Callable[[int], str], *, grace_s: float = 60.0) -> None:
        self._folder = folder
        self._name = name
        self._grace_s = grace_s
        self._reader = PartReader()
        self._damaged: set[Path] = set()
        self._untidy: set[int] = set(days_in(folder))
        self.quarantined = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: {error}") from error

    @property
    def damaged(self) -> int:
        """How many files this object found that can't be read."""
        return len(self._damaged)

    def write(self, readings: Readings) -> None:
        """Keeps the readings: one file for each day among them. Raises StoreError when the disk does not take them."""
        if not len(readings):
            return
        days = readings.measured_at // DAY_MS
        first, last = int(days.min()), int(days.max())
        try:
            if FIRST_DAY <= first == last <= LAST_DAY:
                self._write_day(first, readings)
                return
            for day in np.unique(days).tolist():
                if FIRST_DAY <= day <= LAST_DAY:
                    self._write_day(day, readings.take(days == day))
            sane = (days >= FIRST_DAY) & (days <= LAST_DAY)
            if not sane.all():
                self._set_apart(readings.take(~sane))
        except OSError as error:
            raise StoreError(f"{self._folder}: {error}") from error

    def read(self, points: Points, from_ms: int, to_ms: int) -> Readings:
        """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), bad ones included."""
        wanted = sorted_points(points)
        if not len(wanted) or from_ms >= to_ms:
            return Readings.empty()
        first, last = from_ms // DAY_MS, (to_ms - 1) // DAY_MS
        days = [day for day in days_in(self._folder) if first <= day <= last]
        return resolve(Readings.concat([self._read_day(day, wanted, from_ms, to_ms) for day in days]))

    def latest(self, points: Points, before_ms: int, *, usable: bool = False) -> Readings:
        """The newest (usable) reading of each point measured before this instant, looked for on the 30 last days that have readings."""
        missing = sorted_points(points)
        found: list[Readings] = []
        days = [day for day in days_in(self._folder) if day * DAY_MS < before_ms]
        for day in days[: -_LATEST_DAYS - 1 : -1]:
            if not len(missing):
                break
            readings = resolve(self._read_day(day, missing, -(2**63), before_ms))
            found.append(newest(readings.usable() if usable else readings))
            missing = np.setdiff1d(missing, found[-1].point, assume_unique=True)
        return resolve(Readings.concat(found))

    def rollup(self, points: Points, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
        """What the usable readings of [from_ms, to_ms) did in each stretch of step_ms."""
        return roll_up(self.read(points, from_ms, to_ms), from_ms, to_ms, step_ms)

    def span(self) -> tuple[int, int] | None:
        """The instants of the first and the last reading, to the day; None while there is none."""
        days = days_in(self._folder)
        return (days[0] * DAY_MS, (days[-1] + 1) * DAY_MS - 1) if days else None

    def identity(self) -> str:
        """Which history this is: a word in a file of its folder, made up by whoever asks first."""
        path = self._folder / IDENTITY
        try:
            with self._locked("write"):
                if not path.exists():
                    part = path.with_suffix(".tmp")
                    part.write_text(uuid.uuid4().hex, encoding="ascii")
                    part.replace(path)
                return path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path}: {error}") from error

    def boot(self) -> str:
        """Which run of the back end this is: what is written is on the disk, whoever runs."""
        return ""

    def counts(self) -> dict[str, int]:
        """What did not become history, and why."""
        return {"quarantined": self.quarantined, "damaged_files": self.damaged}

    def tidy(self, now_ms: int | None = None) -> None:
        """Merges what has become many files, and removes what was merged long enough ago. Raises StoreError on a full disk."""
        newest_day = max(days_in(self._folder), default=0)
        try:
            with self._locked("merge"):
                for day in sorted(self._untidy):
                    if self._tidy_day(day_folder(self._folder, day), finished=day < newest_day):
                        self._untidy.discard(day)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error}") from error

    def close(self) -> None:
        """Gives back what the history holds open: nothing, between two calls."""

    def _write_day(self, day: int, readings: Readings) -> None:
        self._write_to(day_folder(self._folder, day), readings)
        self._untidy.add(day)

    def _set_apart(self, readings: Readings) -> None:
        """Keeps readings of impossible time where nobody takes them for measurements."""
        self._write_to(self._folder / QUARANTINE, readings)
        self.quarantined += len(readings)
        _log.warning("history: readings of impossible time set apart", readings=len(readings), folder=QUARANTINE)

    def _write_to(self, folder: Path, readings: Readings) -> None:
        with self._locked("write"):
            folder.mkdir(parents=True, exist_ok=True)
            number = next_number(parts_in(folder))
            write_part(part_path(folder, number, number), [resolve(readings)], self._name)

    def _read_day(self, day: int, points: NDArray[np.int32], from_ms: int, to_ms: int) -> Readings:
        """The day's readings of these points, in order of writing."""
        folder = day_folder(self._folder, day)
        for _ in range(_TRIES):
            found: list[Readings] = []
            for part in current(parts_in(folder)):
                try:
                    found.append(self._reader.read(part.path, points, from_ms, to_ms))
                except FileNotFoundError:
                    break  # merged and removed since the folder was listed: list it again
                except (OSError, pa.ArrowException) as error:
                    self._note_damaged(part.path, error)
            else:
                return Readings.concat(found)
        raise StoreError(f"{folder}: its files change faster than they can be read")

    def _tidy_day(self, folder: Path, *, finished: bool) -> bool:
        """Merges and sweeps one day; whether nothing is left to do there."""
        while True:
            parts = current(parts_in(folder))
            try:
                rows = [part_rows(part, self._reader) for part in parts]
                run = due(rows, finished=finished and self._quiet(parts))
                if run is None:
                    break
                merge(parts[run], self._reader, self._name)
            except DamagedPartError as damaged:
                self._set_aside(damaged)
        sweep(folder, self._grace_s)
        return finished and len(parts_in(folder)) <= 1

    def _quiet(self, parts: list[Part]) -> bool:
        """Whether nothing was written to these for a while: late data trickling in must not rewrite a day each time."""
        newest_s = max((part.path.stat().st_mtime for part in parts), default=0.0)
        return time.time() - newest_s >= _QUIET * self._grace_s

    def _note_damaged(self, path: Path, reason: Exception) -> None:
        if path not in self._damaged:
            self._damaged.add(path)
            _log.error("history: damaged file passed over", path=str(path), reason=str(reason))

    def _set_aside(self, damaged: DamagedPartError) -> None:
        """Takes a damaged file out of the way of merging, under a name that says so."""
        path = damaged.part.path
        self._note_damaged(path, damaged)
        if path.exists():
            path.replace(path.with_name(f"damaged-{path.name}"))

    @contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        """Alone among all processes that write (or merge) this history."""
        with (self._folder / f".{what}.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

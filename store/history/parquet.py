"""The embedded history: Parquet files by UTC day, read by many processes while one writes.

history/2026-01-14/part-….parquet    readings, see ``parts`` and ``part_file``
history/hours/2026-01.parquet        their hours, see ``hours_file``
history/newest.parquet               the newest of each point, see ``newest_file``
history/identity                     which history this is
history/quarantine/                  readings of impossible times
"""

import fcntl
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import structlog
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.reading import Readings
from store.duplicates import newest, resolve
from store.history.hours_file import HOUR_MS, month_of
from store.history.part_file import PartReader, write_part
from store.history.parts import DAY_MS, FIRST_DAY, LAST_DAY, current, day_folder, days_in, last_number, part_path, parts_in
from store.history.protocol import Points, sorted_points
from store.history.upkeep import LATEST_DAYS, Upkeep
from store.rollup import Rollup, combine, roll_up

QUARANTINE: Final = "quarantine"
IDENTITY: Final = "identity"
WRITE: Final = "write"
MERGE: Final = "merge"
_TRIES: Final = 20
_EVER: Final = -(2**63)

_log = structlog.get_logger()


class ParquetHistory:
    """Readings in ``folder``, one folder a day, sorted by point and time within each file.

    ``name`` gives the name of a point; each file carries the names of its points. Readings measured before 1970 or after 2199
    go to ``quarantine/`` and are counted in ``quarantined``; files that can't be read are passed over and counted in ``damaged``.
    ``grace_s``: for how long (wall seconds) a merged file's originals stay for readers that have listed them already.
    ``days``: for how long readings stay, 0 for ever; older ones are not taken, and counted in ``expired``.
    """

    settle_s: float = 0.0

    def __init__(self, folder: Path, name: Callable[[int], str], *, grace_s: float = 60.0, days: float = 0.0) -> None:
        self._folder = folder
        self._name = name
        self._reader = PartReader()
        self._damaged: set[Path] = set()
        self.quarantined = 0
        self.expired = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: {error}") from error
        self._upkeep = Upkeep(folder, name, self._reader, self._note_damaged, grace_s=grace_s, days=days)

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
        first_kept = max(FIRST_DAY, self._upkeep.kept_from)
        try:
            if first_kept <= first == last <= LAST_DAY:
                self._write_to(day_folder(self._folder, first), readings)
                return
            for day in np.unique(days).tolist():
                if first_kept <= day <= LAST_DAY:
                    self._write_to(day_folder(self._folder, day), readings.take(days == day))
            sane = (days >= FIRST_DAY) & (days <= LAST_DAY)
            self.expired += int(np.count_nonzero(sane & (days < first_kept)))
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
        wanted = sorted_points(points)
        days = [day for day in days_in(self._folder) if day * DAY_MS < before_ms][-LATEST_DAYS:]
        known = self._upkeep.newest.load()
        if known is None or not len(wanted):
            return self._search(wanted, days, before_ms, usable=usable)
        since = Readings.concat([self._read_day(day, wanted, _EVER, before_ms, known.covered.get(day, 0)) for day in days])
        found = newest(Readings.concat([known.of(wanted, usable=usable), since.usable() if usable else since]))
        beyond = found.measured_at >= before_ms  # what is known is newer than what was asked for
        if not beyond.any():
            return found
        return newest(Readings.concat([found.take(~beyond), self._search(found.point[beyond], days, before_ms, usable=usable)]))

    def rollup(self, points: Points, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
        """What the usable readings of [from_ms, to_ms) did in each stretch of step_ms; from stored hours where the stretches are hours."""
        wanted = sorted_points(points)
        if not len(wanted) or from_ms >= to_ms:
            return Rollup.empty()
        if step_ms % HOUR_MS or from_ms % HOUR_MS:
            return roll_up(self.read(wanted, from_ms, to_ms), from_ms, to_ms, step_ms)
        parts = [*self._stored_hours(wanted, from_ms, to_ms)]
        counted = {day for days, _ in parts for day in days}
        spans = _spans([day for day in days_in(self._folder) if day not in counted], from_ms, to_ms)
        if to_ms // DAY_MS in counted and to_ms % HOUR_MS:  # the last hour is cut
            spans.append((to_ms - to_ms % HOUR_MS, to_ms))
        fresh = [roll_up(self.read(wanted, start, stop), start, stop, HOUR_MS) for start, stop in spans]
        return combine(Rollup.concat([*(hours for _, hours in parts), *fresh]), from_ms, step_ms)

    def span(self) -> tuple[int, int] | None:
        """The instants of the first and the last reading, to the day; None while there is none."""
        days = days_in(self._folder)
        return (days[0] * DAY_MS, (days[-1] + 1) * DAY_MS - 1) if days else None

    def days(self) -> list[int]:
        """The UTC days on which there are readings, in order."""
        return days_in(self._folder)

    def identity(self) -> str:
        """Which history this is: a word in a file of its folder, made up by whoever asks first."""
        path = self._folder / IDENTITY
        try:
            with alone(self._folder, WRITE):
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
        return {"quarantined": self.quarantined, "expired": self.expired, "damaged_files": self.damaged}

    def tidy(self, now_ms: int | None = None) -> None:
        """Merges, counts hours, notes the newest, and with ``now_ms`` removes what is past its days. Raises StoreError on a full disk."""
        try:
            with alone(self._folder, MERGE):
                self._upkeep.tidy(now_ms)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error}") from error

    def close(self) -> None:
        """Gives back what the history holds open: nothing, between two calls."""

    def _set_apart(self, readings: Readings) -> None:
        """Keeps readings of impossible time where nobody takes them for measurements."""
        self._write_to(self._folder / QUARANTINE, readings)
        self.quarantined += len(readings)
        _log.warning("history: readings of impossible time set apart", readings=len(readings), folder=QUARANTINE)

    def _write_to(self, folder: Path, readings: Readings) -> None:
        with alone(self._folder, WRITE):
            folder.mkdir(parents=True, exist_ok=True)
            number = last_number(folder) + 1
            write_part(part_path(folder, number, number), [resolve(readings)], self._name)

    def _search(self, points: NDArray[np.int32], days: list[int], before_ms: int, *, usable: bool) -> Readings:
        """The newest (usable) reading of each point before this instant, from the days' own files."""
        missing = points
        found: list[Readings] = []
        for day in reversed(days):
            if not len(missing):
                break
            readings = resolve(self._read_day(day, missing, _EVER, before_ms))
            found.append(newest(readings.usable() if usable else readings))
            missing = np.setdiff1d(missing, found[-1].point, assume_unique=True)
        return resolve(Readings.concat(found))

    def _stored_hours(self, points: NDArray[np.int32], from_ms: int, to_ms: int) -> Iterator[tuple[list[int], Rollup]]:
        """Of each month the days whose stored hours are still true, and these hours."""
        hours = self._upkeep.hours
        for month in hours.months(month_of(from_ms // DAY_MS), month_of((to_ms - 1) // DAY_MS)):
            days = [day for day, number in hours.days(month).items() if last_number(day_folder(self._folder, day)) in {0, number}]
            try:
                found = hours.read(month, days, points)
            except (OSError, pa.ArrowException) as error:
                self._note_damaged(hours.path(month), error)
                continue
            yield days, found.take((found.at >= from_ms) & (found.at + HOUR_MS <= to_ms))

    def _read_day(self, day: int, points: NDArray[np.int32], from_ms: int, to_ms: int, after: int = 0) -> Readings:
        """The day's readings of these points, in order of writing; at least those written after number ``after``."""
        folder = day_folder(self._folder, day)
        for _ in range(_TRIES):
            found: list[Readings] = []
            for part in current(parts_in(folder)):
                try:
                    if part.last > after:
                        found.append(self._reader.read(part.path, points, from_ms, to_ms))
                except FileNotFoundError:
                    break  # merged and removed since the folder was listed: list it again
                except (OSError, pa.ArrowException) as error:
                    self._note_damaged(part.path, error)
            else:
                return Readings.concat(found)
        raise StoreError(f"{folder}: its files change faster than they can be read")

    def _note_damaged(self, path: Path, reason: Exception) -> None:
        if path not in self._damaged:
            self._damaged.add(path)
            _log.error("history: damaged file passed over", path=str(path), reason=str(reason))


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Alone among all processes that do this (``WRITE`` or ``MERGE``) to the history in the folder."""
    with (folder / f".{what}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _spans(days: Iterable[int], from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """These days as few stretches of time, cut to [from_ms, to_ms)."""
    spans = []
    for _, run in groupby(enumerate(sorted(days)), lambda pair: pair[1] - pair[0]):
        whole = [day for _, day in run]
        start, stop = max(from_ms, whole[0] * DAY_MS), min(to_ms, (whole[-1] + 1) * DAY_MS)
        if start < stop:
            spans.append((start, stop))
    return spans

"""What the writer of the Parquet history does from time to time: merges small files, counts hours, notes the newest, removes the old.

day's files ─▶ merged by size ─▶ one file a finished day ─▶ its hours in the month's file ─▶ removed past its days
        └────▶ newest.parquet

Each step leaves a history that reads the same, so it may stop or crash between any two of them.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import structlog

from domain.reading import Readings
from store.duplicates import resolve
from store.history.hours_file import HOUR_MS, DamagedMonthError, HoursFiles, month_of
from store.history.merge import DamagedPartError, cuts, due, merge, part_rows, span_of, sweep
from store.history.newest_file import NewestFile, NewestRows
from store.history.part_file import PartReader
from store.history.parts import DAMAGED, DAY_MS, Part, current, day_folder, days_in, last_number, parts_in
from store.rollup import Rollup, roll_up

LATEST_DAYS: Final = 30  # of so many days the newest readings are known
_QUIET: Final = 10  # times the grace: so long nothing must have been written to a day before it is merged into one file
_HOURS_PAUSE: Final = 60  # times the grace: a month's file is not written again sooner
_DAYS_AT_ONCE: Final = 4  # counted in one pass: the forwarder waits for it
_READINGS_AT_ONCE: Final = 20_000_000  # looked at in one pass for the newest of each point
_GONE: Final = ".gone-"
_KEPT_FROM: Final = "kept_from"
_LAST_POINT: Final = 2**31 - 1

_log = structlog.get_logger()


class Upkeep:
    """The upkeep of the history in ``folder``. ``days`` is for how long readings stay, 0 for ever; hours stay for good.

    ``note_damaged`` is told of files that can't be read; they are set aside under a name that says so.
    """

    def __init__(
        self,
        folder: Path,
        name: Callable[[int], str],
        reader: PartReader,
        note_damaged: Callable[[Path, Exception], None],
        *,
        grace_s: float,
        days: float,
    ) -> None:
        self.newest = NewestFile(folder)
        self.hours = HoursFiles(folder)
        self._folder = folder
        self._name = name
        self._reader = reader
        self._note_damaged = note_damaged
        self._grace_s = grace_s
        self._days = days
        self._tidied: dict[int, int] = {}  # when each day's folder was changed last, for days in which nothing was left to do
        self.kept_from = self._read_kept_from()

    def tidy(self, now_ms: int | None) -> None:
        """One pass. Raises OSError when the disk does not take it."""
        days = days_in(self._folder)
        newest_day = max(days, default=0)
        changed = {day: stamp for day in days if (stamp := self._changed(day)) != self._tidied.get(day)}
        merged = [day for day in changed if self._tidy_day(day_folder(self._folder, day), finished=day < newest_day)]
        uncounted = [day for day in merged if not self._counted(day)]
        # What this pass itself changed is looked at once more in the next one.
        self._tidied.update((day, changed[day]) for day in merged if day not in uncounted)
        self._count_hours(uncounted)
        self._note_newest(days[-LATEST_DAYS:])
        if now_ms is not None and self._days:
            self._expire(days, now_ms)

    # ── merging ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, day: int) -> int:
        try:
            return day_folder(self._folder, day).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _tidy_day(self, folder: Path, *, finished: bool) -> bool:
        """Merges and sweeps one day; whether nothing is left to merge there."""
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

    def _set_aside(self, damaged: DamagedPartError) -> None:
        path = damaged.part.path
        self._note_damaged(path, damaged)
        if path.exists():
            path.replace(path.with_name(f"{DAMAGED}{path.name}"))

    # ── hours ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _counted(self, day: int) -> bool:
        """Whether the month's file counts all that was written to this day."""
        return self.hours.days(month_of(day)).get(day) == last_number(day_folder(self._folder, day))

    def _count_hours(self, days: list[int]) -> None:
        """Counts some of these days (finished, merged) in the files of their months."""
        by_month: dict[str, list[int]] = {}
        for day in days[:_DAYS_AT_ONCE]:
            by_month.setdefault(month_of(day), []).append(day)
        for month, some in by_month.items():
            if not self._rested(self.hours.path(month)):
                continue
            numbers = {day: last_number(day_folder(self._folder, day)) for day in some}
            try:
                self.hours.replace(month, numbers, self._hours_of(some))
            except DamagedPartError as damaged:
                self._set_aside(damaged)
            except DamagedMonthError as damaged:  # all its days are counted anew
                self._note_damaged(damaged.path, damaged)
                damaged.path.replace(damaged.path.with_name(f"{DAMAGED}{damaged.path.name}"))
                self._tidied.clear()

    def _rested(self, path: Path) -> bool:
        try:
            return time.time() - path.stat().st_mtime >= _HOURS_PAUSE * self._grace_s
        except FileNotFoundError:
            return True

    def _hours_of(self, days: list[int]) -> Iterator[tuple[int, int, Rollup]]:
        """The hours of these days, a span of points after the other."""
        parts = {day: current(parts_in(day_folder(self._folder, day))) for day in days}
        lasts = cuts([part for run in parts.values() for part in run], self._reader)
        first = -_LAST_POINT - 1
        for last in [*lasts[:-1], _LAST_POINT]:
            found = []
            for day, run in parts.items():
                readings = resolve(Readings.concat([span_of(self._reader, part, first, last) for part in run]))
                found.append(roll_up(readings, day * DAY_MS, (day + 1) * DAY_MS, HOUR_MS))
            yield first, last, Rollup.concat(found)
            first = last + 1

    # ── the newest ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _note_newest(self, days: list[int]) -> None:
        """Takes what was written since into the file of the newest readings, the latest days first, some at a time."""
        rows = known = self.newest.load() or NewestRows.none()
        covered = dict(known.covered)
        looked = 0
        for day in reversed(days):
            folder = day_folder(self._folder, day)
            number = last_number(folder)
            if covered.get(day, 0) >= number or looked > _READINGS_AT_ONCE:
                continue
            for part in current(parts_in(folder)):
                if part.last > covered.get(day, 0):
                    for piece in self._pieces(part):
                        rows = rows.seeing(piece)
                        looked += len(piece)
            covered[day] = number
        if covered != known.covered:
            kept = {day: number for day, number in covered.items() if day in days}
            self.newest.save(NewestRows(rows.any, rows.behind, kept).since(self.kept_from * DAY_MS))

    def _pieces(self, part: Part) -> Iterator[Readings]:
        try:
            yield from self._reader.pieces(part.path)
        except FileNotFoundError:
            return
        except (OSError, pa.ArrowException) as error:
            self._note_damaged(part.path, error)  # merging will set it aside

    # ── retention ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _expire(self, days: list[int], now_ms: int) -> None:
        """Removes the days that are past their time, but none whose hours are not counted yet.

        Time is that of the readings as long as the clock does not lag behind them: a clock a year ahead must not cost a year.
        """
        past = [day for day in days if day <= now_ms // DAY_MS]
        if not past:
            return
        keep_from = past[-1] - math.ceil(self._days)
        doomed = [day for day in past if day < keep_from and (self._counted(day) or not parts_in(day_folder(self._folder, day)))]
        if keep_from > self.kept_from:
            self.kept_from = keep_from
            (self._folder / _KEPT_FROM).write_text(str(np.datetime64(keep_from, "D")), encoding="ascii")
        for day in doomed:
            folder = day_folder(self._folder, day)
            gone = folder.with_name(f"{_GONE}{folder.name}")
            folder.replace(gone)
            shutil.rmtree(gone, ignore_errors=True)
            _log.info("history: a day is past its time and removed; its hours stay", day=folder.name, days=self._days)
        for left in self._folder.glob(f"{_GONE}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _read_kept_from(self) -> int:
        """The first day that is kept; the beginning of time where all are."""
        if not self._days:
            return 0
        try:
            return int(np.datetime64((self._folder / _KEPT_FROM).read_text(encoding="ascii").strip(), "D").astype(np.int64))
        except (OSError, ValueError):
            return 0

"""The files of one UTC day: which there are, which count, and what the next one is called.

    history/2026-01-14/part-00000001-00000001.parquet      one write each,
    history/2026-01-14/part-00000002-00000002.parquet      numbered in order of writing
    history/2026-01-14/part-00000001-00000002.parquet      both merged: those whose numbers lie within its span count no more

A merged file is complete before it gets its name, and says by that name what it stands for. So nothing has to be put right after
a crash: at any instant the files that count hold every reading once.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DAY_MS = 86_400_000
FIRST_DAY, LAST_DAY = 0, 84_006  # 1970-01-01 to 2199-12-31: outside, a device's clock is broken
FIRST_MS, LAST_MS = FIRST_DAY * DAY_MS, (LAST_DAY + 1) * DAY_MS

DAMAGED = "damaged-"  # before the name of a file that can't be read
_NAME = re.compile(r"^part-(\d{8,})-(\d{8,})\.parquet$")
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")


@dataclass(frozen=True)
class Part:
    """One file: the writes from number ``first`` to ``last`` of its day."""

    first: int
    last: int
    path: Path


def days_of(span: tuple[int, int] | None) -> range:
    """The UTC days that a span of instants (both included) touches; none without a span."""
    return range(0) if span is None else range(span[0] // DAY_MS, span[1] // DAY_MS + 1)


def part_path(folder: Path, first: int, last: int) -> Path:
    """Where the file of these writes belongs."""
    return folder / f"part-{first:08d}-{last:08d}.parquet"


def parts_in(folder: Path) -> list[Part]:
    """Every part file of the day, in order of writing, a merged file before those it stands for."""
    found = []
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    for name in names:
        match = _NAME.match(name)
        if match is not None:
            found.append(Part(int(match[1]), int(match[2]), folder / name))
    return sorted(found, key=lambda part: (part.first, -part.last))


def current(parts: Iterable[Part]) -> list[Part]:
    """Of these parts (in ``parts_in``'s order), those that count: the ones that no other stands for."""
    kept: list[Part] = []
    for part in parts:
        if not kept or part.last > kept[-1].last:
            kept.append(part)
    return kept


def superseded(parts: Iterable[Part]) -> list[tuple[Part, Part]]:
    """Of these parts (in ``parts_in``'s order), each that counts no more, with the one that stands for it."""
    gone: list[tuple[Part, Part]] = []
    counts: Part | None = None
    for part in parts:
        if counts is not None and part.last <= counts.last:
            gone.append((part, counts))
        else:
            counts = part
    return gone


def last_number(folder: Path) -> int:
    """The number of the day's last write, whatever became of its file; 0 for a day without any."""
    try:
        names = [path.name.removeprefix(DAMAGED) for path in folder.iterdir()]
    except FileNotFoundError:
        return 0
    return max((int(match[2]) for name in names if (match := _NAME.match(name))), default=0)


def day_folder(history: Path, day: int) -> Path:
    """The folder of a UTC day, counted from 1970-01-01."""
    return history / str(np.datetime64(day, "D"))


def days_in(history: Path) -> list[int]:
    """The UTC days that have a folder, oldest first."""
    try:
        names = [path.name for path in history.iterdir() if _DAY.match(path.name)]
    except FileNotFoundError:
        return []
    return sorted(int(np.datetime64(name, "D").astype(np.int64)) for name in names)

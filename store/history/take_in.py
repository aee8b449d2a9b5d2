"""Readings files into a history: first read through to the end for mistakes, then written, a portion after the other.

files ─▶ checked whole ─▶ pieces ─▶ points registered ─▶ portions ─▶ history ─▶ settled
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from domain.errors import StoreError
from domain.reading import Readings
from store.history.protocol import History
from store.points import PointRegistry
from store.readings_file import Piece, read_pieces

PORTION: Final = 500_000
_TIDY_EVERY: Final = 16  # portions

Tell = Callable[[str, float | None], None]


@dataclass(frozen=True)
class TakenIn:
    """What the files held: readings, points, and the instants of the first and the last reading (UTC ms; None without any)."""

    readings: int = 0
    points: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


def check_files(paths: Sequence[Path], zone: ZoneInfo | None, tell: Tell) -> TakenIn:
    """Reads all files to their end, keeping nothing. Raises ConfigError for the first mistake."""
    found = TakenIn()
    names: set[str] = set()
    for path in paths:
        for piece in read_pieces(path, assume_timezone=zone):
            tell(f"checking {path.name}", piece.share)
            names.update(piece.names)
            found = _with(found, piece.readings)
    return replace(found, points=len(names))


def take_in(paths: Sequence[Path], zone: ZoneInfo | None, history: History, points: PointRegistry, now_ms: int, tell: Tell) -> TakenIn:
    """Writes all readings of the files into the history; they are there for good when this returns.

    Nothing is written unless all files are without mistake: raises ConfigError for the first one. Raises StoreError when the history
    does not take them; it may then be done again without harm.
    """
    found = check_files(paths, zone, tell)
    boot = history.boot()
    written = 0
    for number, portion in enumerate(_portions(paths, zone, points), 1):
        history.write(portion)
        written += len(portion)
        tell("importing", written / max(1, found.readings))
        if number % _TIDY_EVERY == 0:
            history.tidy(now_ms)
    if written:
        history.tidy(now_ms)
        settle(history, boot, tell)
    return found


def settle(history: History, boot: str, tell: Tell) -> None:
    """Waits until the history can't lose any more what was written, by the run of the back end that was asked for before.

    Raises StoreError when it was started anew meanwhile.
    """
    until_s = time.monotonic() + history.settle_s
    while (left_s := until_s - time.monotonic()) > 0:
        tell("waiting until the history has it on its disk", None)
        time.sleep(min(1.0, left_s))
    if history.boot() != boot:
        raise StoreError("the history was started anew meanwhile and may have lost some of it: do it again (nothing is kept twice)")


def _portions(paths: Sequence[Path], zone: ZoneInfo | None, points: PointRegistry) -> Iterator[Readings]:
    """The readings of all files by the registry's ids, about ``PORTION`` at a time."""
    parts: list[Readings] = []
    count = 0
    for path in paths:
        for piece in read_pieces(path, assume_timezone=zone):
            parts.append(_registered(piece, points))
            count += len(parts[-1])
            if count >= PORTION:
                yield Readings.concat(parts)
                parts, count = [], 0
    if count:
        yield Readings.concat(parts)


def _registered(piece: Piece, points: PointRegistry) -> Readings:
    """The piece's readings with the registry's ids; points not known yet are registered."""
    used = np.unique(piece.readings.point)
    ids = np.full(len(piece.names), -1, np.int32)
    ids[used] = points.ids([piece.names[number] for number in used.tolist()])
    return replace(piece.readings, point=ids[piece.readings.point])


def _with(found: TakenIn, readings: Readings) -> TakenIn:
    if not len(readings):
        return found
    first, last = int(readings.measured_at.min()), int(readings.measured_at.max())
    return TakenIn(
        found.readings + len(readings),
        found.points,
        first if found.first_ms is None else min(found.first_ms, first),
        last if found.last_ms is None else max(found.last_ms, last),
    )

"""What a history is: where readings stay for good, whatever keeps them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from domain.reading import Readings
from store.rollup import Rollup

Points = Sequence[int] | NDArray[np.int32]


def sorted_points(points: Points) -> NDArray[np.int32]:
    """These points in order, each once."""
    return np.unique(np.asarray(points, np.int32))


class History(Protocol):
    """Readings of the past. Every method raises StoreError when the back end can't do it now.

    One reading stays for each (point, measured_at): see ``store.duplicates.resolve``. ``settle_s`` is for how long after a write (wall
    seconds) the back end may still lose it by dying; 0 where a write is on the disk when it returns.
    """

    settle_s: float

    def write(self, readings: Readings) -> None:
        """Keeps the readings, for good when this returns. Idempotent: what is written again changes nothing."""

    def read(self, points: Points, from_ms: int, to_ms: int) -> Readings:
        """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), bad ones included."""

    def latest(self, points: Points, before_ms: int, *, usable: bool = False) -> Readings:
        """The newest reading of each point measured before this instant, sorted by point; points without any are left out.

        ``usable`` passes over readings of bad quality or without a finite value.
        """

    def rollup(self, points: Points, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
        """What the usable readings of these points did in each stretch [from_ms + k·step_ms, from_ms + (k + 1)·step_ms), cut at to_ms.

        Late readings count as soon as they are written.
        """

    def span(self) -> tuple[int, int] | None:
        """The instants of the first and the last reading (UTC ms); None while there is none."""

    def days(self) -> Sequence[int]:
        """The UTC days (since 1970) on which there may be readings, in order: none that has any is missing."""

    def identity(self) -> str:
        """Which history this is: a word of its own, kept with the readings, so that another or an emptied one is known as such."""

    def boot(self) -> str:
        """Which run of the back end answers; what an earlier run had not settled may be gone."""

    def counts(self) -> dict[str, int]:
        """What did not become history, by reason (quarantined, expired, damaged …), counted by this object."""

    def tidy(self, now_ms: int | None = None) -> None:
        """A moment's upkeep (merging small files, retention as of ``now_ms``): called from time to time by the process that writes,
        never needed for truth.
        """

    def close(self) -> None:
        """Gives back what the history holds open."""

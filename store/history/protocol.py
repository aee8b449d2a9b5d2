"""What a history is: where readings stay for good, whatever keeps them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from domain.reading import Readings

Points = Sequence[int] | NDArray[np.int32]


class History(Protocol):
    """Readings of the past. Every method raises StoreError when the back end can't do it now.

    One reading stays for each (point, measured_at): see ``store.duplicates.resolve``.
    """

    def write(self, readings: Readings) -> None:
        """Keeps the readings, for good when this returns. Idempotent: what is written again changes nothing."""

    def read(self, points: Points, from_ms: int, to_ms: int) -> Readings:
        """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), bad ones included."""

    def latest(self, points: Points, before_ms: int, *, usable: bool = False) -> Readings:
        """The newest reading of each point measured before this instant, sorted by point; points without any are left out.

        ``usable`` passes over readings of bad quality or without a finite value.
        """

    def tidy(self) -> None:
        """A moment's upkeep (merging small files …): called from time to time by the process that writes, never needed for truth."""

    def close(self) -> None:
        """Gives back what the history holds open."""

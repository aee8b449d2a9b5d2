"""The rows of one hour, ordered by point and time: what came before each, and what stood at an instant.

rows of an hour ──▶ keys (point, time) ──▶ before: the row before │ runs: since when │ of: another point's last value then
                                              └── the first of a point goes on from what is known of it
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from domain.screening.known_points import KnownPoints
from domain.screening.relations import Mask, Values
from domain.screening.surroundings import HOUR_MS

Number = TypeVar("Number", np.float64, np.int64)
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
Points = NDArray[np.int32]


def keys_of(points: Points, at: Ints) -> Ints:
    """One number by which rows of one hour are ordered: by point, then by time."""
    return points * np.int64(HOUR_MS) + at % HOUR_MS


class Hour:
    """Rows of one hour, ordered by point and time. ``first`` and ``last`` are of each point's rows."""

    def __init__(self, known: KnownPoints, keys: Ints, point: Points, at: Ints, value: Values) -> None:
        self.known, self.keys, self.point, self.at, self.value = known, keys, point, at, value
        turns = point[1:] != point[:-1]
        self.first: Mask = np.concatenate([[True], turns])[: len(point)]
        self.last: Mask = np.concatenate([turns, [True]])[: len(point)]

    def take(self, rows: Rows) -> "Hour":
        """These rows alone, in their order."""
        return Hour(self.known, self.keys[rows], self.point[rows], self.at[rows], self.value[rows])

    def before(self, column: NDArray[Number], known: NDArray[Number]) -> NDArray[Number]:
        """What the row before of the same point has in this column; of the first what was known of the point."""
        shifted = np.empty_like(column)
        shifted[1:] = column[:-1]
        shifted[self.first] = known[self.point[self.first]]
        return shifted

    def runs(self, begins: Mask, begun: Ints) -> Ints:
        """For each row the entry of ``begun`` where its run begins; every first row must begin one."""
        found: Ints = begun[np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))]
        return found

    def of(self, points: Points, at: Ints, stands_ms: int) -> Values:
        """The last value of each of these points at these instants of the hour; NaN where none is, or none that stands."""
        place = np.searchsorted(self.keys, keys_of(points, at), side="right") - 1
        here = (place >= 0) & (self.point[place] == points)
        value = np.where(here, self.value[place], self.known.value[points])
        since = np.where(here, self.at[place], self.known.at[points])
        return np.where((points >= 0) & (at - since <= stands_ms), value, np.nan)

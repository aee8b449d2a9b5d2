"""Readings over long spans as what they did in each stretch of time: least, mean, greatest, how many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.reading import Readings


@dataclass(frozen=True)
class Rollup:
    """Columns of n stretches of one point each, sorted by (point, at); a stretch without a usable reading is left out.

    ``at`` is the begin of the stretch (UTC ms); ``low``, ``mean`` and ``high`` are in the unit of the point, ``mean`` being that of
    the readings, not weighted by time; ``count`` is how many usable readings (R2) there were.
    """

    point: NDArray[np.int32]
    at: NDArray[np.int64]
    low: NDArray[np.float64]
    mean: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.point)

    @classmethod
    def empty(cls) -> "Rollup":
        """No stretches."""
        none = np.empty(0)
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), none, none, none, np.empty(0, np.int64))

    @classmethod
    def concat(cls, parts: Sequence["Rollup"]) -> "Rollup":
        """All stretches of the parts, in their order."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.point for part in parts]),
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.high for part in parts]),
            np.concatenate([part.count for part in parts]),
        )

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Rollup":
        """These stretches (indices, a mask or a slice)."""
        return Rollup(self.point[rows], self.at[rows], self.low[rows], self.mean[rows], self.high[rows], self.count[rows])


def roll_up(readings: Readings, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
    """What the usable readings measured in [from_ms, to_ms) did in each stretch [from_ms + k·step_ms, from_ms + (k + 1)·step_ms).

    The readings come sorted by (point, measured_at), one of each instant, as a history gives them.
    """
    used = readings.usable()
    used = used.take((used.measured_at >= from_ms) & (used.measured_at < to_ms))
    at = from_ms + (used.measured_at - from_ms) // step_ms * step_ms
    starts = _starts(used.point, at)
    if not len(starts):
        return Rollup.empty()
    count = np.diff(np.append(starts, len(used)))
    return Rollup(
        used.point[starts],
        at[starts],
        np.minimum.reduceat(used.value, starts),
        np.add.reduceat(used.value, starts) / count,
        np.maximum.reduceat(used.value, starts),
        count.astype(np.int64),
    )


def combine(parts: Rollup, from_ms: int, step_ms: int) -> Rollup:
    """Short stretches put together into longer ones that begin at from_ms + k·step_ms; several of one instant count together."""
    order = np.lexsort((parts.at, parts.point))
    short = parts.take(order)
    at = from_ms + (short.at - from_ms) // step_ms * step_ms
    starts = _starts(short.point, at)
    if not len(starts):
        return Rollup.empty()
    count = np.add.reduceat(short.count, starts)
    return Rollup(
        short.point[starts],
        at[starts],
        np.minimum.reduceat(short.low, starts),
        np.add.reduceat(short.mean * short.count, starts) / count,
        np.maximum.reduceat(short.high, starts),
        count,
    )


def _starts(point: NDArray[np.int32], at: NDArray[np.int64]) -> NDArray[np.intp]:
    """The first row of each stretch."""
    changes = (point[1:] != point[:-1]) | (at[1:] != at[:-1])
    return np.flatnonzero(np.append(True, changes)[: len(point)])

"""Who moves: of each point the lowest and highest value of each hour, and from them, which neighbourhoods are alive.

A value that stays the same for hours is stuck only where others that should move with it do (domain.md).
"""

import numpy as np
from numpy.typing import NDArray

from domain.screening.surroundings import HOUR_MS

RING_H = 25  # the running hour and the 24 before it
MOVED_K = 0.5
_DUST = 1e-4  # of 32 bits


class Moving:
    """Points have slots, slots belong to neighbourhoods. Whole hours before the running one count, up to each slot's window."""

    def __init__(self) -> None:
        self._count = 0
        self._window_h = np.zeros(0, np.int64)
        self._neighbours = np.zeros(0, np.int64)
        self._low = np.zeros((0, RING_H), np.float32)
        self._high = np.zeros((0, RING_H), np.float32)
        self._moved = np.zeros(0, np.bool_)
        self._movers = np.zeros(0, np.int64)
        self._names: dict[str, int] = {}
        self._hour = -1

    def slot(self, neighbours: str, window_h: int) -> int:
        """A place for one more point."""
        if self._count == len(self._window_h):
            more = max(64, self._count // 8)
            self._window_h = np.concatenate([self._window_h, np.zeros(more, np.int64)])
            self._neighbours = np.concatenate([self._neighbours, np.zeros(more, np.int64)])
            self._low = np.concatenate([self._low, np.full((more, RING_H), np.inf, np.float32)])
            self._high = np.concatenate([self._high, np.full((more, RING_H), -np.inf, np.float32)])
            self._moved = np.concatenate([self._moved, np.zeros(more, np.bool_)])
        slot = self._count
        self._count += 1
        self._window_h[slot] = window_h
        self._neighbours[slot] = self._names.setdefault(neighbours, len(self._names))
        return slot

    def saw(self, hour: int, slots: NDArray[np.intp], low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """Takes in the lowest and highest values of points in one hour (since 1970); each slot at most once."""
        if hour > self._hour:
            self._roll(hour)
        elif hour <= self._hour - RING_H:
            return
        column = hour % RING_H
        self._low[slots, column] = np.minimum(self._low[slots, column], low)
        self._high[slots, column] = np.maximum(self._high[slots, column], high)

    def others_move(self, slots: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether another point of the same neighbourhood has moved in the slot's window."""
        if len(self._movers) < len(self._names):
            self._movers = np.concatenate([self._movers, np.zeros(len(self._names) - len(self._movers), np.int64)])
        return self._movers[self._neighbours[slots]] > self._moved[slots]

    def rings(self, slots: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
        """The lowest and highest values of these slots by hour, and the running hour; to be kept."""
        return self._low[slots], self._high[slots], self._hour

    def put_back(self, hour: int, slots: NDArray[np.int32], low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
        """Takes in what ``rings`` gave when ``hour`` was running, as far as it is not too old by now."""
        if hour > self._hour:
            self._roll(hour)
        hours = hour - (hour - np.arange(RING_H)) % RING_H
        young = np.flatnonzero(hours > self._hour - RING_H)
        where = np.ix_(slots, young)
        self._low[where] = np.minimum(self._low[where], low[:, young])
        self._high[where] = np.maximum(self._high[where], high[:, young])
        self._reckon()

    def _roll(self, hour: int) -> None:
        ages = np.arange(max(self._hour + 1, hour - RING_H + 1), hour + 1) % RING_H
        self._low[:, ages] = np.inf
        self._high[:, ages] = -np.inf
        self._hour = hour
        self._reckon()

    def _reckon(self) -> None:
        """Who has moved in the whole hours before the running one, and how many of each neighbourhood."""
        hour = self._hour
        low, high = np.full(self._count, np.inf, np.float32), np.full(self._count, -np.inf, np.float32)
        for age in range(1, RING_H):
            inside = self._window_h[: self._count] >= age
            column = (hour - age) % RING_H
            np.minimum(low, self._low[: self._count, column], out=low, where=inside)
            np.maximum(high, self._high[: self._count, column], out=high, where=inside)
        self._moved[: self._count] = high - low >= MOVED_K - _DUST
        self._movers = np.bincount(self._neighbours[: self._count], self._moved[: self._count], len(self._names)).astype(np.int64)


def hour_of(at_ms: int) -> int:
    """The hour since 1970."""
    return at_ms // HOUR_MS

"""What a screen knows of each point, to be kept over a restart: what came last, since when it is the same, how it has moved.

Screen ──▶ memory_of ──▶ kept by id ──▶ recall, as the points are learnt again
"""

from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from domain.screening.moving import RING_H, Moving

COLUMNS = ("value", "at", "same_since", "broken_since")


class Known(Protocol):
    """The columns by id that are kept, and each point's slot."""

    value: NDArray[np.float64]
    at: NDArray[np.int64]
    same_since: NDArray[np.int64]
    broken_since: NDArray[np.int64]
    slot: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Memory:
    """By id: last value and its instant, since when it is the same, since when its circuit contradicts it. ``moving`` are the ids of
    those whose movement is followed, ascending, ``low`` and ``high`` their lowest and highest values of each hour up to ``hour``.
    """

    value: NDArray[np.float64]
    at: NDArray[np.int64]
    same_since: NDArray[np.int64]
    broken_since: NDArray[np.int64]
    moving: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    hour: NDArray[np.int64]

    @classmethod
    def of(cls, columns: dict[str, NDArray[np.generic]]) -> Self:
        """From what ``columns`` gave. Raises ValueError for anything that does not fit together."""
        try:
            found = {field.name: np.asarray(columns[field.name]) for field in fields(cls)}
        except KeyError as error:
            raise ValueError(f"no column {error}") from error
        by_id, rings = {found[name].shape for name in COLUMNS}, {found[name].shape for name in ("low", "high")}
        if len(by_id) != 1 or rings != {(len(found["moving"]), RING_H)} or found["hour"].shape != (1,):
            raise ValueError("columns of different lengths")
        return cls(**found)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """All of it, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def memory_of(known: Known, moving: Moving) -> Memory:
    """A copy of what is known now."""
    ids = np.flatnonzero(known.slot >= 0)
    low, high, hour = moving.rings(known.slot[ids])
    value, at, same_since, broken_since = (getattr(known, name).copy() for name in COLUMNS)
    return Memory(value, at, same_since, broken_since, ids, low, high, np.array([hour]))


def recall(memory: Memory, known: Known, moving: Moving, ids: NDArray[np.integer]) -> None:
    """Puts back what was known of these points, which have just been learnt."""
    ids = ids[ids < len(memory.value)]
    for name in COLUMNS:
        getattr(known, name)[ids] = getattr(memory, name)[ids]
    rows = np.searchsorted(memory.moving, ids)
    rows[rows == len(memory.moving)] = 0
    here = (memory.moving[rows] == ids) & (known.slot[ids] >= 0) if len(memory.moving) else np.zeros(len(ids), np.bool_)
    if here.any():
        moving.put_back(int(memory.hour[0]), known.slot[ids[here]], memory.low[rows[here]], memory.high[rows[here]])

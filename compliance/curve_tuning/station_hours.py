"""A station's season by the hour, and which of it may be used to judge its curve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]

HOUR_MS: Final = 3_600_000
AIRED_K: Final = 1.0  # a room's hourly mean this far below its own last day, its neighbours unmoved: a window is open
NEIGHBOURS_K: Final = 0.5
STUCK_H: Final = 24  # identical for a day: not a measurement
LEAST_SPREAD_K: Final = 1e-6


@dataclass(frozen=True)
class StationHours:
    """n hours of a station with m measured rooms, as means of each hour; NaN where nothing was measured.

    ``at_ms`` (n, UTC) is the begin of each hour, without gaps; ``of_day`` (n) its local hour, 0 to 23. ``outdoor_c``, ``supply_c``,
    ``return_c`` (n, °C) are the station's, ``room_c`` (n × m, °C) the rooms'; ``buildings`` (m) names each room's building.
    ``supplying`` (n) marks hours in which heat was supplied throughout (R4); ``stopped`` (n) hours without circulation.
    """

    at_ms: I64
    of_day: I64
    outdoor_c: F64
    supply_c: F64
    return_c: F64
    room_c: F64
    buildings: tuple[str, ...]
    supplying: B1
    stopped: B1

    def __len__(self) -> int:
        return len(self.at_ms)

    @property
    def rooms(self) -> int:
        """How many rooms are measured."""
        return len(self.buildings)

    def of_buildings(self, names: Sequence[str]) -> "StationHours":
        """The same with the rooms of these buildings only."""
        kept = [column for column, name in enumerate(self.buildings) if name in set(names)]
        return replace(self, room_c=self.room_c[:, kept], buildings=tuple(self.buildings[column] for column in kept))

    def water_c(self) -> F64:
        """Mean temperature of the water in the radiators (n, °C): of supply and return, NaN where one is not measured."""
        return (self.supply_c + self.return_c) / 2


def cleaned(hours: StationHours) -> StationHours:
    """Without what says nothing of the curve: sensors that stand still for a day, hours of an open window."""
    room_c = np.where(_stuck(hours.room_c), np.nan, hours.room_c)
    return replace(hours, room_c=np.where(_aired(room_c), np.nan, room_c))


def mean_before(values: F64, length: int) -> F64:
    """The mean of the last ``length`` hours up to each hour (n), NaN where fewer than three quarters of them are known."""
    if len(values) < length:
        return np.full(len(values), np.nan)
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    sums, counts = total[length:] - total[:-length], count[length:] - count[:-length]
    enough = counts >= 0.75 * length
    mean = np.where(enough, sums / np.maximum(counts, 1), np.nan)
    return np.concatenate([np.full(length - 1, np.nan), mean])


def quantile_of_rooms(room_c: F64, share: float) -> F64:
    """This quantile over the rooms of each hour (n), NaN where fewer than three rooms are known."""
    enough = np.count_nonzero(np.isfinite(room_c), axis=1) >= 3
    found = np.full(len(room_c), np.nan)
    if enough.any():
        found[enough] = np.nanquantile(room_c[enough], share, axis=1)
    return found


def _stuck(room_c: F64) -> B1:
    """Hours (n × m) within a day or more of identical values."""
    if len(room_c) < STUCK_H:
        return np.zeros(room_c.shape, np.bool_)
    windows = sliding_window_view(room_c, STUCK_H, axis=0)
    still = windows.max(axis=2) - windows.min(axis=2) < LEAST_SPREAD_K  # NaN compares as False: a gap is no standstill
    stuck = np.zeros(room_c.shape, np.bool_)
    for offset in range(STUCK_H):
        stuck[offset : offset + len(still)] |= still
    return stuck


def _aired(room_c: F64) -> B1:
    """Hours (n × m) in which one room is much colder than on its own last day, and the others are not."""
    own_k = room_c - np.column_stack([mean_before(room_c[:, room], 24) for room in range(room_c.shape[1])] or [room_c[:, :0]])
    others_k = quantile_of_rooms(own_k, 0.5)
    with np.errstate(invalid="ignore"):
        return np.asarray((own_k < -AIRED_K) & (others_k > -NEIGHBOURS_K)[:, None])

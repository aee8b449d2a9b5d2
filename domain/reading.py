"""A reading is point, measured_at, received_at, value and quality; in bulk it is always columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

FIRST_BAD = 64


class Quality(IntEnum):
    """Good, or the reason why not. 1–63 are suspect (kept, flagged, still decide); from 64 on bad (as if never arrived)."""

    GOOD = 0
    SUSPECT = 1  # flagged by the device or a file without saying why (OPC UA Uncertain)
    SUSPECT_RANGE = 2
    RATE = 3  # a step faster than the quantity can change
    RETURN_ABOVE_SUPPLY = 4
    NO_FLOW = 5  # flow 0 with a pump running
    COUNTER_BACKWARDS = 6
    CLOCK = 7  # the device's time was unusable; the time of receipt stands in
    BELOW_SECONDARY = 8  # a primary temperature below the secondary one
    FEEDBACK = 9  # command and feedback differ
    OUTDOOR = 10  # far from the town's median
    PRESSURE = 11  # supply pressure not above return with a pump running
    BAD = 64  # said by the device or a file without saying why (OPC UA Bad)
    RANGE = 65  # outside what the quantity can be
    SENTINEL = 66  # a code for "no value"
    NOT_A_NUMBER = 67  # NaN, infinite, empty
    STUCK = 68
    DECODE = 69  # could not be decoded: text where a number belongs, a short block
    DEVICE_ERROR = 70  # the device answered with an exception for this value

    @property
    def bad(self) -> bool:
        """Whether the rules treat the reading as if it had never arrived (R2)."""
        return self >= FIRST_BAD


@dataclass(frozen=True)
class Readings:
    """Columns of n readings. Instants are UTC milliseconds; ``point`` is an id of the site's registry of points."""

    point: NDArray[np.int32]
    measured_at: NDArray[np.int64]
    received_at: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.point)

    @classmethod
    def of(
        cls,
        point: Sequence[int] | NDArray[np.integer],
        measured_at: Sequence[int] | NDArray[np.integer],
        value: Sequence[float] | NDArray[np.floating],
        *,
        received_at: Sequence[int] | NDArray[np.integer] | None = None,
        quality: Sequence[int] | NDArray[np.integer] | None = None,
    ) -> Self:
        """Columns from sequences of one length; ``received_at`` is ``measured_at`` and ``quality`` good where left out.

        Raises ValueError when the lengths differ.
        """
        points = np.asarray(point, np.int32)
        measured = np.asarray(measured_at, np.int64)
        columns = cls(
            points,
            measured,
            measured if received_at is None else np.asarray(received_at, np.int64),
            np.asarray(value, np.float64),
            np.zeros(len(points), np.uint8) if quality is None else np.asarray(quality, np.uint8),
        )
        if not len(columns.point) == len(columns.measured_at) == len(columns.received_at) == len(columns.value) == len(columns.quality):
            raise ValueError("columns of readings must have one length")
        return columns

    @classmethod
    def empty(cls) -> Self:
        """No readings."""
        return cls.of([], [], [])

    @classmethod
    def concat(cls, parts: Sequence["Readings"]) -> Self:
        """All readings of the parts, in their order."""
        if not parts:
            return cls.empty()
        if len(parts) == 1:
            one = parts[0]
            return cls(one.point, one.measured_at, one.received_at, one.value, one.quality)
        return cls(
            np.concatenate([part.point for part in parts]),
            np.concatenate([part.measured_at for part in parts]),
            np.concatenate([part.received_at for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Readings":
        """The readings at these rows (indices, a mask or a slice)."""
        return Readings(self.point[rows], self.measured_at[rows], self.received_at[rows], self.value[rows], self.quality[rows])

    def usable(self) -> "Readings":
        """The readings the rules may use: not of bad quality, and with a finite value (R2)."""
        return self.take((self.quality < FIRST_BAD) & np.isfinite(self.value))

"""Values as an OPC UA server gives them, as columns: number, status, source time."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from collector.instants import TOLERANCE_MS, instant_ms
from domain.reading import Quality

UNSTAMPED = -(2**62)  # a value without source time

_BAD = 0x8000_0000
_UNCERTAIN = 0x4000_0000
_OVERFLOW = 0x0480  # info type DataValue and the overflow bit (Part 4, 7.39): the server threw older samples of this item away
_CODE = 0xFFFF_0000
_MISSING = (0x8034_0000, 0x8033_0000, 0x8035_0000)  # BadNodeIdUnknown, BadNodeIdInvalid, BadAttributeIdInvalid
_NAN = float("nan")

Instants = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answer:
    """What came for m nodes: value, quality, source time in UTC ms (``UNSTAMPED`` where none), and which nodes the server lacks.

    ``overflows`` counts values before which the server had to throw samples away.
    """

    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    stamped_ms: Instants
    missing: NDArray[np.bool_]
    overflows: int = 0

    @classmethod
    def of(cls, value: NDArray[np.float64], quality: NDArray[np.uint8], codes: NDArray[np.uint32], stamped_ms: Instants) -> Self:
        """From values, what reading them as numbers came to, and the codes of their status."""
        missing = np.zeros(len(codes), np.bool_)
        if not codes.any():
            return cls(value, quality, stamped_ms, missing)
        bad = codes >= _BAD
        quality = np.where(bad, np.uint8(Quality.BAD), quality)
        quality[(codes >= _UNCERTAIN) & (quality == Quality.GOOD)] = Quality.SUSPECT
        missing[bad] = np.isin(codes[bad] & _CODE, _MISSING)
        return cls(value, quality, stamped_ms, missing, int(((codes & _OVERFLOW) == _OVERFLOW).sum()))

    @classmethod
    def joined(cls, parts: "Sequence[Answer]") -> "Answer":
        """The answers to the parts of one question."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
            np.concatenate([part.stamped_ms for part in parts]),
            np.concatenate([part.missing for part in parts]),
            sum(part.overflows for part in parts),
        )


def answer_of(found: Sequence[Any]) -> Answer:
    """The columns of these DataValues, one by one; text that is a number counts as one."""
    numbers = [(_NAN, 0) if item.Value is None or item.Value.Value is None else _number(item.Value.Value) for item in found]
    return Answer.of(
        np.array([value for value, _ in numbers], np.float64),
        np.array([quality for _, quality in numbers], np.uint8),
        np.array([0 if item.StatusCode is None else item.StatusCode.value for item in found], np.uint32),
        np.array([UNSTAMPED if item.SourceTimestamp is None else _stamp(item.SourceTimestamp) for item in found], np.int64),
    )


def _number(raw: object) -> tuple[float, int]:
    if isinstance(raw, str | int | float):  # a truth value counts as one, text if it is a number
        with suppress(ValueError, OverflowError):
            return float(raw), Quality.GOOD
    return _NAN, Quality.DECODE


def _stamp(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return UNSTAMPED if aware.year <= 1601 else instant_ms(aware)


def settle(
    stamped: Instants, received_ms: int, last: Instants, since: Instants, still_ms: int
) -> tuple[Instants, NDArray[np.bool_], Instants]:
    """The times of polled values: measured_at, whether the server's clock was unusable, and since when each stamp has been the same.

    A source time within 10 min of receipt stands; else the time of receipt does, marked. A stamp that has not moved for longer than
    ``still_ms`` tells when the value last changed, not when it was last known: then the server, answering now, vouches for it now.
    """
    since = np.where(stamped == last, since, received_ms)
    still = received_ms - since > still_ms
    stamps = stamped != UNSTAMPED
    near = stamps & (np.abs(stamped - received_ms) <= TOLERANCE_MS)
    return np.where(near & ~still, stamped, received_ms), stamps & ~near & ~still, since


def marked(quality: NDArray[np.uint8], clock_off: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Qualities with ``CLOCK`` where a good value came with an unusable time."""
    return np.where(clock_off & (quality == Quality.GOOD), np.uint8(Quality.CLOCK), quality)

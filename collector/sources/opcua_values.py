"""Values as an OPC UA server gives them, as columns: number, status, source time."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.instants import TOLERANCE_MS, instant_ms
from domain.reading import Quality

UNSTAMPED = -(2**62)  # a value without source time

_BAD = 0x8000_0000
_UNCERTAIN = 0x4000_0000
_OVERFLOW = 0x0480  # info type DataValue and the overflow bit (Part 4, 7.39): the server threw older samples of this item away
_CODE = 0xFFFF_0000
_MISSING = frozenset({0x8034_0000, 0x8033_0000, 0x8035_0000})  # BadNodeIdUnknown, BadNodeIdInvalid, BadAttributeIdInvalid

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


def answer_of(found: Sequence[Any]) -> Answer:
    """The columns of these DataValues; text that is a number counts as one."""
    count = len(found)
    value, quality = np.full(count, np.nan), np.zeros(count, np.uint8)
    stamped, missing = np.full(count, UNSTAMPED, np.int64), np.zeros(count, np.bool_)
    overflows = 0
    for row, item in enumerate(found):
        code = item.StatusCode.value if item.StatusCode is not None else 0
        raw = item.Value.Value if item.Value is not None else None
        if type(raw) is float or type(raw) is int or type(raw) is bool:
            value[row] = raw
        elif raw is not None:
            value[row], quality[row] = _number(raw)
        if code:
            if code >= _BAD:
                quality[row] = Quality.BAD
                missing[row] = code & _CODE in _MISSING
            elif code >= _UNCERTAIN and quality[row] == Quality.GOOD:
                quality[row] = Quality.SUSPECT
            overflows += code & _OVERFLOW == _OVERFLOW
        if item.SourceTimestamp is not None:
            stamped[row] = _stamp(item.SourceTimestamp)
    return Answer(value, quality, stamped, missing, overflows)


def _number(raw: object) -> tuple[float, int]:
    if isinstance(raw, str | int | float):
        with suppress(ValueError, OverflowError):
            return float(raw), Quality.GOOD
    return float("nan"), Quality.DECODE


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

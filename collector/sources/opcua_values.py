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
_PLAIN = {float, int, bool}

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
    stamped = _stamps([item.SourceTimestamp for item in found])
    raws = [None if item.Value is None else item.Value.Value for item in found]
    codes = [0 if item.StatusCode is None else item.StatusCode.value for item in found]
    quality, missing = np.zeros(count, np.uint8), np.zeros(count, np.bool_)
    if not any(codes) and {*map(type, raws)} <= _PLAIN:
        return Answer(np.array(raws, np.float64), quality, stamped, missing)
    value = np.full(count, np.nan)
    for row, (raw, code) in enumerate(zip(raws, codes, strict=True)):
        if raw is not None:
            value[row], quality[row] = _number(raw)
        if code >= _BAD:
            quality[row] = Quality.BAD
            missing[row] = code & _CODE in _MISSING
        elif code >= _UNCERTAIN and quality[row] == Quality.GOOD:
            quality[row] = Quality.SUSPECT
    return Answer(value, quality, stamped, missing, sum(code & _OVERFLOW == _OVERFLOW for code in codes))


def _number(raw: object) -> tuple[float, int]:
    if isinstance(raw, str | int | float):  # a truth value counts as one, text if it is a number
        with suppress(ValueError, OverflowError):
            return float(raw), Quality.GOOD
    return float("nan"), Quality.DECODE


def _stamps(moments: Sequence[datetime | None]) -> Instants:
    """Source times in UTC ms. Servers stamp whole scans at once: a time that comes again is worked out once."""
    known: dict[datetime | None, int] = {None: UNSTAMPED}
    out = []
    for moment in moments:
        found = known.get(moment)
        if found is None:
            found = known[moment] = _stamp(moment) if moment is not None else UNSTAMPED
        out.append(found)
    return np.array(out, np.int64)


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

"""Instants as people write them: ISO 8601, with an offset or local."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

# Before and after these a time is a slip of the pen (epoch milliseconds taken for seconds, the year 216).
EARLIEST_MS = -2_208_988_800_000  # 1900-01-01
LATEST_MS = 7_258_118_400_000  # 2200-01-01

_ISO = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<clock>\d{2}:\d{2}(?::\d{2})?)(?P<fraction>[.,]\d{1,9})?"
    r"(?: ?(?P<offset>Z|[+-]\d{2}(?::?\d{2})?))?)?",
    re.ASCII | re.IGNORECASE,
)
# What a Chinese Excel makes of a local time when it saves a CSV file.
_EXCEL = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)


class NaiveTimeError(ValueError):
    """The time has no offset from UTC, and no zone was given to read it in."""


def parse_instant(text: str, zone: tzinfo | None = None) -> int:
    """UTC milliseconds of an ISO 8601 time with offset; a time or date without one is local in ``zone``.

    A local time that occurs twice (clocks put back) is the first of the two. Exact to 1 ms; more decimals are rounded.
    Raises NaiveTimeError for a time without offset where no zone is given, ValueError for anything that is no time between
    1900 and 2200.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, clock, fraction, offset = found.group("day", "clock", "fraction", "offset")
    moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{(offset or '').upper()}")
    fraction_ns = int((fraction or ".0")[1:].ljust(9, "0"))
    return bounded_ms(_epoch_s(moment, zone) * 1000 + (fraction_ns + 500_000) // 1_000_000)


def parse_cell_instant(text: str, zone: tzinfo) -> int:
    """Like ``parse_instant``, and takes ``2026/11/15 6:00`` as well, which is what Excel writes."""
    found = _EXCEL.fullmatch(text)
    if found is None:
        return parse_instant(text, zone)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    return bounded_ms(_epoch_s(datetime(year, month, day, hour, minute, second), zone) * 1000)  # noqa: DTZ001 (local until now)


def bounded_ms(instant_ms: int) -> int:
    """The instant itself. Raises ValueError when it does not lie between 1900 and 2200."""
    if not EARLIEST_MS <= instant_ms < LATEST_MS:
        raise ValueError(f"{instant_ms} ms is not between the years 1900 and 2200")
    return instant_ms


def offsets_min(instants: NDArray[np.int64], zone: tzinfo) -> NDArray[np.int64]:
    """Minutes by which local time is ahead of UTC at each of these instants (UTC ms).

    Zones change at whole quarters of an hour, so each quarter is looked up once. Old offsets with seconds are cut to the minute.
    """
    quarters, which = np.unique(instants // 900_000, return_inverse=True)
    local = [datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone).utcoffset() or timedelta() for quarter in quarters.tolist()]
    return np.array([offset // timedelta(minutes=1) for offset in local], np.int64)[which]


def _epoch_s(moment: datetime, zone: tzinfo | None) -> int:
    if moment.tzinfo is None:
        if zone is None:
            raise NaiveTimeError(moment.isoformat())
        moment = moment.replace(tzinfo=zone)
    if moment.year in (date.min.year, date.max.year):  # the offset may lead out of what a datetime can hold
        raise ValueError(moment.isoformat())
    epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return epoch.days * 86_400 + epoch.seconds

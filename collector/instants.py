"""Which time a reading has (domain.md): the device's, if it is within 10 min of receipt; else that of receipt, marked ``CLOCK``."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

TOLERANCE_MS = 600_000
EARLIEST_MS = 946_684_800_000  # 2000-01-01: before it no device kept time, its clock was never set
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SECONDS_BELOW = 100_000_000_000  # as a number of seconds this is the year 5138, as milliseconds 1973

TimeFormat = Literal["iso", "iso_local", "epoch_s", "epoch_ms"]


def plausible(stamped_ms: int, received_ms: int, away_since_ms: int | None = None) -> bool:
    """Whether a device's time may stand for the reading's.

    ``away_since_ms``: the message comes out of what a broker kept for us since then; so long ago it may have been measured.
    """
    earliest_ms = received_ms if away_since_ms is None else min(away_since_ms, received_ms)
    return earliest_ms - TOLERANCE_MS <= stamped_ms <= received_ms + TOLERANCE_MS


def plausible_history(stamped_ms: int, received_ms: int) -> bool:
    """Whether the time of a frame that is marked as history can be: any past time of a clock that was set, no future."""
    return EARLIEST_MS <= stamped_ms <= received_ms + TOLERANCE_MS


def instant_ms(moment: datetime) -> int:
    """An aware moment in UTC milliseconds, truncated."""
    return (moment - _EPOCH) // _MILLISECOND


def parse_instant(value: object, form: TimeFormat, zone: tzinfo) -> int | None:
    """A time as payloads write it, in UTC milliseconds; None when it can't be understood.

    Numbers are seconds or milliseconds as ``form`` says, by their size where it says ``iso``. ``iso_local`` without offset is in
    ``zone``; ``iso`` without offset is not understood: nobody knows which zone it means.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if type(value) is str and value[4:5] == "-" and (found := _parse_iso(value, form, zone)) is not None:  # what it is nearly always
        return found
    try:
        number = float(value)
    except ValueError:
        return _parse_iso(str(value), form, zone)
    except OverflowError:
        return None
    if not abs(number) < 1e15:
        return None
    seconds = form == "epoch_s" or (form != "epoch_ms" and abs(number) < _SECONDS_BELOW)
    return int(number * 1000) if seconds else int(number)


def _parse_iso(text: str, form: TimeFormat, zone: tzinfo) -> int | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        if form != "iso_local":
            return None
        moment = moment.replace(tzinfo=zone)
    return instant_ms(moment)

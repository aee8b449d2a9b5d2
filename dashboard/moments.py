"""Instants and durations as people read them: the site's local time, ages and time left."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboard.text import Speech

SECOND_MS = 1_000
MINUTE_MS = 60_000
HALF_HOUR_MS = 1_800_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Moments:
    """Writes instants (UTC milliseconds) in the site's zone and a reader's language."""

    zone: ZoneInfo
    say: Speech

    def local(self, at_ms: int) -> datetime:
        """The instant on the site's clock."""
        return datetime.fromtimestamp(at_ms / 1000, self.zone)

    def day_time(self, at_ms: int | None, now_ms: int | None = None) -> str:
        """``08:31`` on the day of ``now_ms``, else ``01-15 08:31``; a dash for no instant."""
        if at_ms is None:
            return "—"
        local = self.local(at_ms)
        same_day = now_ms is not None and local.date() == self.local(now_ms).date()
        return local.strftime("%H:%M") if same_day else local.strftime("%m-%d %H:%M")

    def full(self, at_ms: int | None) -> str:
        """``2026-01-15 08:31:05``; a dash for no instant."""
        return "—" if at_ms is None else self.local(at_ms).strftime("%Y-%m-%d %H:%M:%S")

    def duration(self, duration_ms: int) -> str:
        """A length of time in its two largest units: ``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
        _ = self.say
        seconds = max(0, duration_ms) // SECOND_MS
        if seconds < 60:
            return _("{n} s", n=seconds)
        minutes = seconds // 60
        if minutes < 60:
            return _("{n} min", n=minutes)
        hours = minutes // 60
        if hours < 24:
            return _("{h} h {m:02d} min", h=hours, m=minutes % 60)
        return _("{d} d {h} h", d=hours // 24, h=hours % 24)

    def age(self, at_ms: int | None, now_ms: int) -> str:
        """How long ago: ``12 min ago``; ``no data`` when there never was any."""
        _ = self.say
        if at_ms is None or at_ms <= 0:
            return _("no data")
        return _("{duration} ago", duration=self.duration(now_ms - at_ms))

    def left(self, until_ms: int, now_ms: int) -> str:
        """The time until an instant, or how long it is over: ``3 h 05 min left``, ``12 min over``."""
        _ = self.say
        if until_ms >= now_ms:
            return _("{duration} left", duration=self.duration(until_ms - now_ms))
        return _("{duration} over", duration=self.duration(now_ms - until_ms))

    def day(self, now_ms: int) -> str:
        """The local day as ``2026-01-15``, the key of daily figures."""
        return self.local(now_ms).date().isoformat()

    def wall_ms(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """The instants shifted so that a chart that believes in UTC shows the site's local time."""
        half_hours, place = np.unique(at_ms // HALF_HOUR_MS, return_inverse=True)  # clocks change on the half hour at the finest
        offsets = [self._offset_ms(int(half_hour) * HALF_HOUR_MS) for half_hour in half_hours]
        return at_ms + np.array(offsets, np.int64)[place]

    def _offset_ms(self, at_ms: int) -> int:
        offset = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone).utcoffset() or timedelta()
        return round(offset.total_seconds() * 1000)

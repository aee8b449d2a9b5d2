"""Newest values as they are shown: never without the means to tell how old they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.facts.town import Town
from domain.quantity import quantity
from domain.reading import FIRST_BAD

STALE_INTERVALS = 2.0


@dataclass(frozen=True)
class Shown:
    """One value. ``value`` is None where there never was a usable one; ``stale`` when it is older than twice its interval.

    ``quality`` is that of the newest reading, which may be a bad one newer than the value shown.
    """

    quantity: str
    value: float | None
    measured_at: int | None
    quality: int
    stale: bool

    @property
    def bad(self) -> bool:
        """Whether the newest reading is unusable, so that the value shown is the last one before it."""
        return self.quality >= FIRST_BAD

    @property
    def text(self) -> str:
        """The number with the decimals of its quantity; a dash where there is none."""
        return "—" if self.value is None else f"{self.value:.{quantity(self.quantity).decimals}f}".replace("-", "−")

    @property
    def unit(self) -> str:
        """The unit of its quantity."""
        return quantity(self.quantity).unit


@dataclass(frozen=True)
class ShownColumns:
    """Many values at once, in columns: what ``Shown`` says of one. ``value`` is NaN and ``measured_at`` 0 where there never was one."""

    value: NDArray[np.float64]
    measured_at: NDArray[np.int64]
    quality: NDArray[np.uint8]
    stale: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which values hold now: known, neither stale nor overtaken by a bad one."""
        return self.known & ~self.stale & (self.quality < FIRST_BAD)

    def split(self, parts: int) -> "list[ShownColumns]":
        """These in so many parts of equal length."""
        columns = (self.value, self.measured_at, self.quality, self.stale, self.known)
        return [ShownColumns(*part) for part in zip(*(np.split(column, parts) for column in columns), strict=True)]

    def at(self, row: int, name: str) -> Shown:
        """One of them, of a quantity."""
        known = bool(self.known[row])
        value, at = (float(self.value[row]), int(self.measured_at[row])) if known else (None, None)
        return Shown(name, value, at, int(self.quality[row]), bool(self.stale[row]))


def station_interval_ms(town: Town) -> dict[str, int]:
    """How often each station is read, in milliseconds: its fastest device's interval; ten seconds where no device is listed."""
    return town.shared.of("intervals", lambda: _station_interval_ms(town), life_s=float("inf"))


def _station_interval_ms(town: Town) -> dict[str, int]:
    found: dict[str, int] = {}
    for device in town.site.devices.values():
        interval_ms = round(device.interval_s * 1000)
        found[device.station_id] = min(interval_ms, found.get(device.station_id, interval_ms))
    return {station_id: found.get(station_id, 10_000) for station_id in town.site.stations}


def station_values(town: Town, station_id: str, quantities: Sequence[str]) -> dict[str, Shown]:
    """The station's newest value of each quantity."""
    ids = town.point_ids([f"station/{station_id}/{name}" for name in quantities])
    columns = shown_columns(town, ids, np.full(len(ids), station_interval_ms(town)[station_id]))
    return {name: columns.at(row, name) for row, name in enumerate(quantities)}


def shown_columns(town: Town, ids: Sequence[int] | NDArray[np.integer], interval_ms: NDArray[np.integer]) -> ShownColumns:
    """The newest usable value of each point (by its id), stale when older than twice its interval."""
    latest, usable = town.newest_of(ids), town.newest_of(ids, usable=True)
    old = town.now_ms() - usable.measured_at > STALE_INTERVALS * interval_ms + _shown_late_ms(town)
    return ShownColumns(usable.value, usable.measured_at, latest.quality, old | ~usable.known, usable.known)


def room_is_stale(town: Town, measured_at: int | None) -> bool:
    """Whether a room's value is older than twice the interval of room sensors."""
    late_ms = STALE_INTERVALS * town.site.room_interval_s * 1000 + _shown_late_ms(town)
    return measured_at is None or town.now_ms() - measured_at > late_ms


def _shown_late_ms(town: Town) -> int:
    """What passes between an instant and its page at any speed of the clock: two seconds of life."""
    return round(2_000 * town.clock.speed)

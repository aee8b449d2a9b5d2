"""Newest values as they are shown: never without the means to tell how old they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        return "—" if self.value is None else f"{self.value:.{quantity(self.quantity).decimals}f}"

    @property
    def unit(self) -> str:
        """The unit of its quantity."""
        return quantity(self.quantity).unit


def station_interval_ms(town: Town) -> dict[str, int]:
    """How often each station is read, in milliseconds: its fastest device's interval; ten seconds where no device is listed."""
    found: dict[str, int] = {}
    for device in town.site.devices.values():
        interval_ms = round(device.interval_s * 1000)
        found[device.station_id] = min(interval_ms, found.get(device.station_id, interval_ms))
    return {station_id: found.get(station_id, 10_000) for station_id in town.site.stations}


def station_values(town: Town, station_ids: Sequence[str], quantities: Sequence[str]) -> dict[str, Mapping[str, Shown]]:
    """For each station its newest value of each quantity."""
    intervals = station_interval_ms(town)
    names = [f"station/{station_id}/{name}" for station_id in station_ids for name in quantities]
    every_ms = [intervals[station_id] for station_id in station_ids for _ in quantities]
    shown = iter(shown_values(town, names, every_ms))
    return {station_id: {name: next(shown) for name in quantities} for station_id in station_ids}


def shown_values(town: Town, names: Sequence[str], interval_ms: Sequence[int]) -> list[Shown]:
    """The newest usable value of each point, marked stale when older than twice its interval."""
    now_ms = town.now_ms()
    latest, usable = town.newest(names), town.newest(names, usable=True)
    found = []
    for row, name in enumerate(names):
        known = bool(usable.known[row])
        at = int(usable.measured_at[row]) if known else None
        found.append(
            Shown(
                name.rpartition("/")[2],
                float(usable.value[row]) if known else None,
                at,
                int(latest.quality[row]),
                at is None or now_ms - at > STALE_INTERVALS * interval_ms[row] + _shown_late_ms(town),
            )
        )
    return found


def room_is_stale(town: Town, measured_at: int | None) -> bool:
    """Whether a room's value is older than twice the interval of room sensors."""
    late_ms = STALE_INTERVALS * town.site.room_interval_s * 1000 + _shown_late_ms(town)
    return measured_at is None or town.now_ms() - measured_at > late_ms


def _shown_late_ms(town: Town) -> int:
    """What passes between an instant and its page at any speed of the clock: two seconds of life."""
    return round(2_000 * town.clock.speed)

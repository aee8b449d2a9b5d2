"""The only clock of the program: UTC milliseconds that may run faster than life.

Every process of one site reads the same clock. Network time-outs are about the network and stay in wall seconds
(``asyncio.timeout``); everything else (polling intervals, rules, ages on the page) is in the clock's time.
"""

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path


@dataclass(frozen=True)
class Clock:
    """Maps wall time to the site's time: at ``wall_epoch_ms`` it shows ``epoch_ms``; it runs ``speed`` times as fast as life.

    Before ``wall_epoch_ms`` it stands still at ``epoch_ms``, so that processes may start together before time begins.
    """

    speed: float = 1.0
    wall_epoch_ms: int = 0
    epoch_ms: int = 0

    def now_ms(self) -> int:
        """The instant it is now, in UTC milliseconds since 1970."""
        return self.epoch_ms + int(max(0, _wall_ms() - self.wall_epoch_ms) * self.speed)

    def now(self) -> datetime:
        """The instant it is now, aware, in UTC."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def wall_s(self, duration_s: float) -> float:
        """How long ``duration_s`` seconds of this clock take on the wall, in seconds."""
        return duration_s / self.speed

    async def sleep(self, duration_s: float) -> None:
        """Waits for ``duration_s`` seconds of this clock."""
        held_s = max(0, self.wall_epoch_ms - _wall_ms()) / 1000
        await asyncio.sleep(held_s + max(0.0, self.wall_s(duration_s)))

    @classmethod
    def starting_at(cls, epoch_ms: int, speed: float, held_s: float = 0.0) -> "Clock":
        """A clock that shows ``epoch_ms`` at this moment, and in ``held_s`` wall seconds begins to run ``speed`` times as fast as life."""
        return cls(speed=speed, wall_epoch_ms=_wall_ms() + round(held_s * 1000), epoch_ms=epoch_ms)

    def save(self, path: Path) -> None:
        """Writes the clock where the other processes of the site find it (``DATA/clock.json``)."""
        part = path.with_suffix(".tmp")
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Clock":
        """The site's clock: the saved one, or life's own where none is saved."""
        if not path.exists():
            return cls()
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def iso(instant_ms: int, zone: tzinfo = UTC) -> str:
    """An instant in ISO 8601 with offset, in the zone given; milliseconds only where there are any."""
    moment = datetime.fromtimestamp(instant_ms // 1000, UTC).replace(microsecond=instant_ms % 1000 * 1000)
    local = moment.astimezone(zone)
    return local.isoformat(timespec="milliseconds" if instant_ms % 1000 else "seconds")

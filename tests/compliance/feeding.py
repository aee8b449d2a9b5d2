"""The live loop over real stores, fed with rows, killed and restarted at will; and the shorthand the rows are written in."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Engine, select

from compliance.events import Event
from compliance.watch import Watch
from domain.quantity import parse_point
from domain.reading import Readings
from domain.site import Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.records import tables

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE_MS = 60_000
HOUR_MS = 3_600_000

Row = tuple[str, int, float]  # point, measured_at (UTC ms), value
Arrival = tuple[int, str, int, float, int]  # received_at, point, measured_at, value, quality


def local_ms(text: str) -> int:
    """UTC ms of a local time such as ``2026-01-14 06:00``."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def every(name: str, start: int | str, stop: int | str, value: float, minutes: float = 10) -> list[Row]:
    """One reading of the value each so many minutes, from start up to but not at stop."""
    first, last = (local_ms(one) if isinstance(one, str) else one for one in (start, stop))
    return [(name, at, value) for at in range(first, last, round(minutes * MINUTE_MS))]


@dataclass
class Feed:
    """A site's live loop over real stores: rows arrive, passes run, processes die."""

    site: Site
    points: PointRegistry
    journal: Journal
    history: History
    records: Engine
    watch: Watch | None = None
    restarts: int = 0
    names: set[str] = field(default_factory=set)

    def run(
        self,
        rows: Sequence[Row] | Sequence[tuple[str, int, float, int, int]],
        until_ms: int,
        chance: random.Random,
        delay: Callable[[random.Random], int] | None = None,
        offset_ms: int = 0,
    ) -> None:
        """Feeds the rows in order of arrival, judging at random instants (whole seconds and ``offset_ms``), restarting at random passes."""
        arrivals: list[Arrival] = []
        for name, at, value, *more in rows:
            quality, received_at = more or (0, at)
            arrivals.append((received_at + (delay(chance) if delay else 0), name, at, value, quality))
        if not arrivals:  # a town where nothing is measured
            return
        arrivals.sort(key=lambda arrival: arrival[0])
        self.names = {arrival[1] for arrival in arrivals}
        now_ms, done = arrivals[0][0] // 1_000 * 1_000 - MINUTE_MS + offset_ms, 0
        while now_ms < until_ms:
            now_ms = min(until_ms, now_ms + chance.choice([1_000, 30_000, 10 * MINUTE_MS, 25 * MINUTE_MS]))
            batch = []
            while done < len(arrivals) and arrivals[done][0] <= now_ms:
                batch.append(arrivals[done])
                done += 1
            self._append(batch)
            self._judge(now_ms, chance)

    def _append(self, batch: Sequence[Arrival]) -> None:
        if batch:
            received, names, at, value, quality = zip(*batch, strict=True)
            self.journal.append(Readings.of(self.points.ids(names), at, value, received_at=received, quality=quality))

    def _judge(self, now_ms: int, chance: random.Random) -> None:
        if self.watch is None:
            self.watch = Watch(self.site, self.journal, self.history, self.points, self.records, now_ms)
            for point in map(parse_point, sorted(self.names)):  # as the devices' profiles tell it on a real site
                if point.kind == "station":
                    self.watch.stations.measure(point.subject_id, point.quantity)
        while self.watch.step(now_ms):
            pass
        while self.watch.judge_late():
            self.watch.step(now_ms)
        fate = chance.random()
        if fate < 0.05:
            self.watch.snapshot()
        elif fate < 0.10:
            self.watch = None  # killed: only what is committed is left
            self.restarts += 1

    def events(self) -> list[Event]:
        """The log of decisions, but for the lines to devices."""
        log = tables.events.c
        with self.records.connect() as connection:
            rows = connection.execute(select(log.at, log.event, log.subject, log.body).where(log.event.not_like("comm.%"))).all()
        return [Event(row.at, row.event, row.subject, row.body) for row in rows]

    def alarms(self) -> list[tuple[str, int, int | None, str | None]]:
        """The room alarms that stand as true in the records: subject, raised, cleared, why."""
        columns = tables.alarms.c
        mine = select(columns.subject, columns.raised_at, columns.cleared_at, columns.cleared_reason).where(columns.kind == "room_low")
        with self.records.connect() as connection:
            rows = connection.execute(mine).all()
        return sorted((tuple(row) for row in rows if row.cleared_reason != "late_data"), key=str)


def as_readings(rows: Sequence[Row]) -> tuple[list[str], Readings]:
    """The rows as ``replay`` takes them."""
    names = sorted({name for name, _, _ in rows})
    index = {name: position for position, name in enumerate(names)}
    return names, Readings.of([index[name] for name, _, _ in rows], [at for _, at, _ in rows], np.array([value for _, _, value in rows]))

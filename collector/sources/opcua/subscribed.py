"""The stations of one OPC UA server that are told of changes, and whether they still are.

notified ──▶ times and marks ──▶ intake          at each turn: alive? ──▶ re-read what was quiet ──▶ items doubted, dead, gone, back
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

import numpy as np
import structlog

from collector.intake import Intake
from collector.sources.opcua.feed import Feed, Notified, Wish
from collector.sources.opcua.session import Session
from collector.sources.opcua.station import Station
from collector.sources.opcua.watched import Handles, Watched
from domain.clock import Clock
from domain.errors import SourceError

log = structlog.get_logger("collect")

UNWATCHED = "nodes not watched"
NOT_THERE = ("BadNodeIdUnknown", "BadNodeIdInvalid", "BadAttributeIdInvalid")


class Subscribed:
    """The subscription to one server, for all its stations that want one, on one session.

    A subscription can go silently dead in three ways, and each ends this one: the server publishes nothing, not even that it is there;
    it says that the subscription has ended; or values change, by two re-reads on end, and nothing at all is notified.
    """

    def __init__(self, stations: Sequence[Station], clock: Clock, intake: Intake) -> None:
        self._clock, self._intake = clock, intake
        self._first: dict[str, int] = {}
        self._owner: list[Station] = []
        for station in stations:
            self._first[station.device.device_id] = len(self._owner)
            self._owner += [station] * len(station.profile.nodes)
        wishes = [(node, station.profile) for station in stations for node in station.profile.nodes]
        self._watched = Watched(
            np.concatenate([station.points for station in stations]),
            [node.scale for node, _ in wishes],
            [node.add for node, _ in wishes],
            [profile.deadband if node.deadband is None else node.deadband for node, profile in wishes],
        )
        self._publishing_s = min(clock.wall_s(station.device.interval_s) for station in stations)
        self._feed: Feed | None = None
        self._reread_at: dict[str, float] = {}
        self._notified_before: dict[str, int] = {}

    async def open(self, session: Session) -> None:
        """Begins. The nodes of each station are watched from its first turn on."""
        self._feed = await session.feed(self._publishing_s, self._take)

    async def look_after(self, station: Station, session: Session) -> float | None:
        """One turn of a station; how long its re-read took in milliseconds, None where none was due.

        Raises SourceError when the subscription has died, however quietly.
        """
        feed, now = self._feed, asyncio.get_running_loop().time()
        assert feed is not None
        feed.check()
        if session.lost:
            raise SourceError("the connection was lost")
        if feed.ended:
            raise SourceError(f"the server has ended the subscription: {feed.ended}")
        if now - feed.heard_at > feed.silence_s:
            station.health.counts["subscription rebuilt: silent"] += 1
            raise SourceError(f"the subscription has been silent for {now - feed.heard_at:.0f} s")
        name = station.device.device_id
        reread_s = self._clock.wall_s(station.profile.reread_s)
        if name not in self._reread_at:
            await self._watch(station, feed, station.wishes(self._first[name], self._clock))
            self._reread_at[name] = now + max(reread_s, 2 * self._publishing_s)
        due = now >= self._reread_at[name]
        if due:
            self._reread_at[name] = now + reread_s
        span = self._span(station)
        rows = self._watched.quiet(span) if due else self._watched.unwatched(span)
        if not len(rows):
            return None
        began = monotonic()
        await self._reread(station, session, feed, rows, due=due)
        return (monotonic() - began) * 1000

    def _span(self, station: Station) -> slice:
        first = self._first[station.device.device_id]
        return slice(first, first + len(station.profile.nodes))

    async def _watch(self, station: Station, feed: Feed, wishes: Sequence[Wish]) -> None:
        """Nodes that the server does not have, or will not watch, are read at each turn."""
        span, watched = self._span(station), self._watched
        refused = await feed.watch(wishes)
        missing = [handle for handle, why in refused.items() if why in NOT_THERE]
        others = sorted(refused.keys() - set(missing))
        watched.missing[missing] = True
        watched.refused[others] = True
        if others:
            reasons = sorted({refused[handle] for handle in others})
            log.warning("nodes that the server does not watch are polled", source=station.device.device_id, reasons=reasons)
            station.health.counts[UNWATCHED] = int(watched.refused[span].sum())
        station.note_missing(watched.missing[span])

    async def _reread(self, station: Station, session: Session, feed: Feed, rows: Handles, *, due: bool) -> None:
        name, span = station.device.device_id, self._span(station)
        assert station.nodes is not None
        answer = await session.read([station.nodes[row - span.start] for row in rows.tolist()])
        compared = self._watched.compare(rows, answer, self._clock.now_ms(), quiet=due)
        self._intake.put(compared.readings)
        station.note_missing(self._watched.missing[span])
        if due:
            silent = feed.notified == self._notified_before.get(name, -1)
            self._notified_before[name] = feed.notified
            if len(compared.dead) and silent:
                station.health.counts["subscription rebuilt: changes not notified"] += 1
                raise SourceError("values change and the subscription says nothing")
        await feed.forget(compared.gone.tolist())
        await self._renew(station, feed, np.concatenate([compared.dead, compared.back]))

    async def _renew(self, station: Station, feed: Feed, rows: Handles) -> None:
        if not len(rows):
            return
        station.health.counts["items watched anew"] += len(rows)
        await feed.forget(rows.tolist())
        wanted = set(rows.tolist())
        first = self._first[station.device.device_id]
        await self._watch(station, feed, [wish for wish in station.wishes(first, self._clock) if wish.handle in wanted])

    async def _take(self, notified: Notified) -> None:
        """Takes one notification in; waits where the journal takes nothing, so that the server has to keep what comes."""
        await self._intake.room()
        if notified.answer.overflows:
            self._owner[notified.handles[0]].health.counts["queue overflow"] += notified.answer.overflows
        self._intake.put(self._watched.take(notified.handles, notified.answer, self._clock.now_ms()))

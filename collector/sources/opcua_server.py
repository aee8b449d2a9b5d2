"""The stations behind one OPC UA server: each at its own turns, by polling or by a subscription that is watched over.

wait for the next turn ──▶ server down? ──▶ session (namespaces by URI, anew) ──┬─▶ read ──▶ times and marks ──▶ intake
                                                                                └─▶ subscribed: alive? re-read what was quiet
                                                server ──▶ notified ──▶ times and marks ──▶ intake
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.backoff import Backoff
from collector.health import SourceHealth
from collector.intake import Intake
from collector.scaling import Scaling
from collector.schedule import Rota, Turn
from collector.sources.opcua import Feed, Login, NamespaceMissingError, Notified, Session, Wish, open_session
from collector.sources.opcua_values import UNSTAMPED, Answer, marked, settle
from collector.sources.opcua_watch import Handles, Watched
from domain.clock import Clock
from domain.errors import ConfigError, SourceError
from domain.profile import OpcUaProfile
from domain.reading import Readings
from domain.site import Device
from store.secrets import secret

log = structlog.get_logger("collect")

MISSING = "nodes missing"
UNWATCHED = "nodes not watched"
NOT_THERE = ("BadNodeIdUnknown", "BadNodeIdInvalid", "BadAttributeIdInvalid")


class Station:
    """One device of an OPC UA server and how its polling stands."""

    def __init__(self, device: Device, profile: OpcUaProfile, phase_s: float, clock: Clock) -> None:
        self.device = device
        self.profile = profile
        self.turn = Turn(phase_s, clock.wall_s(device.interval_s))
        self.health = SourceHealth(device.device_id, device.protocol, device.address)
        self.nodes: list[Any] | None = None
        self.points = np.empty(0, np.int32)
        self.exchange_ok = self.latency_ms = -1
        self._scaling = Scaling.of([node.scale for node in profile.nodes], [node.add for node in profile.nodes])
        self._missing: frozenset[str] = frozenset()
        self._last = np.full(len(profile.nodes), UNSTAMPED, np.int64)
        self._since = np.zeros(len(profile.nodes), np.int64)

    def point_names(self) -> list[str]:
        """The names of all its points: the profile's nodes in order, then its health."""
        names = [f"station/{self.device.station_id}/{node.quantity}" for node in self.profile.nodes]
        return [*names, f"source/{self.device.device_id}/exchange_ok", f"source/{self.device.device_id}/latency_ms"]

    def take_ids(self, ids: NDArray[np.int32]) -> None:
        """Takes the ids of ``point_names``."""
        self.points = ids[:-2]
        self.exchange_ok, self.latency_ms = ids[-2:].tolist()

    @property
    def subscribed(self) -> bool:
        """Whether the server tells of changes, instead of being polled."""
        return self.profile.mode == "subscribe"

    def readings(self, answer: Answer, received_ms: int) -> Readings:
        """The answer to a poll as readings, with their times settled."""
        still_ms = round(2.5 * self.device.interval_s * 1000)
        measured, clock_off, self._since = settle(answer.stamped_ms, received_ms, self._last, self._since, still_ms)
        self._last = answer.stamped_ms
        quality = marked(answer.quality, clock_off)
        return Readings(self.points, measured, np.full(len(measured), received_ms, np.int64), self._scaling.apply(answer.value), quality)

    def wishes(self, first: int, clock: Clock) -> list[Wish]:
        """How its nodes are to be watched, under the handles from ``first`` on."""
        profile = self.profile
        sampling_s = clock.wall_s(profile.sampling_s or self.device.interval_s)
        return [
            Wish(first + row, node_id, sampling_s, profile.queue, profile.deadband if node.deadband is None else node.deadband)
            for row, (node_id, node) in enumerate(zip(self.nodes or (), profile.nodes, strict=True))
        ]

    def note_missing(self, gone: NDArray[np.bool_]) -> None:
        """Names nodes that the server does not have, once, and once again when they are back."""
        missing = frozenset(node.node for node, away in zip(self.profile.nodes, gone.tolist(), strict=True) if away)
        if missing - self._missing:
            log.warning("nodes missing on the server", source=self.device.device_id, nodes=sorted(missing - self._missing))
        if self._missing - missing:
            log.info("nodes back on the server", source=self.device.device_id, nodes=sorted(self._missing - missing))
        self._missing = missing
        if missing or MISSING in self.health.counts:
            self.health.counts[MISSING] = len(missing)


class OpcUaServer:
    """One server with its stations; a source that runs until cancelled."""

    def __init__(self, stations: Sequence[Station], site_folder: Path, data: Path, clock: Clock, intake: Intake) -> None:
        first = stations[0].device
        self.name = f"opcua {first.address}"
        self._stations = stations
        self._folder, self._data = site_folder, data
        self._clock, self._intake = clock, intake
        self._timeout_s = max(station.device.timeout_s for station in stations)
        self._session: Session | None = None
        self._feed: Subscribed | None = None
        self._backoff = Backoff.at_pace(clock)
        self._closed_until = 0.0
        self._trouble = ""

    def point_names(self) -> list[str]:
        """The names of all points this source may give."""
        return [name for station in self._stations for name in station.point_names()]

    def health(self) -> list[SourceHealth]:
        """The record of each station."""
        return [station.health for station in self._stations]

    async def run(self) -> None:
        """Reads the stations until cancelled."""
        for station in self._stations:
            station.take_ids(await self._intake.ids(station.point_names()))
        rota = Rota((station.turn, station) for station in self._stations)
        try:
            while True:
                station, overruns = await rota.next()
                station.health.overruns += overruns
                await self._serve(station)
        finally:
            await self._hang_up()

    async def close(self) -> None:
        """Nothing is left to close after ``run``."""

    async def _serve(self, station: Station) -> None:
        loop = asyncio.get_running_loop()
        if self._intake.full:
            station.health.counts["held back: the journal takes none"] += 1
            return
        if loop.time() < self._closed_until:
            self._intake.note(station.exchange_ok, self._clock.now_ms(), 0.0)
            if station.health.state != "failing":
                station.health.failed(self._trouble)
            return
        station.health.polls += 1
        try:
            session = await self._connected()
            if station.nodes is None:
                station.nodes = await session.nodes(station.profile, station.device.station_id)
            if station.subscribed:
                took_ms = await self._look_after(station, session)
            else:
                began = monotonic()
                answer = await session.read(station.nodes)
                took_ms = (monotonic() - began) * 1000
                station.note_missing(answer.missing)
                self._intake.put(station.readings(answer, self._clock.now_ms()))
        except SourceError as error:
            await self._failed(station, error)
        else:
            self._answered(station, took_ms)

    async def _look_after(self, station: Station, session: Session) -> float | None:
        if self._feed is None:
            stations = [station for station in self._stations if station.subscribed]
            feed = Subscribed(stations, self._clock, self._intake)
            await feed.open(session)
            self._feed = feed
        return await self._feed.look_after(station, session)

    async def _connected(self) -> Session:
        if self._session is None:
            for station in self._stations:
                station.nodes = None
            self._session = await open_session(self._login(), self._folder, self._data, self._timeout_s)
            for warning in self._session.warnings:
                log.warning("certificate ends soon", source=self.name, what=warning)
            for station in self._stations:
                station.health.counts = +Counter({key: n for key, n in station.health.counts.items() if "certificate" not in key})
                station.health.counts.update(self._session.warnings)
        return self._session

    def _login(self) -> Login:
        device = self._stations[0].device
        try:
            return Login(device.address, device.security, device.user, secret(device.password))
        except ConfigError as error:
            raise SourceError(str(error)) from error

    def _answered(self, station: Station, took_ms: float | None) -> None:
        at_ms = self._clock.now_ms()
        self._backoff.succeeded()
        station.health.good(at_ms, took_ms)
        self._intake.note(station.exchange_ok, at_ms, 1.0)
        if took_ms is not None:
            self._intake.note(station.latency_ms, at_ms, took_ms)

    async def _failed(self, station: Station, error: SourceError) -> None:
        self._trouble = str(error)
        station.health.failed(self._trouble)
        self._intake.note(station.exchange_ok, self._clock.now_ms(), 0.0)
        if isinstance(error, NamespaceMissingError):
            return
        await self._hang_up()
        self._closed_until = asyncio.get_running_loop().time() + self._backoff.failed()

    async def _hang_up(self) -> None:
        self._feed = None
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


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

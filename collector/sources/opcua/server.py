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

import structlog

from collector.backoff import Backoff
from collector.health import SourceHealth
from collector.intake import Intake
from collector.schedule import Rota
from collector.sources.opcua.exchange import NamespaceMissingError
from collector.sources.opcua.session import Login, Session, open_session
from collector.sources.opcua.station import Station
from collector.sources.opcua.subscribed import Subscribed
from domain.clock import Clock
from domain.errors import ConfigError, SourceError
from store.secrets import secret

log = structlog.get_logger("collect")


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

"""The stations behind one OPC UA server: each polled at its own time, all its nodes in one request.

wait for the next turn ──▶ server down? ──▶ session (namespaces by URI, anew) ──▶ read ──▶ times and marks ──▶ intake
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.backoff import Backoff
from collector.health import SourceHealth
from collector.instants import TOLERANCE_MS
from collector.intake import Intake
from collector.scaling import Scaling
from collector.schedule import Rota, Turn
from collector.sources.opcua import UNSTAMPED, Answer, Login, NamespaceMissingError, Session, open_session
from domain.clock import Clock
from domain.errors import ConfigError, SourceError
from domain.profile import OpcUaProfile
from domain.reading import Quality, Readings
from domain.site import Device
from store.secrets import secret

log = structlog.get_logger("collect")

Instants = NDArray[np.int64]


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

    def readings(self, answer: Answer, received_ms: int) -> Readings:
        """The answer as readings, with their times settled."""
        still_ms = round(2.5 * self.device.interval_s * 1000)
        measured, clock_off, self._since = settle(answer.stamped_ms, received_ms, self._last, self._since, still_ms)
        self._last = answer.stamped_ms
        quality = np.where(clock_off & (answer.quality == Quality.GOOD), np.uint8(Quality.CLOCK), answer.quality)
        return Readings(self.points, measured, np.full(len(measured), received_ms, np.int64), self._scaling.apply(answer.value), quality)

    def note_missing(self, answer: Answer) -> None:
        """Names nodes that the server does not have, once, and once again when they are back."""
        missing = frozenset(node.node for node, gone in zip(self.profile.nodes, answer.missing.tolist(), strict=True) if gone)
        if missing - self._missing:
            log.warning("nodes missing on the server", source=self.device.device_id, nodes=sorted(missing - self._missing))
        if self._missing - missing:
            log.info("nodes back on the server", source=self.device.device_id, nodes=sorted(self._missing - missing))
        self._missing = missing
        if missing or "nodes missing" in self.health.counts:
            self.health.counts["nodes missing"] = len(missing)


def settle(
    stamped: Instants, received_ms: int, last: Instants, since: Instants, still_ms: int
) -> tuple[Instants, NDArray[np.bool_], Instants]:
    """The times of polled values: measured_at, whether the server's clock was unusable, and since when each stamp has been the same.

    A source time within 10 min of receipt stands; else the time of receipt does, marked. A stamp that has not moved for longer than
    ``still_ms`` tells when the value last changed, not when it was last known: then the server, answering now, vouches for it now.
    """
    since = np.where(stamped == last, since, received_ms)
    still = received_ms - since > still_ms
    stamps = stamped != UNSTAMPED
    near = stamps & (np.abs(stamped - received_ms) <= TOLERANCE_MS)
    return np.where(near & ~still, stamped, received_ms), stamps & ~near & ~still, since


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
        """Polls the stations until cancelled."""
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
            began = monotonic()
            answer = await session.read(station.nodes)
        except SourceError as error:
            await self._failed(station, error)
        else:
            self._answered(station, answer, (monotonic() - began) * 1000)

    async def _connected(self) -> Session:
        if self._session is None:
            for station in self._stations:
                station.nodes = None
            self._session = await open_session(self._login(), self._folder, self._data, self._timeout_s)
        return self._session

    def _login(self) -> Login:
        device = self._stations[0].device
        try:
            return Login(device.address, device.security, device.user, secret(device.password))
        except ConfigError as error:
            raise SourceError(str(error)) from error

    def _answered(self, station: Station, answer: Answer, took_ms: float) -> None:
        at_ms = self._clock.now_ms()
        self._backoff.succeeded()
        station.health.good(at_ms, took_ms)
        station.note_missing(answer)
        self._intake.put(station.readings(answer, at_ms))
        self._intake.note(station.exchange_ok, at_ms, 1.0)
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
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

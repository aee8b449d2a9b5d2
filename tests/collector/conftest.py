"""A site with few lines, and the process ``collect`` running on it inside the test."""

import asyncio
import logging
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector import collect
from collector.collect import run_collect
from domain.clock import Clock
from domain.profile import ModbusProfile, Profile, Register
from domain.reading import Readings
from domain.site import Broker, Device, Room, Site, Station
from store.health import read_health
from store.journal import Journal
from store.points import PointRegistry
from store.site_folder.policies import DEFAULT, load_policy
from tests.collector.opcua_server import URI, OpcUaTestServer, fill

SUPPLY_AND_RETURN = ModbusProfile(
    "two",
    "supply and return",
    (
        Register("secondary_supply_temp_c", 0, "i16", scale=0.1),
        Register("secondary_return_temp_c", 1, "i16", scale=0.1),
    ),
)


@dataclass(frozen=True)
class Row:
    """One reading as the journal has it."""

    name: str
    measured_at: int
    received_at: int
    value: float
    quality: int


class Collected:
    """What ``collect`` has put on the disk, looked at from outside."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site = site
        self.clock = clock

    def rows(self, name: str | None = None) -> list[Row]:
        """The readings in order of arrival, of one point or of all."""
        if not (self.site.data / "journal.db").exists():
            return []
        registry, journal = PointRegistry(self.site.data / "points.db"), Journal(self.site.data / "journal.db")
        try:
            parts, cursor = [], 0
            while True:
                cursor, readings = journal.read(cursor)
                if not len(readings):
                    break
                parts.append(readings)
            found = Readings.concat(parts)
            columns = (found.point, found.measured_at, found.received_at, found.value, found.quality)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            every = [Row(registry.name(point), *rest) for point, *rest in rows]
        finally:
            journal.close()
            registry.close()
        return [row for row in every if name is None or row.name == name]

    def values(self, name: str) -> list[float]:
        return [row.value for row in self.rows(name)]

    def by_name(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows():
            found[row.name].append(row)
        return found

    def health(self, name: str | None = None) -> dict:  # type: ignore[type-arg]
        """The health file's detail, or one source's record in it; empty while there is none."""
        detail = next((word.detail for word in read_health(self.site.data) if word.component == f"collect{self.site.share.mark}"), {})
        if name is None:
            return detail
        return next((record for record in detail.get("sources", []) if record["name"] == name), {})

    async def until(self, condition: Callable[[], object], deadline_s: float = 30.0) -> None:
        """Waits until the condition holds."""
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, f"not within {deadline_s} s: {self.health()}"
            await asyncio.sleep(0.05)


MakeSite = Callable[..., Site]
Collecting = Callable[..., AbstractAsyncContextManager[Collected]]


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    """Makes a site: ``make_site(devices=[…], profiles=[…], rooms=[…], brokers=[…])``."""

    def make(
        devices: list[Device] | None = None,
        profiles: list[Profile] | None = None,
        rooms: list[Room] | None = None,
        brokers: list[Broker] | None = None,
    ) -> Site:
        devices = devices or []
        return Site(
            name="test",
            timezone=ZoneInfo("Asia/Shanghai"),
            policy=load_policy(DEFAULT),
            folder=tmp_path,
            data=tmp_path / "data",
            stations={device.station_id: Station(device.station_id) for device in devices},
            rooms={room.room_id: room for room in rooms or []},
            devices={device.device_id: device for device in devices},
            brokers=tuple(brokers or []),
            profiles={profile.name: profile for profile in profiles or [SUPPLY_AND_RETURN]},
        )

    return make


@pytest.fixture
def collecting(monkeypatch: pytest.MonkeyPatch) -> Collecting:
    """Runs ``collect`` on a site while the body runs: ``async with collecting(site) as collected``.

    Its health is told every tenth of a second, so that tests need not wait for it.
    """
    monkeypatch.setattr(collect, "HEALTH_EVERY_S", 0.1)

    @asynccontextmanager
    async def run(site: Site, clock: Clock | None = None) -> AsyncIterator[Collected]:
        site.data.mkdir(exist_ok=True)
        clock = clock or Clock()
        stop = asyncio.Event()
        task = asyncio.create_task(run_collect(site, clock, stop))
        try:
            yield Collected(site, clock)
            assert not task.done(), task
        finally:
            stop.set()
            await asyncio.wait_for(task, 5)

    return run


@pytest.fixture(autouse=True)
def _quiet_servers() -> None:
    """The simulators of the libraries log each fault that a test causes on purpose."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def running_opcua(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpcUaTestServer]:
    """One OPC UA server for all tests of a process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = OpcUaTestServer(tmp_path_factory.mktemp("opcua"), port)
    yield server
    server.close()


@pytest.fixture
def server(running_opcua: OpcUaTestServer) -> OpcUaTestServer:
    """That server, with one station in it."""
    running_opcua.namespaces(URI)
    fill(running_opcua)
    return running_opcua

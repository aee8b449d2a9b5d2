import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from domain.site import Site, StoreSettings
from store.history import HISTORIES, History, open_history
from store.points import PointRegistry
from store.site_folder import load_policy
from store.site_folder.policies import DEFAULT
from tests.store.history.servers import Server, influxdb, victoria_metrics

NAMES = [f"station/S{number // 20:02d}/quantity{number % 20}_c" for number in range(200)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(name="t", timezone=ZoneInfo("Asia/Shanghai"), policy=load_policy(DEFAULT), folder=tmp_path, data=tmp_path / "data")


@pytest.fixture
def registry(site: Site) -> Iterator[PointRegistry]:
    """The site's registry, with 200 points: ids 0 to 199."""
    points = PointRegistry(site.data / "points.db")
    points.ids(NAMES)
    yield points
    points.close()


def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def influx_server(influxd: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxdb(influxd, tmp_path_factory.mktemp("influxdb"), port(), port()) as server:
        yield server


@pytest.fixture(scope="session")
def victoria_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program: Path = request.getfixturevalue("victoria_metrics")
    with victoria_metrics(program, tmp_path_factory.mktemp("victoriametrics"), port()) as server:
        yield server


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Callable[[str], StoreSettings]:
    """Settings for a history of this kind that nobody has used: a database of its own on the real server."""

    def give(kind: str) -> StoreSettings:
        name = f"t{uuid.uuid4().hex}"
        if kind == "parquet":
            return StoreSettings(history=kind)
        server: Server = request.getfixturevalue({"influxdb": "influx_server", "victoriametrics": "victoria_server"}[kind])
        return StoreSettings(history=kind, history_url=server.url, history_database=name, history_bucket=name)

    return give


@pytest.fixture(params=HISTORIES)
def reopen(
    request: pytest.FixtureRequest, site: Site, registry: PointRegistry, stores: Callable[[str], StoreSettings]
) -> Iterator[Callable[[], History]]:
    """Opens the same history as another process would; once for every entry of HISTORIES."""
    opened: list[History] = []
    here = replace(site, stores=stores(request.param))

    def give() -> History:
        opened.append(open_history(here, registry))
        return opened[-1]

    yield give
    for history in opened:
        history.close()


@pytest.fixture
def history(reopen: Callable[[], History]) -> History:
    return reopen()

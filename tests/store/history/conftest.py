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


@pytest.fixture(params=HISTORIES)
def reopen(request: pytest.FixtureRequest, site: Site, registry: PointRegistry) -> Iterator[Callable[[], History]]:
    """Opens the same history as another process would; once for every entry of HISTORIES."""
    opened: list[History] = []
    stores = StoreSettings(history=request.param)

    def give() -> History:
        opened.append(open_history(replace(site, stores=stores), registry))
        return opened[-1]

    yield give
    for history in opened:
        history.close()


@pytest.fixture
def history(reopen: Callable[[], History]) -> History:
    return reopen()

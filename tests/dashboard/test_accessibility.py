"""Nobody is shut out: axe-core finds nothing serious on any page, in the light in Chinese and in the dark in English."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.actions.calibrations import register_calibration
from dashboard.forms import LANGUAGE_COOKIE
from dashboard.pages import PAGES
from dashboard.roles import Account
from tests.dashboard.conftest import SLOW_MS, Server
from tests.dashboard.sample_town import NOW_MS

pytestmark = pytest.mark.browser

GRAVE = {"serious", "critical"}
# What a page needs to have something to show.
ASKED = {"station": "station=S05", "building": "building=S05-B00"}
# Pages with something chosen on them, and the screen on the wall.
CHOSEN = (
    "?mode=wall",
    "alarms?alarm=4",
    "outages?notice=1",
    "complaints?complaint=1",
    "complaints?complaint=5",
    "visits?complaint=5",
)
OWN = ("login", "board", "account", "notices/1", "shift/print", "enter?token=none", "nowhere")


@pytest.fixture(scope="module")
def instrument(server: Server) -> None:
    """An instrument, so that the form for visits is there."""
    day = date(2026, 1, 1)
    register_calibration(server.records, Account("axe", "admin"), "TH-01", day, day.replace(year=2027), "", NOW_MS)


@pytest.fixture(scope="module", params=[("light", "zh"), ("dark", "en")], ids="-".join)
def page(request: pytest.FixtureRequest, browser: Browser, server: Server, instrument: None) -> Iterator[Page]:
    """A signed-in page in one colour scheme and language, for all pages one after the other."""
    scheme, language = request.param
    context = browser.new_context(viewport={"width": 1366, "height": 900}, color_scheme=scheme)
    context.add_cookies([{"name": LANGUAGE_COOKIE, "value": language, "url": server.address}])
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    page.goto(f"{server.address}/enter?token={server.link(f'axe-{scheme}', 'admin')}")
    page.wait_for_url(f"{server.address}/")
    yield page
    context.close()


def grave(page: Page) -> list[str]:
    """One line for each serious finding: the rule, where, and what is wrong."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [line(one, node) for one in found if one["impact"] in GRAVE for node in one["nodes"]]


def line(violation: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    messages = "; ".join(item["message"] for kind in ("any", "all", "none") for item in node[kind])
    return f"{violation['id']}: {' '.join(map(str, node['target']))}: {messages}"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_shuts_anybody_out(path: str, page: Page, server: Server) -> None:
    page.goto(f"{server.address}/{path}?{ASKED.get(path, '')}")
    expect(page.locator(".kw-panel").first).to_be_visible(timeout=SLOW_MS)
    page.wait_for_load_state("networkidle")
    assert grave(page) == []


@pytest.mark.parametrize("address", CHOSEN)
def test_nor_does_one_with_something_chosen_on_it(address: str, page: Page, server: Server) -> None:
    page.goto(f"{server.address}/{address}")
    expect(page.locator(".kw-panel").first).to_be_visible(timeout=SLOW_MS)
    page.wait_for_load_state("networkidle")
    assert grave(page) == []


@pytest.mark.parametrize("path", OWN)
def test_nor_do_our_own_forms_and_the_board(path: str, page: Page, server: Server) -> None:
    page.goto(f"{server.address}/{path}")
    assert grave(page) == []

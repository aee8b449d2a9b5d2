"""Nobody is shut out: axe-core finds nothing serious on any page, in the light and in the dark."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dashboard.pages import PAGES
from tests.dashboard.conftest import SLOW_MS, Server

pytestmark = pytest.mark.browser

GRAVE = {"serious", "critical"}
# What a page needs to have something to show.
ASKED = {"station": "station=S05", "building": "building=S05-B00"}
OWN = ("login", "board", "account")


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Page]:
    """A signed-in page in one colour scheme, for all pages one after the other."""
    context = browser.new_context(viewport={"width": 1366, "height": 900}, color_scheme=request.param)
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    page.goto(f"{server.address}/enter?token={server.link(f'axe-{request.param}', 'admin')}")
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


@pytest.mark.parametrize("path", OWN)
def test_nor_do_our_own_forms_and_the_board(path: str, page: Page, server: Server) -> None:
    page.goto(f"{server.address}/{path}")
    assert grave(page) == []

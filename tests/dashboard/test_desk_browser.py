"""The service desk in a real browser, end to end: the call, the steps, the visit, the cure, the call-back, the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import select

from store.records.tables import complaint_deeds, complaint_transitions, complaints
from tests.dashboard.conftest import Server
from tests.dashboard.sample_town import COLD_BUILDING

pytestmark = pytest.mark.browser

SLOW_MS = 30_000
NUMBER = count()
FORMULA = '=HYPERLINK("http://x","<img src=x onerror=window.hurt=1>")'


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Debian's chromium, once for all tests of this file."""
    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def desk(browser: Browser, server: Server) -> Callable[..., Any]:
    """Signs a person of the desk in; fails on errors in the browser's console."""

    @contextmanager
    def opened(path: str, language: str = "zh", role: str = "service", width: int = 1366) -> Iterator[Page]:
        context = browser.new_context(viewport={"width": width, "height": 900}, has_touch=width < 800)
        context.set_default_timeout(SLOW_MS)
        context.add_cookies([{"name": "keepwarm_language", "value": language, "url": server.address}])
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" and "404" not in message.text else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{server.address}/enter?token={server.link(f'desk-{next(NUMBER)}', role)}")
        page.wait_for_url(f"{server.address}/")
        page.goto(f"{server.address}/{path}")
        yield page
        assert wrong == []
        assert page.evaluate("window.hurt") is None
        page.close()
        context.close()

    return opened


def newest(server: Server) -> Any:
    with server.records.connect() as connection:
        return connection.execute(select(complaints).order_by(complaints.c.id.desc()).limit(1)).one()


def test_a_call_is_entered_with_two_fields_and_two_enters(desk: Callable[..., Any], server: Server) -> None:
    with desk("report-in") as page:
        finder = page.get_by_role("combobox", name="街道、楼栋、门牌")
        expect(finder).to_be_focused()
        began = time.monotonic()
        page.keyboard.type("人民路3号楼 7单元909")
        expect(page.get_by_role("option").first).to_contain_text("人民路小区3号楼")
        page.keyboard.press("Enter")
        expect(page.get_by_text("本楼未结投诉")).to_be_visible()
        expect(page.get_by_role("textbox", name="用户反映")).to_be_focused()
        page.keyboard.type(FORMULA)
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text="已立案")).to_be_visible()
        took_s = time.monotonic() - began
        row = newest(server)
        assert (row.subject, row.address, row.reason) == (f"building/{COLD_BUILDING}", "7单元909", FORMULA)
        assert (row.origin, row.category, row.source, row.kind) == ("resident", "low_temperature", "phone", "household")
        assert row.evidence["station"]["heat"] == "supplying"
        expect(page.get_by_role("combobox", name="街道、楼栋、门牌")).to_have_value("")
        print(f"a call took {took_s:.1f} s of the machine's time")  # noqa: T201 - measured, never asserted


def test_a_known_outage_is_shown_before_the_caller_has_said_much(desk: Callable[..., Any]) -> None:
    with desk("report-in", "en") as page:
        expect(page.get_by_role("combobox", name="Street, building")).to_be_focused()
        page.keyboard.type("13800000003")
        page.keyboard.press("Enter")  # before the list is there: it is chosen as soon as it comes
        expect(page.locator(".kw-banner.kw-bad")).to_contain_text("Known outage since")
        expect(page.get_by_role("textbox", name="Flat, as far as")).to_have_value("4单元601")
        expect(page.locator(".kw-card", has_text="Open complaints of the building")).to_contain_text("4单元601")


def test_nothing_is_opened_without_a_home(desk: Callable[..., Any], server: Server) -> None:
    before = newest(server).id
    with desk("report-in") as page:
        page.get_by_role("textbox", name="用户反映").fill("冷")
        page.get_by_role("button", name="立案").click()
        expect(page.get_by_text("请先找到住户地址。")).to_be_visible()
    assert newest(server).id == before


def test_a_viewer_has_no_form_for_calls(desk: Callable[..., Any]) -> None:
    with desk("complaints", role="viewer") as page:
        expect(page.locator(".kw-queue")).to_be_visible()
        assert page.get_by_role("link", name="登记投诉").count() == 0
        assert page.get_by_text("13800000003").count() == 0


def deeds(server: Server, number: int) -> list[str]:
    with server.records.connect() as connection:
        rows = connection.execute(
            select(complaint_deeds.c.kind).where(complaint_deeds.c.complaint_id == number).order_by(complaint_deeds.c.id)
        )
        return list(rows.scalars())


def states(server: Server, number: int) -> list[str]:
    steps = complaint_transitions.c
    with server.records.connect() as connection:
        return list(connection.execute(select(steps.to_state).where(steps.complaint_id == number).order_by(steps.id)).scalars())


def test_attached_to_its_outage_held_and_merged(desk: Callable[..., Any], server: Server) -> None:
    with desk("complaints?complaint=7", "en", role="dispatcher") as page:
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Attach", exact=True).click()
        expect(page.get_by_text("this complaint belongs to it")).to_be_visible()
        page.get_by_role("button", name="Write down").click()
        expect(page.locator(".kw-steps")).to_contain_text("Contacted")
    assert deeds(server, 7) == ["of_outage", "contacted"]


def test_a_call_back_from_the_list(desk: Callable[..., Any], server: Server) -> None:
    with desk("complaints") as page:
        page.get_by_role("radio", name="回访").or_(page.get_by_role("button", name="回访")).first.click()
        row = page.locator(".kw-calls tr", has_text="2单元301")
        expect(row).to_contain_text("无人接听")
        row.get_by_role("checkbox").check()
        page.get_by_role("textbox", name="用户反馈").fill(FORMULA)
        page.get_by_role("button", name="回访：满意", exact=True).click()
        expect(row).to_contain_text("已回访")
        expect(row).to_contain_text(FORMULA)
    assert states(server, 5)[-1] == "called_back"

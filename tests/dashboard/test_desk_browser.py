"""The service desk in a real browser, end to end: the call, the steps, the visit, the cure, the call-back, the end."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sqlalchemy import select

from dashboard.actions.calibrations import register_calibration
from dashboard.actions.complaints import ResidentReport, open_resident_complaint
from dashboard.actions.visits import signature_fault
from dashboard.roles import Account
from dashboard.text import Speech, speech
from domain.visit import visit_faults
from store.records.tables import complaint_deeds, complaint_transitions, complaints
from store.records.visits import broken_visits, filed_visits
from tests.dashboard.conftest import Server, until
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, NOW_MS

pytestmark = pytest.mark.browser

SLOW_MS = 30_000
NUMBER = count()
FORMULA = '=HYPERLINK("http://x","<img src=x onerror=window.hurt=1>")'


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Debian's chromium, once for all tests of this file."""
    expect.set_options(timeout=SLOW_MS)
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
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
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


def button(page: Page, name: str) -> Locator:
    """A button of ours: a message that comes and goes has one of its own to close it."""
    return page.get_by_role("button", name=name, exact=True).and_(page.locator("[data-testid^=stBaseButton]"))


def press(page: Page, name: str) -> None:
    button(page, name).click()


def draw(page: Page) -> None:
    """A signature with the pointer, in two strokes."""
    canvas = page.locator(".kw-inkpad canvas")
    canvas.scroll_into_view_if_needed()
    frame = canvas.bounding_box()
    assert frame is not None
    for stroke in range(2):
        page.mouse.move(frame["x"] + 30 + stroke * 90, frame["y"] + 40)
        page.mouse.down()
        for k in range(12):
            page.mouse.move(frame["x"] + 30 + stroke * 90 + k * 6, frame["y"] + 50 + k % 4 * 25)
        page.mouse.up()


def complain(page: Page, _: Speech, server: Server) -> int:
    """Enters a call about a room; gives the number of the complaint."""
    expect(page.get_by_role("combobox", name=_("Street, building, flat, or the number called from"))).to_be_focused()
    page.keyboard.type("人民路3 103")
    expect(page.get_by_role("option").first).to_contain_text("103")
    page.keyboard.press("Enter")
    expect(page.get_by_text(_("Open complaints of the building"))).to_be_visible()
    page.get_by_label(_("Resident")).fill(EVIL)
    page.get_by_label(_("Telephone")).fill("13900001111")
    page.get_by_label(_("What is said")).fill(FORMULA)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_visible()
    return int(newest(server).id)


def file_a_signed_visit(page: Page, _: Speech) -> None:
    page.locator('[data-open^="visits?complaint="]').click()
    page.wait_for_url("**/visits?complaint=*")
    page.get_by_label(_("Readings ℃, parted by blanks")).fill("16.8 17.0")
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-visit_check", has_text="16.90 ℃")).to_be_visible()
    expect(page.get_by_text(_("not signed"))).to_be_visible()
    draw(page)
    expect(page.get_by_text(_("An official measurement."), exact=True)).to_be_visible()
    press(page, _("File the visit"))
    expect(page.get_by_role("status")).to_contain_text(_("official"))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_from_the_call_to_the_end(desk: Callable[..., Any], server: Server, language: str) -> None:
    """The service desk's main task: call, accept, send, visit with a drawn signature, cure, call back, close."""
    _ = speech(language)
    site = server.town.site
    if language == "zh":
        days = date(2025, 9, 1), date(2026, 8, 31)
        register_calibration(server.records, Account("检定员", "service"), "HT-01", *days, FORMULA, NOW_MS)
    with desk("report-in", language) as page:
        number = complain(page, _, server)
        page.locator(f'[data-open="complaints?complaint={number}"]').first.click()
        page.wait_for_url(f"**/complaints?complaint={number}")
        expect(page.locator(".kw-onecase")).to_contain_text(EVIL)
        press(page, _("Accept"))
        press(page, _("Dispatch"))
        press(page, _("Arrived on site"))
        expect(page.get_by_role("button", name=_("Resolve"), exact=True)).to_be_visible()
        file_a_signed_visit(page, _)
        page.goto(f"{server.address}/complaints?complaint={number}")
        expect(page.locator(".kw-line", has=page.locator('a[href^="/visit/"]'))).to_contain_text("16.90 ℃")
        press(page, _("Resolve"))
        press(page, _("Called back: satisfied"))
        press(page, _("Close"))
        expect(button(page, _("Close"))).to_have_count(0)
        expect(page.get_by_role("button", name=_("Reopen"), exact=True)).to_be_visible()  # as it was before: the call-back may be doubted
        assert page.locator("img[src='x']").count() == 0
    until(lambda: states(server, number)[-1] == "closed")  # the button stands there since the call-back
    assert states(server, number) == ["new", "accepted", "dispatched", "on_site", "resolved", "called_back", "closed"]
    assert deeds(server, number) == ["assigned", "call_back"]
    with server.records.connect() as connection:
        (filed,) = [one for one in filed_visits(connection) if one.visit.complaint_id == number]
        assert list(broken_visits(connection)) == []
    assert visit_faults(filed.visit, site.timezone) == []
    assert filed.visit.room_id == f"{COLD_BUILDING}-103"
    assert filed.visit.signature is not None
    assert signature_fault(filed.visit.signature) == ""


def test_a_photo_of_the_signed_sheet_on_a_phone(desk: Callable[..., Any], server: Server, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    image = Image.new("RGB", (3_000, 2_000), "white")
    ImageDraw.Draw(image).line([(300, 300), (1_500, 1_500), (2_700, 400)], fill="black", width=30)
    image.save(photo)
    (tmp_path / "page.png").write_text(EVIL)
    with desk("visits", "en", width=390) as page:
        pad = page.locator(".kw-inkpad")
        expect(pad).to_be_visible()
        page.get_by_role("combobox", name="The home measured").fill("人民路3 8单元1")
        expect(page.get_by_role("option").first).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator(".kw-visited")).to_contain_text("8单元1")
        page.get_by_label("Readings").fill("17.5")
        page.keyboard.press("Enter")
        pad.locator("input[type=file]").set_input_files(tmp_path / "page.png")
        page.get_by_text("An official measurement.", exact=True).wait_for()
        press(page, "File the visit")
        expect(page.get_by_text("This is no picture that can be read")).to_be_visible()
        pad.locator("input[type=file]").set_input_files(photo)
        expect(pad.locator("img")).to_be_visible()
        press(page, "File the visit")
        expect(page.get_by_role("status")).to_contain_text("official")
        expect(page.get_by_role("button", name="File the visit")).to_be_disabled()  # a second press files no empty record
        assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth") <= 1
        expect(page.get_by_text("17.50 ℃ where 18 ℃ is owed")).to_be_visible()
        press(page, "Open a complaint from this visit")
        page.wait_for_url("**/complaints?complaint=*")
        expect(page.locator(".kw-onecase")).to_contain_text("8单元1")
    with server.records.connect() as connection:
        filed = filed_visits(connection)[-1]
    opened = newest(server)
    assert (opened.origin, opened.visit_id, opened.kind, opened.address) == ("visit", filed.id, "household", "8单元1")
    assert filed.visit.room_id == f"{COLD_BUILDING}:8单元1"
    assert filed.visit.signature is not None
    with Image.open(io.BytesIO(filed.visit.signature)) as stored:
        assert (stored.format, stored.size[0]) == ("PNG", 1_200)


@pytest.mark.parametrize(("language", "reading"), [("zh", "16.5"), ("en", "16.4")])
def test_a_room_measured_too_cold_is_added_to_its_open_complaint(
    desk: Callable[..., Any], server: Server, language: str, reading: str
) -> None:
    _, room_id = speech(language), f"{COLD_BUILDING}-102"
    days = date(2025, 9, 1), date(2026, 8, 31)
    register_calibration(server.records, Account("检定员", "service"), f"HT-{language}", *days, "", NOW_MS)
    report = ResidentReport(f"room/{room_id}", "low_temperature", "phone", "冷")
    site = server.town.site
    number = open_resident_complaint(server.records, Account("客服李", "service"), site, report, {}, NOW_MS)
    with desk("visits", language) as page:
        expect(page.locator(".kw-inkpad")).to_be_visible()
        page.get_by_label(_("Readings ℃, parted by blanks")).fill("20")  # before the home: no visit of nowhere
        page.keyboard.press("Enter")
        expect(page.locator(".st-key-visit_check", has_text="20.00 ℃")).to_be_visible()
        expect(page.locator(".st-key-visit_place")).to_contain_text(_("Find the home first."))
        expect(page.get_by_role("button", name=_("File the visit"))).to_be_disabled()
        page.get_by_role("combobox", name=_("The home measured: street, building, flat")).fill("人民路3 102")
        expect(page.get_by_role("option").first).to_contain_text("102")
        page.keyboard.press("Enter")
        expect(page.locator(".kw-visited")).to_contain_text("102")
        page.get_by_label(_("Readings ℃, parted by blanks")).fill(reading)
        page.keyboard.press("Enter")
        expect(page.locator(".st-key-visit_check", has_text=f"{reading}0 ℃")).to_be_visible()
        draw(page)
        press(page, _("File the visit"))
        press(page, _("Open a complaint from this visit"))
        page.wait_for_url("**/complaints?complaint=*")
        expect(page.locator(".kw-steps")).to_contain_text(f"{_('Measured too cold')} {reading}0 ℃")
    with server.records.connect() as connection:
        filed = filed_visits(connection, room_id)[-1]
        rows = connection.execute(select(complaint_deeds).where(complaint_deeds.c.kind == "measured").order_by(complaint_deeds.c.id))
        deed = rows.all()[-1]
    assert (deed.body["visit"], deed.body["measured_c"]) == (filed.id, float(reading))
    assert newest(server).id == number, "no complaint of its own beside the open one"


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

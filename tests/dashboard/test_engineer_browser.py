"""The engineer in a real browser, end to end: off the curve, advice, a curve drawn and filed, before and after; balance, data, shift."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import insert, select

from dashboard.accounts import make_invitation, wall_ms
from domain.clock import Clock
from domain.curve import FiledCurve
from domain.reading import Readings
from store.health import write_health
from store.history import open_history
from store.points import PointRegistry
from store.records import open_records
from store.records.filed_curves import filed_curves
from store.records.tables import alarms, shift_entries
from tests.compliance.curve_tuning.stations import Truth, live
from tests.compliance.curve_tuning.stations import outdoor as season_outdoor
from tests.dashboard.conftest import Server, start, stop
from tests.dashboard.sample_town import FAILING, NOW_MS, SILENT, TOO_WARM, sample_site

pytestmark = pytest.mark.browser

SLOW_MS = 30_000
HOUR_MS = 3_600_000
NUMBER = count()
Opened = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Debian's chromium, once for all tests of this file."""
    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=arguments)
        yield browser
        browser.close()


@contextmanager
def looked_at(browser: Browser, address: str, link: str, path: str, language: str) -> Iterator[Page]:
    """A page of a dashboard for somebody signed in by a link; fails on errors in the browser's console."""
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    context.set_default_timeout(SLOW_MS)
    expect.set_options(timeout=SLOW_MS)
    context.add_cookies([{"name": "keepwarm_language", "value": language, "url": address}])
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{address}/enter?token={link}")
    page.wait_for_url(f"{address}/")
    page.goto(f"{address}/{path}")
    yield page
    assert wrong == []
    page.close()
    context.close()


@pytest.fixture
def opened(browser: Browser, server: Server) -> Opened:
    """Opens a page for a new account of a role."""

    def open_page(path: str, role: str = "engineer", language: str = "zh") -> AbstractContextManager[Page]:
        return looked_at(browser, server.address, server.link(f"{role}-{next(NUMBER)}", role), path, language)

    return open_page


def test_from_a_station_off_its_curve_to_before_and_after(opened: Opened, browser: Browser, server: Server, tmp_path: Path) -> None:
    with server.records.begin() as connection:
        row = {"kind": "curve_off", "subject": f"station/{TOO_WARM}", "station_id": TOO_WARM, "pending_at": NOW_MS - 2 * HOUR_MS}
        connection.execute(insert(alarms).values(row | {"raised_at": NOW_MS - HOUR_MS, "value": 52.0, "limit_value": 48.0}))
    with opened("curves") as page:
        page.locator(f'.kw-off-curve [data-open="curves?station={TOO_WARM}"]').click()
        page.wait_for_url(f"**/curves?station={TOO_WARM}")
        expect(page.get_by_text("调整曲线斜率。")).to_be_visible()
        effect = page.locator(".kw-panel", has_text="按所绘曲线")
        expect(effect).to_contain_text("与现在相比的热量")
        before = effect.inner_text()
        page.get_by_role("slider", name="平移，K").press("ArrowLeft")
        expect(effect).not_to_have_text(before)
        shifted = effect.inner_text()
        page.get_by_text("逐点调整").click()
        page.get_by_role("slider", name="−15 ℃ 处，K").press("ArrowRight")
        expect(effect).not_to_have_text(shifted)
        page.get_by_label("事由").fill("室温偏高，降曲线")
        page.get_by_role("button", name="备案", exact=True).last.click()
        expect(page.get_by_text("已备案：")).to_be_visible()
        page.reload()
        expect(page.locator(".kw-panel", has_text="备案曲线").last).to_contain_text("室温偏高，降曲线")
        expect(page.get_by_text("待生效")).to_be_visible()
    with server.records.connect() as connection:
        (filed,) = filed_curves(connection)[TOO_WARM]
    old = server.town.site.curves[TOO_WARM][0].supply_c
    assert [round(was - new, 1) for new, was in zip(filed.supply_c, old, strict=True)] == [2.5, 2.0, 2.5, 2.5]
    with (
        a_week_later(server, filed, tmp_path) as (address, link),
        looked_at(browser, address, link, f"curves?station={TOO_WARM}", "zh") as page,
    ):
        compared = page.locator(".kw-panel", has_text="上次调整曲线以来")
        expect(compared).to_contain_text("度日数")
        expect(compared.locator("tr", has_text="与之前相比的热量")).to_contain_text("−")
        expect(page.get_by_text("执行中")).to_be_visible()


@contextmanager
def a_week_later(server: Server, filed: FiledCurve, folder: Path) -> Iterator[tuple[str, str]]:
    """Another dashboard of a copy of the town, nine days on: the station ran by the curve that was filed, with less heat."""
    shutil.copytree(server.town.site.folder, folder, dirs_exist_ok=True)
    site = sample_site(folder / "data", evil=True)
    start_ms, days = filed.effective_from_ms, 8
    outdoor = season_outdoor(days, 5)
    rooms = [room_id for room_id, room in site.rooms.items() if room.station_id == TOO_WARM]
    hours = live(Truth(heater=0.56), outdoor, filed.target_c(outdoor), np.zeros(len(outdoor), np.bool_), rooms=len(rooms), start_c=20.5)
    columns = {
        "outdoor_temp_c": hours.outdoor_c,
        "secondary_supply_temp_c": hours.supply_c,
        "secondary_return_temp_c": hours.return_c,
        "secondary_flow_m3h": np.full(len(hours), 118.0),
        "heat_energy_gj": 30_000 + np.cumsum(np.full(len(hours), 3.0)),
    }
    points = PointRegistry(site.data / "points.db")
    ids = points.ids([f"station/{TOO_WARM}/{name}" for name in columns] + [f"room/{room_id}/indoor_temp_c" for room_id in rooms])
    at = start_ms + np.arange(len(hours)) * HOUR_MS
    history = open_history(site, points)
    for point, value in zip(ids, [*columns.values(), *hours.room_c.T], strict=True):
        history.write(Readings.of(np.full(len(at), point, np.int32), at, value))
    history.close()
    points.close()
    Clock.starting_at(start_ms + days * 24 * HOUR_MS, 1.0).save(folder / "clock.json")
    process, port = start(folder)
    records = open_records(site.data / "records.db")
    try:
        yield f"http://127.0.0.1:{port}", make_invitation(records, "later", "engineer", wall_ms())
    finally:
        records.dispose()
        stop(process)


def test_which_data_can_be_relied_on(opened: Opened, server: Server) -> None:
    sensor = {"sensor": "24e124<b>", "profile": "milesight", "topic": "application/1", "first_ms": NOW_MS, "last_ms": NOW_MS, "count": 3}
    unknown = {"count": 1, "beyond": 0, "newest": [sensor | {"values": {"indoor_temp_c": 21.5}}]}
    write_health(server.town.site.data, "collect", NOW_MS, {"unknown_sensors": unknown})
    with opened("data", language="en") as page:
        rows = page.locator(".kw-alarms tbody tr")
        expect(rows).to_have_count(3)
        expect(rows.first).to_contain_text(f"D{SILENT}")
        page.get_by_placeholder("Station, source or address").fill(f"D{FAILING}")
        page.get_by_placeholder("Station, source or address").press("Enter")
        expect(rows).to_have_count(1)
        expect(rows.first).to_contain_text("Last try failed")
        page.get_by_role("radio", name="Points").or_(page.get_by_role("button", name="Points")).first.click()
        page.get_by_placeholder("Station, room or quantity").fill("S04")
        page.get_by_placeholder("Station, room or quantity").press("Enter")
        expect(rows.first).to_contain_text("tank level")
        expect(rows.first).to_contain_text("Stuck")
        page.get_by_role("radio", name="Unknown sensors").or_(page.get_by_role("button", name="Unknown sensors")).first.click()
        expect(rows.first).to_contain_text("24e124<b>")
        expect(rows.first).to_contain_text("21.5 ℃")


def test_a_season_of_a_station_and_from_its_points_to_data_health(opened: Opened) -> None:
    with opened(f"station?station={SILENT}") as page:
        page.get_by_role("radio", name="150 天").or_(page.get_by_role("button", name="150 天")).first.click()
        expect(page.locator("canvas").first).to_be_visible()
        expect(page.locator(".kw-small-grid a").first).to_be_visible()
        page.get_by_role("link", name="全部 18 个异常测点").click()
        page.wait_for_url("**/data")
        expect(page.locator(".kw-alarms tbody tr")).to_have_count(18)


def test_balance_of_a_station_and_of_all(opened: Opened) -> None:
    with opened(f"balance?station={TOO_WARM}") as page:
        expect(page.get_by_text("偏离最大的立管")).to_be_visible()
        expect(page.locator(".kw-panel", has_text="换热器").first).to_contain_text("结垢")
        page.get_by_role("radio", name="供回温差最小").or_(page.get_by_role("button", name="供回温差最小")).first.click()
        page.locator('.kw-alarms [data-open^="balance?station="]').first.click()
        page.wait_for_url("**/balance?station=*")


def test_a_shift_is_taken_written_in_handed_over_and_printed(opened: Opened, server: Server) -> None:
    with opened("shift", "dispatcher") as page:
        page.get_by_role("button", name="接班（含待办事项）").click()
        expect(page.get_by_role("heading", name="当班：")).to_be_visible()
        entry = page.get_by_role("textbox", name="记录", exact=True)
        entry.fill("等阀门备件 <b>")
        page.get_by_role("button", name="列为待办，交下一班").click()
        tick = page.locator('.kw-points input[type="checkbox"]')
        expect(tick).to_have_count(1)
        page.get_by_role("textbox", name="交班小结").fill("夜间正常")
        page.get_by_role("button", name="交班", exact=True).click()
        expect(page.get_by_text("已交班，尚无人接班")).to_be_visible()
    with opened("shift", "dispatcher") as page:
        page.get_by_role("button", name="接班（含待办事项）").click()
        page.locator('.kw-points input[type="checkbox"]').check()
        page.get_by_role("textbox", name="处理情况").fill("已更换")
        page.get_by_role("button", name="1 项已完成").click()
        expect(page.get_by_text("没有待办事项。")).to_be_visible()
        page.goto(f"{server.address}/shift/print?shift=1")
        expect(page.get_by_role("heading", name="移交的待办事项")).to_be_visible()
        expect(page.get_by_text("等阀门备件 <b>").first).to_be_visible()
    with server.records.connect() as connection:
        found = connection.execute(select(shift_entries.c.kind).order_by(shift_entries.c.id)).scalars().all()
    assert found == ["took_over", "point", "handed_over", "took_over", "done"]
    with opened("shift", "viewer", language="en") as page:
        expect(page.get_by_text("No point is open.")).to_be_visible()
        assert page.get_by_role("button", name="Take over").count() == 0
        assert page.locator("textarea").count() == 0

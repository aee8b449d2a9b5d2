"""The main task of each role by the keyboard alone: Tab, Enter, Space, arrows and words; wherever the focus is, it can be seen."""

import re
from datetime import date
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect
from sqlalchemy import select

from dashboard.actions.calibrations import register_calibration
from dashboard.roles import Account
from store.records.filed_curves import filed_curves
from store.records.tables import alarms, notices
from store.records.visits import filed_visits
from tests.dashboard.conftest import Server, SignIn, until
from tests.dashboard.sample_town import COLD_BUILDING, NOW_MS, TOO_WARM
from tests.dashboard.test_desk_browser import newest, states

pytestmark = pytest.mark.browser

MOST_TABS = 150  # more than any page has; a page that needs them all to reach what matters is not worked with by keyboard
# What has the focus shows it: by a frame of its own, or by the frame of the field it stands in.
SEEN = """() => {
  const it = document.activeElement;
  if (it === null || it === document.body) return "";
  const field = it.matches("input, textarea, [role=spinbutton], [role=combobox]");
  const frames = [it];
  for (let one = it.parentElement; field && one && frames.length < 6; one = one.parentElement) frames.push(one);
  const shown = frames.some((one) => {
    const style = getComputedStyle(one);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== "none";
  });
  const box = it.getBoundingClientRect();
  const inside = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  return shown && inside ? "" : `${shown ? "out of sight" : "no frame"}: ${it.outerHTML.slice(0, 200)}`;
}"""


def tab_to(page: Page, role: str, name: str, *, back: bool = False) -> None:
    """Tabs until what has this role and this name (or a name that holds it) has the focus, which shows at every step."""
    wanted = re.compile(rf'^- {role} "[^"]*{re.escape(name)}')
    passed: list[str] = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        assert page.evaluate(SEEN) == ""
        focused = page.locator(":focus")
        passed.append(focused.aria_snapshot().partition("\n")[0] if focused.count() else "nothing")
        if wanted.match(passed[-1]):
            return
    raise AssertionError(f"no {role} {name!r} among {passed}")


def press(page: Page, role: str, name: str, key: str = "Enter", *, back: bool = False) -> None:
    """Waits until it is there and can be used, tabs to it and presses it."""
    expect(page.get_by_role(role, name=name).first).to_be_enabled()  # type: ignore[arg-type]
    tab_to(page, role, name, back=back)
    page.keyboard.press(key)


def take(page: Page, *steps: str) -> None:
    """Takes one step of a complaint after the other; each button is gone once its step is taken."""
    for step in steps:
        press(page, "button", step)
        expect(page.get_by_role("button", name=step, exact=True)).to_have_count(0)


def test_a_dispatcher_acknowledges_an_alarm_and_publishes_a_notice(sign_in: SignIn, server: Server) -> None:
    with sign_in("dispatcher") as page:
        press(page, "link", "未确认报警")
        page.wait_for_url("**/alarms")
        tick = page.locator(".kw-row-bad [data-pick]").first
        subject, number = tick.get_attribute("aria-label"), tick.get_attribute("data-pick")
        assert subject
        press(page, "checkbox", subject, "Space")
        expect(page.get_by_role("button", name="确认 1 条报警")).to_be_visible()
        tab_to(page, "textbox", "备注或原因", back=True)
        page.keyboard.type("已派人")
        press(page, "button", "确认 1 条报警")
        expect(page.locator(".kw-alarms tr", has=page.locator(f'[data-pick="{number}"]'))).to_contain_text("已派人")
        press(page, "link", "停热与通告")
        press(page, "button", "确认并发布")
        expect(page.get_by_role("button", name="确认并发布")).to_have_count(0)
    with server.records.connect() as connection:
        assert connection.execute(select(alarms.c.state, alarms.c.comment).where(alarms.c.id == int(number or 0))).one() == (
            "acknowledged",
            "已派人",
        )
        assert "published" in connection.scalars(select(notices.c.state)).all()


def test_an_engineer_files_a_curve(sign_in: SignIn, server: Server) -> None:
    with sign_in("engineer") as page:
        press(page, "link", "工程")
        press(page, "combobox", "换热站", "ArrowDown")
        page.keyboard.type(TOO_WARM)
        expect(page.get_by_role("option", name=TOO_WARM)).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.get_by_text("调整曲线斜率。")).to_be_visible()
        effect = page.locator(".kw-panel", has_text="按所绘曲线")
        before = effect.inner_text()
        press(page, "slider", "平移，K", "ArrowLeft")
        expect(effect).not_to_have_text(before)
        tab_to(page, "textbox", "事由")
        page.keyboard.type("室温偏高")
        press(page, "button", "备案")
        expect(page.get_by_text("已备案：")).to_be_visible()
    with server.records.connect() as connection:
        (filed,) = filed_curves(connection)[TOO_WARM]
    assert filed.reason == "室温偏高"


def test_the_service_desk_takes_a_call_to_its_end(sign_in: SignIn, server: Server, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"
    image = Image.new("RGB", (900, 400), "white")
    ImageDraw.Draw(image).line([(100, 300), (400, 100), (800, 300)], fill="black", width=12)
    image.save(sheet)
    days = date(2025, 9, 1), date(2026, 8, 31)
    register_calibration(server.records, Account("检定员", "service"), "HT-01", *days, "", NOW_MS)
    with sign_in("service") as page:
        press(page, "link", "客服")
        press(page, "link", "登记投诉")
        expect(page.get_by_role("combobox", name="街道、楼栋、门牌")).to_be_focused()
        page.keyboard.type("人民路3 103")
        expect(page.get_by_role("option").first).to_contain_text("103")
        page.keyboard.press("Enter")
        expect(page.get_by_role("textbox", name="用户反映")).to_be_focused()
        page.keyboard.type("家里冷")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text="已立案")).to_be_visible()
        number = int(newest(server).id)
        press(page, "link", "查看投诉")
        page.wait_for_url(f"**/complaints?complaint={number}")
        take(page, "受理", "派单", "到场")
        press(page, "link", "登记测温")
        page.wait_for_url("**/visits?complaint=*")
        tab_to(page, "textbox", "读数")
        page.keyboard.type("16.8 17.0")
        page.keyboard.press("Enter")
        with page.expect_file_chooser() as asked:
            press(page, "button", "上传签字单照片")
        asked.value.set_files(sheet)
        expect(page.get_by_text("可作为有效测温。", exact=True)).to_be_visible()
        press(page, "button", "归档")
        expect(page.get_by_role("status")).to_be_visible()
        press(page, "link", f"针对投诉 № {number}")
        page.wait_for_url(f"**/complaints?complaint={number}")
        take(page, "处理完毕", "回访：满意", "办结")
        until(lambda: states(server, number)[-1] == "closed")
        press(page, "link", "报告")
        expect(page.locator(".kw-tiles")).to_contain_text("回访率")
    with server.records.connect() as connection:
        (filed,) = [one for one in filed_visits(connection) if one.visit.complaint_id == number]
    assert (filed.visit.room_id, filed.visit.signature is not None) == (f"{COLD_BUILDING}-103", True)

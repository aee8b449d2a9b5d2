"""The pages in a real browser: looked through in both languages, and the tasks of a shift."""

import re

import pytest
from playwright.sync_api import WebSocket, expect
from sqlalchemy import select
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from store.health import write_health
from store.records.filed_curves import filed_curves
from store.records.tables import audit, complaint_transitions, notices
from tests.dashboard.conftest import SLOW_MS, Server, SignIn, until
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, NOW_MS, SILENT, TOO_WARM

pytestmark = pytest.mark.browser

PAGES = {
    "zh": {
        "调度": {
            "总览": "室温合格率",
            "报警": "未确认",
            "停热与通告": "停热通告",
            "交接班": "待办事项",
            "换热站": "全部测点",
            "楼栋": "低于限值",
        },
        "工程": {"供热曲线": "数据结论", "水力平衡": "楼栋与本站均值之差", "数据质量": "有应答的数据源"},
        "客服": {"投诉": "剩余时间", "登记投诉": "输入地址后回车", "上门测温": "有效测温", "报告": "同一口径"},
        "管理": {"账号": "最近在线", "操作记录": "操作人"},
    },
    "en": {
        "Dispatch room": {
            "Overview": "Rate of compliance",
            "Alarms": "unacknowledged",
            "Outages & notices": "Evidence",
            "Shift log": "Open points",
            "Station": "All values",
            "Building": "below",
        },
        "Engineering": {
            "Supply curves": "What the data says",
            "Balance": "Buildings against the station's mean",
            "Data health": "Sources that answer",
        },
        "Service": {
            "Complaints": "Time left",
            "Enter a complaint": "Type the home",
            "Measuring visits": "official measurement",
            "Reports": "The same figures",
        },
        "Administration": {"Accounts": "Last here", "Audit": "Every act"},
    },
}


def test_every_page_in_both_languages(sign_in: SignIn) -> None:
    with sign_in() as page:
        for language, groups in PAGES.items():
            if language == "en":
                page.get_by_role("radio", name="EN").or_(page.get_by_role("button", name="EN")).first.click()
                expect(page.get_by_role("link", name="Dispatch room", exact=True)).to_be_visible(timeout=SLOW_MS)
            for group, labels in groups.items():
                page.get_by_role("link", name=group, exact=True).click()
                for label, text in labels.items():
                    page.get_by_role("link", name=label, exact=True).first.click()  # a page may lead to another too
                    expect(page.locator(".kw-panel").filter(has_text=text).first).to_be_visible(timeout=SLOW_MS)
        page.reload()
        expect(page.get_by_role("link", name="Audit", exact=True)).to_be_visible(timeout=SLOW_MS)
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.locator('[data-testid="stToolbar"], [data-testid="stHeader"]').filter(visible=True).count() == 0


def test_from_the_wall_to_a_station_to_a_building_to_a_room(sign_in: SignIn) -> None:
    with sign_in("viewer") as page:
        assert page.locator(".kw-station").count() == 12
        first = page.locator(".kw-station").first
        expect(first).to_contain_text("停热")
        page.locator(f'[data-open="station?station={SILENT}"]').first.click()
        page.wait_for_url(f"**/station?station={SILENT}")
        expect(page.locator(".kw-schematic")).to_be_visible(timeout=SLOW_MS)
        assert page.locator(".kw-tag.kw-stale").count() > 10
        expect(page.locator("canvas").first).to_be_visible(timeout=SLOW_MS)
        page.goto(page.url.replace(SILENT, "S05"))
        page.locator(f'.kw-house-name[data-open="building?building={COLD_BUILDING}"]').click()
        page.wait_for_url(f"**/building?building={COLD_BUILDING}")
        expect(page.locator(".kw-cell.kw-bad")).to_have_count(9, timeout=SLOW_MS)
        assert page.locator(".kw-cell.kw-dim").count() == 1
        cell = page.locator(".kw-cell", has_text="203")
        cell.click()
        page.wait_for_url(f"**/building?building={COLD_BUILDING}&room={COLD_BUILDING}-203")
        expect(page.locator(".kw-cell.kw-chosen")).to_contain_text("203", timeout=SLOW_MS)


def test_a_history_that_takes_nothing_and_a_journal_that_fills_up_are_told(sign_in: SignIn, server: Server) -> None:
    with sign_in("viewer") as page:
        expect(page.get_by_text("日志余量")).to_have_count(0)
        keeping = {"autonomy_h": 3.25, "full_in_h": 3.25, "waiting": 4200, "failing_since_ms": NOW_MS - 60_000, "refused": True, "lost": 7}
        write_health(server.town.site.data, "forward", NOW_MS, keeping)
        expect(page.locator(".kw-banner", has_text="4200 条留在日志中")).to_contain_text("请检查其设置", timeout=SLOW_MS)
        expect(page.locator(".kw-banner", has_text="日志将在 3.2 小时后写满")).to_be_visible()
        expect(page.get_by_text("丢失 7 条读数")).to_be_visible()
        write_health(server.town.site.data, "forward", NOW_MS, {"autonomy_h": 310.5, "waiting": 0, "lost": 0})
        expect(page.get_by_text("日志余量 310 小时")).to_be_visible(timeout=SLOW_MS)
        expect(page.locator(".kw-banner", has_text="日志")).to_have_count(0)
        write_health(server.town.site.data, "forward", NOW_MS, {})


def test_html_in_names_is_text(sign_in: SignIn) -> None:
    with sign_in() as page:
        expect(page.locator(".kw-station strong", has_text="<img src=x")).to_have_text(EVIL)
        page.goto(page.url + "station?station=S01")
        expect(page.locator(".kw-head h1")).to_have_text(EVIL, timeout=SLOW_MS)
        page.goto(page.url.split("station?")[0] + "building?building=S01-B00")
        expect(page.locator(".kw-head h1").first).to_have_text(EVIL, timeout=SLOW_MS)
        assert page.locator("img[src='x']").count() == 0


def test_a_dispatcher_plans_a_stop_and_calls_it_off(sign_in: SignIn) -> None:
    with sign_in("dispatcher") as page:
        page.get_by_role("link", name="停热与通告", exact=True).click()
        planned = page.locator(".kw-panel", has=page.get_by_role("heading", name="计划停热", exact=True))
        expect(planned).to_be_visible(timeout=SLOW_MS)
        page.get_by_text("登记计划停热").click()
        page.get_by_label("事由", exact=True).fill("更换阀门 <b>")
        page.get_by_role("button", name="登记", exact=True).click()
        expect(page.get_by_test_id("stToast")).to_contain_text("计划停热已登记。", timeout=SLOW_MS)
        expect(planned).to_contain_text("更换阀门 <b>", timeout=SLOW_MS)
        page.get_by_text("缩短或取消计划停热").click()
        page.get_by_role("spinbutton", name="hour, 结束时间").click()
        page.keyboard.type("1715")
        page.keyboard.press("Tab")
        page.get_by_role("button", name="缩短", exact=True).click()
        expect(planned).to_contain_text("17:15", timeout=SLOW_MS)
        page.get_by_role("button", name="取消计划").click()  # asks first
        page.get_by_role("button", name="取消这次停热").click()
        expect(planned).not_to_contain_text("更换阀门 <b>", timeout=SLOW_MS)


class Runs:
    """The runs of a page's parts, by their ids, in the order in which they were asked for by a person or by the clock, and ended."""

    def __init__(self, socket: WebSocket) -> None:
        self.pressed: list[str] = []
        self.ticked: list[str] = []
        self.ended: list[str] = []
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, frame: str | bytes) -> None:
        asked = BackMsg.FromString(frame if isinstance(frame, bytes) else b"").rerun_script
        (self.ticked if asked.is_auto_rerun else self.pressed).append(asked.fragment_id)

    def _received(self, frame: str | bytes) -> None:
        message = ForwardMsg.FromString(frame if isinstance(frame, bytes) else b"")
        if message.WhichOneof("type") == "script_finished":
            self.ended.extend(message.metadata.run.fragment_ids)


def test_the_service_desk_takes_a_complaint_a_step_on(sign_in: SignIn, server: Server) -> None:
    with sign_in("service") as page:
        page.get_by_role("link", name="客服", exact=True).click()
        page.locator('.kw-queue [data-open="complaints?complaint=1"]').first.click()
        page.wait_for_url("**/complaints?complaint=1")
        with page.expect_websocket() as opened:
            page.reload()
        runs = Runs(opened.value)
        reject = page.get_by_role("button", name="不予受理")
        expect(reject).to_be_visible(timeout=SLOW_MS)
        runs.pressed.clear()
        reject.click()
        refusal = page.get_by_text("这一步须填写理由。")
        expect(refusal).to_be_visible(timeout=SLOW_MS)
        (part,) = runs.pressed
        runs.ticked.clear()
        until(lambda: page.evaluate("1") and part in runs.ticked)
        runs.ended.clear()
        until(lambda: page.evaluate("1") and part in runs.ended)
        assert refusal.is_visible(), "it can be read when its part has been drawn anew"
        page.get_by_role("button", name="受理", exact=True).click()
        expect(page.get_by_role("button", name="派单")).to_be_visible(timeout=SLOW_MS)
        expect(page.locator(".kw-steps")).to_contain_text("已受理", timeout=SLOW_MS)
    with server.records.connect() as connection:
        steps = complaint_transitions.c
        found = connection.execute(select(steps.from_state, steps.to_state).where(steps.complaint_id == 1).order_by(steps.id)).all()
    assert [tuple(step) for step in found][-1] == ("new", "accepted")


def test_a_dispatcher_takes_a_notice_from_draft_to_its_end(sign_in: SignIn, server: Server) -> None:
    def board() -> str:
        with server.stranger() as client:
            return client.get("/board").text

    with sign_in("dispatcher") as page:
        page.get_by_role("link", name="停热与通告", exact=True).click()
        page.locator('.kw-folds [data-open="outages?notice=1"]').click()
        page.wait_for_url("**/outages?notice=1")
        shown = page.locator(".kw-panel", has=page.get_by_text("居民所见"))
        expect(shown).to_contain_text("待确认", timeout=SLOW_MS)  # longer than ten minutes
        page.get_by_text("修改内容").click()
        page.get_by_label("措施（中文）").fill("更换阀门 <b>")
        page.get_by_role("button", name="预览").click()
        expect(page.locator(".kw-notice", has_text="措施：更换阀门 <b>。")).to_have_count(1, timeout=SLOW_MS)
        page.get_by_role("button", name="保存", exact=True).click()
        expect(shown.locator(".kw-notice")).to_contain_text("措施：更换阀门 <b>。恢复供热时间另行通告。", timeout=SLOW_MS)
        assert "新华" not in board()
        page.get_by_role("button", name="确认并发布").click()
        expect(page.get_by_role("button", name="确认并发布")).to_have_count(0, timeout=SLOW_MS)
        expect(shown.locator(".kw-steps li q")).to_have_text(["已修改内容", "已核实"], timeout=SLOW_MS)
        until(lambda: "措施：更换阀门 &lt;b&gt;。恢复供热时间另行通告。" in board())
        page.get_by_text("更新：原因、措施、预计恢复时间").click()
        page.get_by_role("spinbutton", name="year, 预计恢复供热日期").click()
        page.keyboard.type("20260116")
        page.get_by_role("button", name="发布更新").click()
        expect(page.get_by_text("须同时填写，或都不填。")).to_be_visible(timeout=SLOW_MS)
        page.get_by_role("spinbutton", name="hour, 时间", exact=True).click()
        page.keyboard.type("0930")
        page.get_by_role("button", name="发布更新").click()
        expect(shown.locator(".kw-notice")).to_contain_text("预计2026年1月16日09:30恢复供热。", timeout=SLOW_MS)
        until(lambda: "预计2026年1月16日09:30恢复供热。" in board())
        # The amended notice may show in its own part first: what is typed and pressed before the forms are drawn anew is lost with them.
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        page.get_by_text("结束或撤回").click()
        page.get_by_label("事由（存档）").fill("现场核实已恢复")
        page.get_by_role("button", name="结束通告").click()
        expect(shown.locator(".kw-notice > footer")).to_contain_text("恢复供热 Heat is back 上述停热已于2026年1月15日", timeout=SLOW_MS)
        expect(shown.locator(".kw-steps li")).to_have_count(5)
        shown.get_by_text("当时的内容").nth(2).click()
        expect(shown.locator("details[open]")).to_contain_text("恢复供热时间另行通告")
        page.goto(f"{server.address}/notices/1")
        expect(page.locator(".kw-sheet")).to_contain_text("预计2026年1月16日09:30恢复供热。")
    with server.records.connect() as connection:
        assert connection.execute(select(notices.c.state).where(notices.c.id == 1)).scalar() == "closed"
        done = connection.scalars(select(audit.c.action).where(audit.c.subject == "notice/1").order_by(audit.c.id)).all()
    assert done == ["edit_notice", "publish_notice", "amend_notice", "close_notice"]


def test_a_viewer_finds_nothing_to_change(sign_in: SignIn) -> None:
    with sign_in("viewer") as page:
        page.get_by_role("link", name="报警", exact=True).click()
        expect(page.locator(".kw-alarms")).to_be_visible(timeout=SLOW_MS)
        assert page.locator('input[type="checkbox"]').count() == 0
        page.get_by_role("link", name="客服", exact=True).click()
        page.locator('.kw-queue [data-open="complaints?complaint=1"]').first.click()
        expect(page.locator(".kw-steps")).to_be_visible(timeout=SLOW_MS)
        assert page.get_by_role("button", name=re.compile("受理|派单|办结")).count() == 0


def test_an_engineer_tries_a_curve_and_files_it(sign_in: SignIn, server: Server) -> None:
    with sign_in("engineer") as page:
        page.goto(f"{page.url}curves?station={TOO_WARM}")
        expect(page.get_by_text("调整曲线斜率。")).to_be_visible(timeout=SLOW_MS)
        effect = page.locator(".kw-panel", has_text="按所绘曲线")
        expect(effect).to_contain_text("与现在相比的热量")
        before = effect.inner_text()
        page.get_by_role("slider", name="平移，K").press("ArrowLeft")
        expect(effect).not_to_have_text(before, timeout=SLOW_MS)
        page.get_by_label("事由").fill("室温偏高 <b>")
        page.get_by_role("button", name="备案", exact=True).last.click()
        expect(page.get_by_text("已备案：")).to_be_visible(timeout=SLOW_MS)
    with server.records.connect() as connection:
        (filed,) = filed_curves(connection)[TOO_WARM]
    assert filed.reason == "室温偏高 <b>"
    old = server.town.site.curves[TOO_WARM][0].supply_c
    assert [round(was - new, 1) for new, was in zip(filed.supply_c, old, strict=True)] == [2.5] * 4
    with sign_in("dispatcher") as page:
        page.goto(f"{page.url}curves?station={TOO_WARM}")
        expect(page.get_by_text("调整曲线斜率。")).to_be_visible(timeout=SLOW_MS)
        assert page.get_by_label("事由").count() == 0


def test_dark_is_remembered_on_every_page(sign_in: SignIn) -> None:
    with sign_in("viewer") as page:
        app = page.locator(".stApp")
        expect(app).to_have_css("color-scheme", "light", timeout=SLOW_MS)
        page.locator(".kw-theme").click()
        expect(app).to_have_css("color-scheme", "dark", timeout=SLOW_MS)
        page.goto(page.url + "alarms")
        expect(app).to_have_css("color-scheme", "dark", timeout=SLOW_MS)


# What catches a finger that would scroll the page: parts of it that scroll up and down by themselves.
TRAPS = """() => [...document.querySelectorAll("[data-testid=stMain] *")].filter((one) => one.scrollHeight > one.clientHeight + 1
    && ["auto", "scroll"].includes(getComputedStyle(one).overflowY) && one.tagName !== "TEXTAREA").map((one) => one.className)"""


def test_a_phone_shows_all_of_it_without_scrolling_sideways(sign_in: SignIn) -> None:
    with sign_in("admin", width=390) as page:
        page.get_by_role("radio", name="EN").or_(page.get_by_role("button", name="EN")).first.click()  # the wider words of the two
        expect(page.get_by_role("link", name="Overview", exact=True)).to_be_visible(timeout=SLOW_MS)
        for path in (
            "",
            "alarms",
            "outages",
            "complaints",
            f"building?building={COLD_BUILDING}",
            f"station?station={SILENT}",
            f"curves?station={TOO_WARM}",
            f"balance?station={TOO_WARM}",
            "data",
            "data?section=points",
            "shift",
            "complaints?complaint=1",
            "report-in",
            "visits",
            "reports",
            "accounts",
            "audit",
        ):
            page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + "/" + path)
            expect(page.locator(".kw-panel").first).to_be_visible(timeout=SLOW_MS)
            wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
            assert wide <= 1, path
            assert page.evaluate(TRAPS) == [], path


def test_a_page_whose_session_is_over_leads_to_the_login(sign_in: SignIn) -> None:
    with sign_in("viewer", quiet=False) as page:
        page.goto(page.url + "alarms")
        expect(page.locator(".kw-alarms")).to_be_visible(timeout=SLOW_MS)
        other = page.context.new_page()
        other.goto(page.url.replace("alarms", "account"))
        other.get_by_role("button", name="退出所有设备").click()
        other.wait_for_url("**/login")
        other.close()
        page.wait_for_url("**/login?next=%2Falarms", timeout=2 * SLOW_MS)

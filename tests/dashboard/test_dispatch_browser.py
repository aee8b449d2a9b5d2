"""The dispatcher's work in a real browser: alarms from the wall to their journal, the wall's map, sound and lost connection."""

import itertools
import re
import signal
from typing import Final

import pytest
from playwright.sync_api import expect
from sqlalchemy import insert, select
from streamlit.proto.BackMsg_pb2 import BackMsg

from dashboard.forms import LANGUAGE_COOKIE
from store.records.tables import alarm_transitions, alarms, out_of_service
from tests.dashboard.conftest import Server, SignIn, until
from tests.dashboard.sample_town import NOW_MS, SILENT

pytestmark = pytest.mark.browser

# By how many pixels the fullest card of a station, or the page, is higher than its room.
CUT_OFF: Final = """() => Math.max(...[...document.querySelectorAll(".kw-station, [data-testid=stMain]")]
    .map((one) => one.scrollHeight - one.clientHeight))"""


def test_one_alarm_from_acknowledging_to_its_way_back_into_service(sign_in: SignIn, server: Server) -> None:
    with sign_in("dispatcher") as page:
        page.get_by_role("link", name="未确认报警").click()  # on the wall: how many wait
        page.wait_for_url("**/alarms")
        page.locator(".kw-alarms tbody tr", has_text="补水偏高 6 小时").get_by_role("link", name="补水偏高 6 小时").click()
        page.wait_for_url("**/alarms?alarm=*")
        expect(page.locator("canvas").first).to_be_visible()
        number = int(page.url.rpartition("=")[2])
        state, journal = page.locator(".kw-panel .kw-head .kw-chip"), page.locator(".kw-steps")
        page.get_by_role("button", name="停用", exact=True).last.click()
        expect(page.get_by_text("停用报警须说明原因。")).to_be_visible()
        for button, field, seen in (
            ("添加备注", "线路检修 <b>", "线路检修 <b>"),
            ("确认", "已派人", "已派人"),
            ("搁置", "等待备件", "等待备件"),
            ("取消搁置", "", "取消搁置"),
        ):
            if field:
                page.get_by_placeholder("备注或原因").last.fill(field)
            page.get_by_role("button", name=button, exact=True).last.click()
            if button == "取消搁置":
                expect(page.get_by_role("button", name="取消搁置")).to_have_count(0)
            else:
                expect(journal).to_contain_text(seen)
        expect(state).to_have_text("已确认")
        page.get_by_placeholder("备注或原因").last.fill("返厂")
        page.get_by_role("button", name="停用", exact=True).last.click()
        expect(page.locator(".kw-panel", has_text="已停用").first).to_be_visible()
        page.get_by_role("radio", name="停用").or_(page.get_by_role("button", name="停用")).first.click()
        out = page.locator(".kw-alarms tbody tr", has_text="返厂")
        out.locator("input").check()
        page.get_by_role("button", name="恢复投用").click()
        expect(page.get_by_text("没有停用的报警。")).to_be_visible()
    with server.records.connect() as connection:
        steps = alarm_transitions.c
        found = connection.execute(select(steps.to_state, steps.why).where(steps.alarm_id == number).order_by(steps.id)).all()
        out_rows = connection.execute(select(out_of_service.c.subject, out_of_service.c.returned_at)).all()
    assert [tuple(step) for step in found] == [
        ("unacknowledged", "线路检修 <b>"),
        ("acknowledged", "已派人"),
        ("shelved", "等待备件"),
        ("acknowledged", ""),
    ]
    assert [(row.subject, row.returned_at is not None) for row in out_rows] == [(f"station/{SILENT}", True)]


def test_many_alarms_with_one_comment_and_a_shelf_that_needs_a_reason(sign_in: SignIn, server: Server) -> None:
    with sign_in("dispatcher") as page:
        page.get_by_role("link", name="报警", exact=True).click()
        page.get_by_placeholder("名称、街道或编号").fill("人民路")
        page.get_by_placeholder("名称、街道或编号").press("Enter")
        expect(page.locator(".kw-alarms tbody tr", has_text="补水偏高")).to_have_count(0)
        chosen = [page.locator(".kw-row-bad [data-pick]").nth(n).get_attribute("data-pick") for n in (0, 1)]
        for number in chosen:
            page.locator(f'[data-pick="{number}"]').check()
        page.get_by_placeholder("备注或原因").fill("已派人 <b>")
        page.get_by_role("button", name="确认 2 条报警").click()
        expect(page.get_by_test_id("stToast")).to_contain_text("已确认 2 条报警")
        expect(page.get_by_text("已派人 <b>")).to_have_count(2)
        expect(page.locator("[data-pick]:checked")).to_have_count(0)
        page.locator(f'[data-pick="{chosen[0]}"]').check()  # acknowledged alarms are shelved too
        page.get_by_role("button", name="搁置", exact=True).click()
        expect(page.get_by_text("搁置报警须说明原因。")).to_be_visible()
        page.get_by_placeholder("备注或原因").fill("换电池")
        page.get_by_role("button", name="搁置", exact=True).click()
        expect(page.locator(".kw-alarms").get_by_text("搁置至")).to_be_visible()
        page.get_by_role("radio", name="报警指标").or_(page.get_by_role("button", name="报警指标")).first.click()
        expect(page.get_by_text("对照 ISA-18.2 目标")).to_be_visible()
    with server.records.connect() as connection:
        columns = alarms.c
        wanted = columns.id.in_([int(number or 0) for number in chosen])
        query = select(columns.state, columns.comment, columns.shelved_reason, columns.shelved_until).where(wanted)
        first, second = sorted(connection.execute(query).all(), key=lambda row: row.shelved_until is None)
    assert (first.state, first.comment, first.shelved_reason) == ("acknowledged", "已派人 <b>", "换电池")
    assert first.shelved_until > NOW_MS
    assert (second.state, second.comment, second.shelved_until) == ("acknowledged", "已派人 <b>", None)


def test_what_is_ticked_is_seen_beside_an_open_alarm_too(sign_in: SignIn) -> None:
    with sign_in("dispatcher") as page:
        page.get_by_role("link", name="报警", exact=True).click()
        tick = page.locator(".kw-row-bad [data-pick]").first
        number = tick.get_attribute("data-pick")
        tick.check()
        expect(page.get_by_role("button", name="确认 1 条报警")).to_be_visible()
        page.locator(".kw-alarms tbody tr").last.get_by_role("link").first.click()
        page.wait_for_url("**/alarms?alarm=*")
        expect(page.locator("canvas").first).to_be_visible()
        expect(page.locator(f'[data-pick="{number}"]')).to_be_checked()
        page.locator(f'[data-pick="{number}"]').uncheck()
        expect(page.get_by_role("button", name="确认 1 条报警")).to_have_count(0)


WALL = {
    "zh": {"switch": "声音已关", "on": "声音已开", "mode": "大屏模式", "late": "起连接中断"},
    "en": {"switch": "Sound off", "on": "Sound on", "mode": "Wall mode", "late": "No connection since"},
}


@pytest.mark.parametrize("language", list(WALL))
def test_the_wall_sounds_until_acknowledged_and_tells_since_when_it_is_stale(sign_in: SignIn, server: Server, language: str) -> None:
    words = WALL[language]
    with sign_in("dispatcher", quiet=False) as page:
        if language == "en":
            page.get_by_role("radio", name="EN").or_(page.get_by_role("button", name="EN")).first.click()
        expect(page.locator(".kw-map a.kw-map-stopped")).to_have_count(2)
        expect(page.locator(".kw-map a.kw-map-unknown .kw-map-lost")).to_have_count(1)
        sound = page.locator(".kw-sound")
        expect(sound.locator("button")).to_have_text(words["switch"])
        expect(sound).to_have_attribute("data-sounds", "false")
        sound.locator("button").click()
        expect(sound.locator("button")).to_have_text(words["on"])
        expect(sound).to_have_attribute("data-sounds", "true")
        page.get_by_role("link", name=words["mode"]).click()
        page.wait_for_url("**/?mode=wall")
        expect(page.locator(".kw-station").first).to_be_visible()
        expect(page.get_by_role("link", name=re.compile("^(报警|Alarms)$"))).to_have_count(0)
        assert page.locator("input, [data-testid='stButtonGroup']").count() == 0
        late, clock = page.locator(".kw-late"), page.locator(".kw-clock")
        expect(late).to_be_hidden()
        server.process.send_signal(signal.SIGSTOP)  # the server hangs, and the line with it
        try:
            expect(late).to_contain_text(words["late"])
            expect(page.locator("html")).to_have_class(re.compile("kw-is-late"))
        finally:
            server.process.send_signal(signal.SIGCONT)
        expect(late).to_be_hidden()
        expect(page.locator("html")).not_to_have_class(re.compile("kw-is-late"))
        expect(clock).to_be_visible()


def test_a_panel_that_the_server_forgot_asks_the_script_for_its_name_and_nothing_else_runs_again(sign_in: SignIn) -> None:
    with sign_in("viewer") as page:
        with page.expect_websocket() as opened:
            page.reload()
        expect(page.locator(".kw-station").first).to_be_visible()
        with page.expect_response("**/fresh?*") as fresh:
            pass
        panels = fresh.value.json()
        assert all("<" in html for html in panels)
        page.route("**/fresh?*", lambda route: route.fulfill(json=[None] * len(panels)))
        with opened.value.expect_event("framesent", lambda frame: bool(BackMsg.FromString(frame).rerun_script.fragment_id)):
            pass
        page.unroute("**/fresh?*")
        with page.expect_response("**/fresh?*") as again:
            pass
        assert all("<" in html for html in again.value.json())


def test_a_flood_is_told_on_the_wall_and_a_mark_on_the_map_leads_to_its_station(sign_in: SignIn, server: Server) -> None:
    now_ms = server.town.clock.now_ms()
    row = {"kind": "curve_off", "pending_at": 1, "state": "normal", "cleared_at": now_ms}
    with server.records.begin() as connection:
        connection.execute(insert(alarms), [{**row, "subject": f"station/X{n}", "raised_at": now_ms - n} for n in range(11)])
    with sign_in("viewer") as page:
        expect(page.locator(".kw-flood").first).to_contain_text("11 条")
        for language, wide, high in itertools.product(("zh", "en"), (1920, 1366), (1080, 768)):
            page.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": language, "url": server.address}])
            page.set_viewport_size({"width": wide, "height": high})
            page.goto(f"{server.address}/?mode=wall")
            expect(page.locator(".kw-flood").first).to_be_visible()
            expect(page.locator(".kw-station")).to_have_count(12)
            for _ in range(2):  # banners take their room from the cards, which are not cut off; two stand side by side
                until(lambda: page.evaluate(CUT_OFF) <= 1)
                page.evaluate("document.querySelector('.kw-flood').after(document.querySelector('.kw-flood').cloneNode(true))")
        page.goto(f"{server.address}/")
        page.locator(f'.kw-map [data-open="station?station={SILENT}"]').click()
        page.wait_for_url(f"**/station?station={SILENT}")

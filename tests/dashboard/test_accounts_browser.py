"""An administrator lets a colleague in, gives another role, signs out and shuts out; the audit tells of it."""

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.conftest import PASSWORD, SLOW_MS, Server, SignIn

pytestmark = pytest.mark.browser


def test_an_administrator_lets_a_colleague_in_and_out_again(sign_in: SignIn, browser: Browser, server: Server) -> None:
    with sign_in("admin") as page:
        page.goto(f"{server.address}/accounts")
        page.get_by_label("姓名").fill("孙客服")
        page.get_by_label("新账号的角色").click()
        page.get_by_role("option", name="客服").click()
        page.get_by_role("button", name="生成一次性链接").click()
        link = page.locator("code", has_text="/enter?token=")
        expect(link).to_be_visible(timeout=SLOW_MS)
        with browser.new_context() as other:
            guest = other.new_page()
            guest.goto(link.inner_text())
            guest.wait_for_url(f"{server.address}/", timeout=SLOW_MS)
            assert guest.goto(f"{server.address}/accounts").status == 403  # type: ignore[union-attr]
            row = page.locator("tr", has_text="孙客服")
            expect(row).to_contain_text("客服", timeout=SLOW_MS)
            row.locator("input").check()
            page.get_by_role("button", name="停用", exact=True).click()
            expect(row).to_contain_text("已停用", timeout=SLOW_MS)
            guest.goto(server.address)
            expect(guest).to_have_url(f"{server.address}/login", timeout=SLOW_MS)
        page.goto(f"{server.address}/audit")
        expect(page.locator("tr", has_text="账号 孙客服").first).to_contain_text("账号变更", timeout=SLOW_MS)
        assert PASSWORD not in page.content()

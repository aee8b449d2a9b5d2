"""Signing in by a real provider of OpenID Connect: only who is connected gets in, nothing can be forged on the way."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from dashboard.accounts import account_by_identity, add_account, change_account, connect_identity, wall_ms
from dashboard.login import AGAIN_COOKIE
from dashboard.openid.provider import identity_of
from dashboard.openid.routes import COOKIE as BEGUN
from dashboard.session import COOKIE
from domain.clock import Clock
from domain.site import OpenId
from store.records import open_records
from store.records.tables import accounts, audit
from tests.dashboard.conftest import PASSWORD, SLOW_MS, Server, form_token, start, stop
from tests.dashboard.sample_town import NOW_MS, SampleTown, sample_site

PROVIDER = """
import sys
from oidc_provider_mock import run_server_in_thread
with run_server_in_thread() as running:
    print(running.server_port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider that believes whatever name is typed there; in a process of its own, since its libraries warn of each other."""
    command = [sys.executable, "-W", "ignore", "-c", PROVIDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield f"http://localhost:{int(process.stdout.readline())}"


@contextmanager
def served(sample_folder: Path, folder: Path, openid: OpenId) -> Iterator[Server]:
    shutil.copytree(sample_folder, folder, dirs_exist_ok=True)
    town = SampleTown(sample_site(folder / "data", evil=True), Clock.starting_at(NOW_MS, 1.0))
    town.clock.save(folder / "clock.json")
    (folder / "openid.json").write_text(json.dumps(asdict(openid)), encoding="utf-8")
    process, port = start(folder)
    records = open_records(folder / "data" / "records.db")
    yield Server(process, port, town, records)
    records.dispose()
    stop(process)


@pytest.fixture(scope="module")
def single(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Iterator[Server]:
    """A dashboard whose site names the provider."""
    folder = tmp_path_factory.mktemp("single")
    (folder / "client.secret").write_text("known to the provider\n", encoding="utf-8")
    with served(sample_folder, folder, OpenId(issuer, "keepwarm", "", f"file:{folder / 'client.secret'}", "公司登录")) as server:
        yield server


def at_the_provider(address: str, subject: str) -> str:
    """Signs in on the provider's own page; gives the way back, without host."""
    answer = httpx.post(address, data={"sub": subject}, timeout=30.0)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


def through(client: httpx.Client, subject: str, target: str = "/") -> httpx.Response:
    """Begins here, signs in there, and comes back."""
    begun = client.get("/openid", params={"next": target})
    assert begun.status_code == 303
    return client.get(at_the_provider(begun.headers["location"], subject))


def connected(server: Server, issuer: str, name: str, subject: str, role: str = "viewer") -> None:
    add_account(server.records, name, role, PASSWORD, wall_ms())
    connect_identity(server.records, name, identity_of(issuer, subject), "test", wall_ms())


def test_who_is_connected_is_signed_in_and_goes_on(single: Server, issuer: str) -> None:
    connected(single, issuer, "connected", "c-1", "engineer")
    with single.stranger() as client:
        answer = through(client, "c-1", "/curves?station=S03")
        assert (answer.status_code, answer.headers["location"]) == (303, "/curves?station=S03")
        assert "connected" in client.get("/account").text
        assert client.get("/accounts").status_code == 403  # an engineer, as the account says
        assert BEGUN not in client.cookies
    with single.records.connect() as connection:
        row = connection.execute(select(audit).where(audit.c.action == "openid", audit.c.who == "connected")).one()
    assert (row.subject, row.refused) == ("account/connected", False)


def test_nobody_makes_an_account_by_signing_in(single: Server) -> None:
    with single.stranger() as client:
        answer = through(client, "<b>stranger</b>")
        assert answer.status_code == 403
        assert "&lt;b&gt;stranger&lt;/b&gt;" in answer.text
        assert "<b>stranger" not in answer.text
        assert COOKIE not in client.cookies
    with single.records.connect() as connection:
        assert connection.execute(select(accounts.c.name).where(accounts.c.name.contains("stranger"))).first() is None
        row = connection.execute(select(audit).where(audit.c.action == "openid", audit.c.refused)).one()
    assert "stranger" in row.after["from"]


def test_somebody_signed_in_connects_their_account_and_nobody_elses(single: Server, issuer: str) -> None:
    with single.client("dispatcher") as client, single.client("viewer") as other, single.stranger() as elsewhere:
        name = client.get("/account").text.split("<h1>", 1)[1].split("</h1>", 1)[0]
        page = through(client, "own-1", "/account").text
        assert "own-1" in page
        fields = {key: page.split(f'name="{key}" value="', 1)[1].split('"', 1)[0] for key in ("form", "identity", "until", "proof")}
        assert account_by_identity(single.records, fields["identity"]) is None  # asked, not done
        refused = (
            {**fields, "identity": identity_of(issuer, "boss")},
            {**fields, "until": str(int(fields["until"]) + 1)},
            {**fields, "proof": "0" * 64},
            {**fields, "form": ""},
            {key: value for key, value in fields.items() if key != "proof"},
        )
        for forged in refused:
            assert client.post("/openid/connect", data=forged).status_code == 403
        own_form = {**fields, "form": form_token(other, "/account")}
        assert other.post("/openid/connect", data=own_form).status_code == 403  # what another session has proved
        assert elsewhere.post("/openid/connect", data=fields).status_code == 401
        done = client.post("/openid/connect", data=fields)
        assert (done.status_code, done.headers["location"]) == (303, "/account?connected=1")
        assert "已关联" in client.get("/account?connected=1").text
        assert through(elsewhere, "own-1").status_code == 303
        assert name in elsewhere.get("/account").text
        taken = through(other, "own-1")
        assert taken.status_code == 409
        assert "proof" not in taken.text
        assert through(client, "own-1", "/account").status_code == 303  # once more, as oneself
    with single.records.connect() as connection:
        row = connection.execute(select(audit).where(audit.c.subject == f"account/{name}", audit.c.action == "change_account")).one()
    assert (row.who, row.before["identity"], row.after) == (name, None, {"identity": identity_of(issuer, "own-1")})


def test_one_connected_meanwhile_is_not_taken_away(single: Server, issuer: str) -> None:
    with single.client("viewer") as client:
        page = through(client, "late-1").text
        fields = {key: page.split(f'name="{key}" value="', 1)[1].split('"', 1)[0] for key in ("form", "identity", "until", "proof")}
        connected(single, issuer, "first come", "late-1")
        assert client.post("/openid/connect", data=fields).status_code == 409
    found = account_by_identity(single.records, identity_of(issuer, "late-1"))
    assert found is not None
    assert found.name == "first come"


def test_who_is_shut_out_stays_out(single: Server, issuer: str) -> None:
    connected(single, issuer, "shut out", "s-1")
    change_account(single.records, "shut out", {"disabled": True}, "test", wall_ms())
    with single.stranger() as client:
        assert through(client, "s-1").status_code == 403
        assert COOKIE not in client.cookies


def test_a_way_back_that_is_not_this_readers_is_refused(single: Server, issuer: str) -> None:
    connected(single, issuer, "victim of it", "v-1")
    with single.stranger() as client, single.stranger() as victim:
        back = at_the_provider(client.get("/openid").headers["location"], "v-1")
        assert victim.get(back).status_code == 400  # no cookie
        victim.get("/openid")
        assert victim.get(back).status_code == 400  # the cookie of another sign-in
        assert COOKIE not in victim.cookies
        assert client.get(back).status_code == 303
        assert client.get(back).status_code == 400  # once


@pytest.mark.parametrize("spoilt", ["0" * 64, "", "ü"])
def test_the_cookie_between_can_not_be_forged(single: Server, issuer: str, spoilt: str) -> None:
    with single.stranger() as client:
        back = at_the_provider(client.get("/openid").headers["location"], "v-1")
        text = client.cookies[BEGUN].split(".")[0]
        client.cookies.clear()
        answer = client.get(back, headers=[(b"cookie", f"{BEGUN}={text}.{spoilt}".encode())])
        assert answer.status_code == 400


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_way_on_stays_on_this_site(single: Server, issuer: str, target: str) -> None:
    if account_by_identity(single.records, identity_of(issuer, "on-1")) is None:
        connected(single, issuer, "goes on", "on-1")
    with single.stranger() as client:
        assert through(client, "on-1", target).headers["location"] == "/"


@pytest.mark.parametrize(
    "answer", ["error=access_denied", "code=made-up", "code=", "", "iss=https://evil.example&code=x", "error=%3Cscript%3E"]
)
def test_an_answer_without_a_good_code_signs_nobody_in(single: Server, answer: str) -> None:
    with single.stranger() as client:
        state = parse_qs(urlsplit(client.get("/openid").headers["location"]).query)["state"][0]
        refused = client.get(f"/openid/back?state={state}&{answer}")
        assert refused.status_code == 403
        assert "<script>" not in refused.text
        assert COOKIE not in client.cookies


def test_who_signed_out_must_show_who_they_are_again(single: Server, issuer: str) -> None:
    connected(single, issuer, "leaves", "l-1")
    with single.stranger() as client:
        assert "prompt" not in client.get("/openid").headers["location"]
        through(client, "l-1")
        assert client.post("/logout", data={"form": form_token(client, "/account")}).status_code == 303
        assert "prompt=login" in client.get("/openid").headers["location"]
        through(client, "l-1")
        assert AGAIN_COOKIE not in client.cookies


def test_without_a_provider_there_is_nothing_of_it(server: Server) -> None:
    with server.stranger() as client:
        assert "/openid" not in client.get("/login").text
        assert [client.get(path).status_code for path in ("/openid", "/openid/back")] == [404, 404]
    with server.client() as client:
        assert "/openid" not in client.get("/account").text


def test_where_passwords_are_off_links_still_work(sample_folder: Path, tmp_path: Path) -> None:
    """The provider is away meanwhile: that is said, and nobody is locked out for good."""
    with served(sample_folder, tmp_path, OpenId("http://127.0.0.1:1", "keepwarm", "", passwords=False)) as server:
        add_account(server.records, "by password", "admin", PASSWORD, wall_ms())
        with server.stranger() as client:
            assert 'name="password"' not in client.get("/login").text
            form = client.get("/enter").text.split('name="form" value="', 1)[1].split('"', 1)[0]
            assert client.post("/login", data={"name": "by password", "password": PASSWORD, "form": form}).status_code == 403
            away = client.get("/openid")
            assert away.status_code == 502
            assert "没有应答" in away.text
            assert "does not answer" in client.get("/openid?lang=en").text
        with server.client() as client:
            account = client.get("/account").text
            assert 'name="new"' not in account
            fields = {"form": form_token(client, "/account"), "new": PASSWORD, "again": PASSWORD}
            assert client.post("/account", data=fields).status_code == 403


@pytest.mark.browser
@pytest.mark.parametrize(("language", "connect", "go"), [("zh", "关联本账号", "关联"), ("en", "Connect this account", "Connect")])
def test_in_a_browser(single: Server, browser: Browser, language: str, connect: str, go: str) -> None:
    """Connects under the account, signs out, signs in by the button."""
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        context.set_default_timeout(SLOW_MS)
        context.route("**/*pico*", lambda route: route.abort())  # the provider's page asks for a foreign style sheet
        page = context.new_page()
        page.goto(f"{single.address}/login?lang={language}")
        page.goto(f"{single.address}/enter?token={single.link(f'in-{language}', 'viewer')}")
        page.wait_for_url(f"{single.address}/")
        page.goto(f"{single.address}/account")
        page.get_by_role("link", name=connect).click()
        page.get_by_placeholder("sub").fill(f"browser-{language}")
        page.get_by_role("button", name="Authorize").click()
        page.get_by_role("button", name=go, exact=True).click()
        page.wait_for_url("**/account?connected=1")
        page.get_by_role("button").filter(has_text="退出" if language == "zh" else "Sign out").first.click()
        page.wait_for_url("**/login")
        page.get_by_role("link", name="公司登录").click()
        page.get_by_placeholder("sub").fill(f"browser-{language}")
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{single.address}/")
        expect(page.locator(".kw-station").first).to_be_visible(timeout=SLOW_MS)

"""Nothing without a session: HTTP, websocket, files; headers on everything."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from starlette.types import Message, Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from dashboard.facts.town import Town
from dashboard.healthz import EXPECTED
from dashboard.pages import PAGES
from dashboard.server import BehindTls, make_app
from dashboard.session import COOKIE
from store.health import write_health
from store.records.tables import sessions
from tests.dashboard.conftest import Server, form_token, until
from tests.dashboard.sample_town import NOW_MS, write_town

SHUT = (
    *(f"/{path}" for path in PAGES),
    "/account",
    "/fresh",
    "/now",
    "/notices/1",
    "/static/js/index.js",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/agent/openapi.json",
    "/_stcore/upload_file/a/b",
    "/_stcore/bidi-components/x/y.js",
    "/media/abc.png",
    "/component/x/index.html",
    "/auth/login",
    "/docs",
    "/openapi.json",
    "/manifest.json",
    "/no/such/page",
    "//login",
    "/login/",
    "/assets",
    "/board/..",
)


def stream(server: Server, **headers: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{server.port}/_stcore/stream",
        additional_headers=headers,
        subprotocols=[Subprotocol("streamlit")],
        open_timeout=20,
        proxy=None,
    )


def cookie_of(client: httpx.Client) -> str:
    return f"{COOKIE}={client.cookies[COOKIE]}"


@pytest.mark.parametrize("path", SHUT)
def test_strangers_are_sent_to_the_login_or_refused(server: Server, path: str) -> None:
    with server.stranger() as client:
        page = client.get(f"{server.address}{path}", headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"].startswith("/login")
        assert client.get(path).status_code == 401
        assert client.post(path).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/enter", "/healthz", "/board", "/board.rss", "/assets/keepwarm.css"])
def test_what_strangers_may_see(server: Server, path: str) -> None:
    for component in EXPECTED:  # the sample's components spoke when it was written, which may be a while ago
        write_health(server.town.site.data, component, NOW_MS, {})
    with server.stranger() as client:
        until(lambda: client.get(path).status_code == 200)


def test_the_stream_needs_a_session(server: Server) -> None:
    for headers in ({}, {"Cookie": f"{COOKIE}=abc.def"}, {"Cookie": "keepwarm_session="}):
        with pytest.raises(InvalidStatus) as refused, stream(server, Origin=server.address, **headers):
            pass
        assert refused.value.response.status_code == 403


def test_the_stream_opens_for_a_session_and_our_own_pages_only(server: Server) -> None:
    with server.client("viewer") as client:
        cookie = cookie_of(client)
        with stream(server, Origin=server.address, Cookie=cookie):
            pass
        for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
            with pytest.raises(InvalidStatus), stream(server, Cookie=cookie, **origin):
                pass


@pytest.mark.parametrize("change", [lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"), lambda value: "x" + value])
def test_a_forged_cookie_is_nobody(server: Server, change: Callable[[str], str]) -> None:
    with server.client() as client:
        forged = change(client.cookies[COOKIE])
    with server.stranger() as stranger:
        stranger.cookies.set(COOKIE, forged)
        assert stranger.get("/").status_code == 401


@pytest.mark.parametrize(("column", "hours"), [("created_at", 25), ("seen_at", 3)])
def test_a_session_ends_by_age_and_by_idleness(server: Server, column: str, hours: int) -> None:
    with server.client() as client:
        name = _account_of(client)
        assert client.get("/").status_code == 200
        with server.records.begin() as connection:
            old = {column: sessions.c[column] - hours * 3_600_000}
            connection.execute(update(sessions).where(sessions.c.account == name).values(old))
        until(lambda: client.get("/").status_code == 401)


def test_signing_out_ends_the_open_stream(server: Server) -> None:
    with server.client() as client, stream(server, Origin=server.address, Cookie=cookie_of(client)) as page:
        token = form_token(client, "/account")
        assert client.post("/logout", data={"form": token}).status_code == 303
        assert client.get("/").status_code == 401

        def closed() -> bool:
            try:
                page.send(b"")  # an empty message of Streamlit's protocol, like the refresh of a page
                page.recv(timeout=0.2)
            except TimeoutError:
                return False
            except ConnectionClosed as end:
                return end.rcvd is not None and end.rcvd.code == 4401
            return False

        until(closed, seconds=10)


@pytest.mark.parametrize("path", ["/", "/login", "/board", "/healthz", "/assets/keepwarm.css", "/nothing/here", "/station"])
def test_headers_on_every_answer(server: Server, path: str) -> None:
    with server.client() as client, server.stranger() as stranger:
        for reader in (client, stranger):
            headers = reader.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-eval" not in policy
            assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "same-origin"
            assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/account", "/notices/2", "/visit/1", "/shift/print", "/fresh", "/report/2026-01.json", "/api/v1/sites", "/x"]
)
def test_what_streamlit_does_not_make_styles_nothing_inline(server: Server, path: str) -> None:
    with server.client("admin") as client:
        assert "unsafe" not in client.get(path).headers["content-security-policy"]
        assert "style-src 'self' 'unsafe-inline'" in client.get("/alarms").headers["content-security-policy"]


def test_pages_are_not_kept_by_browsers(server: Server) -> None:
    with server.client() as client:
        assert client.get("/").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../server.py",
        "/assets/%2e%2e/server.py",
        "/assets/..%2f..%2fpyproject.toml",
        "/static/..%2f..%2f..%2fversion.py",
        "/media/..%2fx",
    ],
)
def test_no_way_out_of_the_folders(server: Server, path: str) -> None:
    with server.client() as client:
        answer = client.get(f"{server.address}{path}")
        assert answer.status_code in {400, 401, 404}
        assert "import" not in answer.text


@pytest.mark.parametrize("path", ["/nothing", "/_stcore/agent/mcp", "/_stcore/upload_file/a/b", "/auth/login", "/_stcore/metrics", "/docs"])
def test_signed_in_too_only_what_the_pages_need_is_there(server: Server, path: str) -> None:
    with server.client() as client:
        assert client.get(path).status_code == 404


def test_long_bodies_are_refused(server: Server) -> None:
    with server.stranger() as client:
        assert client.post("/login", content=b"x" * 70_000).status_code == 413
        chunks = (b"a=" + b"x" * 10_000 for _ in range(20))
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert client.post("/login", content=chunks, headers=headers).status_code == 413


def _account_of(client: httpx.Client) -> str:
    return client.get("/account").text.split("<h1>", 1)[1].split("</h1>", 1)[0]


async def test_behind_a_proxy_with_tls_everything_counts_as_come_by_tls() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(f"{scope['type']} {scope['scheme']} {scope['path']}")

    async def never() -> Message:
        raise AssertionError

    async def nothing(_message: Message) -> None:
        raise AssertionError

    for kind, scheme in (("http", "http"), ("websocket", "ws")):
        await BehindTls(app)({"type": kind, "scheme": scheme, "path": "/", "headers": []}, never, nothing)
    assert seen == ["http https /", "websocket wss /"]


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ([], "127.0.0.1"),
        (["192.0.2.7"], "192.0.2.7"),
        (["10.0.0.1, 192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7", "2001:db8::1"], "2001:db8::1"),
        (["unknown"], "127.0.0.1"),
        (["192.0.2.7,"], "127.0.0.1"),
    ],
)
async def test_behind_a_proxy_everybody_has_the_address_that_it_tells(told: list[str], client: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["client"][0])

    async def never() -> Message:
        raise AssertionError

    async def nothing(_message: Message) -> None:
        raise AssertionError

    headers = [(b"x-forwarded-for", one.encode()) for one in told]
    await BehindTls(app)({"type": "http", "scheme": "http", "path": "/", "headers": headers, "client": ("127.0.0.1", 9)}, never, nothing)
    assert seen == [client]


@pytest.mark.parametrize("reached_by", ["http", "https"])
async def test_cookies_are_for_tls_only_where_a_proxy_with_tls_stands_before_the_pages(reached_by: str, tmp_path: Path) -> None:
    town = write_town(tmp_path, rooms=False)
    opened = Town(replace(town.site, reached_by=reached_by), town.clock)  # type: ignore[arg-type]
    try:
        transport = httpx.ASGITransport(make_app(opened))
        async with httpx.AsyncClient(transport=transport, base_url="http://heat.example") as client:
            answer = await client.get("/login")
            assert ("secure" in answer.headers["set-cookie"].lower()) == (reached_by == "https")
            assert ("strict-transport-security" in answer.headers) == (reached_by == "https")
    finally:
        opened.close()

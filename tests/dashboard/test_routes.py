"""Every route × everybody who may ask: the app's own routes, the table in docs/security.md, and what the running server answers.

make_app ──▶ its routes, Streamlit's too ──▶ a row each in the docs ──▶ stranger, five roles, four keys ──▶ answered, refused, not there
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection
from websockets.typing import Subprotocol

from dashboard.accounts import add_account, wall_ms
from dashboard.api.keys import SCOPES
from dashboard.facts.town import Town
from dashboard.pages import PAGES
from dashboard.roles import RIGHTS, ROLES
from dashboard.server import make_app
from dashboard.session import COOKIE
from domain.clock import Clock
from domain.site import OpenId
from tests.dashboard.conftest import PASSWORD, Server, form_token
from tests.dashboard.openid_provider import provider
from tests.dashboard.sample_town import COLD_BUILDING, SampleTown, sample_site

DOCS: Final = Path(__file__).parents[2] / "docs" / "security.md"
METHODS: Final = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")
STRANGER: Final = "stranger"
READERS: Final = (STRANGER, *ROLES, *(f"key {scope}" for scope in SCOPES))
WHO: Final = {"everybody": set(READERS), "whoever is signed in": set(ROLES), "nobody": set()}
NO_SUCH_PAGE: Final = "没有这个页面"
NAMES: Final = {
    "station_id": "S01", "room_id": f"{COLD_BUILDING}-101", "row_id": "1", "notice_id": "2", "name": "2026-01.json", "number": "1",
    "file_id": "x.png", "path": "x.js", "session_id": "x",
}  # fmt: skip
FORMS: Final = ("/login", "/enter", "/account", "/logout")
PROVED: Final = "POST /openid/connect"  # takes what only a provider can prove: tests/dashboard/test_openid.py
_NUMBER = count()


def routes_of(routes: list[BaseRoute], under: str = "") -> Iterator[str]:
    """``METHOD path`` of every route, as the docs have them; of folders of files ``GET path/…``."""
    for route in routes:
        if isinstance(route, Route | APIRoute):
            every = set(route.methods or ()) >= set(METHODS)
            path = under + re.sub(r":\w+}", "}", route.path)
            yield from (f"{method} {path}" for method in (["*"] if every else sorted(set(route.methods or ()) - {"HEAD"})))
        elif isinstance(route, WebSocketRoute):
            yield f"WS {under}{route.path}"
        elif isinstance(route, Mount) and hasattr(route.app, "router"):
            yield from routes_of(route.app.router.routes, under + route.path)
        elif isinstance(route, Mount) and hasattr(route.app, "app"):
            yield from routes_of(route.app.app._build_starlette_app().routes, under)  # Streamlit names its routes nowhere else
        elif isinstance(route, Mount):
            yield f"GET {under}{route.path}/…" if route.path else "GET /static/…"
        else:
            yield from routes_of(cast(Any, route).original_router.routes, under)  # of a router that was included


def routes_of_the_app(folder: Path) -> list[str]:
    """In a process of its own: Streamlit has one runtime in each."""
    site = replace(sample_site(folder / "data"), openid=OpenId("http://127.0.0.1:1", "keepwarm", "http://127.0.0.1"))
    return list(routes_of(make_app(Town(site, Clock.load(folder / "clock.json"))).router.routes))


def rows_of_the_docs() -> dict[str, set[str]]:
    """Route → who is answered, by the table in the docs."""
    found: dict[str, set[str]] = {}
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        named = re.findall(r"`([A-Z*]+ /[^`]*)`", cells[0])
        if not line.startswith("| `") or not named:
            continue
        keys = {f"key {scope}" for scope in re.findall(r"`(\w+)`", cells[1])} if cells[1].startswith("keys with") else set()
        readers = WHO.get(cells[1]) or keys or {one for one in cells[1].split(", ") if one in ROLES}
        assert not set(named) & set(found), "a route has one row"
        found |= dict.fromkeys(named, readers)
    for page in PAGES.values():
        found[f"GET /{page.path}"] = set(RIGHTS[page.right])
    return found


ROWS: Final = rows_of_the_docs()


class Readers:
    """A client for each reader; of people a fresh session where a form may end it."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self.server = server
        self._stack = stack
        self._known = {reader: self.fresh(reader) for reader in READERS}

    def __getitem__(self, reader: str) -> httpx.Client:
        return self._known[reader]

    def fresh(self, reader: str) -> httpx.Client:
        """A client of its own."""
        if reader in ROLES:
            return self._stack.enter_context(self.server.client(reader))
        headers = {"authorization": f"Bearer {self.server.key(reader.removeprefix('key '))}"} if reader.startswith("key ") else {}
        client = httpx.Client(base_url=self.server.address, timeout=30.0, headers=headers)
        return self._stack.enter_context(client)


@pytest.fixture(scope="module")
def sample(sample: SampleTown) -> Iterator[SampleTown]:
    """The sample town, whose site names a provider of OpenID Connect."""
    with provider() as answers:
        openid = {"issuer": answers.issuer, "client_id": "keepwarm"}
        (sample.site.folder / "openid.json").write_text(json.dumps(openid), encoding="utf-8")
        yield sample


@pytest.fixture(scope="module")
def readers(server: Server) -> Iterator[Readers]:
    with ExitStack() as stack:
        yield Readers(server, stack)


def filled(path: str) -> str:
    """A path with names in it that the sample town knows."""
    path = "/assets/keepwarm.css" if path == "/assets/…" else path.replace("/…", "/x.js")
    return re.sub(r"{(\w+)}", lambda name: NAMES[name[1]], path)


def outcome(answer: httpx.Response) -> str:
    """What became of a request: who is not known, who may not, what is not there, or an answer."""
    if answer.status_code == 404 and NO_SUCH_PAGE in answer.text:
        return "nothing"
    return {401: "unknown", 403: "refused"}.get(answer.status_code, "answered")


def expected(reader: str, route: str) -> str:
    """What has to become of it."""
    if reader in ROWS[route]:
        return "answered"
    by_key = "/api/v1/" in route or route == "GET /metrics"
    if by_key:
        return "refused" if reader.startswith("key ") else "unknown"
    if reader not in ROLES:
        return "unknown"
    return "refused" if ROWS[route] else "nothing"


def test_every_route_of_the_app_stands_in_the_docs_and_no_other(server: Server) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        found = process.submit(routes_of_the_app, server.town.site.folder).result()
    assert len(found) == len(set(found))
    assert sorted(found) == sorted(ROWS)


@pytest.mark.parametrize("route", [one for one in ROWS if not one.startswith("WS ") and one.split()[1] not in FORMS and one != PROVED])
def test_a_route_answers_whom_the_docs_name_and_nobody_else(readers: Readers, route: str) -> None:
    method, path = route.split()
    for reader in READERS:
        for one in METHODS if method == "*" else (method,):
            answer = readers[reader].request(one, filled(path), follow_redirects=False)
            assert outcome(answer) == expected(reader, route), (reader, answer.status_code)
            assert answer.status_code < 500 or path == "/healthz"
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", [path for path in FORMS if f"GET {path}" in ROWS])
def test_the_pages_of_forms(readers: Readers, path: str) -> None:
    for reader in READERS:
        assert outcome(readers[reader].get(path)) == expected(reader, f"GET {path}"), reader


@pytest.mark.parametrize("path", FORMS)
def test_a_form_is_taken_from_its_own_page_only(readers: Readers, path: str) -> None:
    """Without its token, with another reader's, or from another site it is refused; as it stands on its page it is taken."""
    add_account(readers.server.records, f"form{path}", "viewer", PASSWORD, wall_ms())
    page = "/account" if path == "/logout" else path
    for reader in (STRANGER, *ROLES):
        client = readers.fresh(reader)
        if expected(reader, f"POST {path}") == "unknown":
            assert client.post(path, data={"form": "x"}).status_code == 401
            continue
        link = readers.server.link(f"form-{next(_NUMBER)}", "viewer")
        fields = {"name": f"form{path}", "password": PASSWORD, "token": link, "new": PASSWORD, "again": PASSWORD}
        forged = form_token(readers["admin"], "/account")
        assert client.post(path, data=fields).status_code == 403
        assert client.post(path, data=fields | {"form": forged}).status_code == 403
        if client.get(page, follow_redirects=False).status_code == 303:  # who is signed in is led on from the login
            assert path == "/login"
            continue
        own = fields | {"form": form_token(client, page)}
        for foreign in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            assert client.post(path, data=own, headers=foreign).status_code == 403
        assert client.post(path, data=own).status_code == 303


def stream(server: Server, client: httpx.Client) -> ClientConnection:
    shown = {"Cookie": f"{COOKIE}={client.cookies.get(COOKIE, '')}", "Authorization": client.headers.get("authorization", "")}
    url = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    headers = {"Origin": server.address, **shown}
    return connect(url, additional_headers=headers, subprotocols=[Subprotocol("streamlit")], proxy=None, max_size=None)


@pytest.mark.parametrize("route", [one for one in ROWS if one.startswith("WS ")])
def test_a_websocket_opens_for_whom_the_docs_name(readers: Readers, route: str) -> None:
    assert route == "WS /_stcore/stream"
    for reader in READERS:
        if reader in ROWS[route]:
            with stream(readers.server, readers[reader]):
                pass
        else:
            with pytest.raises(InvalidStatus) as refused, stream(readers.server, readers[reader]):
                pass
            assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/", "/now", "/api/v1/sites", "/_stcore/stream/", "/_stcore/stream2", "/static/x"])
def test_no_other_path_is_a_websocket(readers: Readers, path: str) -> None:
    cookie = f"{COOKIE}={readers['admin'].cookies[COOKIE]}"
    url = f"ws://127.0.0.1:{readers.server.port}{path}"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url, additional_headers={"Cookie": cookie, "Origin": readers.server.address}, proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 403


def run_of(page: Connection, **asked: str) -> tuple[str, bool]:
    """Runs a page by its name or its hash: the hash of the one that was run, and whether the one that was asked for was none."""
    message = BackMsg()
    for name, value in asked.items():
        setattr(message.rerun_script, name, value)
    page.send(message.SerializeToString())
    ran, missing = "", False
    while True:
        told: Any = ForwardMsg.FromString(page.recv(60))
        kind = told.WhichOneof("type")
        if kind == "navigation":
            ran = told.navigation.page_script_hash
        missing |= kind == "page_not_found"
        if kind == "script_finished":
            return ran, missing


def test_over_the_stream_a_page_runs_only_for_who_has_its_right(readers: Readers) -> None:
    """A browser may ask Streamlit for any page by name or by hash, whatever its address bar says."""
    with stream(readers.server, readers["admin"]) as page:
        hashes = {path: run_of(page, page_name=path) for path in PAGES}
    assert len({ran for ran, _ in hashes.values()}) == len(PAGES)
    assert not any(missing for _, missing in hashes.values())
    for role in ROLES[:-1]:
        for entry in PAGES.values():
            if role in RIGHTS[entry.right]:
                continue
            wanted = hashes[entry.path][0]
            for asked in ({"page_name": entry.path}, {"page_script_hash": wanted}):
                with stream(readers.server, readers[role]) as page:
                    ran, missing = run_of(page, **asked)
                assert ran == hashes[""][0], (role, entry.path, asked)
                assert missing or "page_script_hash" in asked  # of a hash Streamlit says nothing, and shows the first page

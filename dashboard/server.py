"""The dashboard's process: one uvicorn with our own routes, the guard around all, and Streamlit's app for the pages."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.accounts import signing_key
from dashboard.api.app import BASE, http_problem, make_api
from dashboard.api.asked import Asked
from dashboard.board import Board
from dashboard.facts.point_states import point_table
from dashboard.facts.stations import station_states
from dashboard.facts.town import Town
from dashboard.forms import language_of, page
from dashboard.fresh import PATH, fresh
from dashboard.guard import Guard, is_streamlit
from dashboard.healthz import Healthz
from dashboard.in_time import InTime
from dashboard.login import Login
from dashboard.markup import ASSETS
from dashboard.metrics import Metrics
from dashboard.notice_page import NoticeSheet
from dashboard.now import Now
from dashboard.pages import PAGES
from dashboard.report_download import ReportDownload
from dashboard.running import running
from dashboard.session import Limits, Sessions
from dashboard.shell import PageShell
from dashboard.shift_print import SHIFT_PRINT, ShiftPrint
from dashboard.text import speech
from dashboard.theme import streamlit_options
from dashboard.visit_sheet import VisitSheet
from domain.clock import Clock
from domain.errors import StoreError
from domain.site import Site
from store.health import write_health

HEALTH_S = 5.0
STOP_S = 1  # for answers under way; open pages are cut off then
MESSAGE_MOST = 4 * 1024 * 1024

_log = structlog.get_logger()


def run_dashboard(site: Site, clock: Clock, host: str, port: int, sock: socket.socket | None = None) -> None:
    """Serves the dashboard until SIGTERM or SIGINT; ends within two seconds of it, open pages or not.

    ``sock`` is a bound socket to listen on instead of ``host`` and ``port``. Only one dashboard runs in a process. Raises StoreError
    when a store can't be opened, OSError when the address is taken.
    """
    town = Town(site, clock)
    listening = sock or _listen(host, port)
    try:
        app = make_app(town)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            http=InTime,
            ws="websockets-sansio",
            ws_max_size=MESSAGE_MOST,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_S,
        )
        _log.info("dashboard serves", address=f"http://{host}:{listening.getsockname()[1]}/", site=site.name)
        _Server(config).run(sockets=[listening])
    finally:
        listening.close()
        town.close()
        gc.freeze()  # else the interpreter's last collection takes a second of the two we have to end


def make_app(town: Town) -> FastAPI:
    """The whole dashboard as one ASGI app."""
    pages = _streamlit_app()
    sessions = Sessions(town.records, signing_key(town.site.data / "dashboard.key"), Limits.of(town.site))
    running.begin(town, sessions)
    asked = Asked(town)
    login = Login(town, sessions)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        gc.freeze()  # half a million objects of the libraries: full collections need not look at them again
        telling = asyncio.create_task(_tell_health(town), name="health")
        warming = asyncio.create_task(asyncio.to_thread(warm, town), name="warming")
        async with pages.lifespan()(app):
            yield
        telling.cancel()
        warming.cancel()

    app = FastAPI(title="Keepwarm", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.routes.extend(
        [
            *login.routes(),
            *openid_routes(login),
            Route("/healthz", Healthz(town).answer, methods=["GET"]),
            Route("/metrics", Metrics(town, asked).answer, methods=["GET"]),
            Route("/board", Board(town).show, methods=["GET"]),
            Route("/board.rss", Board(town).feed, methods=["GET"]),
            Route(SHIFT_PRINT, ShiftPrint(running.town_for).show, methods=["GET"]),
            Route("/notices/{notice_id:int}", NoticeSheet(running.town_for).show, methods=["GET"]),
            Route("/report/{name}", ReportDownload(running.town_for).show, methods=["GET"]),
            Route("/visit/{number:int}", VisitSheet(running.town_for, sessions).show, methods=["GET"]),
            Route(PATH, fresh.answer, methods=["GET"]),
            Route("/now", Now(town).answer, methods=["GET"]),
            Route("/favicon.ico", _favicon, methods=["GET"]),
            Mount(BASE, make_api(asked)),
            Mount("/assets", StaticFiles(directory=ASSETS)),
            *(Route(f"/{path}", PageShell(entry, sessions).show, methods=["GET"]) for path, entry in PAGES.items()),
            Mount("/", OnlyStreamlit(pages)),
        ]
    )
    app.add_exception_handler(HTTPException, http_problem)  # an address with a line break in it fits no route at all
    app.add_middleware(Guard, sessions=sessions)
    if town.site.reached_by == "https":
        app.add_middleware(BehindTls)
    return app


def openid_routes(login: Login) -> list[Route]:
    """What signs people in by the site's provider; nothing where it names none."""
    if login.openid is None:
        return []
    from dashboard.openid.provider import Provider
    from dashboard.openid.routes import OpenIdRoutes

    return OpenIdRoutes(login, Provider(login.openid)).routes()


class BehindTls:
    """What came through a proxy with TLS counts as come by TLS: cookies are for it only, and browsers are told to stay with it.

    It comes from where the proxy says that it comes from (the last of ``X-Forwarded-For``): else one guesser locks everybody out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on under its true scheme."""
        if scope["type"] in {"http", "websocket"}:
            told = Headers(scope=scope).getlist("x-forwarded-for")
            address = told[-1].rpartition(",")[2].strip() if told else ""
            client = (address, 0) if _is_address(address) else scope.get("client")
            scope = {**scope, "scheme": "https" if scope["type"] == "http" else "wss", "client": client}
        await self.app(scope, receive, send)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class OnlyStreamlit:
    """Lets through to Streamlit what its pages need, and nothing else of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers that there is nothing."""
        if is_streamlit(scope["path"]):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            _ = speech(language_of(request))
            text = _("The address may be mistyped or out of date.")
            answer = page(request, "message.html", 404, title=_("There is no such page"), text=text)
            await answer(scope, receive, send)


class _Server(uvicorn.Server):
    """A server that returns when it is told to stop, instead of ending its process by the signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the server where it runs in the main thread."""
        try:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # another thread: its owner stops us through should_exit
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _streamlit_app() -> Any:
    from streamlit.web import bootstrap

    bootstrap.load_config_options(streamlit_options())
    logging.getLogger("streamlit").setLevel(logging.WARNING)
    import streamlit

    def log_error(error: Exception) -> bool:
        """Keeps tracebacks in the log; the page only says that something failed."""
        _log.error("page failed", exc_info=error)
        return False

    return streamlit.App(Path(__file__).parent / "app.py", on_script_error=log_error)


def warm(town: Town) -> None:
    """Looks at what takes seconds in a large town for the first time, before the first reader does."""
    with contextlib.suppress(StoreError):
        station_states(town)
        point_table(town)
    gc.freeze()  # nor at a large town's rooms and points


async def _tell_health(town: Town) -> None:
    while True:
        await asyncio.to_thread(write_health, town.site.data, "dashboard", town.now_ms(), {})
        await asyncio.sleep(HEALTH_S)


def _favicon(_: Request) -> RedirectResponse:
    return RedirectResponse("/assets/mark.svg")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening

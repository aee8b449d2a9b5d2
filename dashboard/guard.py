"""Nothing is shown to strangers: pure ASGI, so that it sees websockets too.

request ──▶ headers on every answer ──▶ open to all? signed in? ──▶ foreign origin? ──▶ too large? ──▶ the pages
"""

import asyncio
import time
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.api.answers import ProblemError
from dashboard.pages import PAGES
from dashboard.session import Sessions

# Open to all: exact paths, and the folder of our own style sheet and icons, which those pages need.
OPEN_PATHS = frozenset({"/login", "/enter", "/openid", "/openid/back", "/healthz", "/metrics", "/board", "/board.rss", "/favicon.ico"})
API_FOLDER = "/api/v1/"
OPEN_FOLDERS = ("/assets/", API_FOLDER)  # the API asks for its own keys, never for a cookie
# What Streamlit's pages ask for; every other path of Streamlit's stays shut.
STREAMLIT_PATHS = frozenset({"/_stcore/stream", "/_stcore/health", "/_stcore/host-config", "/manifest.json", "/favicon.png"})
STREAMLIT_FOLDERS = ("/static/", "/media/", "/_stcore/bidi-components/")

BODY_MOST = 64 * 1024
RECHECK_S = 2.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_OVER = 4401  # the websocket's close code

# Streamlit styles with inline style elements (Emotion) and loads our own component's script as a blob; nothing is evaluated.
STREAMLIT_POLICY = (
    "default-src 'none'; script-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def is_open(path: str) -> bool:
    """Whether a path is answered without a session."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def is_streamlit(path: str) -> bool:
    """Whether a path belongs to Streamlit's own files and stream."""
    return path in STREAMLIT_PATHS or path.startswith(STREAMLIT_FOLDERS)


class Guard:
    """The middleware around everything."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app = app
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, or answers it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        path = scope["path"]
        guarded = _with_headers(scope, send)
        if not is_open(path) and not await self._known(headers):
            await _sign_in_first(scope, headers)(scope, receive, guarded)
        elif scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, guarded)
        elif not path.startswith(API_FOLDER) and not _same_origin(headers):
            await ProblemError(403, "request from another site").response()(scope, receive, guarded)
        else:
            whole = None if _declared_length(headers) > BODY_MOST else await _whole_body(receive)
            if whole is None:
                await ProblemError(413, "too large", f"at most {BODY_MOST} bytes").response()(scope, receive, guarded)
            else:
                await self.app(scope, whole, guarded)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        known = await self._known(headers)
        if not known or not _same_origin(headers, needed=True) or scope["path"] != "/_stcore/stream":
            await receive()  # the handshake must be read before it is refused
            await send({"type": "websocket.close", "code": SESSION_OVER})
            return
        checked_s = time.monotonic()

        async def receive_while_signed_in() -> Message:
            """Ends an open page once its session is over: every refresh of a page arrives here as a message."""
            nonlocal checked_s
            message = await receive()
            if message["type"] == "websocket.receive" and time.monotonic() - checked_s > RECHECK_S:
                checked_s = time.monotonic()
                if not await self._known(headers):
                    await send({"type": "websocket.close", "code": SESSION_OVER})
                    return {"type": "websocket.disconnect", "code": SESSION_OVER}
            return message

        await self.app(scope, receive_while_signed_in, send)

    async def _known(self, headers: Headers) -> bool:
        cookies = cookie_parser(headers.get("cookie", ""))
        return self.sessions.token(cookies) is not None and await asyncio.to_thread(self.sessions.account, cookies) is not None


def _same_origin(headers: Headers, *, needed: bool = False) -> bool:
    """Whether a request comes from our own pages. A browser always says so for a form or a websocket; a script need not for a form."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None:
        return not needed
    return urlsplit(origin).netloc == headers.get("host")


def _declared_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


def _sign_in_first(scope: Scope, headers: Headers) -> Response:
    """Sends people to the login page and tells programs."""
    wants_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if not wants_page:
        return ProblemError(401, "sign in first").response()
    target = scope["path"]
    if scope.get("query_string"):
        target += "?" + scope["query_string"].decode("latin-1")
    return RedirectResponse("/login" if target == "/" else f"/login?next={quote(target, safe='')}", 303)


def _with_headers(scope: Scope, send: Send) -> Send:
    secure = scope.get("scheme") == "https"
    cached = scope["path"].startswith(("/assets/", "/static/"))
    policy = STREAMLIT_POLICY if scope["path"].removeprefix("/") in PAGES else OWN_POLICY

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["content-security-policy"] = policy
            for name, value in HEADERS.items():
                headers[name] = value
            if secure:
                headers["strict-transport-security"] = "max-age=31536000"
            if not cached:
                headers["cache-control"] = "no-store"
        await send(message)

    return send_with_headers


async def _whole_body(receive: Receive) -> Receive | None:
    """The body, read before anybody looks at it; None for one that is longer than any of our forms, whether it said so or not."""
    messages: list[Message] = []
    seen, more = 0, True
    while more:
        message = await receive()
        messages.append(message)
        seen += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
        if seen > BODY_MOST:
            return None
    replayed = iter(messages)

    async def receive_again() -> Message:
        """What was read, then whatever follows."""
        return next(replayed, None) or await receive()

    return receive_again

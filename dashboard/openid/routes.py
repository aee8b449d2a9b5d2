"""Signing in by the site's provider, and connecting an account with who somebody is there.

    GET /openid ─▶ the provider ─▶ GET /openid/back ─┬─ known identity ─▶ a session
                                                     ├─ unknown, signed in here ─▶ "connect?" ─▶ POST /openid/connect
                                                     └─ unknown ─▶ refused: no account makes itself

What must come back unaltered (state, nonce, PKCE verifier) goes with the reader in a signed cookie that is good for ten minutes and once.
"""

import asyncio
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboard.accounts import account_by_identity, connect_identity, wall_ms
from dashboard.forms import fields_of, forged, is_ours, language_of, local_path, page
from dashboard.login import AGAIN_COOKIE, OPENID_FOLDER, Login
from dashboard.openid.provider import Identity, Provider, ProviderError
from dashboard.roles import Account
from dashboard.text import N_, speech

COOKIE: Final = "keepwarm_openid"
GOOD_FOR_MS: Final = 600_000

_log = structlog.get_logger()


@dataclass(frozen=True)
class Begun:
    """A sign-in under way."""

    state: str
    nonce: str
    verifier: str
    target: str
    until_ms: int

    @classmethod
    def now(cls, target: str) -> "Begun":
        """One that begins now and goes on to this path of the site."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, target, wall_ms() + GOOD_FOR_MS)


class OpenIdRoutes:
    """The routes ``/openid``, ``/openid/back`` and ``/openid/connect``."""

    def __init__(self, login: Login, provider: Provider) -> None:
        self.login = login
        self.sessions = login.sessions
        self.records = login.town.records
        self.provider = provider
        self.back_to = f"{provider.settings.page.rstrip('/')}{OPENID_FOLDER}/back"

    def routes(self) -> list[Route]:
        """The routes to mount."""
        return [
            Route(OPENID_FOLDER, self.begin, methods=["GET"]),
            Route(f"{OPENID_FOLDER}/back", self.back, methods=["GET"]),
            Route(f"{OPENID_FOLDER}/connect", self.connect, methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Sends the reader to the provider's own page."""
        target = local_path(request.query_params.get("next"))
        begun = Begun.now(target)
        asked = {"back": self.back_to, "state": begun.state, "nonce": begun.nonce, "verifier": begun.verifier}
        try:
            address = await asyncio.to_thread(self.provider.address, **asked, again=AGAIN_COOKIE in request.cookies)
        except ProviderError as error:
            return self._failed(request, error)
        response = RedirectResponse(address, 303)
        secure = request.url.scheme == "https"
        age = GOOD_FOR_MS // 1000
        response.set_cookie(COOKIE, self._packed(begun), max_age=age, path=OPENID_FOLDER, httponly=True, samesite="lax", secure=secure)
        return response

    async def back(self, request: Request) -> Response:
        """Takes up the reader whom the provider sends back."""
        response = await self._back(request)
        response.delete_cookie(COOKIE, path=OPENID_FOLDER)
        return response

    async def _back(self, request: Request) -> Response:
        begun, answer = self._unpacked(request.cookies.get(COOKIE, "")), request.query_params
        if begun is None or not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            return self._say(request, 400, N_("This sign-in is out of date"), N_("Begin again on the sign-in page."))
        if answer.get("iss", self.provider.settings.issuer) != self.provider.settings.issuer:
            return self._failed(request, ProviderError("the answer comes from another issuer", refused=True))
        if "code" not in answer:
            _log.warning("sign-in by the provider ended", error=answer.get("error", "")[:200])
            return self._say(request, 403, N_("You were not signed in"), N_("The sign-in service ended without signing you in."))
        try:
            identity = await asyncio.to_thread(
                self.provider.identity, code=answer["code"], back=self.back_to, nonce=begun.nonce, verifier=begun.verifier
            )
        except ProviderError as error:
            return self._failed(request, error)
        found = await asyncio.to_thread(account_by_identity, self.records, identity.stored)
        here = await asyncio.to_thread(self.sessions.account, request.cookies)
        if here is not None and (found is None or found.name != here.name):
            return self._ask(request, here, identity, taken=found is not None)
        if found is None:
            return await self._stranger(request, identity)
        response = await self.login.welcome(request, found, "openid", begun.target)
        response.delete_cookie(AGAIN_COOKIE, path=OPENID_FOLDER)
        return response

    async def connect(self, request: Request) -> Response:
        """Connects the account that is signed in with the identity it has just proved to be."""
        fields = await fields_of(request)
        account, token = self.sessions.account(request.cookies), self.sessions.token(request.cookies)
        if fields is None or account is None or token is None or not is_ours(request, self.sessions, fields):
            return forged(request)
        identity, until = fields.get("identity", ""), fields.get("until", "")
        proved = self.sessions.signed("connect", f"{token} {until} {identity}", fields.get("proof", ""))
        if not proved or int(until) < wall_ms():
            return forged(request)
        try:
            await asyncio.to_thread(connect_identity, self.records, account.name, identity, account.name, self.login.town.now_ms())
        except ValueError:
            return self._taken(request)
        return RedirectResponse("/account?connected=1", 303)

    def _ask(self, request: Request, account: Account, identity: Identity, *, taken: bool) -> Response:
        token = self.sessions.token(request.cookies)
        if taken or token is None:
            return self._taken(request)
        until = str(wall_ms() + GOOD_FOR_MS)
        return page(
            request,
            "connect.html",
            account=account,
            name=identity.name,
            identity=identity.stored,
            until=until,
            proof=self.sessions.signature("connect", f"{token} {until} {identity.stored}"),
            form=self.sessions.form_token(token),
        )

    async def _stranger(self, request: Request, identity: Identity) -> Response:
        await asyncio.to_thread(self.login.audit, "", "openid", f"{identity.name[:64]} {identity.stored}", refused=True)
        text = N_("{name} is connected with no account. Sign in by your one-time link or password first, then connect under your account.")
        return self._say(request, 403, N_("Nobody here has this sign-in yet"), text, name=identity.name)

    def _taken(self, request: Request) -> Response:
        return self._say(request, 409, N_("This sign-in belongs to another account"), N_("An administrator can disconnect it there first."))

    def _failed(self, request: Request, error: ProviderError) -> Response:
        _log.warning("sign-in by the provider failed", reason=str(error))
        if error.refused:
            text = N_("Its answer could not be believed. Try again; if it stays so, tell your administrator.")
            return self._say(request, 403, N_("You were not signed in"), text)
        text = N_("Try again later, or sign in with a password or a one-time link.")
        return self._say(request, 502, N_("The sign-in service does not answer"), text)

    def _say(self, request: Request, status: int, title: str, text: str, **values: object) -> Response:
        _ = speech(language_of(request))
        return page(request, "message.html", status, title=_(title), text=_(text, **values), way="/login")

    def _packed(self, begun: Begun) -> str:
        text = urlsafe_b64encode(json.dumps(asdict(begun)).encode()).decode()
        return f"{text}.{self.sessions.signature('openid', text)}"

    def _unpacked(self, cookie: str) -> Begun | None:
        text, _, signature = cookie.partition(".")
        if not self.sessions.signed("openid", text, signature):
            return None
        begun = Begun(**json.loads(urlsafe_b64decode(text)))
        return begun if begun.until_ms > wall_ms() else None

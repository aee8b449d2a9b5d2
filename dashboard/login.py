"""Signing in and out: by password, by a one-time link, and what people may do to their own account."""

import asyncio
import math

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.accounts import check_password, has_password, identity_is_kept, record, redeem_invitation, set_password, wall_ms
from dashboard.facts.town import Town
from dashboard.forms import address_of, fields_of, forged, is_ours, keep_form_cookie, language_of, local_path, page, stranger_form
from dashboard.lockout import Lockout, guesser_at
from dashboard.roles import Account
from dashboard.session import COOKIE, Sessions
from dashboard.text import N_, speech

GUESSES_AN_ACCOUNT = 5
GUESSES_AN_ADDRESS = 20
LOCKED_S = 900.0
OPENID_FOLDER = "/openid"
AGAIN_COOKIE = "keepwarm_again"  # somebody signed out in this browser: the provider asks anew, whoever comes next
AGAIN_S = 30 * 86_400
HASHES_AT_ONCE = 2  # argon2 takes 64 MB and a core for 0.4 s

_log = structlog.get_logger()


class Login:
    """The routes ``/login``, ``/enter``, ``/account`` and ``/logout``."""

    def __init__(self, town: Town, sessions: Sessions, *, guesses_an_address: int = GUESSES_AN_ADDRESS) -> None:
        self.town = town
        self.sessions = sessions
        self.by_account = Lockout(GUESSES_AN_ACCOUNT, LOCKED_S)
        self.by_address = Lockout(guesses_an_address, LOCKED_S)
        self.openid = town.site.openid
        self.passwords = self.openid is None or self.openid.passwords
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    def routes(self) -> list[Route]:
        """The routes to mount."""
        return [
            Route("/login", self.show_login, methods=["GET"]),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/enter", self.show_enter, methods=["GET"]),
            Route("/enter", self.enter, methods=["POST"]),
            Route("/account", self.show_account, methods=["GET"]),
            Route("/account", self.change_password, methods=["POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
        ]

    def show_login(self, request: Request) -> Response:
        """The sign-in form."""
        if self.sessions.account(request.cookies):
            return RedirectResponse(local_path(request.query_params.get("next")), 303)
        return self._login_page(request)

    async def sign_in(self, request: Request) -> Response:
        """Checks name and password, as often as the lockout lets it."""
        fields = await fields_of(request)
        if fields is None or not is_ours(request, self.sessions, fields):
            return forged(request)
        if not self.passwords:
            return self._login_page(request, 403)
        name = fields.get("name", "").strip()[:128]
        address = address_of(request)
        locked_s = max(self.by_account.locked_s(name.casefold()), self.by_address.locked_s(guesser_at(address)))
        if locked_s:
            return self._login_page(request, 429, locked_s=locked_s)
        async with self._hashing:
            proved = await asyncio.to_thread(check_password, self.town.records, name, fields.get("password", ""))
        if proved is None:
            self.by_account.failed(name.casefold())
            self.by_address.failed(guesser_at(address))
            await asyncio.to_thread(self.audit, name, "sign_in", address, refused=True)
            return self._login_page(request, 401)
        self.by_account.succeeded(name.casefold())
        try:
            return await self.welcome(request, proved.account, "sign_in", local_path(fields.get("next")), proved.password_hash)
        except PermissionError:
            await asyncio.to_thread(self.audit, name, "sign_in", address, refused=True)
            return self._login_page(request, 401)

    def show_enter(self, request: Request) -> Response:
        """Asks whether to use a one-time link: looking at it does not use it up (previews of chat programs do).

        Whoever is signed in already is asked for a press: a link that somebody sent does not make another one of him unnoticed.
        """
        seed, form = stranger_form(request, self.sessions)
        token, at_once = request.query_params.get("token", ""), self.sessions.account(request.cookies) is None
        response = page(request, "enter.html", token=token, form=form, site=self.town.site.name, at_once=at_once)
        keep_form_cookie(request, response, seed)
        return response

    async def enter(self, request: Request) -> Response:
        """Uses a one-time link."""
        fields = await fields_of(request)
        if fields is None or not is_ours(request, self.sessions, fields):
            return forged(request)
        address = address_of(request)
        if self.by_address.locked_s(guesser_at(address)):
            return self._login_page(request, 429, locked_s=self.by_address.locked_s(guesser_at(address)))
        account = await asyncio.to_thread(redeem_invitation, self.town.records, fields.get("token", ""), wall_ms())
        if account is None:
            if self.sessions.account(request.cookies):  # the link was opened twice by the one it signed in
                return RedirectResponse("/", 303)
            self.by_address.failed(guesser_at(address))
            await asyncio.to_thread(self.audit, "", "enter", address, refused=True)
            return self._used_up(request)
        return await self.welcome(request, account, "enter", "/")

    def show_account(self, request: Request) -> Response:
        """The own account: password, signing out."""
        return self._account_page(request)

    async def change_password(self, request: Request) -> Response:
        """Sets a new password; one that exists must be given."""
        fields = await fields_of(request)
        account = self.sessions.account(request.cookies)
        if fields is None or account is None or not self.passwords or not is_ours(request, self.sessions, fields):
            return forged(request)
        _ = speech(language_of(request))
        if self.by_account.locked_s(account.name.casefold()):
            return self._account_page(request, 429, trouble=_("Too many wrong passwords. Try again later."))
        async with self._hashing:
            trouble = await asyncio.to_thread(self._new_password, account, fields)
        if trouble:
            return self._account_page(request, 400, trouble=_(trouble))
        return await self.welcome(request, account, "sign_in", "/account?saved=1")

    async def sign_out(self, request: Request) -> Response:
        """Ends this session, or all of this account's."""
        fields = await fields_of(request)
        account, token = self.sessions.account(request.cookies), self.sessions.token(request.cookies)
        if fields is None or account is None or token is None or not is_ours(request, self.sessions, fields):
            return forged(request)
        if fields.get("everywhere"):
            await asyncio.to_thread(self.sessions.end_all, account)
        else:
            await asyncio.to_thread(self.sessions.end, token)
        await asyncio.to_thread(self.audit, account.name, "sign_out", "everywhere" if fields.get("everywhere") else "")
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        if self.openid is not None:
            secure = request.url.scheme == "https"
            response.set_cookie(AGAIN_COOKIE, "1", max_age=AGAIN_S, path=OPENID_FOLDER, httponly=True, samesite="lax", secure=secure)
        return response

    async def welcome(self, request: Request, account: Account, action: str, target: str, password_hash: str = "") -> Response:
        """Opens a session for somebody who has shown who they are, and goes on to a path of this site.

        Raises PermissionError when they have shown it by a password that is not theirs any more.
        """
        before = self.sessions.token(request.cookies)
        if before is not None:  # a session from before is not left behind
            await asyncio.to_thread(self.sessions.end, before)
        cookie = await asyncio.to_thread(self.sessions.open, account, password_hash)
        if not cookie:
            raise PermissionError(account.name)
        await asyncio.to_thread(self.audit, account.name, action, address_of(request))
        _log.info("signed in", account=account.name, role=account.role, by=action)
        response = RedirectResponse(target, 303)
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return response

    def _new_password(self, account: Account, fields: dict[str, str]) -> str:
        """Sets it; returns what is wrong, or nothing."""
        records = self.town.records
        if has_password(records, account.name) and check_password(records, account.name, fields.get("current", "")) is None:
            self.by_account.failed(account.name.casefold())
            return N_("The present password is not right.")
        if fields.get("new", "") != fields.get("again", ""):
            return N_("The two new passwords differ.")
        try:
            set_password(records, account.name, fields.get("new", ""), self.town.now_ms())
        except ValueError:
            return N_("A password has 12 to 256 characters.")
        return ""

    def _login_page(self, request: Request, status: int = 200, locked_s: float = 0.0) -> HTMLResponse:
        seed, form = stranger_form(request, self.sessions)
        target = local_path(request.query_params.get("next"))
        minutes = math.ceil(locked_s / 60)
        response = page(
            request,
            "login.html",
            status,
            form=form,
            next=target,
            site=self.town.site.name,
            wrong=status == 401,
            locked_min=minutes,
            openid=self.openid,
            passwords=self.passwords,
        )
        keep_form_cookie(request, response, seed)
        if locked_s:
            response.headers["retry-after"] = str(math.ceil(locked_s))
        return response

    def _account_page(self, request: Request, status: int = 200, trouble: str = "") -> Response:
        account, token = self.sessions.account(request.cookies), self.sessions.token(request.cookies)
        if account is None or token is None:
            return RedirectResponse("/login?next=/account", 303)
        return page(
            request,
            "account.html",
            status,
            account=account,
            form=self.sessions.form_token(token),
            has_password=has_password(self.town.records, account.name),
            saved="saved" in request.query_params,
            connected="connected" in request.query_params,
            openid=self.openid,
            passwords=self.passwords,
            identity=self._identity(account),
            trouble=trouble,
        )

    def _identity(self, account: Account) -> bool:
        """Whether this account is connected with the site's provider."""
        return self.openid is not None and identity_is_kept(self.town.records, account.name, self.openid.issuer)

    def _used_up(self, request: Request) -> HTMLResponse:
        _ = speech(language_of(request))
        text = _("It works once, for seven days. Ask for a new one, or sign in with your password.")
        return page(request, "message.html", 403, title=_("This link can't be used any more"), text=text)

    def audit(self, who: str, action: str, detail: str, *, refused: bool = False) -> None:
        """Writes who came in or out, from where."""
        record(self.town.records, self.town.now_ms(), who, action, f"account/{who}", refused=refused, after={"from": detail})

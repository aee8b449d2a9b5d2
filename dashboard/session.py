"""The session cookie: a random token and its signature. The token's hash and its account are in the records."""

import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import Engine, delete, insert, select, update

from dashboard.accounts import account_of, fingerprint, wall_ms
from dashboard.roles import Account
from domain.site import Site
from store.records import reading
from store.records.tables import accounts, sessions

COOKIE = "keepwarm_session"
BELIEVED_MS = 2_000
SEEN_EVERY_MS: Final = 60_000


@dataclass(frozen=True)
class Limits:
    """When a session ends by itself: not used for ``idle_ms``, or ``most_ms`` after it began. In wall time."""

    idle_ms: int = 2 * 3_600_000
    most_ms: int = 24 * 3_600_000

    @classmethod
    def of(cls, site: Site) -> "Limits":
        """What the site says (``dashboard.session_idle_min``, ``session_most_h``)."""
        return cls(round(site.session_idle_min * 60_000), round(site.session_most_h * 3_600_000))


LIMITS: Final = Limits()


class Sessions:
    """Opens, finds and ends sessions. What was found is believed for two seconds, so that a page's hundred files cost one look-up."""

    def __init__(self, engine: Engine, key: bytes, limits: Limits = LIMITS) -> None:
        self._engine = engine
        self._key = key
        self._limits = limits
        self._found: dict[str, tuple[int, Account | None]] = {}  # replaced, not emptied, when it is forgotten
        self._lock = threading.Lock()

    def signature(self, purpose: str, text: str) -> str:
        """The signature of a text for one purpose, in hex."""
        return hmac.new(self._key, f"{purpose}:{text}".encode(), sha256).hexdigest()

    def signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether the signature belongs to this text and purpose."""
        return hmac.compare_digest(self.signature(purpose, text).encode(), signature.encode("utf-8", "replace"))

    def open(self, account: Account, password_hash: str = "") -> str:
        """Starts a session; gives the cookie's value, nothing when the password that it is opened by has been changed meanwhile."""
        token = open_session(self._engine, account, wall_ms(), self._limits, password_hash)
        return token and f"{token}.{self.signature('session', token)}"

    def token(self, cookies: Mapping[str, str]) -> str | None:
        """The session's token in a request's cookies, if its signature is ours."""
        token, _, signature = cookies.get(COOKIE, "").partition(".")
        return token if token and self.signed("session", token, signature) else None

    def account(self, cookies: Mapping[str, str]) -> Account | None:
        """Who is signed in with these cookies."""
        token = self.token(cookies)
        if token is None:
            return None
        now_ms = wall_ms()
        with self._lock:
            found = self._found
            believed = found.get(token)
        if believed is not None and 0 <= now_ms - believed[0] < BELIEVED_MS:  # a clock may be set back
            return believed[1]
        account = find_session(self._engine, token, now_ms, self._limits)
        with self._lock:  # what was forgotten while we looked is not remembered: that session may have ended since
            if len(found) > 1_000:
                found.clear()
            found[token] = (now_ms, account)
        return account

    def end(self, token: str) -> None:
        """Ends one session at once."""
        end_session(self._engine, token)
        self.forget()

    def end_all(self, account: Account) -> None:
        """Ends every session of an account at once."""
        end_sessions(self._engine, account.name)
        self.forget()

    def form_token(self, token: str) -> str:
        """What a form of this session must bring back (against forged requests from other pages)."""
        return self.signature("form", token)

    def forget(self) -> None:
        """What was found is looked up anew: an account was changed."""
        with self._lock:
            self._found = {}


def open_session(engine: Engine, account: Account, now_ms: int, limits: Limits = LIMITS, password_hash: str = "") -> str:
    """Starts a session and gives its token, which is nowhere stored.

    With a ``password_hash`` none is started, and nothing given, unless it is still that of the account: checking one takes long enough for
    it to be changed meanwhile, which ends all sessions there were.
    """
    token = secrets.token_urlsafe(32)
    still = accounts.c.name == account.name
    if password_hash:
        still &= (accounts.c.password_hash == password_hash) & accounts.c.disabled.is_(False)
    with engine.begin() as connection:
        if not connection.execute(update(accounts).where(still).values(used_at=now_ms)).rowcount and password_hash:
            return ""
        old = sessions.c.created_at < now_ms - limits.most_ms
        connection.execute(delete(sessions).where(old))
        connection.execute(insert(sessions).values(token_hash=fingerprint(token), account=account.name, created_at=now_ms, seen_at=now_ms))
    return token


def find_session(engine: Engine, token: str, now_ms: int, limits: Limits = LIMITS) -> Account | None:
    """Whose session this is; None when it ended, was idle for too long, or its account is disabled."""
    mine = sessions.c.token_hash == fingerprint(token)
    query = (
        select(accounts.c.name, accounts.c.role, accounts.c.districts, sessions.c.created_at, sessions.c.seen_at)
        .join(accounts, accounts.c.name == sessions.c.account)
        .where(mine & accounts.c.disabled.is_(False))
    )
    with reading(engine).connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or row.created_at <= now_ms - limits.most_ms or row.seen_at <= now_ms - limits.idle_ms:
        return None
    if now_ms - row.seen_at > SEEN_EVERY_MS:
        with engine.begin() as connection:
            connection.execute(update(sessions).where(mine).values(seen_at=now_ms))
            connection.execute(update(accounts).where(accounts.c.name == row.name).values(used_at=now_ms))
    return account_of(row)


def end_session(engine: Engine, token: str) -> None:
    """Ends one session."""
    with engine.begin() as connection:
        connection.execute(delete(sessions).where(sessions.c.token_hash == fingerprint(token)))


def end_sessions(engine: Engine, name: str) -> None:
    """Ends every session of an account."""
    with engine.begin() as connection:
        connection.execute(delete(sessions).where(sessions.c.account == name))

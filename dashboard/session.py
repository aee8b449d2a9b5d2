"""The session cookie: a random token and its signature. The token's hash and its account are in the records."""

import hmac
import threading
from collections.abc import Mapping
from hashlib import sha256

from sqlalchemy import Engine

from dashboard.accounts import end_session, end_sessions, find_session, open_session, wall_ms
from dashboard.roles import Account

COOKIE = "keepwarm_session"
BELIEVED_MS = 2_000


class Sessions:
    """Opens, finds and ends sessions. What was found is believed for two seconds, so that a page's hundred files cost one look-up."""

    def __init__(self, engine: Engine, key: bytes) -> None:
        self._engine = engine
        self._key = key
        self._found: dict[str, tuple[int, Account | None]] = {}
        self._lock = threading.Lock()

    def signature(self, purpose: str, text: str) -> str:
        """The signature of a text for one purpose, in hex."""
        return hmac.new(self._key, f"{purpose}:{text}".encode(), sha256).hexdigest()

    def signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether the signature belongs to this text and purpose."""
        return hmac.compare_digest(self.signature(purpose, text).encode(), signature.encode("utf-8", "replace"))

    def open(self, account: Account) -> str:
        """Starts a session; gives the cookie's value."""
        token = open_session(self._engine, account, wall_ms())
        return f"{token}.{self.signature('session', token)}"

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
            believed = self._found.get(token)
        if believed is not None and now_ms - believed[0] < BELIEVED_MS:
            return believed[1]
        account = find_session(self._engine, token, now_ms)
        with self._lock:
            if len(self._found) > 1_000:
                self._found.clear()
            self._found[token] = (now_ms, account)
        return account

    def end(self, token: str) -> None:
        """Ends one session at once."""
        end_session(self._engine, token)
        self._forget()

    def end_all(self, account: Account) -> None:
        """Ends every session of an account at once."""
        end_sessions(self._engine, account.name)
        self._forget()

    def form_token(self, token: str) -> str:
        """What a form of this session must bring back (against forged requests from other pages)."""
        return self.signature("form", token)

    def _forget(self) -> None:
        with self._lock:
            self._found.clear()

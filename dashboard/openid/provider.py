"""A provider of OpenID Connect: where it signs people in, and whom its answer names.

    address() ──▶ the reader's browser ──▶ provider's own page ──▶ back with a code
    identity() ──▶ token endpoint (code, PKCE verifier) ──▶ id_token ──▶ signature, issuer, audience, times, nonce ──▶ who it is

Sources: OpenID Connect Core 1.0 (3.1, authorization code flow), Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (issuer in the answer).
"""

import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson
import urllib3
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from domain.errors import KeepwarmError
from domain.site import OpenId
from store.secrets import secret

KNOWN_S: Final = 3_600.0  # for how long the provider's addresses and keys are believed
KEYS_AGAIN_S: Final = 30.0  # an unknown key is looked up anew, but not at every made-up token
LEEWAY_S: Final = 60
ANSWER_MOST: Final = 1 << 20
TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=10.0)
SUBJECT_MOST: Final = 255  # Core 1.0, 2
# Signed by a key of the provider's alone: neither "none" nor anything that our own secret could sign.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")


class ProviderError(KeepwarmError):
    """The provider can't be reached, or answered what can't be believed; ``refused`` means the latter. The text is for the log."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(frozen=True)
class Identity:
    """Somebody as a provider knows them: for ever the same by issuer and subject; ``name`` is for people to read."""

    issuer: str
    subject: str
    name: str

    @property
    def stored(self) -> str:
        """How it stands in ``accounts.identity``."""
        return identity_of(self.issuer, self.subject)


def identity_of(issuer: str, subject: str) -> str:
    """How an issuer's subject stands in ``accounts.identity``."""
    return f"{issuer} {subject}"


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Provider:
    """The provider that the site names under ``[openid]``. Its methods wait for the network: not for the event loop.

    Raises ConfigError where the secret that the site names is not there.
    """

    def __init__(self, settings: OpenId, now_s: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._now_s = now_s
        self._secret = secret(settings.client_secret)
        checked: dict[str, Any] = {"ca_certs": settings.ca_file} if settings.ca_file else {}
        self._http = urllib3.PoolManager(timeout=TIMEOUT, retries=False, **checked)
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def address(self, *, back: str, state: str, nonce: str, verifier: str, again: bool) -> str:
        """Where a reader signs in; ``again``: also one whom the provider still knows in this browser. Raises ProviderError."""
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": back,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            **({"prompt": "login"} if again else {}),
        }
        at = self._endpoint("authorization_endpoint")
        return f"{at}{'&' if urlsplit(at).query else '?'}{urlencode(asked, quote_via=quote)}"

    def identity(self, *, code: str, back: str, nonce: str, verifier: str) -> Identity:
        """Whom the provider signed in, by the code that the browser brought. Raises ProviderError."""
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        token = self._answer("POST", self._endpoint("token_endpoint"), **self._as_client(fields)).get("id_token")
        if not isinstance(token, str):
            raise ProviderError("no id_token in the answer to the code", refused=True)
        return self._believed(token, nonce)

    def _as_client(self, fields: dict[str, str]) -> dict[str, Any]:
        """The fields of a request to the token endpoint with what shows that it is ours (Core 1.0, 9)."""
        name, password = self.settings.client_id, self._secret
        ways = self._document().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if not password:
            return {"fields": {**fields, "client_id": name}}
        if "client_secret_basic" not in ways and "client_secret_post" in ways:
            return {"fields": {**fields, "client_id": name, "client_secret": password}}
        known = b64encode(f"{quote(name, safe='')}:{quote(password, safe='')}".encode()).decode()
        return {"fields": fields, "headers": {"Authorization": f"Basic {known}"}}

    def _believed(self, token: str, nonce: str) -> Identity:
        """Whom a token names (Core 1.0, 3.1.3.7)."""
        offered = self._document().get("id_token_signing_alg_values_supported")
        algorithms = [name for name in ALGORITHMS if not isinstance(offered, list) or name in offered]
        registry = jwt.JWTClaimsRegistry(
            now=int(self._now_s()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            try:
                claims = jwt.decode(token, self._key_set(), algorithms=algorithms).claims
            except InvalidKeyIdError:
                claims = jwt.decode(token, self._key_set(fresh=True), algorithms=algorithms).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise ProviderError(f"its token is not believed: {error}", refused=True) from error
        for_us = claims.get("azp", self.settings.client_id) == self.settings.client_id
        shared = isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        subject = claims["sub"]
        if not for_us or shared:
            raise ProviderError("its token is for another party", refused=True)
        if not subject or len(subject) > SUBJECT_MOST:
            raise ProviderError("its token names nobody", refused=True)
        names = (claims.get(key) for key in ("preferred_username", "name"))
        return Identity(self.settings.issuer, subject, next((name for name in names if isinstance(name, str) and name), subject))

    def _key_set(self, *, fresh: bool = False) -> KeySet:
        with self._lock:
            known, now = self._keys, self._now_s()
        if known is not None and now - known[0] < (KEYS_AGAIN_S if fresh else KNOWN_S):
            return known[1]
        document = self._answer("GET", self._endpoint("jwks_uri"))
        try:
            keys = KeySet.import_key_set(document)  # type: ignore[arg-type]
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise ProviderError(f"its keys can't be read: {error}", refused=True) from error
        with self._lock:
            self._keys = (now, keys)
        return keys

    def _document(self) -> dict[str, Any]:
        """What the provider says of itself (Discovery 1.0, 4)."""
        with self._lock:
            known, now = self._known, self._now_s()
        if known is not None and now - known[0] < KNOWN_S:
            return known[1]
        document = self._answer("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != self.settings.issuer:
            raise ProviderError(f"it calls itself {str(document.get('issuer'))[:200]!r}, the site {self.settings.issuer!r}", refused=True)
        with self._lock:
            self._known = (now, document)
        return document

    def _endpoint(self, name: str) -> str:
        found = self._document().get(name)
        schemes = {"https"} if self.settings.issuer.startswith("https:") else {"http", "https"}
        if not isinstance(found, str) or urlsplit(found).scheme not in schemes:
            raise ProviderError(f"its {name} is no address of {' or '.join(sorted(schemes))}", refused=True)
        return found

    def _answer(self, method: str, at: str, **more: Any) -> dict[str, Any]:
        if "fields" in more:
            more["encode_multipart"] = False
        try:
            answer = self._http.request(method, at, redirect=False, preload_content=False, **more)
            try:
                content = answer.read(ANSWER_MOST)
            finally:
                answer.close()  # whatever is left of it
        except urllib3.exceptions.HTTPError as error:
            raise ProviderError(f"{at} can't be reached: {error}", refused=False) from error
        try:
            found = orjson.loads(content)
        except ValueError:
            found = None
        if answer.status >= 500 or answer.status == 429:
            raise ProviderError(f"{at} answers {answer.status}", refused=False)
        if answer.status != 200 or not isinstance(found, dict):
            why = found.get("error") if isinstance(found, dict) else "no JSON object"
            raise ProviderError(f"{at} answers {answer.status}: {str(why)[:200]}", refused=True)
        return found

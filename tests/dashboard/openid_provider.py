"""A provider of OpenID Connect on loopback that answers as a test wants it: what it says of itself, its keys, its tokens."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

CLIENT = "keepwarm"


@dataclass
class Answers:
    """What the provider answers. ``asked`` are the requests it had: path, form fields, headers."""

    issuer: str = ""
    key: RSAKey | ECKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first"}))
    published: list[Any] = field(default_factory=list)
    token: Callable[["Answers"], object] = lambda answers: answers.signed()
    said: dict[str, object] = field(default_factory=dict)
    whole: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    nonce: str = "n"

    def claims(self, **other: object) -> dict[str, object]:
        """What a good token says, some of it otherwise; None leaves a claim out."""
        now = int(time.time())
        good = {"iss": self.issuer, "sub": "42", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": self.nonce, "name": "李"}
        return {key: value for key, value in {**good, **other}.items() if value is not None}

    def signed(self, alg: str = "RS256", key: Any = None, **other: object) -> str:
        """A token of these claims, signed with the provider's key or another."""
        key = key or self.key
        return jwt.encode({"alg": alg, "kid": key.kid}, cast("dict[str, Any]", self.claims(**other)), key, algorithms=[alg])

    def document(self) -> dict[str, object]:
        """What it says of itself."""
        own = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return {**own, **self.said}

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body for a request."""
        if path in self.whole:
            return self.whole[path]
        found: dict[str, Callable[[], dict[str, object]]] = {
            "/.well-known/openid-configuration": self.document,
            "/keys": lambda: {"keys": [key.as_dict(private=False) for key in self.published or [self.key]]},
            "/token": lambda: {"access_token": "a", "token_type": "Bearer", "id_token": self.token(self)},
        }
        return (200, json.dumps(found[path]()).encode()) if path in found else (404, b"{}")


@contextmanager
def provider() -> Iterator[Answers]:
    """Runs one on a free port."""
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            answers.asked.append((self.path, {key: values[0] for key, values in parse_qs(body).items()}, dict(self.headers)))
            status, content = answers.answer(self.path)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", answers.issuer + "/elsewhere")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - http.server's name for it

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answers.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""One HTTP address of a history server, by way of the InfluxDB client; every answer becomes a reply or an error with a meaning.

2xx             the reply
400, 413, 422   NotTakenError: this body will not do, another may
401, 403        StoreError(refused): a person must act
404             MissingError: the database is not there
429, 503        StoreError(retry_after_s) as Retry-After says
anything else, a time-out, a reply cut short    StoreError: the same again later
"""

import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from influxdb_client import InfluxDBClient  # type: ignore[attr-defined]
from influxdb_client.rest import ApiException

from domain.errors import StoreError

CONNECT_S: Final = 5.0
_WHOLE: Final = 4  # times the time limit of one read: so long a reply may take from its first byte to its last
_LONGEST_S: Final = 3_600.0  # of a Retry-After that is heeded
_PIECE: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS
_JSON: Final = {"Accept": "application/json"}

Query = Mapping[str, str] | None


class NotTakenError(Exception):
    """The server refused this body (400, 413, 422); ``status`` and the server's own words tell why."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class MissingError(StoreError):
    """What was asked for is not there (404): as a rule the database has yet to be made."""


@dataclass(frozen=True)
class Reply:
    """A reply of 2xx, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        """The body as JSON. Raises StoreError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise StoreError(f"an answer that is no JSON: {self.body[:80]!r}") from error


class Endpoint:
    """Sends requests to ``url``; ``ca_file`` is the authority that signed its certificate, where that is a private one.

    ``token`` goes with each request and is never shown; one of the form ``user:password`` is for HTTP's basic authentication.
    """

    def __init__(self, url: str, token: str = "", *, timeout_s: float = 30.0, ca_file: str = "") -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._client = InfluxDBClient(
            url=self.url,
            token=token or None,  # type: ignore[arg-type]
            timeout=(min(CONNECT_S, timeout_s) * 1000, timeout_s * 1000),
            ssl_ca_cert=ca_file or None,
            auth_basic=":" in token,
        )

    def call(self, method: str, path: str, query: Query = None, *, body: Any = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """The server's reply; ``body`` is bytes, or a document where the headers say that it goes as JSON.

        Raises NotTakenError, MissingError or StoreError as the table above says.
        """
        try:
            response = self._client.api_client.call_api(  # type: ignore[no-untyped-call]
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Content-Type": "text/plain", "Accept-Encoding": "identity", **(headers or {})},
                body=body,
                _return_http_data_only=True,
                _preload_content=False,
            )
            return Reply(response.status, response.headers, self._read(response))
        except ApiException as error:
            raise self._failure(error) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreError(f"{self.url}: {self._trouble(error)}") from error

    def ask(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> bytes:
        """The reply to a question sent as a form: questions about many points are too long for an address."""
        form_type = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return self.call("POST", path, body=urlencode(form).encode(), headers={**form_type, **(headers or {})}).body

    def document(self, method: str, path: str, query: Query = None, *, body: Any = None) -> Any:
        """The reply to a request, both as documents (JSON)."""
        if body is None:
            return self.call(method, path, query, headers=_JSON).document()
        return self.call(method, path, query, body=body, headers={**_JSON, "Content-Type": "application/json"}).document()

    def write(self, path: str, query: Mapping[str, str], lines: bytes) -> None:
        """Sends line protocol, compressed."""
        packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
        packed = packer.compress(lines) + packer.flush()
        self.call("POST", path, query, body=packed, headers={"Content-Encoding": "gzip"})

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _trouble(self, error: Exception) -> str:
        """Why there was no answer, in the system's words; those of urllib3 begin with an object of Python."""
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
            return f"no connection within {min(CONNECT_S, self._timeout_s):g} s"
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return _words(error)

    def _read(self, response: Any) -> bytes:
        if response.length_remaining is None and not response.chunked and response.status != 204:
            response.close()  # cut off within its head, it would pass for an empty answer
            raise StoreError(f"{self.url}: a reply that does not say where it ends")
        deadline = time.monotonic() + _WHOLE * self._timeout_s
        pieces = []
        try:
            for piece in response.stream(_PIECE, decode_content=True):
                pieces.append(piece)
                if time.monotonic() > deadline:
                    response.close()
                    raise StoreError(f"{self.url}: its reply takes longer than {_WHOLE * self._timeout_s:g} s")
        finally:
            response.release_conn()
        return b"".join(pieces)

    def _failure(self, error: ApiException) -> Exception:
        status = int(error.status or 0)
        if not status:
            return StoreError(f"{self.url}: {_words(error.reason)}", refused=True)  # TLS: a certificate does not fit
        words = _server_words(error.body) or str(error.reason or "")
        where = f"{self.url}: {status} {words}".rstrip()
        if status in {400, 413, 422}:
            return NotTakenError(status, words)
        if status in {401, 403}:
            return StoreError(where, refused=True)
        if status == 404:
            return MissingError(where)
        return StoreError(where, retry_after_s=_retry_after_s(error.headers))


def _retry_after_s(headers: Mapping[str, str] | None) -> float | None:
    """Seconds to wait, as the server says; None where it does not."""
    text = (headers or {}).get("Retry-After", "").strip()
    if not text:
        return None
    try:
        wait_s = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait_s = (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, wait_s), _LONGEST_S)


def _server_words(body: Any) -> str:
    """What the server says of its refusal: the ``error`` or ``message`` of a JSON body, else the body's first line."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        document = json.loads(text)
    except ValueError:
        return _words(text)
    if isinstance(document, dict):
        return _words(document.get("error") or document.get("message") or text)
    return _words(text)


def _words(reason: object) -> str:
    """One line of at most 300 characters."""
    return " ".join(str(reason).split())[:300]

"""An InfluxDB 2 as far as its HTTP contract goes: buckets, mappings, writes with every answer that there is. It has no readings to give."""

import json
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "t0ken of the stub"


@dataclass
class Answer:
    """What a write is answered with, instead of what would be right; ``takes``: whether its lines are stored all the same."""

    status: int
    words: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    takes: bool = False


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Stub:
    """``answers`` are given to the next writes, in order; ``judge`` says of a line why it is refused, None for taken.

    ``organisations`` are those that there are, None for any.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.answers: deque[Answer] = deque()
        self.judge: Callable[[str], str | None] = lambda _: None
        self.refusal = 400
        self.most_bytes = 10**9
        self.version = "v2.7.6"
        self.asked: list[Asked] = []
        self.lines: list[str] = []
        self.buckets: list[dict[str, Any]] = []
        self.mappings: list[dict[str, Any]] = []
        self.organisations: list[str] | None = None
        self.url = ""

    @property
    def writes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == "/api/v2/write"]

    @property
    def readings(self) -> list[str]:
        """The lines taken that are readings."""
        return [line for line in self.lines if not line.startswith("keepwarm_")]

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        if asked.path == "/ping":
            return 204, {"X-Influxdb-Version": self.version}, None
        if asked.headers.get("authorization") != f"Token {self.token}":
            return 401, {}, {"code": "unauthorized", "message": "unauthorized access"}
        if asked.path == "/api/v2/write":
            return self._write(asked)
        if asked.path == "/query":
            return 200, {}, self._shown(asked) if "json" in asked.headers.get("accept", "") else None
        return self._manage(asked)

    def _shown(self, asked: Asked) -> Any:
        """The one question in JSON: SHOW TAG VALUES of the history's identity."""
        stamps = {line.split("identity=")[1].split(" ")[0] for line in self.lines if line.startswith("keepwarm_history,")}
        rows = [["identity", stamp] for stamp in sorted(stamps)]
        series = [{"name": "keepwarm_history", "columns": ["key", "value"], "values": rows}] if rows else []
        return {"results": [{"statement_id": 0, "series": series}]}

    def _write(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        lines = asked.body.decode().splitlines()
        if self.answers:
            answer = self.answers.popleft()
            if answer.takes:
                self.lines += lines
            return answer.status, answer.headers, {"code": "x", "message": answer.words}
        if len(asked.body) > self.most_bytes:
            return 413, {}, {"code": "request too large", "message": "request body too large"}
        if not any(bucket["name"] == asked.query["bucket"] for bucket in self.buckets):
            return 404, {}, {"code": "not found", "message": f"bucket {asked.query['bucket']!r} not found"}
        faults = [fault for line in lines if (fault := self.judge(line))]
        self.lines += [line for line in lines if not self.judge(line)]
        if faults:
            return self.refusal, {}, {"code": "invalid", "message": f"partial write: {faults[0]} dropped={len(faults)}"}
        return 204, {}, None

    def _manage(self, asked: Asked) -> tuple[int, dict[str, str], Any]:
        document = json.loads(asked.body) if "json" in asked.headers.get("content-type", "") and asked.body else {}
        if asked.path == "/api/v2/orgs":
            if self.organisations is not None and asked.query["org"] not in self.organisations:
                return 404, {}, {"code": "not found", "message": f'organization name "{asked.query["org"]}" not found'}
            return 200, {}, {"orgs": [{"id": "0rg", "name": asked.query["org"]}]}
        if asked.path == "/api/v2/dbrps":
            if asked.method == "POST":
                self.mappings.append(document)
            return 200, {}, {"content": [mapping for mapping in self.mappings if mapping["database"] == asked.query.get("db")]}
        if asked.path == "/api/v2/buckets" and asked.method == "POST":
            self.buckets.append({"id": f"b{len(self.buckets)}", **document})
            return 201, {}, self.buckets[-1]
        if asked.path == "/api/v2/buckets":
            found = [bucket for bucket in self.buckets if bucket["name"] == asked.query["name"]]
            return (200, {}, {"buckets": found}) if found else (404, {}, {"code": "not found", "message": "bucket not found"})
        if asked.method == "PATCH":
            bucket = next(bucket for bucket in self.buckets if asked.path.endswith(bucket["id"]))
            bucket.update(document)
            return 200, {}, bucket
        return 404, {}, {"code": "not found", "message": asked.path}


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompress(body, 16 + zlib.MAX_WBITS)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            stub.asked.append(asked)
            status, more, document = stub.answer(asked)
            content = document if isinstance(document, bytes) else b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - http.server's names

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's name
            """Says nothing."""

    return Handler


@contextmanager
def serving(stub: Stub, port: int = 0) -> Iterator[Stub]:
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(stub))
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)

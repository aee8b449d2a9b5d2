"""Who dribbles a request, or sends none, does not keep his connection; who waits for a slow answer does."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from dashboard.in_time import InTime
from tests.dashboard.conftest import until

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"


class Soon(InTime):
    whole_s = 0.3


@dataclass
class Serving:
    """A server whose answers to ``/slow`` and to ``/echo`` wait until they are let go."""

    port: int
    go: threading.Event

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 20)


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


@pytest.fixture
def serving() -> Iterator[Serving]:
    go = threading.Event()

    async def slow(_: Request) -> PlainTextResponse:
        await asyncio.to_thread(go.wait, 30)
        return PlainTextResponse("slow")

    async def stream(open_page: WebSocket) -> None:
        await open_page.accept()
        await open_page.send_text(await open_page.receive_text())

    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"]), Route("/slow", slow), WebSocketRoute("/stream", stream)])
    server = uvicorn.Server(uvicorn.Config(app, http=Soon, ws="websockets-sansio", log_level="critical", timeout_graceful_shutdown=1))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until(lambda: server.started)
    yield Serving(listening.getsockname()[1], go)
    go.set()
    server.should_exit = True
    thread.join(20)
    listening.close()


def is_cut_off(client: socket.socket, dribbled: bytes = b"") -> bool:
    """Whether the server ends the connection; it is sent a byte in between, where there are any."""
    client.settimeout(0.05)
    for byte in [*dribbled, *[None] * 100]:
        try:
            if byte is not None:
                client.sendall(bytes([byte]))
            if client.recv(1_000) == b"":
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


@pytest.mark.parametrize(
    ("sent", "dribbled"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n", b"x" * 100),
        (HEAD + b"\r\n", b""),
        (HEAD + b"\r\n1234", b"56"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nx-header: " + b"x" * 200),  # the second one on a connection
    ],
)
def test_what_does_not_come_whole_is_cut_off(serving: Serving, sent: bytes, dribbled: bytes) -> None:
    with serving.open() as client:
        client.sendall(sent)
        assert is_cut_off(client, dribbled)


def test_whoever_waits_for_an_answer_is_left_alone_and_so_is_an_open_page(serving: Serving) -> None:
    with serving.open() as patient, connect(f"ws://127.0.0.1:{serving.port}/stream", proxy=None) as page, serving.open() as dribbling:
        patient.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert is_cut_off(dribbling)  # which came last: the others' time is over too
        serving.go.set()
        assert b"slow" in patient.recv(10_000)
        page.send("still here")
        assert page.recv(20) == "still here"


def test_a_request_that_comes_in_parts_is_answered(serving: Serving) -> None:
    with serving.open() as client:
        client.sendall(HEAD + b"\r\n123")
        client.sendall(b"456789")
        assert b"123456789" in client.recv(10_000)

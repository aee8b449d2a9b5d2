"""A wire to a server that can misbehave: silent, cut in the midst of a request or a reply, slow, refused."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

Mood = Literal["pass", "silent", "cut_request", "cut_reply", "lose_reply", "slow", "drip", "reset"]


class Proxy:
    """Carries each connection to ``target`` in the mood it has when a request begins; ``trips`` counts the spoilt ones."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.1)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.mood: Mood = "pass"
        self.slow_s = 0.3
        self.trips = 0
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads[0].start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._carry, args=(connection,)))
                self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        with client, server, contextlib.suppress(OSError):
            server.settimeout(20)
            while not self._ended.is_set():
                if not select.select([client], [], [], 0.05)[0]:
                    continue
                request = _message(client)
                if not request or not self._one(client, server, request):
                    return

    def _one(self, client: socket.socket, server: socket.socket, request: bytes) -> bool:
        """One request and its reply; whether the connection goes on."""
        mood = self.mood
        self.trips += mood != "pass"
        if mood == "silent":
            self._ended.wait(20)
            return False
        if mood == "cut_request":
            server.sendall(request[: len(request) * 2 // 3])
            return False
        server.sendall(request)
        reply = _message(server)
        if mood == "lose_reply":
            return False
        if mood == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            return False
        if mood == "cut_reply":
            client.sendall(reply[: len(reply) * 2 // 3])
            return False
        if mood == "slow":
            time.sleep(self.slow_s)
        if mood == "drip":
            for at in range(0, len(reply), max(1, len(reply) // 20)):
                client.sendall(reply[at : at + max(1, len(reply) // 20)])
                time.sleep(self.slow_s / 20)
            return True
        client.sendall(reply)
        return True


def _message(side: socket.socket) -> bytes:
    """One whole HTTP message; empty at the end of the connection."""
    data = side.recv(65_536)
    while data and b"\r\n\r\n" not in data:
        data += side.recv(65_536)
    head = data.split(b"\r\n\r\n", 1)[0].lower()
    if b"chunked" in head:
        while not data.endswith(b"0\r\n\r\n"):
            data += side.recv(65_536)
    elif b"content-length:" in head:
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(data) < len(head) + 4 + length:
            data += side.recv(65_536)
    return data


@contextmanager
def through_proxy(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.end()

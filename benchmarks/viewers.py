"""Viewers of the pages as their browsers are for the server: a page's stream with its fragments' ticks, its panels and clock by HTTP."""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Final, Self

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

BEGINS_S: Final = 60.0
FRESH_S: Final = 2.0  # panel.js, bar.js


@dataclass
class Seen:
    """What came to one viewer or to many. The lateness of a refresh is counted from its tick to its last byte."""

    opened_s: list[float] = field(default_factory=list)
    opened_bytes: list[int] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    refresh_bytes: int = 0  # as they went over the line
    ticks: int = 0
    fresh: list[str] = field(default_factory=list)  # the address of a page's panels
    missed: int = 0  # ticks that were answered together with a later one, or not at all
    troubles: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, many: Sequence["Seen"]) -> "Seen":
        seen = cls()
        for one in many:
            seen.opened_s += one.opened_s
            seen.opened_bytes += one.opened_bytes
            seen.late_s += one.late_s
            seen.refresh_bytes += one.refresh_bytes
            seen.ticks += one.ticks
            seen.fresh += one.fresh
            seen.missed += one.missed
            seen.troubles += one.troubles
        return seen

    def late(self, share: float) -> float:
        """So many of the refreshes were not later than this, in seconds."""
        return sorted(self.late_s)[min(len(self.late_s) - 1, int(share * len(self.late_s)))] if self.late_s else float("nan")


class Viewer:
    """One open page, which refreshes from its first whole page on (with ``ticks``). Use as ``async with``."""

    def __init__(self, port: int, cookie: str = "", page: str = "", *, asks: Sequence[str] = (), ticks: bool = True) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.cookie = cookie
        self.page = page
        self.asks = asks
        self.ticks = ticks
        self.seen = Seen()
        self.fragments: dict[str, float] = {}
        self.fresh: list[str] = []
        self._asked: dict[str, deque[float]] = {}
        self._size = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        self._http = httpx.AsyncClient(base_url=self.origin, headers={"cookie": self.cookie}, timeout=BEGINS_S)
        self._socket = await connect(
            f"{self.origin.replace('http', 'ws')}/_stcore/stream",
            additional_headers={"Cookie": self.cookie, "Origin": self.origin},
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
        )
        await _ask(self._socket, self.page)
        async with asyncio.timeout(BEGINS_S):
            while not self._heard(await self._socket.recv()):
                pass
        self.seen = Seen([time.monotonic() - began], [self._size], troubles=self.seen.troubles)
        self._size = 0
        self.seen.fresh = [f"/fresh?{httpx.QueryParams([('panel', name) for name in self.fresh])}"] if self.fresh else []
        if self.ticks:
            works = [self._listen(), *map(self._tick, self.fragments), *map(self._poll, [*self.seen.fresh, *self.asks])]
            self._tasks = [asyncio.create_task(work) for work in works]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()
        await self._http.aclose()

    async def _tick(self, fragment: str) -> None:
        at = time.monotonic()
        while True:
            at += self.fragments[fragment]
            await asyncio.sleep(at - time.monotonic())
            self._asked.setdefault(fragment, deque()).append(time.monotonic())
            self.seen.ticks += 1
            await _ask(self._socket, self.page, fragment)

    async def _poll(self, address: str) -> None:
        at = time.monotonic()
        while True:
            at += FRESH_S
            behind_s = time.monotonic() - at
            if behind_s > FRESH_S:  # as panel.js: nothing is asked for while an answer is awaited
                self.seen.missed += int(behind_s / FRESH_S)
                at += int(behind_s / FRESH_S) * FRESH_S
            await asyncio.sleep(at - time.monotonic())
            asked = time.monotonic()
            self.seen.ticks += 1
            answer = await self._http.get(address)
            self.seen.late_s.append(time.monotonic() - asked)
            self.seen.refresh_bytes += answer.num_bytes_downloaded
            if answer.status_code != 200:
                self.seen.troubles[f"{address}: {answer.status_code}"] += 1

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            async for data in self._socket:
                if self._heard(data):
                    self.seen.refresh_bytes += self._size
                    self._size = 0
            return
        self.seen.troubles["connection lost"] += 1

    def _heard(self, data: str | bytes) -> bool:
        """Takes in one message; whether it ended a run of the page or of a fragment."""
        assert isinstance(data, bytes)
        self._size += len(data)
        message = ForwardMsg.FromString(data)
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self.fragments[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "delta":
            self._show(message)
        elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            for fragment in message.metadata.run.fragment_ids:
                asked = self._asked.get(fragment, deque())
                if asked:
                    self.seen.late_s.append(time.monotonic() - asked[0])
                    self.seen.missed += len(asked) - 1
                    asked.clear()
            return True
        return False

    def _show(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "exception":
            self.seen.troubles[element.exception.message] += 1
        elif kind == "bidi_component":
            name = json.loads(element.bidi_component.json or "{}").get("fresh")
            if name and name not in self.fresh:
                self.fresh.append(name)


async def _ask(socket: ClientConnection, page: str, fragment: str = "") -> None:
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.fragment_id = fragment
    message.rerun_script.is_auto_rerun = bool(fragment)
    await socket.send(message.SerializeToString())


async def watch(
    port: int, cookies: Sequence[str], seconds: float, *, asks: Sequence[str] = (), opened: Callable[[], None] = lambda: None
) -> Seen:
    """So many viewers who open their pages one after the other and look on together for so long; ``opened`` is called in between.

    ``asks`` are addresses that every page asks for beside its panels.
    """
    viewers: list[Viewer] = []
    async with AsyncExitStack() as stack:
        for cookie in cookies:
            viewers.append(await stack.enter_async_context(Viewer(port, cookie, asks=asks)))
            await asyncio.sleep(min(0.04, FRESH_S / len(cookies)))  # so that their ticks are spread, as people's are
        for viewer in viewers:
            viewer.seen = Seen(viewer.seen.opened_s, viewer.seen.opened_bytes, fresh=viewer.seen.fresh)
        opened()
        await asyncio.sleep(seconds)
        seen = [viewer.seen for viewer in viewers]
    return Seen.of(seen)

"""A request has to come whole in time: who dribbles it holds one of the sockets that everybody needs (slowloris)."""

from asyncio import TimerHandle, Transport
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

WHOLE_S: Final = 30.0  # 64 KiB over the slowest of telephones


class InTime(H11Protocol):
    """uvicorn's protocol, which ends a connection whose request, head and body, is not there after ``whole_s`` seconds.

    uvicorn itself waits for ever for what a client has begun, or never begins, to send.
    """

    whole_s = WHOLE_S

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._late: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """From now on a request is awaited."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """What came may complete the request, or begin the next one."""
        super().data_received(data)
        is_open_page = self not in self.connections  # a websocket's by now
        if self.conn.their_state in {h11.IDLE, h11.SEND_BODY} and not is_open_page:
            self._await_request()
        else:
            self._is_whole()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._is_whole()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.whole_s, self.transport.abort)

    def _is_whole(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

"""A Modbus server of few lines that misbehaves on purpose, and writes down everything it was asked."""

import asyncio
import os
import struct
import tty
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pymodbus.framer import FramerRTU


@dataclass
class Asked:
    """One request as it came over the wire."""

    transaction: int
    unit: int
    function: int
    address: int
    count: int


Answer = Callable[[Asked, "Wire"], Coroutine[Any, Any, None]]


@dataclass
class Wire:
    """One accepted connection."""

    writer: asyncio.StreamWriter
    rtu: bool
    bus: int | None = None  # the descriptor of a serial bus, instead of the writer

    async def reply(self, asked: Asked, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> None:
        self.send(self.frame(asked, pdu, unit=unit, transaction=transaction))

    def frame(self, asked: Asked, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        body = bytes([asked.unit if unit is None else unit]) + pdu
        if self.rtu:
            return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
        return struct.pack(">HHH", asked.transaction if transaction is None else transaction, 0, len(body)) + body

    def send(self, data: bytes) -> None:
        if self.bus is not None:
            os.write(self.bus, data)
        elif not self.writer.is_closing():
            self.writer.write(data)

    def reset(self) -> None:
        """RST, not FIN."""
        self.writer.transport.abort()


@dataclass
class RawModbus:
    """The server. ``answer`` decides what happens to each request."""

    answer: Answer
    rtu: bool = False
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open_at_once: int = 0
    most_open: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RawModbus"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            for writer in self._writers:
                writer.transport.abort()
            await server.wait_closed()
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_at_once += 1
        self.most_open = max(self.most_open, self.open_at_once)
        self._writers.add(writer)
        wire = Wire(writer, self.rtu)
        try:
            while True:
                if self.rtu:
                    frame = await reader.readexactly(8)
                    asked = Asked(0, frame[0], frame[1], *struct.unpack(">HH", frame[2:6]))
                else:
                    transaction, _, length = struct.unpack(">HHH", await reader.readexactly(6))
                    body = await reader.readexactly(length)
                    asked = Asked(transaction, body[0], body[1], *struct.unpack(">HH", body[2:6]))
                self.asked.append(asked)
                task = asyncio.create_task(self.answer(asked, wire))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_at_once -= 1
            writer.close()


@dataclass
class RawSerial:
    """Units on a serial bus: one end of a pseudo terminal, whose other end is the collector's port."""

    answer: Answer
    asked: list[Asked] = field(default_factory=list)
    address: str = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RawSerial"]:
        bus, port = os.openpty()
        tty.setraw(bus)
        tty.setraw(port)
        os.set_blocking(bus, False)
        self.address = f"{os.ttyname(port)}:19200:8N1"
        loop = asyncio.get_running_loop()
        wire = Wire(None, rtu=True, bus=bus)  # type: ignore[arg-type]
        tasks: set[asyncio.Task[None]] = set()
        buffer = bytearray()

        def readable() -> None:
            buffer.extend(os.read(bus, 256))
            while len(buffer) >= 8:
                asked = Asked(0, buffer[0], buffer[1], *struct.unpack(">HH", buffer[2:6]))
                del buffer[:8]
                self.asked.append(asked)
                task = asyncio.create_task(self.answer(asked, wire))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        loop.add_reader(bus, readable)
        try:
            yield self
        finally:
            loop.remove_reader(bus)
            for task in tasks:
                task.cancel()
            os.close(bus)
            os.close(port)


def registers(asked: Asked, *values: int) -> bytes:
    """A sound reply's PDU with these registers, repeated to the count asked for."""
    words = [values[index % len(values)] for index in range(asked.count)]
    return bytes([asked.function, 2 * asked.count]) + struct.pack(f">{asked.count}H", *words)


def exception(asked: Asked, code: int) -> bytes:
    """An exception reply's PDU."""
    return bytes([asked.function | 0x80, code])

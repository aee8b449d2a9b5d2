"""Modbus on the wire: TCP, RTU over TCP, serial RTU. Reading only: no function above 4 can leave here.

pymodbus gives the requests' bytes, the frames and the checksum; the transport is our own, because the library's client checks
neither function nor length of a reply (see libraries.md), and because its converters work value by value.
"""

import asyncio
import os
from functools import lru_cache
from typing import Final, cast

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest
from pymodbus.transport.serialtransport import create_serial_connection

from collector.blocks import Request
from collector.sources.replies import BrokenLineError, ExceptionReplyError, Question, SilentError, WrongReplyError, values_in
from domain.errors import SourceError

READS: Final[dict[int, type[ModbusPDU]]] = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
GRACE_S = 0.005
QUIET_CHARACTERS, BITS_OF_CHARACTER, LEAST_QUIET_S = 3.5, 11, 0.00175  # Modbus over serial line V1.02, 2.5.1.1

_SOCKET = FramerSocket(DecodePDU(False))
_RTU = FramerRTU(DecodePDU(False))


@lru_cache(maxsize=65_536)
def _pdu(function: int, address: int, count: int) -> bytes:
    request = READS[function](address=address, count=count)
    try:
        return bytes([request.function_code]) + request.encode()
    except ValueError as error:
        raise SourceError(f"registers {address} to {address + count - 1} can't be asked for: {error}") from error


class Line(asyncio.Protocol):
    """One connection with one request in flight. ``late`` counts replies that came when nobody waited for them any more."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._question: Question | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._transaction = 0
        self.made = asyncio.Event()
        self.late = 0
        self.bytes = 0

    @property
    def connected(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Drops the connection at once; a request in flight fails."""
        if self._transport is not None:
            self._transport.abort()
        self._transport = None
        self._buffer.clear()
        self._fail(BrokenLineError("connection closed"))

    async def read(self, unit: int, request: Request, base: int, wait_s: float) -> bytes:
        """The bytes of values of one sound reply.

        Raises SilentError after ``wait_s`` wall seconds, ExceptionReplyError, WrongReplyError, or BrokenLineError.
        """
        if self._transport is None or not self.connected:
            raise BrokenLineError("not connected")
        assert self._question is None, "one request in flight"
        self._transaction = self._transaction % 65_000 + 1
        frame = self._frame(_pdu(request.function, base + request.offset, request.count), unit)
        self._question = Question(self._transaction, unit, request.function, request.size)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        self._answer = answer
        timer = loop.call_later(wait_s, _expire, loop, answer, wait_s)
        self._transport.write(frame)
        try:
            return await answer
        except ExceptionReplyError:
            raise
        except BaseException:
            self._distrust()
            raise
        finally:
            timer.cancel()
            self._question = self._answer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: the connection stands."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass of it
        self.made.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: the connection is gone."""
        self._transport = None
        self._buffer.clear()
        self._fail(BrokenLineError(f"connection lost: {exc}" if exc else "connection closed by the other end"))

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        self.bytes += len(data)
        self._buffer += data
        try:
            values = self._take()
        except BrokenLineError as error:
            self._fail(error)
            self.close()
        except SourceError as error:
            self._fail(error)
        else:
            if values is not None and self._answer is not None and not self._answer.done():
                self._answer.set_result(values)

    def _fail(self, error: SourceError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _frame(self, pdu: bytes, unit: int) -> bytes:
        raise NotImplementedError

    def _take(self) -> bytes | None:
        """Takes frames off the buffer; the values of the one that answers the question, None while it is not there yet."""
        raise NotImplementedError

    def _distrust(self) -> None:
        """What must happen to the connection after a request without a sound reply (silence, wrong reply, cancelled)."""


class TcpLine(Line):
    """Modbus TCP. A late reply is known by its transaction, so the connection outlives a time-out."""

    def _frame(self, pdu: bytes, unit: int) -> bytes:
        return _SOCKET.encode(pdu, unit, self._transaction)

    def _take(self) -> bytes | None:
        buffer, question = self._buffer, self._question
        while len(buffer) >= _SOCKET.MIN_SIZE:
            length = int.from_bytes(buffer[4:6], "big")
            if buffer[2:4] != b"\0\0" or not 3 <= length <= 254:
                raise BrokenLineError(f"not a Modbus frame: {bytes(buffer[:12]).hex()}")
            if len(buffer) < 6 + length:
                return None
            transaction, unit, pdu = int.from_bytes(buffer[:2], "big"), buffer[6], bytes(buffer[7 : 6 + length])
            del buffer[: 6 + length]
            if question is None or transaction != question.transaction:
                self.late += 1
                continue
            if unit != question.unit:
                raise WrongReplyError(f"unit {unit} answered for unit {question.unit}")
            return values_in(pdu, question)
        return None


class RtuLine(Line):
    """RTU frames over TCP or a serial line. Without transaction ids: after any reply missed, the connection is given up.

    That alone is not enough where what is behind the connection lives on (a serial port, a transparent serial server): a reply that
    late comes over the next connection. So ``Gateway`` asks first a question whose reply can't be alike.
    """

    def _frame(self, pdu: bytes, unit: int) -> bytes:
        return _RTU.encode(pdu, unit, 0)

    def _take(self) -> bytes | None:
        buffer, question = self._buffer, self._question
        if question is None:
            self.late += 1
            buffer.clear()
            return None
        if len(buffer) < 3:
            return None
        unit, function, size = buffer[:3]
        if unit != question.unit:
            raise WrongReplyError(f"unit {unit} answered for unit {question.unit}")
        total = 5 if function & 0x80 else 5 + question.size
        if not function & 0x80 and (function, size) != (question.function, question.size):
            raise WrongReplyError(f"reply of function {function} with {size} bytes to function {question.function} for {question.size}")
        if len(buffer) < total:
            return None
        frame = bytes(buffer)
        buffer.clear()
        if len(frame) > total:
            raise WrongReplyError("bytes after the end of the reply")
        if not _RTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            raise WrongReplyError("checksum of the reply is wrong")
        return values_in(frame[1:-2], question)

    def _distrust(self) -> None:
        self.close()


class SerialLine(RtuLine):
    """A serial port. Frames are told apart by silence: each begins ``quiet_s`` after the last byte, whoever sent it."""

    def __init__(self, baud: int) -> None:
        super().__init__()
        self.quiet_s = max(QUIET_CHARACTERS * BITS_OF_CHARACTER / baud, LEAST_QUIET_S)
        self._heard_at = asyncio.get_running_loop().time()

    async def read(self, unit: int, request: Request, base: int, wait_s: float) -> bytes:
        """As for any line, once it has been quiet for long enough."""
        await asyncio.sleep(self._heard_at + self.quiet_s - asyncio.get_running_loop().time())
        return await super().read(unit, request, base, wait_s)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        self._heard_at = asyncio.get_running_loop().time()
        super().data_received(data)


def _expire(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[bytes], wait_s: float) -> None:
    """Ends the wait, unless the reply is there already and only we were late: a busy loop runs its timers before its sockets."""

    def end() -> None:
        if not answer.done():
            answer.set_exception(SilentError(f"no reply within {wait_s:.2f} s"))

    loop.call_later(GRACE_S, end)


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``; 502 without a port.

    Raises SourceError when the port is not a number.
    """
    host, colon, port = address.rpartition(":")
    if not colon or host.endswith(":") or address.endswith("]"):
        host, port = address, "502"
    if not port.isdigit():
        raise SourceError(f"{address!r} is not host:port")
    return host.strip("[]"), int(port)


async def connect(protocol: str, address: str, wait_s: float) -> Line:
    """Opens the connection of a gateway.

    Raises SourceError when it can't be opened within ``wait_s`` wall seconds.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(wait_s):
            if protocol == "modbus_rtu":
                return await _open_serial(address)
            kind = TcpLine if protocol == "modbus_tcp" else RtuLine
            _, line = await loop.create_connection(kind, *split_address(address))
            return line
    except TimeoutError:
        raise SilentError(f"no connection within {wait_s:.2f} s") from None
    except OSError as error:
        raise BrokenLineError(f"no connection: {_words_of(error)}") from error
    except ValueError as error:  # a speed that the port does not have
        raise BrokenLineError(f"no connection: {error}") from error


def _words_of(error: OSError) -> str:
    """What the system calls it: an event loop's own words repeat the address. A name that can't be looked up has a number below 0."""
    return os.strerror(error.errno).lower() if error.errno is not None and error.errno > 0 else error.strerror or str(error)


async def _open_serial(address: str) -> Line:
    """Opens ``/dev/…:9600:8N1``; the device's own name may hold colons, as those of ``/dev/serial/by-path`` do."""
    port, speed, frame = address.rsplit(":", 2)
    loop = asyncio.get_running_loop()
    baud = int(speed)
    _, line = await create_serial_connection(
        loop,
        lambda: SerialLine(baud),
        port,
        baudrate=baud,
        bytesize=int(frame[0]),
        parity=frame[1],
        stopbits=int(frame[2]),
        timeout=0,
    )
    assert isinstance(line, SerialLine)
    await line.made.wait()
    return line

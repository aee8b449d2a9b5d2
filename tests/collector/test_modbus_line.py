"""One connection against servers that misbehave: what is not the sound reply to this question is never taken for it."""

import asyncio
import os
import struct
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.blocks import requests_of
from collector.sources.modbus import Line, connect, split_address
from collector.sources.replies import BrokenLineError, ExceptionReplyError, SilentError, WrongReplyError
from domain.errors import SourceError
from domain.profile import ModbusProfile, Register
from tests.collector.raw_modbus import Answer, Asked, RawModbus, Wire, exception, registers

REQUEST = requests_of(ModbusProfile("p", "p", (Register("tank_level_m", 0, "u16"), Register("outdoor_temp_c", 1, "i16"))))[0]
PROTOCOLS = ("modbus_tcp", "modbus_rtu_tcp")


async def sound(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, registers(asked, asked.address, asked.unit))


async def line_to(server: RawModbus) -> Line:
    return await connect("modbus_rtu_tcp" if server.rtu else "modbus_tcp", server.address, 1.0)


@pytest.fixture(params=[False, True], ids=PROTOCOLS)
def rtu(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_a_sound_reply_gives_the_bytes_of_values(rtu: bool) -> None:
    async with RawModbus(sound, rtu).running() as server:
        line = await line_to(server)
        assert await line.read(7, REQUEST, 300, 1.0) == struct.pack(">HH", 300, 7)
        assert await line.read(8, REQUEST, 400, 1.0) == struct.pack(">HH", 400, 8)
        assert [(asked.function, asked.address, asked.count) for asked in server.asked] == [(4, 300, 2), (4, 400, 2)]
        line.close()


async def test_a_reply_in_many_pieces_is_put_together(rtu: bool) -> None:
    async def in_pieces(asked: Asked, wire: Wire) -> None:
        for byte in wire.frame(asked, registers(asked, 1, 2)):
            wire.send(bytes([byte]))
            await asyncio.sleep(0.001)

    async with RawModbus(in_pieces, rtu).running() as server:
        line = await line_to(server)
        assert await line.read(1, REQUEST, 0, 1.0) == b"\0\1\0\2"
        line.close()


@pytest.mark.parametrize("code", [1, 2, 6, 0x0A, 0x0B])
async def test_an_exception_is_an_answer_and_the_line_stays(rtu: bool, code: int) -> None:
    async def refuse(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, exception(asked, code))

    async with RawModbus(refuse, rtu).running() as server:
        line = await line_to(server)
        with pytest.raises(ExceptionReplyError) as caught:
            await line.read(1, REQUEST, 0, 1.0)
        assert caught.value.code == code
        assert line.connected
        line.close()


async def other_unit(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, registers(asked, 1), unit=asked.unit + 1)


async def other_function(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, bytes([3]) + registers(asked, 1)[1:])


async def exception_of_other_function(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, bytes([0x83, 2]))


async def too_short(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, bytes([asked.function, 2, 0, 1]))


async def too_long(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, bytes([asked.function, 6, 0, 1, 0, 2, 0, 3]))


async def lying_about_its_length(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, bytes([asked.function, 9, 0, 1, 0, 2]))


@pytest.mark.parametrize("answer", [other_unit, other_function, too_short, too_long, lying_about_its_length])
async def test_a_reply_to_another_question_is_refused(rtu: bool, answer: Answer) -> None:
    async with RawModbus(answer, rtu).running() as server:
        line = await line_to(server)
        with pytest.raises(WrongReplyError):
            await line.read(1, REQUEST, 0, 0.5)
        assert line.connected == (not rtu), "without transaction ids nothing on this connection can be trusted any more"
        line.close()


async def test_an_exception_of_another_function_is_refused() -> None:
    async with RawModbus(exception_of_other_function).running() as server:
        line = await line_to(server)
        with pytest.raises(WrongReplyError):
            await line.read(1, REQUEST, 0, 0.5)
        line.close()


async def test_a_late_reply_is_never_taken_for_the_next(rtu: bool) -> None:
    """The first reply comes after its time-out, while the second question is waiting; both look alike but for the values."""

    asked_again, replied_late = asyncio.Event(), asyncio.Event()

    async def late_once(asked: Asked, wire: Wire) -> None:
        if len(server.asked) == 1:
            await asked_again.wait()
            await wire.reply(asked, registers(asked, 111))
            replied_late.set()
        else:
            asked_again.set()
            await replied_late.wait()
            await wire.reply(asked, registers(asked, 222))

    server = RawModbus(late_once, rtu)
    async with server.running():
        line = await line_to(server)
        with pytest.raises(SilentError):
            await line.read(1, REQUEST, 0, 0.1)
        if rtu:
            assert not line.connected
            line = await line_to(server)
        assert await line.read(1, REQUEST, 0, 1.0) == struct.pack(">HH", 222, 222)
        assert line.late == (0 if rtu else 1)
        line.close()


async def test_a_cancelled_request_leaves_nothing_behind(rtu: bool) -> None:
    arrived, asked_again, replied_late = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked, wire: Wire) -> None:
        if not arrived.is_set():
            arrived.set()
            await asked_again.wait()
            await wire.reply(asked, registers(asked, 1))
            replied_late.set()
        else:
            asked_again.set()
            await replied_late.wait()
            await wire.reply(asked, registers(asked, 2))

    server = RawModbus(slow, rtu)
    async with server.running():
        line = await line_to(server)
        task = asyncio.create_task(line.read(1, REQUEST, 0, 1.0))
        await asyncio.wait_for(arrived.wait(), 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if rtu:
            assert not line.connected
            line = await line_to(server)
        assert await line.read(1, REQUEST, 0, 1.0) == struct.pack(">HH", 2, 2)
        line.close()


async def test_bytes_that_nobody_asked_for_are_thrown_away() -> None:
    async with RawModbus(sound, rtu=True).running() as server:
        line = await line_to(server)
        assert await line.read(1, REQUEST, 0, 1.0)
        line.data_received(b"\x01\x04\x04\x00\x00\x00\x00")
        assert line.late == 1
        assert await line.read(2, REQUEST, 5, 1.0) == struct.pack(">HH", 5, 2)
        line.close()


async def test_garbage_ends_the_connection(rtu: bool) -> None:
    async def garbage(asked: Asked, wire: Wire) -> None:
        wire.send(bytes(range(1, 60)))

    async with RawModbus(garbage, rtu).running() as server:
        line = await line_to(server)
        with pytest.raises(SourceError):
            await line.read(1, REQUEST, 0, 0.5)
        assert not line.connected


async def test_a_spoilt_checksum_is_refused() -> None:
    async def spoilt(asked: Asked, wire: Wire) -> None:
        frame = bytearray(wire.frame(asked, registers(asked, 5)))
        frame[4] ^= 1
        wire.send(bytes(frame))

    async with RawModbus(spoilt, rtu=True).running() as server:
        line = await line_to(server)
        with pytest.raises(WrongReplyError, match="checksum"):
            await line.read(1, REQUEST, 0, 0.5)


async def test_a_reset_in_mid_frame_fails_at_once(rtu: bool) -> None:
    async def half(asked: Asked, wire: Wire) -> None:
        wire.send(wire.frame(asked, registers(asked, 5))[:-3])
        while not line.bytes:  # noqa: ASYNC110 - it has come then; nobody says so
            await asyncio.sleep(0)
        wire.reset()

    async with RawModbus(half, rtu).running() as server:
        line = await line_to(server)
        with pytest.raises(BrokenLineError):  # and no silence until the end of its patience
            await line.read(1, REQUEST, 0, 5.0)
        assert not line.connected


async def test_a_closed_port_is_named(free_port: Callable[[], int]) -> None:
    with pytest.raises(SourceError, match="no connection"):
        await connect("modbus_tcp", f"127.0.0.1:{free_port()}", 1.0)


async def test_an_address_beyond_the_last_register_can_not_be_asked_for() -> None:
    async with RawModbus(sound).running() as server:
        line = await line_to(server)
        with pytest.raises(SourceError, match="can't be asked for"):
            await line.read(1, REQUEST, 70_000, 1.0)
        line.close()


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("gw:1502", ("gw", 1502)),
        ("gw", ("gw", 502)),
        ("10.0.0.1", ("10.0.0.1", 502)),
        ("[::1]:1502", ("::1", 1502)),
        ("[::1]", ("::1", 502)),
    ],
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts


def test_an_address_without_a_number_for_a_port_is_refused() -> None:
    with pytest.raises(SourceError, match="host:port"):
        split_address("gateway:modbus")


@pytest.mark.parametrize("by_path", [False, True])
async def test_a_serial_line_speaks_rtu(by_path: bool, tmp_path: Path) -> None:
    """A pseudo terminal stands for the serial port; the device at its other end answers with raw frames."""
    device, port = os.openpty()
    tty.setraw(device)
    tty.setraw(port)
    os.set_blocking(device, False)
    loop = asyncio.get_running_loop()

    class Echo:
        """Answers each request of eight bytes."""

        buffer = b""

        def readable(self) -> None:
            self.buffer += os.read(device, 100)
            if len(self.buffer) >= 8:
                asked = Asked(0, self.buffer[0], self.buffer[1], *struct.unpack(">HH", self.buffer[2:6]))
                self.buffer = b""
                os.write(device, Wire(None, rtu=True).frame(asked, registers(asked, 42)))  # type: ignore[arg-type]

    loop.add_reader(device, Echo().readable)
    try:
        name = Path(os.ttyname(port))
        if by_path:  # as /dev/serial/by-path names ports
            name = tmp_path / "pci-0000:00:14.0-usb-0:2:1.0-port0"
            name.symlink_to(os.ttyname(port))
        line = await connect("modbus_rtu", f"{name}:9600:8N1", 1.0)
        assert await line.read(3, REQUEST, 0, 1.0) == struct.pack(">HH", 42, 42)
        line.close()
    finally:
        loop.remove_reader(device)
        os.close(device)
        os.close(port)

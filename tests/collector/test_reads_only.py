"""Nothing in ``collector/`` can change a device: no such function is called, none is there to be called, none leaves the process."""

import ast
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import collector
from collector.blocks import Request, requests_of
from collector.sources import modbus, mqtt
from collector.sources.opcua import session
from domain.clock import Clock
from domain.errors import SourceError
from domain.profile import ModbusProfile, Profile, Register
from domain.site import Device
from tests.collector.conftest import Collecting, MakeSite
from tests.collector.raw_modbus import Asked, RawModbus, Wire, exception, registers

SOURCES = sorted(Path(collector.__file__).parent.rglob("*.py"))

# What could change something, in the words of the three libraries.
MODBUS_WRITES = ("write_coil", "write_register", "mask_write", "readwrite_", "write_file", "execute", "diag_")
MODBUS_REQUESTS = ("Write", "MaskWrite", "ReadWrite", "Diag", "Fifo", "FileRecord", "Mei", "Restart", "Clear", "Force")
OPCUA_WRITES = (
    "write_",
    "set_value",
    "set_values",
    "set_attribute",
    "set_data_value",
    "call_method",
    "call",
    "add_",
    "delete_",
    "history_update",
)
MQTT_WRITES = ("publish", "will_set", "unsubscribe")


def names_in(path: Path) -> set[str]:
    """Every name, attribute and imported name of a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name):
                found.add(name)
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                found.update(part for one in names for part in one.name.split("."))
            case ast.Constant(value=str() as text) if text.isidentifier():
                found.add(text)  # getattr(client, "write_register")
    return found


def importing(library: str) -> list[Path]:
    return [
        path for path in SOURCES if any(line.startswith((f"import {library}", f"from {library}")) for line in path.read_text().splitlines())
    ]


@pytest.mark.parametrize(("library", "where"), [("pymodbus", "modbus.py"), ("paho", "mqtt.py"), ("asyncua", "opcua")])
def test_each_library_is_imported_in_one_place(library: str, where: str) -> None:
    sources = Path(collector.__file__).parent / "sources"
    assert {path.relative_to(sources).parts[0] for path in importing(library)} == {where}


@pytest.mark.parametrize(
    ("library", "forbidden"), [("pymodbus", MODBUS_WRITES + MODBUS_REQUESTS), ("asyncua", OPCUA_WRITES), ("paho", MQTT_WRITES)]
)
def test_no_writing_function_is_named_where_its_library_is(library: str, forbidden: tuple[str, ...]) -> None:
    exact = {"call", "set_value", "set_values"}
    for path in importing(library):
        named = {name for name in names_in(path) for word in forbidden if (name == word if word in exact else name.startswith(word))}
        assert named <= {"write", "delete_monitored_items"}, (path, named)  # the latter ends our own subscription's interest


def test_the_requests_to_an_opcua_server_are_these() -> None:
    made = {name for path in importing("asyncua") for name in names_in(path) if name.endswith("Request")}
    assert made == {"ReadRequest", "CreateSubscriptionRequest", "PublishRequest", "MonitoredItemCreateRequest"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_writing_function_is_named_anywhere(path: Path) -> None:
    words = {"write_register", "write_registers", "write_coil", "write_coils", "write_value", "write_values", "write_attribute_value",
             "write_attributes", "call_method", "publish", "WriteSingleRegisterRequest", "WriteMultipleRegistersRequest"}  # fmt: skip
    assert not names_in(path) & words


def test_only_read_functions_can_be_asked_for() -> None:
    assert set(modbus.READS) == {1, 2, 3, 4}
    assert {request.function_code for request in modbus.READS.values()} == {1, 2, 3, 4}
    for function in (0, 5, 6, 15, 16, 22, 23, 43):
        with pytest.raises(KeyError):
            modbus._pdu(function, 0, 1)


def test_the_wire_is_written_in_one_place() -> None:
    calls = [
        node
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("write", "writelines", "sendall", "sendto")
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id == "file")
    ]
    assert len(calls) == 1
    assert session.Session.__dict__.keys() & {"write", "call"} == set()
    assert mqtt.Listener.__dict__.keys() & {"publish", "send"} == set()


async def test_a_server_sees_read_functions_only_whatever_it_answers(make_site: MakeSite, collecting: Collecting) -> None:
    """Every function a profile can name, each at a server of its own that replies well, badly or not at all."""

    async def moody(asked: Asked, wire: Wire) -> None:
        replies = sum(len(server.asked) for server in servers)
        match replies % 4:
            case 0:
                await wire.reply(asked, exception(asked, 1 + replies % 11))
            case 1:
                wire.send(b"\x00" * 20)
            case 2:
                await wire.reply(asked, registers(asked, 7))
            case 3:
                wire.reset()

    servers = [RawModbus(moody) for _ in range(4)]
    profiles: list[Profile] = [
        ModbusProfile(f"function{n}", "one function", (Register("pump1_running", 0, "bool"),), function=n) for n in (1, 2, 3, 4)
    ]
    async with AsyncExitStack() as running:
        for server in servers:
            await running.enter_async_context(server.running())
        devices = [
            Device(f"D{n}", f"S{n}", "modbus_tcp", server.address, f"function{n}", interval_s=0.1, timeout_s=0.05)
            for n, server in enumerate(servers, 1)
        ]
        clock = Clock.starting_at(1_796_083_200_000, 10)  # short back-offs
        async with collecting(make_site(devices=devices, profiles=profiles), clock) as collected:
            await collected.until(lambda: all(len(server.asked) >= 5 for server in servers), deadline_s=30)
    assert [{asked.function for asked in server.asked} for server in servers] == [{1}, {2}, {3}, {4}]


def test_a_profile_with_a_write_function_can_not_be_asked() -> None:
    (request,) = requests_of(ModbusProfile("p", "p", (Register("tank_level_m", 0, "u16", function=6),)))
    assert isinstance(request, Request)
    with pytest.raises(KeyError):
        modbus._pdu(request.function, 0, request.count)


@given(st.integers(0, 300), st.integers(0, 70_000), st.integers(0, 3000), st.integers(0, 255))
def test_whatever_is_asked_for_only_frames_that_read_can_be_made(function: int, address: int, count: int, unit: int) -> None:
    try:
        pdu = modbus._pdu(function, address, count)
    except (KeyError, SourceError):
        return
    frames = [kind()._frame(pdu, unit) for kind in (modbus.TcpLine, modbus.RtuLine)]
    assert [frame[at] for frame, at in zip(frames, (7, 1), strict=True)] == [function, function]
    assert function in (1, 2, 3, 4)

"""The stations' Modbus servers, asked by a real client."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from domain.errors import ConfigError
from simulators.modbus_servers import modbus_servers
from simulators.ports import HOST, Ports, pick_ports
from simulators.present import Present
from tests.simulators.conftest import PresentOf


@pytest.fixture
def ports() -> Ports:
    return pick_ports()


@pytest.fixture
def present(present_of: PresentOf) -> Present:
    return present_of("normal")


@asynccontextmanager
async def client(port: int, framer: FramerType = FramerType.SOCKET, wait_s: float = 1) -> AsyncIterator[AsyncModbusTcpClient]:
    connection = AsyncModbusTcpClient(HOST, port=port, framer=framer, timeout=wait_s, retries=0, reconnect_delay=0)
    assert await connection.connect()
    try:
        yield connection
    finally:
        connection.close()


def scaled(register: int, scale: float) -> float:
    return (register - 0x10000 if register > 0x7FFF else register) * scale


async def test_every_station_answers_on_its_gateway_with_its_own_values(present: Present, ports: Ports) -> None:
    answered: Counter[str] = Counter()
    async with modbus_servers(present, ports, answered):
        for place, (station, access) in enumerate(zip(present.town.stations, present.town.access, strict=True)):
            if access.protocol == "opcua":
                continue
            numbers = ports.modbus_tcp if access.protocol == "modbus_tcp" else ports.modbus_rtu_tcp
            framer = FramerType.SOCKET if access.protocol == "modbus_tcp" else FramerType.RTU
            async with client(numbers[access.server], framer) as connection:
                answer = await connection.read_input_registers(access.base, count=50, device_id=access.unit)
            assert not answer.isError(), station
            values = present.values(place)
            assert scaled(answer.registers[9], 0.1) == pytest.approx(values["secondary_supply_temp_c"])
            assert scaled(answer.registers[6], 0.1) == pytest.approx(values["outdoor_temp_c"])
    assert answered == {f"S{number:02d}": 1 for number in range(1, 10)}


async def test_values_are_those_of_the_moment_of_the_question(present: Present, ports: Ports) -> None:
    async with modbus_servers(present, ports, Counter()), client(ports.modbus_tcp[0]) as connection:
        first = await connection.read_input_registers(0, count=50, device_id=1)
        present.step()
        second = await connection.read_input_registers(0, count=50, device_id=1)
    assert first.registers != second.registers
    assert list(second.registers[33:35]) >= list(first.registers[33:35])  # a counter


async def test_the_filed_curve_lies_in_the_holding_registers(present: Present, ports: Ports) -> None:
    async with modbus_servers(present, ports, Counter()), client(ports.modbus_tcp[0]) as connection:
        answer = await connection.read_holding_registers(117, count=28, device_id=2)
    curve = present.town.curves[1]
    assert [scaled(one, 0.1) for one in answer.registers[0:16:2]] == pytest.approx(curve.outdoor_c)
    assert [scaled(one, 0.1) for one in answer.registers[1:16:2]] == pytest.approx(curve.supply_c)


async def test_nothing_can_be_written(present: Present, ports: Ports) -> None:
    async with modbus_servers(present, ports, Counter()), client(ports.modbus_tcp[0]) as connection:
        for answer in (
            await connection.write_register(117, 5, device_id=1),
            await connection.write_registers(117, [5, 6], device_id=1),
            await connection.write_coil(0, value=True, device_id=1),
        ):
            assert answer.isError()
            assert answer.exception_code == 1
        assert (await connection.read_holding_registers(117, count=1, device_id=1)).registers != [5]


async def test_a_gateway_says_that_a_unit_is_not_there_and_a_controller_that_a_register_is_not(present: Present, ports: Ports) -> None:
    async with modbus_servers(present, ports, Counter()), client(ports.modbus_tcp[0]) as connection:
        assert (await connection.read_input_registers(0, count=50, device_id=77)).exception_code == 0x0B
        assert (await connection.read_input_registers(60, count=10, device_id=1)).exception_code == 2


def disturbed(present: Present, **fields: dict[int, float]) -> None:
    """Puts effects upon stations, as a scenario would."""
    effects = present.effects
    for name, values in fields.items():
        column = getattr(effects, name).copy()
        for place, value in values.items():
            column[place] = value
        effects = replace(effects, **{name: column})
    present._effects = effects


async def test_a_silent_unit_leaves_its_neighbours_behind_the_gateway_alone(present: Present, ports: Ports) -> None:
    answered: Counter[str] = Counter()
    disturbed(present, silent={1: 1})
    async with modbus_servers(present, ports, answered):
        async with client(ports.modbus_tcp[0], wait_s=0.2) as connection:
            with pytest.raises(ModbusException):
                await connection.read_input_registers(0, count=50, device_id=2)
        async with client(ports.modbus_tcp[0]) as connection:
            assert not (await connection.read_input_registers(0, count=50, device_id=1)).isError()
            assert not (await connection.read_input_registers(0, count=50, device_id=3)).isError()
    assert answered == {"S01": 1, "S03": 1}


async def test_a_refusing_line_is_reset(present: Present, ports: Ports) -> None:
    disturbed(present, refusing={8: 1})
    async with (
        modbus_servers(present, ports, Counter()),
        client(ports.modbus_rtu_tcp[1], FramerType.RTU, wait_s=10) as connection,
    ):
        lost = asyncio.Event()
        connection.ctx.trace_connect = lambda connected: None if connected else lost.set()
        asking = asyncio.ensure_future(connection.read_input_registers(0, count=50, device_id=5))
        await asyncio.wait_for(lost.wait(), 5)  # long before the answer's time-out
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_late_answers_come_late(present: Present, ports: Ports) -> None:
    disturbed(present, late_s={0: 0.3})
    async with modbus_servers(present, ports, Counter()), client(ports.modbus_tcp[0], wait_s=2) as connection:
        began = time.monotonic()
        assert not (await connection.read_input_registers(0, count=50, device_id=1)).isError()
        assert time.monotonic() - began >= 0.3


async def test_a_taken_port_is_named(present: Present, ports: Ports) -> None:
    holder = await asyncio.start_server(lambda _reader, _writer: None, HOST, ports.modbus_tcp[1])
    async with holder:
        with pytest.raises(ConfigError, match=f"modbus_tcp: '{ports.modbus_tcp[1]}': this port is taken"):
            async with modbus_servers(present, ports, Counter()):
                pass


def test_effects_of_scenarios_reach_the_servers_by_the_same_fields(present: Present) -> None:
    disturbed(present, silent={2: 1})
    assert np.flatnonzero(present.effects.silent).tolist() == [2]

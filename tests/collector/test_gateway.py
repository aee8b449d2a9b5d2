"""``collect`` on Modbus devices, from socket to journal."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from domain.clock import Clock
from domain.profile import ModbusProfile, Register
from domain.reading import Quality
from domain.site import Device
from tests.collector.conftest import Collecting, MakeSite
from tests.collector.raw_modbus import Asked, RawModbus, Wire, exception, registers

SUPPLY = "station/{}/secondary_supply_temp_c"
RETURN = "station/{}/secondary_return_temp_c"


def device(number: int, address: str, **more: object) -> Device:
    settings: dict[str, object] = {"protocol": "modbus_tcp", "profile": "two", "unit": number, "interval_s": 0.2, "timeout_s": 1.0}
    return Device(f"D{number}", f"S{number}", address=address, **{**settings, **more})  # type: ignore[arg-type]


async def sound(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, registers(asked, 500, 400 + asked.unit))


async def test_a_real_server_is_read_into_the_journal(make_site: MakeSite, collecting: Collecting, free_port: Callable[[], int]) -> None:
    port = free_port()
    blocks = [SimData(0, values=[453, 401], datatype=DataType.REGISTERS)]
    server = ModbusTcpServer([SimDevice(0, blocks), SimDevice(1, blocks)], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        site = make_site(devices=[device(1, f"127.0.0.1:{port}")])
        before_ms = time.time_ns() // 1_000_000
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows(SUPPLY.format("S1"))) >= 3)
            rows = collected.by_name()
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
    assert {row.value for row in rows[SUPPLY.format("S1")]} == {45.3}
    assert {row.value for row in rows[RETURN.format("S1")]} == {40.1}
    assert {row.value for row in rows["source/D1/exchange_ok"]} == {1.0}
    assert all(0 < row.value < 1000 for row in rows["source/D1/latency_ms"])
    for row in rows[SUPPLY.format("S1")]:
        assert row.quality == Quality.GOOD
        assert before_ms <= row.measured_at == row.received_at <= time.time_ns() // 1_000_000
    record = collected.health("D1")
    assert record["state"] == "good"
    assert record["polls"] >= 3
    assert record["bytes"] >= 3 * 13


async def test_units_behind_one_address_share_one_connection_with_one_request_in_flight(
    make_site: MakeSite, collecting: Collecting
) -> None:
    in_flight = most = 0

    async def counted(asked: Asked, wire: Wire) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.01)
        await wire.reply(asked, registers(asked, 500, 400 + asked.unit))
        in_flight -= 1

    async with RawModbus(counted).running() as server:
        site = make_site(devices=[device(n, server.address) for n in range(1, 9)])
        async with collecting(site) as collected:
            await collected.until(lambda: all(len(collected.rows(RETURN.format(f"S{n}"))) >= 3 for n in range(1, 9)))
    assert (server.connections, server.most_open, most) == (1, 1, 1)
    assert set(collected.values(RETURN.format("S5"))) == {40.5}
    assert {asked.function for asked in server.asked} == {4}


@pytest.mark.parametrize("protocol", ["modbus_tcp", "modbus_rtu_tcp"])
async def test_a_silent_unit_leaves_its_neighbours_on_time(protocol: str, make_site: MakeSite, collecting: Collecting) -> None:
    async def one_is_silent(asked: Asked, wire: Wire) -> None:
        if asked.unit != 2:
            await wire.reply(asked, registers(asked, 500, 400))

    async with RawModbus(one_is_silent, rtu=protocol != "modbus_tcp").running() as server:
        site = make_site(devices=[device(n, server.address, protocol=protocol, interval_s=0.3, timeout_s=1.0) for n in (1, 2, 3, 4)])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows(SUPPLY.format("S1"))) >= 14)
            rows = collected.by_name()
            records = [collected.health(f"D{n}") for n in (1, 3, 4)]
            silent = collected.health("D2")
    for n in (1, 3, 4):
        at = [row.measured_at for row in rows[SUPPLY.format(f"S{n}")]]
        gaps = [later - earlier for earlier, later in pairwise(at)]
        assert sorted(gaps)[len(gaps) // 2] == pytest.approx(300, abs=100)
        assert max(gaps) < 1200, gaps
        assert {row.value for row in rows[f"source/D{n}/exchange_ok"]} == {1.0}
    assert sum(record["overruns"] for record in records) <= 9
    assert not rows[SUPPLY.format("S2")]
    assert {row.value for row in rows["source/D2/exchange_ok"]} == {0.0}
    assert len(rows["source/D2/exchange_ok"]) >= 8, "a unit that is left alone is still said to be silent at each of its turns"
    assert silent["state"] == "failing"


async def test_a_unit_that_comes_back_is_read_again(make_site: MakeSite, collecting: Collecting) -> None:
    away = True

    async def sometimes(asked: Asked, wire: Wire) -> None:
        if asked.unit != 2 or not away:
            await wire.reply(asked, registers(asked, 500, 400))

    async with RawModbus(sometimes).running() as server:
        site = make_site(devices=[device(n, server.address, timeout_s=0.3) for n in (1, 2)])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.values("source/D2/exchange_ok").count(0.0) >= 3)
            away = False
            await collected.until(lambda: collected.rows(SUPPLY.format("S2")))
            await collected.until(lambda: collected.health("D2")["state"] == "good")


async def test_a_slow_device_delays_nobody_else(make_site: MakeSite, collecting: Collecting) -> None:
    """It answers at 90 % of its time-out, on a connection of its own."""

    async def slow(asked: Asked, wire: Wire) -> None:
        await asyncio.sleep(0.9)
        await wire.reply(asked, registers(asked, 100))

    async with RawModbus(slow).running() as lazy, RawModbus(sound).running() as brisk:
        site = make_site(devices=[device(1, lazy.address, interval_s=1.0), device(2, brisk.address)])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows(SUPPLY.format("S1"))) >= 2)
            assert len(collected.rows(SUPPLY.format("S2"))) >= 8
            assert collected.health("D2")["overruns"] == 0
            assert collected.health("D1")["overruns"] == 0


async def test_polls_slower_than_their_interval_never_overlap_and_are_counted(make_site: MakeSite, collecting: Collecting) -> None:
    in_flight = most = 0

    async def slow(asked: Asked, wire: Wire) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.25)
        in_flight -= 1
        await wire.reply(asked, registers(asked, 100))

    async with RawModbus(slow).running() as server:
        site = make_site(devices=[device(1, server.address, interval_s=0.1)])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.health("D1").get("overruns", 0) >= 4)
    assert most == 1


@pytest.mark.parametrize("protocol", ["modbus_tcp", "modbus_rtu_tcp"])
async def test_a_server_that_restarts_is_read_again(protocol: str, make_site: MakeSite, collecting: Collecting) -> None:
    server = RawModbus(sound, rtu=protocol != "modbus_tcp")
    site = None
    async with server.running():
        site = make_site(devices=[device(n, server.address, protocol=protocol) for n in (1, 2)])
    async with collecting(site) as collected:
        await collected.until(lambda: collected.values("source/D1/exchange_ok").count(0.0) >= 2)
        await collected.until(lambda: all(collected.health(f"D{n}").get("state") == "failing" for n in (1, 2)))
        for _ in range(2):
            async with server.running():
                seen = len(collected.rows(SUPPLY.format("S2")))
                await collected.until(lambda seen=seen: len(collected.rows(SUPPLY.format("S2"))) >= seen + 3)  # type: ignore[misc]
                await collected.until(lambda: collected.health("D1")["state"] == "good")
            await collected.until(lambda: all(collected.health(f"D{n}")["state"] == "failing" for n in (1, 2)))


async def test_a_gateway_that_accepts_and_never_answers_is_left_and_connected_again(make_site: MakeSite, collecting: Collecting) -> None:
    hung = True

    async def hang(asked: Asked, wire: Wire) -> None:
        if not hung:
            await sound(asked, wire)

    async with RawModbus(hang).running() as server:
        site = make_site(devices=[device(n, server.address, timeout_s=0.2) for n in (1, 2)])
        async with collecting(site) as collected:
            await collected.until(lambda: server.connections >= 2)
            hung = False
            await collected.until(lambda: collected.rows(SUPPLY.format("S1")) and collected.rows(SUPPLY.format("S2")))
    assert server.most_open == 1, "gateways take one connection or two: the old one is closed before the new one"


async def test_exceptions_prove_the_line_is_up_and_mark_the_points(make_site: MakeSite, collecting: Collecting) -> None:
    async def refuse(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, exception(asked, {1: 1, 2: 0x0B}[asked.unit]))

    async with RawModbus(refuse).running() as server:
        site = make_site(devices=[device(n, server.address) for n in (1, 2)])
        async with collecting(site) as collected:
            await collected.until(lambda: all(collected.rows(SUPPLY.format(f"S{n}")) for n in (1, 2)))
            await collected.until(lambda: collected.health("D1")["exceptions"] and collected.health("D2")["exceptions"])
            rows = collected.by_name()
            assert collected.health("D1")["exceptions"].keys() == {"exception 1, illegal function"}
            assert collected.health("D2")["exceptions"].keys() == {"exception 11, gateway target silent"}
    for n in (1, 2):
        assert {row.quality for row in rows[SUPPLY.format(f"S{n}")]} == {Quality.DEVICE_ERROR}
        assert {row.value for row in rows[f"source/D{n}/exchange_ok"]} == {1.0}


async def test_a_busy_device_is_asked_again(make_site: MakeSite, collecting: Collecting) -> None:
    async def busy_first(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, exception(asked, 6) if len(server.asked) % 2 else registers(asked, 500, 400))

    server = RawModbus(busy_first)
    async with server.running():
        site = make_site(devices=[device(1, server.address)])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows(SUPPLY.format("S1"))) >= 2)
            assert {row.quality for row in collected.rows(SUPPLY.format("S1"))} == {Quality.GOOD}
            await collected.until(lambda: collected.health("D1")["exceptions"].get("exception 6, device busy", 0) >= 2)


async def test_an_illegal_hole_in_a_block_is_left_out_from_then_on(make_site: MakeSite, collecting: Collecting) -> None:
    """Registers 2 to 8 are not the device's: reading across them is refused as a whole."""

    async def strict(asked: Asked, wire: Wire) -> None:
        illegal = asked.address <= 8 and asked.address + asked.count > 2
        await wire.reply(asked, exception(asked, 2) if illegal else registers(asked, 500 + asked.address))

    holed = ModbusProfile(
        "holed",
        "holed",
        (Register("secondary_supply_temp_c", 1, "i16", scale=0.1), Register("secondary_return_temp_c", 9, "i16", scale=0.1)),
    )
    async with RawModbus(strict).running() as server:
        site = make_site(devices=[device(1, server.address, profile="holed")], profiles=[holed])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows(RETURN.format("S1"))) >= 4)
            rows = collected.by_name()
    assert [row.quality for row in rows[RETURN.format("S1")]][:4] == [Quality.DEVICE_ERROR, 0, 0, 0]
    assert rows[SUPPLY.format("S1")][1].value == 50.1
    assert rows[RETURN.format("S1")][1].value == 50.9
    assert sum(asked.count > 1 for asked in server.asked) == 1


async def test_the_clock_sets_the_interval_and_the_time_of_readings(make_site: MakeSite, collecting: Collecting) -> None:
    clock = Clock.starting_at(1_796_083_200_000, 60)
    async with RawModbus(sound).running() as server:
        site = make_site(devices=[device(1, server.address, interval_s=10.0)])
        async with collecting(site, clock) as collected:
            await collected.until(lambda: len(collected.rows(SUPPLY.format("S1"))) >= 8)
            at = [row.measured_at for row in collected.rows(SUPPLY.format("S1"))]
    assert 1_796_083_200_000 < at[0] < 1_796_083_200_000 + 60_000
    gaps = sorted(later - earlier for earlier, later in pairwise(at))
    assert gaps[len(gaps) // 2] == pytest.approx(10_000, abs=2000)


async def test_requests_keep_the_pause_a_device_needs(make_site: MakeSite, collecting: Collecting) -> None:
    instants: list[float] = []

    async def noted(asked: Asked, wire: Wire) -> None:
        instants.append(time.monotonic())
        await sound(asked, wire)

    slow = ModbusProfile(
        "slow",
        "one register per request",
        (Register("secondary_supply_temp_c", 0, "i16"), Register("secondary_return_temp_c", 1, "i16")),
        max_registers=1,
        pause_s=0.15,
    )
    async with RawModbus(noted).running() as server:
        site = make_site(devices=[device(1, server.address, profile="slow", interval_s=1.0)], profiles=[slow])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.rows(RETURN.format("S1")))
    assert [asked.count for asked in server.asked[:2]] == [1, 1]
    assert instants[1] - instants[0] >= 0.15

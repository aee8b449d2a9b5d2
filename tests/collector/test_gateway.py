"""``collect`` on Modbus devices, from socket to journal."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from domain.clock import Clock
from domain.profile import ModbusProfile, Register
from domain.reading import Quality
from domain.site import Device
from domain.site import Gateway as GatewayLimit
from tests.collector.conftest import Collecting, MakeSite
from tests.collector.raw_modbus import Asked, RawModbus, RawSerial, Wire, exception, registers

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
            assert collected.health("D1")["counts"] == {"blocks split": 1}
    assert {(row.value, row.quality) for row in rows[RETURN.format("S1")]} == {(50.9, Quality.GOOD)}, "not one reading is lost to it"
    assert {(row.value, row.quality) for row in rows[SUPPLY.format("S1")]} == {(50.1, Quality.GOOD)}
    assert sum(asked.count > 1 for asked in server.asked) == 1


@pytest.mark.parametrize("code", [2, 3])
async def test_a_device_that_gives_fewer_registers_at_once_than_it_is_asked_for_is_found_out(
    code: int, make_site: MakeSite, collecting: Collecting
) -> None:
    async def little(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, exception(asked, code) if asked.count > 4 else registers(asked, 1))

    many = ModbusProfile("many", "many", tuple(Register(f"pump{n}_running", n, "u16") for n in range(1, 13)))
    async with RawModbus(little).running() as server:
        site = make_site(devices=[device(1, server.address, profile="many")], profiles=[many])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows("station/S1/pump12_running")) >= 4)
            rows = collected.by_name()
            assert collected.health("D1")["counts"] == {"blocks split": 1}
    assert {row.quality for n in range(1, 13) for row in rows[f"station/S1/pump{n}_running"]} == {Quality.GOOD}
    assert [asked.count for asked in server.asked[:7]] == [12, 6, 3, 3, 6, 3, 3]
    assert {asked.count for asked in server.asked[7:]} == {3}


async def test_a_register_that_the_device_lacks_harms_no_other(make_site: MakeSite, collecting: Collecting) -> None:
    async def lacks_one(asked: Asked, wire: Wire) -> None:
        illegal = asked.address <= 5 < asked.address + asked.count
        await wire.reply(asked, exception(asked, 2) if illegal else registers(asked, 1))

    many = ModbusProfile("many", "many", tuple(Register(f"pump{n}_running", n, "u16") for n in range(1, 13)))
    async with RawModbus(lacks_one).running() as server:
        site = make_site(devices=[device(1, server.address, profile="many")], profiles=[many])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.rows("station/S1/pump12_running")) >= 4)
            rows = collected.by_name()
    for n in range(1, 13):
        expected = Quality.DEVICE_ERROR if n == 5 else Quality.GOOD
        assert {row.quality for row in rows[f"station/S1/pump{n}_running"]} == {expected}
    assert sum(asked.count == 12 for asked in server.asked) == 1
    assert len(server.asked) <= 12 + 6 * len(rows["station/S1/pump12_running"]) + 6


async def test_a_device_that_refuses_everything_is_not_asked_register_by_register_at_each_poll(
    make_site: MakeSite, collecting: Collecting
) -> None:
    async def not_ready(asked: Asked, wire: Wire) -> None:
        polls = sum(asked.count == 2 for asked in server.asked)
        await wire.reply(asked, exception(asked, 2) if polls <= 7 else registers(asked, 450))

    async with RawModbus(not_ready).running() as server:
        site = make_site(devices=[device(1, server.address, interval_s=0.1)])
        async with collecting(site) as collected:
            await collected.until(lambda: 45.0 in collected.values(SUPPLY.format("S1")) or len(server.asked) > 60)
            await collected.until(lambda: len(collected.values(SUPPLY.format("S1"))) >= 10)
            marks = [row.quality for row in collected.rows(SUPPLY.format("S1"))]
            assert collected.health("D1")["counts"] == {}
    assert [asked.count for asked in server.asked[:14]] == [2, 1, 1, 2, 1, 1, 2, 2, 1, 1, 2, 2, 2, 2], "parted at refusals 1, 2 and 4"
    assert marks[:9] == [Quality.DEVICE_ERROR] * 7 + [Quality.GOOD] * 2


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


async def test_a_reply_later_than_its_connection_is_not_taken_for_the_next(make_site: MakeSite, collecting: Collecting) -> None:
    """A transparent serial server hands a reply that comes late to whoever is connected then; RTU frames do not tell what they answer."""
    owed: list[bytes] = []

    async def slow_once(asked: Asked, wire: Wire) -> None:
        if owed:
            wire.send(owed.pop())
        if len(server.asked) in (3, 9):
            owed.append(wire.frame(asked, registers(asked, 999, 999)))
            return
        await wire.reply(asked, registers(asked, 450, 400))

    server = RawModbus(slow_once, rtu=True)
    async with server.running():
        site = make_site(devices=[device(1, server.address, protocol="modbus_rtu_tcp", timeout_s=0.2)])
        async with collecting(site) as collected:
            await collected.until(lambda: len(server.asked) > 14 and len(collected.values(SUPPLY.format("S1"))) >= 8)
            values = collected.values(SUPPLY.format("S1"))
            counts = collected.health("D1")["counts"]
    assert set(values) == {45.0}
    assert counts["late replies ruled out"] >= 2
    assert not owed
    assert {asked.count for asked in server.asked} == {1, 2}


async def test_units_on_a_serial_bus_are_read_and_a_silent_one_hurts_no_other(make_site: MakeSite, collecting: Collecting) -> None:
    heard: list[tuple[float, float]] = []
    late: list[bytes] = []

    async def on_the_bus(asked: Asked, wire: Wire) -> None:
        came = time.monotonic()
        if late:
            wire.send(late.pop())
            await asyncio.sleep(0.01)
        if asked.unit == 2:
            return
        if asked.unit == 3 and len([each for each in bus.asked if each.unit == 3]) == 2:
            late.append(wire.frame(asked, registers(asked, 999)))  # comes when the next question is on the bus
            return
        await wire.reply(asked, registers(asked, 450, 400 + asked.unit))
        heard.append((came, time.monotonic()))

    bus = RawSerial(on_the_bus)
    async with bus.running():
        devices = [device(n, bus.address, protocol="modbus_rtu", interval_s=0.25, timeout_s=0.3) for n in (1, 2, 3)]
        async with collecting(make_site(devices=devices)) as collected:
            await collected.until(lambda: all(len(collected.values(SUPPLY.format(f"S{n}"))) >= 6 for n in (1, 3)))
            values = {n: set(collected.values(RETURN.format(f"S{n}"))) for n in (1, 2, 3)}
            assert collected.health("D2")["state"] == "failing"
    assert values == {1: {40.1}, 2: set(), 3: {40.3}}
    assert all(later[0] - earlier[1] >= 0.0015 for earlier, later in pairwise(heard)), "frames need silence between them"


async def test_a_half_open_link_is_given_up_and_connected_anew(make_site: MakeSite, collecting: Collecting) -> None:
    first: list[Wire] = []

    async def mute_after_three(asked: Asked, wire: Wire) -> None:
        if not first:
            first.append(wire)
        if wire.writer is not first[0].writer or len(server.asked) <= 3:
            await sound(asked, wire)  # the first connection goes dead without a word: no FIN, no RST

    async with RawModbus(mute_after_three).running() as server:
        site = make_site(devices=[device(1, server.address, timeout_s=0.2)])
        async with collecting(site) as collected:
            await collected.until(lambda: len(collected.values(SUPPLY.format("S1"))) >= 6)
            assert collected.health("D1")["failures"] >= 2
    assert server.connections >= 2


@pytest.mark.parametrize("connections", [1, 2])
async def test_a_gateway_gets_no_more_connections_than_it_bears(connections: int, make_site: MakeSite, collecting: Collecting) -> None:
    in_flight: dict[int, int] = defaultdict(int)
    most = 0

    async def limited(asked: Asked, wire: Wire) -> None:
        nonlocal most
        if server.open_at_once > connections:
            wire.reset()
            return
        in_flight[id(wire.writer)] += 1
        most = max(most, *in_flight.values())
        await asyncio.sleep(0.02)
        await sound(asked, wire)
        in_flight[id(wire.writer)] -= 1

    async with RawModbus(limited).running() as server:
        site = make_site(devices=[device(n, server.address, interval_s=0.3) for n in range(1, 7)])
        site = replace(site, gateways={server.address: GatewayLimit(server.address, connections)})
        async with collecting(site) as collected:
            await collected.until(lambda: all(len(collected.values(SUPPLY.format(f"S{n}"))) >= 4 for n in range(1, 7)))
            failures = [collected.health(f"D{n}")["failures"] for n in range(1, 7)]
    assert (server.connections, server.most_open, most) == (connections, connections, 1)
    assert failures == [0] * 6


async def test_after_a_restart_of_everything_the_reconnects_are_spread(make_site: MakeSite, collecting: Collecting) -> None:
    """All gateways hang up in one instant and refuse for a while; then each is tried at a time of its own."""
    came: dict[int, float] = {}
    down = False
    again_at = 0.0

    def behind(number: int) -> RawModbus:
        async def answer(asked: Asked, wire: Wire) -> None:
            if down:
                wire.reset()
                return
            if again_at and number not in came:
                came[number] = time.monotonic() - again_at
            await sound(asked, wire)

        return RawModbus(answer)

    async with AsyncExitStack() as running:
        servers = [await running.enter_async_context(behind(n).running()) for n in range(1, 25)]
        devices = [device(n, server.address, interval_s=0.5) for n, server in enumerate(servers, 1)]
        async with collecting(make_site(devices=devices), Clock.starting_at(1_796_083_200_000, 10)) as collected:
            await collected.until(lambda: all(collected.values(SUPPLY.format(f"S{n}")) for n in range(1, 25)))
            down = True
            await collected.until(lambda: all(collected.health(f"D{n}").get("failures", 0) >= 3 for n in range(1, 25)))
            down, again_at = False, time.monotonic()
            await collected.until(lambda: len(came) == 24)
    at = sorted(came.values())
    assert at[-1] - at[0] > 0.1
    crowd = max(sum(start <= other < start + (at[-1] - at[0]) / 10 for other in at) for start in at)
    assert crowd <= 12, at


async def test_how_a_source_stands_is_stored_as_points(make_site: MakeSite, collecting: Collecting) -> None:
    async def every_third(asked: Asked, wire: Wire) -> None:
        if len(server.asked) % 3:
            await sound(asked, wire)

    async with RawModbus(every_third).running() as server:
        site = make_site(devices=[device(1, server.address, interval_s=2.0, timeout_s=0.1)])
        async with collecting(site, Clock.starting_at(1_796_083_200_000, 60)) as collected:
            await collected.until(lambda: any(value > 0 for value in collected.values("source/D1/failures")))
            rows = collected.by_name()
            record = collected.health("D1")
    assert 0 < rows["source/D1/failures"][-1].value <= record["failures"]
    assert 0 < rows["source/D1/received_bytes"][-1].value <= record["bytes"]
    assert rows["source/D1/overruns"][-1].value <= record["overruns"]
    assert 0 <= rows["source/D1/silence_s"][-1].value < 120
    assert {row.quality for name in ("failures", "received_bytes", "silence_s") for row in rows[f"source/D1/{name}"]} == {Quality.GOOD}
    at = [row.measured_at for row in rows["source/D1/failures"]]
    assert all(50_000 < later - earlier < 100_000 for earlier, later in pairwise(at)), "once a minute of the clock"


async def test_a_device_may_have_a_limit_of_registers_of_its_own(make_site: MakeSite, collecting: Collecting) -> None:
    async with RawModbus(sound).running() as server:
        site = make_site(devices=[device(1, server.address), device(2, server.address, max_registers=1)])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.values(RETURN.format("S1")) and collected.values(RETURN.format("S2")))
    assert {(asked.unit, asked.count) for asked in server.asked} == {(1, 2), (2, 1)}

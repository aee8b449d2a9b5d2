"""The whole outside world, run for some seconds at two minutes a second, with a subscriber and a client asking beside it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from domain.clock import Clock, iso
from domain.errors import ConfigError
from simulators.payloads import Sent
from simulators.ports import HOST, Ports, pick_ports
from simulators.present import Present
from simulators.scenario import load_scenario
from simulators.simulate import DEMO_START_MS, run_simulate
from simulators.site_files import MQTT_PASSWORD, OPCUA_PASSWORD, write_site
from simulators.town import Town
from simulators.world import World
from tests.simulators.test_broker import Listener, listening

ENVIRONMENT = {MQTT_PASSWORD: "one", OPCUA_PASSWORD: "two"}


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the condition is another thread's
            await asyncio.sleep(0.05)


def health_of(folder: Path) -> dict[str, Any]:
    path = folder / "data" / "health" / "simulate.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


async def test_the_outside_world_speaks_counts_and_stops(tmp_path: Path, town: Town) -> None:
    ports, folder, published = pick_ports(), tmp_path / "site", list[Sent]()
    write_site(folder, town, ports)
    clock, stop, ready = Clock.starting_at(DEMO_START_MS, 120), asyncio.Event(), asyncio.Event()
    world = asyncio.create_task(
        run_simulate(folder, clock, "pump_trip", ports, stop, history_h=1, ready=ready, published=published.extend, environment=ENVIRONMENT)
    )
    await asyncio.wait({world, waiting := asyncio.create_task(ready.wait())}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert ready.is_set(), world.exception() if world.done() else "not ready in a minute"
    waiting.cancel()
    with listening(ports.mqtt, ENVIRONMENT[MQTT_PASSWORD]) as listener:
        assert await asyncio.to_thread(listener.subscribed.wait, 10)
        from_here_ms = clock.now_ms()
        await _sees_the_trip(ports)
        await until(lambda: len({sent.point for sent in published if sent.measured_at > from_here_ms}) > 300)
        await until(lambda: len(_reports_logged(published, from_here_ms)) > 20)
        logged = _reports_logged(published, from_here_ms)
        await until(lambda: logged.items() <= _reports_heard(listener).items())  # each once
        stop.set()
        began = time.monotonic()
        await world
        assert time.monotonic() - began < 3
    detail = health_of(folder)["detail"]
    assert detail["scenario"] == "pump_trip"
    assert detail["polls_answered"]["S04"] >= 1
    assert detail["messages_refused"] == 0
    assert 0 < sum(detail["readings_sent"].values()) <= len(published)


def _reports_logged(published: list[Sent], after_ms: int) -> Counter[tuple[str, str]]:
    """Room and instant of the ChirpStack sensors' reports that were logged as sent."""
    return Counter(
        (sent.point.split("/")[1], iso(sent.measured_at))
        for sent in published
        if sent.measured_at > after_ms and sent.point.endswith("indoor_temp_c") and sent.point < "room/S04"
    )


def _reports_heard(listener: Listener) -> Counter[tuple[str, str]]:
    bodies = (json.loads(payload) for topic, payload, _ in listener.got if topic.startswith("application/"))
    return Counter((body["deviceInfo"]["deviceName"], body["time"]) for body in bodies)


async def _sees_the_trip(ports: Ports) -> None:
    """S04's pump is seen to stand some twenty virtual minutes in."""
    client = AsyncModbusTcpClient(HOST, port=ports.modbus_tcp[1], timeout=3, retries=0, reconnect_delay=0)
    assert await client.connect()
    try:
        async with asyncio.timeout(20):
            while (await client.read_input_registers(100, count=50, device_id=1)).registers[42] != 0b1_0000_0000:  # noqa: ASYNC110 - asked by Modbus
                await asyncio.sleep(0.1)
    finally:
        client.close()


def test_readings_are_the_same_in_every_run(town: Town) -> None:
    def run() -> set[tuple[int, int, float]]:
        present = Present(World(town, load_scenario("demo", town), DEMO_START_MS, hours=0.1))
        reports = [present.step() for _ in range(30)]
        return {
            (room, at, row[0])
            for report in reports
            for room, at, row in zip(report.room.tolist(), report.measured_at.tolist(), report.values.tolist(), strict=True)
        }

    assert run() == run()


@pytest.mark.parametrize(
    ("scenario", "environment", "message"),
    [
        ("nosuch", ENVIRONMENT, "no such scenario; there are cold_building"),
        ("normal", {}, f"environment: {MQTT_PASSWORD}: set it to the password"),
    ],
)
async def test_a_users_mistake_is_named_before_anything_starts(
    tmp_path: Path, scenario: str, environment: dict[str, str], message: str
) -> None:
    clock = Clock.starting_at(DEMO_START_MS, 60)
    with pytest.raises(ConfigError, match=message):
        await run_simulate(tmp_path, clock, scenario, pick_ports(), asyncio.Event(), environment=environment)
    assert not any(tmp_path.glob("*"))  # noqa: ASYNC240 - an empty folder of the test's own

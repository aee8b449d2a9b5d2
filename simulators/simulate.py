"""The demo's outside world as one running whole: physics, stations' servers, broker, room sensors.

clock ──▶ Present.step ──▶ registers and items, answered when asked      (Modbus TCP, RTU over TCP, OPC UA)
                      └──▶ messages, sent when due                      (MQTT)
"""

import asyncio
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from domain.clock import Clock, iso
from domain.errors import ConfigError, Mistake
from simulators.broker import mqtt_broker
from simulators.certificate import server_identity
from simulators.modbus_servers import modbus_servers
from simulators.opcua_servers import OpcUaLogin, OpcUaStations, opcua_servers
from simulators.payloads import announcements, messages
from simulators.ports import Ports, pick_ports
from simulators.present import Present
from simulators.publisher import Publisher, PublishLog, SentCounts, mqtt_publisher
from simulators.scenario import DEMO_START_MS, Event, load_scenario
from simulators.site_files import MQTT_PASSWORD, MQTT_USER, OPCUA_PASSWORD, OPCUA_USER
from simulators.town import build_town
from simulators.world import World

__all__ = ["DEMO_START_MS", "pick_ports", "run_simulate"]

HEALTH_EVERY_S = 1.0
SENT_LATE_MS = 240_000  # what sensors reported just before the broker was up is sent then, still in time to count

log = structlog.get_logger()


@dataclass
class Counts:
    """What the outside world has said: polls answered by station id, messages and readings sent by network."""

    answered: Counter[str] = field(default_factory=Counter)
    sent: SentCounts = field(default_factory=SentCounts)


async def run_simulate(
    folder: Path,
    clock: Clock,
    scenario: str,
    ports: Ports,
    stop: asyncio.Event,
    *,
    start_ms: int | None = None,
    history_h: float = 48.0,
    seed: int = 1,
    data: Path | None = None,
    ready: asyncio.Event | None = None,
    published: PublishLog | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Runs the town of a site folder until ``stop``; sets ``ready`` when every server listens.

    ``start_ms`` (UTC ms) is what the scenario's offsets count from, by default where the clock began; a later start of this
    function finds the same story gone on. ``history_h`` is how much history was made before: its world goes on here.
    ``published`` is told of every reading sent over MQTT. Passwords come from the environment, under the names in the site
    folder. Raises ConfigError for an unknown scenario, a taken port, a missing password.
    """
    passwords = _passwords(environment)
    town = build_town(seed)
    story = load_scenario(scenario, town)
    start_ms = clock.epoch_ms if start_ms is None else start_ms
    world = await asyncio.to_thread(World, town, story, start_ms, history_h)
    await asyncio.to_thread(world.advance_to, max(start_ms, clock.now_ms() - SENT_LATE_MS))
    present, counts = Present(world), Counts()
    gateways = secrets.token_urlsafe(16)
    async with AsyncExitStack() as running:
        await running.enter_async_context(mqtt_broker(ports.mqtt, {MQTT_USER: passwords[MQTT_PASSWORD], "gateways": gateways}))
        await running.enter_async_context(modbus_servers(present, ports, counts.answered))
        login = OpcUaLogin(OPCUA_USER, passwords[OPCUA_PASSWORD])
        stations = await running.enter_async_context(opcua_servers(present, ports, login, server_identity(folder), counts.answered))
        publisher = await running.enter_async_context(mqtt_publisher(ports.mqtt, "gateways", gateways, counts.sent, published))
        publisher.send(announcements(town))
        health = asyncio.create_task(_report_health(data or folder / "data", present, clock, counts), name="simulate health")
        running.callback(health.cancel)
        log.info("simulate.ready", scenario=story.name, town=len(town.stations), at=iso(present.at_ms))
        if ready is not None:
            ready.set()
        await _go_on(present, clock, stations, publisher, stop)


async def _go_on(present: Present, clock: Clock, stations: OpcUaStations, publisher: Publisher, stop: asyncio.Event) -> None:
    """Steps the world with the clock until ``stop``."""
    happening = _Happening(present)
    while not stop.is_set():
        if present.next_ms() > clock.now_ms():
            try:
                async with asyncio.timeout(clock.wall_s((present.next_ms() - clock.now_ms()) / 1000)):
                    await stop.wait()
            except TimeoutError:
                pass
            continue
        publisher.send(messages(present.town, present.step()))
        if present.next_ms() > clock.now_ms():  # while behind, only the last state is shown
            await stations.show()
        happening.tell()
        await asyncio.sleep(0)


class _Happening:
    """Logs each event of the scenario as it begins and ends."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._events = set(self._now())

    def _now(self) -> list[Event]:
        offset_ms = self._present.at_ms - self._present.world.start_ms
        events = self._present.world.scenario.events
        return [event for event in events if event.at_ms <= offset_ms and (event.until_ms is None or offset_ms < event.until_ms)]

    def tell(self) -> None:
        now = set(self._now())
        for word, events in (("simulate.begins", now - self._events), ("simulate.ends", self._events - now)):
            for event in events:
                log.info(word, what=event.what, target=", ".join(event.targets), at=iso(self._present.at_ms))
        self._events = now


async def _report_health(data: Path, present: Present, clock: Clock, counts: Counts) -> None:
    while True:
        _write_health(data / "health", present, clock, counts)
        await asyncio.sleep(HEALTH_EVERY_S)


def _write_health(folder: Path, present: Present, clock: Clock, counts: Counts) -> None:
    detail: dict[str, Any] = {
        "scenario": present.world.scenario.name,
        "at": iso(present.at_ms),
        "behind_s": round((clock.now_ms() - present.at_ms) / 1000, 1),
        "polls_answered": dict(sorted(counts.answered.items())),
        "messages_sent": dict(counts.sent.messages),
        "readings_sent": dict(counts.sent.readings),
        "messages_refused": counts.sent.refused,
    }
    word = {
        "component": "simulate",
        "at_ms": clock.now_ms(),
        "wall_at_ms": time.time_ns() // 1_000_000,
        "pid": os.getpid(),
        "detail": detail,
    }
    part = folder / f".simulate.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(word, ensure_ascii=False), encoding="utf-8")
        part.replace(folder / "simulate.json")
    except OSError as error:
        log.warning("simulate.health", error=str(error))


def _passwords(environment: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in (MQTT_PASSWORD, OPCUA_PASSWORD) if not environment.get(name)]
    if missing:
        raise ConfigError(*(Mistake("environment", "set it to the password that the site folder names", key=name) for name in missing))
    return {name: environment[name] for name in (MQTT_PASSWORD, OPCUA_PASSWORD)}

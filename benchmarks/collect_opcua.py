"""What collecting over OPC UA costs: CPU per value of the whole path beside bare asyncua, polled and by subscription.

    python -m benchmarks.collect_opcua                 five pairs of each, medians

The server runs in a process of its own (this file with --serve); both sides of a pair read the same nodes of it, as often. By
subscription the server changes every node ``ROUNDS`` times once the side is at rest: both must hear of every change, no more, no less.
"""

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Literal

import numpy as np
import uvloop
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.subscription import DataChangeEvent
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from benchmarks.collect import QUANTITIES, committed, site_of
from collector.collect import run_collect
from domain.clock import Clock
from domain.profile import Node, OpcUaProfile
from domain.site import Device, Site
from store.health import read_health

RUNS = 5
STATIONS, VALUES, EVERY_S, SPAN_S = 100, 50, 1.0, 4.0
ROUNDS, BEGUN_S, PATIENCE_S = 4, 2.5, 60.0
URI = "urn:keepwarm:bench"
PROFILE = OpcUaProfile("bench", "bench", URI, tuple(Node(name, f"s={{station_id}}.{name}", 0.1) for name in QUANTITIES[:VALUES]))

Mode = Literal["poll", "subscribe"]


def names() -> list[str]:
    return [f"S{station}.{name}" for station in range(STATIONS) for name in QUANTITIES[:VALUES]]


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def serve(url: str) -> None:
    """Serves the nodes; each changes every ``EVERY_S``."""
    server = Server()
    await server.init()
    server.set_endpoint(url)
    index = await server.register_namespace(URI)
    nodes = [ua.NodeId(ua.String(name), ua.Int16(index)) for name in names()]
    for node, name in zip(nodes, names(), strict=True):
        await server.nodes.objects.add_variable(node, name, 0.0)
    await server.start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    value = 0.0
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for _ in range(int(line)):
            value += 1
            at, due = ua.DateTime.now(UTC), loop.time() + EVERY_S
            for node in nodes:
                await server.write_attribute_value(node, ua.DataValue(ua.Variant(value), SourceTimestamp=at))
            await asyncio.sleep(due - loop.time())
        print("changed", flush=True)


class Outside:
    """The server's process."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"opc.tcp://127.0.0.1:{probe.getsockname()[1]}/bench"
        command = [sys.executable, "-m", "benchmarks.collect_opcua", "--serve", self.url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._hear()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def change(self) -> None:
        """Changes every node ``ROUNDS`` times; returns when that is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{ROUNDS}\n")
        self._process.stdin.flush()
        self._hear()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


async def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds, or after ``PATIENCE_S``."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return
        await asyncio.sleep(0.2)


async def changed(server: Outside, heard: Callable[[], int]) -> float:
    """CPU seconds of this process while the server changes its nodes and ``heard`` counts what came, until all is there."""
    await until(lambda: heard() >= 0.8 * len(names()))
    await asyncio.sleep(EVERY_S)
    before, before_s = heard(), time.process_time()
    await asyncio.to_thread(server.change)
    await until(lambda: heard() >= before + (ROUNDS - 0.2) * len(names()))
    await asyncio.sleep(2 * EVERY_S)  # the rest, and whatever comes too much
    return time.process_time() - before_s


# ── the two sides ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def bare_poll(client: Client, index: int) -> tuple[int, float]:
    """Values read by asyncua alone: one request for each station, every ``EVERY_S``."""
    stations = [
        [ua.NodeId(ua.String(f"S{station}.{name}"), ua.Int16(index)) for name in QUANTITIES[:VALUES]] for station in range(STATIONS)
    ]
    count = 0
    loop = asyncio.get_running_loop()
    before_s, due, end = time.process_time(), loop.time(), loop.time() + SPAN_S
    while loop.time() < end:
        for nodes in stations:
            found = await client.uaclient.read_attributes(nodes, AttributeIds.Value)
            count += len([item.Value.Value * 0.1 for item in found if item.Value is not None])
            due += EVERY_S / STATIONS
            await asyncio.sleep(due - loop.time())
    return count, time.process_time() - before_s


async def bare_subscribe(client: Client, index: int, server: Outside) -> tuple[int, float]:
    """Values notified to asyncua alone, through its own iterator."""
    nodes = [client.get_node(ua.NodeId(ua.String(name), ua.Int16(index))) for name in names()]
    subscription = await client.create_subscription(EVERY_S * 1000, queue_maxsize=100_000)
    await subscription.subscribe_data_change(nodes, queuesize=10, sampling_interval=ua.Duration(EVERY_S * 1000))
    values: list[float] = []

    async def listen() -> None:
        while True:
            event = await subscription.next_event(1.0)
            if isinstance(event, DataChangeEvent):
                values.append(event.value * 0.1)

    listening = asyncio.create_task(listen())
    used_s = await changed(server, lambda: len(values))
    listening.cancel()
    await subscription.delete()
    return len(values) - len(nodes), used_s


async def bare(server: Outside, mode: Mode) -> tuple[int, float]:
    client = Client(server.url, timeout=60, watchdog_intervall=60)  # all items are made in one request
    await client.connect()
    try:
        index = await client.get_namespace_index(URI)
        return await bare_poll(client, index) if mode == "poll" else await bare_subscribe(client, index, server)
    finally:
        await client.disconnect()


async def polled() -> float:
    """CPU seconds of this process while it polls."""
    await asyncio.sleep(BEGUN_S)
    before_s = time.process_time()
    await asyncio.sleep(SPAN_S)
    return time.process_time() - before_s


async def whole(server: Outside, mode: Mode) -> tuple[int, float]:
    """Values that ``collect`` read, decoded, screened and committed to its journal, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        devices = [Device(f"D{n}", f"S{n}", "opcua", server.url, "bench", interval_s=EVERY_S, timeout_s=5.0) for n in range(STATIONS)]
        site = replace(site_of(Path(folder), devices), profiles={"bench": replace(PROFILE, mode=mode)})
        site.data.mkdir()
        stop = asyncio.Event()
        task = asyncio.create_task(run_collect(site, Clock(), stop))
        used_s = await (polled() if mode == "poll" else changed(server, lambda: stored(site)))
        to_ms = time.time_ns() // 1_000_000
        stop.set()
        await task
        readings, points = committed(site)
        stations = [point for point, name in enumerate(points) if name.startswith("station/")]
        inside = np.isin(readings.point, stations)
        if mode == "poll":
            inside &= (readings.received_at >= to_ms - SPAN_S * 1000) & (readings.received_at < to_ms)
            return int(inside.sum()), used_s
        # What the collector reads again of its own accord, where a node has been quiet, is no change.
        changes = set(zip(readings.point[inside].tolist(), readings.value[inside].tolist(), strict=True))
        return len(changes) - len(names()), used_s


def stored(site: Site) -> int:
    """How many values of nodes ``collect`` says it has committed, less what it notes of itself."""
    said = next((word.detail for word in read_health(site.data) if word.component == "collect"), {})
    polls: int = sum(record["polls"] for record in said.get("sources", ()))
    return int(said.get("readings_committed", 0)) - polls - 5 * STATIONS


def compare(server: Outside, mode: Mode) -> None:
    pairs: list[tuple[float, float]] = []
    while len(pairs) < RUNS:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            count, used_s = runner.run(bare(server, mode))
            our_count, our_used_s = runner.run(whole(server, mode))
        if mode == "subscribe" and not count == our_count == ROUNDS * len(names()):
            raise SystemExit(f"not the same values: {ROUNDS * len(names())} changes, {count} heard by asyncua, {our_count} stored")
        pairs.append((used_s / count * 1e6, our_used_s / our_count * 1e6))
        print(f"  bare asyncua {pairs[-1][0]:5.1f} µs a value ({count} values), whole path {pairs[-1][1]:5.1f} µs ({our_count} values)")
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    ours = statistics.median(ours for _, ours in pairs)
    print(f"OPC UA, {mode}: whole path {ours:.1f} µs CPU a value, {ratio:.2f} × bare asyncua", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    url = parser.parse_args().serve
    if url:
        asyncio.run(serve(url))
        return
    server = Outside()
    try:
        compare(server, "poll")
        compare(server, "subscribe")
    finally:
        server.kill()


if __name__ == "__main__":
    main()

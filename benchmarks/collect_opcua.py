"""What collecting over OPC UA costs: CPU per value of the whole path beside bare asyncua, polled and by subscription.

    python -m benchmarks.collect_opcua                 five pairs of each, medians

The server runs in a process of its own (this file with --serve); both sides of a pair read the same nodes of it, as often.
"""

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from asyncua import Client, ua
from asyncua.server.server import Server

from benchmarks.collect import QUANTITIES, committed, site_of
from collector.collect import run_collect
from domain.clock import Clock
from domain.profile import Node, OpcUaProfile
from domain.site import Device

RUNS = 5
STATIONS, VALUES, EVERY_S, SPAN_S = 100, 50, 1.0, 4.0
URI = "urn:keepwarm:bench"
PROFILE = OpcUaProfile("bench", "bench", URI, tuple(Node(name, f"s={{station_id}}.{name}", 0.1) for name in QUANTITIES[:VALUES]))


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
    value = 200.0
    while True:
        value = value + 1 if value < 600 else 200.0
        at = datetime.now(UTC)
        for node in nodes:
            await server.write_attribute_value(node, ua.DataValue(ua.Variant(value), SourceTimestamp=at))
        await asyncio.sleep(EVERY_S)


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
            found = await client.uaclient.read_attributes(nodes, ua.AttributeIds.Value)
            count += len([item.Value.Value * 0.1 for item in found if item.Value is not None])
            due += EVERY_S / STATIONS
            await asyncio.sleep(due - loop.time())
    return count, time.process_time() - before_s


async def bare_subscribe(client: Client, index: int) -> tuple[int, float]:
    """Values notified to asyncua alone, through its own iterator."""
    nodes = [client.get_node(ua.NodeId(ua.String(name), ua.Int16(index))) for name in names()]
    subscription = await client.create_subscription(EVERY_S * 1000, queue_maxsize=100_000)
    await subscription.subscribe_data_change(nodes, queuesize=10, sampling_interval=ua.Duration(EVERY_S * 1000))
    await asyncio.sleep(1.0)
    count, values = 0, []
    before_s, end = time.process_time(), time.monotonic() + SPAN_S
    while time.monotonic() < end:
        event = await subscription.next_event(1.0)
        if event is not None:
            values.append(event.value * 0.1)
            count += 1
    used_s = time.process_time() - before_s
    await subscription.delete()
    return count, used_s


async def bare(url: str, mode: str) -> tuple[int, float]:
    client = Client(url, timeout=5, watchdog_intervall=10)
    await client.connect()
    try:
        index = await client.get_namespace_index(URI)
        return await (bare_poll if mode == "poll" else bare_subscribe)(client, index)
    finally:
        await client.disconnect()


async def whole(url: str, mode: str) -> tuple[int, float]:
    """Values that ``collect`` read, decoded, screened and committed to its journal, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        devices = [Device(f"D{n}", f"S{n}", "opcua", url, "bench", interval_s=EVERY_S, timeout_s=5.0) for n in range(STATIONS)]
        site = replace(site_of(Path(folder), devices), profiles={"bench": replace(PROFILE, mode=mode)})
        site.data.mkdir()
        stop = asyncio.Event()
        task = asyncio.create_task(run_collect(site, Clock(), stop))
        await asyncio.sleep(2.5)
        from_ms, before_s = time.time_ns() // 1_000_000, time.process_time()
        await asyncio.sleep(SPAN_S)
        to_ms, used_s = time.time_ns() // 1_000_000, time.process_time() - before_s
        stop.set()
        await task
        readings, points = committed(site)
        stations = {point for point, name in enumerate(points) if name.startswith("station/")}
        inside = (readings.received_at >= from_ms) & (readings.received_at < to_ms)
        return sum(point in stations for point in readings.point[inside].tolist()), used_s


def compare(url: str, mode: str) -> None:
    pairs = []
    for _ in range(RUNS):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            count, used_s = runner.run(bare(url, mode))
            our_count, our_used_s = runner.run(whole(url, mode))
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"opc.tcp://127.0.0.1:{probe.getsockname()[1]}/bench"
    command = [sys.executable, "-m", "benchmarks.collect_opcua", "--serve", url]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        for mode in ("poll", "subscribe"):
            compare(url, mode)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()

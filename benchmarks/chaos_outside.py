"""The outside world of the chaos run: controllers and sensors that write down what they say before they say it.

python -m benchmarks.chaos_outside devices LOG PORT…     a Modbus TCP controller on each port
python -m benchmarks.chaos_outside opcua LOG PORT        an OPC UA server with one station
python -m benchmarks.chaos_outside sensors LOG PORT      boxes of room sensors that publish to the broker on this port

Everything said has a number of its own, and each value follows from it, so that a value that was never said is known as such. A
record is on the log before its bytes are on the wire; a process that is killed goes on behind the last number of its log.
"""

import asyncio
import json
import logging
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import paho.mqtt.client as paho
from asyncua import ua
from asyncua.server.server import Server
from paho.mqtt.enums import CallbackAPIVersion

USER: Final = "keepwarm"
PASSWORD: Final = "chaos"
QUANTITIES: Final = ("heat_energy_gj", "primary_volume_m3", "secondary_volume_m3", "makeup_volume_m3")  # of each controller
NAMESPACE: Final = "urn:keepwarm:chaos"
SENSORS: Final = 20  # of each box
BOXES: Final = 3
_EVERY_S: Final = 0.25
_RECORD: Final = struct.Struct("<HHIQ")
SAID, TAKEN = 0, 1


class Record(NamedTuple):
    """Who said which number when (UTC ms): ``what`` is SAID; or TAKEN, when the broker acknowledged it."""

    what: int
    who: int
    number: int
    at_ms: int


class Log:
    """Records of one process, each on the kernel's side of the file before the call returns: a kill loses none."""

    def __init__(self, path: Path) -> None:
        self.last: dict[int, int] = {}
        for record in records(path):
            self.last[record.who] = max(record.number, self.last.get(record.who, 0))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def next(self, who: int, at_ms: int) -> int:
        """The number of what is about to be said now."""
        self.last[who] = self.last.get(who, 0) + 1
        self.note(Record(SAID, who, self.last[who], at_ms))
        return self.last[who]

    def note(self, record: Record) -> None:
        """Writes one record."""
        os.write(self._file, _RECORD.pack(*record))


def records(path: Path) -> Iterator[Record]:
    """What a log holds; nothing where there is none."""
    content = path.read_bytes() if path.exists() else b""
    for at in range(0, len(content) // _RECORD.size * _RECORD.size, _RECORD.size):
        yield Record(*_RECORD.unpack_from(content, at))


def device_value(number: int, quantity: int) -> float:
    """What a controller shows for its quantity of this index in its reply of this number."""
    return float(number * 8 + quantity)


def sensor_value(box: int, number: int, sensor: int) -> float:
    """The room temperature that a sensor of a box tells in the message of this number."""
    return round(10 + (number * 7 + sensor * 131 + box * 977) % 19_000 / 1_000, 3)


def sensor_id(box: int, sensor: int) -> str:
    return f"C{box}-{sensor:02d}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# ── controllers ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def devices(log: Log, ports: list[int], stop: asyncio.Event) -> None:
    servers = []
    for who, port in enumerate(ports):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: int = who) -> None:
            try:
                while True:
                    transaction, _, length = struct.unpack(">HHH", await reader.readexactly(6))
                    body = await reader.readexactly(length)
                    number = log.next(who, now_ms())
                    words = b"".join(struct.pack(">I", int(device_value(number, index))) for index in range(len(QUANTITIES)))
                    reply = bytes([body[0], body[1], len(words)]) + words
                    writer.write(struct.pack(">HHH", transaction, 0, len(reply)) + reply)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        servers.append(await asyncio.start_server(serve, "127.0.0.1", port))
    await stop.wait()
    for server in servers:
        server.close()


# ── a server of OPC UA ────────────────────────────────────────────────────────────────────────────────────────────────


async def opcua(log: Log, port: int, stop: asyncio.Event) -> None:
    """Its items have another value every quarter of a second, stamped with the instant that is on the log."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    nodes = [await server.nodes.objects.add_variable(ua.NodeId(ua.String(name), ua.Int16(index)), name, 0.0) for name in QUANTITIES]

    async def show() -> None:
        at_ms = now_ms()
        number = log.next(0, at_ms)
        moment = ua.DateTime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
        for quantity, node in enumerate(nodes):
            value = ua.DataValue(ua.Variant(device_value(number, quantity), ua.VariantType.Double), SourceTimestamp=moment)
            await server.write_attribute_value(node.nodeid, value)

    await show()
    async with server:
        while not stop.is_set():
            await asyncio.sleep(_EVERY_S)
            await show()


# ── sensors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def sensors(log: Log, port: int, stop: threading.Event, drain: threading.Event) -> None:
    """Publishes until ``stop``; with ``drain`` until the broker has everything, too."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="chaos-boxes", protocol=paho.MQTTv311)
    client.username_pw_set(USER, PASSWORD)
    client.reconnect_delay_set(1, 1)
    waiting: list[tuple[paho.MQTTMessageInfo, Record]] = []

    def note_taken() -> None:
        done = {message.mid for message, _ in waiting if message.is_published()}
        for message, record in waiting:
            if message.mid in done:
                log.note(record._replace(what=TAKEN, at_ms=now_ms()))
        waiting[:] = [pair for pair in waiting if pair[0].mid not in done]

    client.connect_async("127.0.0.1", port, keepalive=5)
    client.loop_start()
    while not stop.wait(_EVERY_S):
        for box in range(BOXES):
            at_ms = now_ms()
            number = log.next(box, at_ms)
            points = [
                {"point_id": f"{sensor_id(box, sensor)}.temperature", "value": sensor_value(box, number, sensor), "timestamp": at_ms}
                for sensor in range(SENSORS)
            ]
            message = client.publish(f"edge/box{box}/points", json.dumps({"gateway": f"box{box}", "points": points}), qos=1)
            waiting.append((message, Record(SAID, box, number, at_ms)))
        note_taken()
    deadline = time.monotonic() + 30
    while drain.is_set() and waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        note_taken()
    client.disconnect()
    client.loop_stop()


def main() -> None:
    what, log, *ports = sys.argv[1:]
    if what != "sensors":

        async def run() -> None:
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            if what == "opcua":
                await opcua(Log(Path(log)), int(ports[0]), stop)
            else:
                await devices(Log(Path(log)), [int(port) for port in ports], stop)

        asyncio.run(run())
        return
    stop, drain = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def end(*_: object) -> None:
        drain.set()
        stop.set()

    signal.signal(signal.SIGINT, end)
    sensors(Log(Path(log)), int(ports[0]), stop, drain)


if __name__ == "__main__":
    main()

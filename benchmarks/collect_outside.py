"""The outside world of ``benchmarks.collect``, in processes of its own: controllers on Modbus TCP, room sensors on MQTT.

Lean on purpose, so that two cores are enough for both sides: replies are worked out beforehand, and change from poll to poll.
Each process prints one line of JSON when it is ready, and one with what it sent and its CPU seconds when its standard input is closed.
"""

import argparse
import asyncio
import json
import random
import struct
import sys
import threading
import time
from collections.abc import Callable

import uvloop

VARIANTS = 64


class Controller(asyncio.Protocol):
    """Answers reads of registers, any unit, any address, with the next of its variants; nothing once it is ``closed``."""

    def __init__(self, variants: list[bytes], answered: list[int], closed: asyncio.Event) -> None:
        self.variants = variants
        self.answered = answered
        self.closed = closed
        self.transport: asyncio.Transport | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.closed.is_set():  # the loop runs on for a moment: what it answered then nobody would count
            return
        self.buffer += data
        while len(self.buffer) >= 12:
            request, self.buffer = self.buffer[:12], self.buffer[12:]
            size = 2 * int.from_bytes(request[10:12], "big")
            at = self.answered[0]
            self.answered[0] = at + 1
            head = request[:4] + (size + 3).to_bytes(2, "big") + request[6:8] + bytes([size])
            self.transport.write(head + self.variants[at % VARIANTS][:size])  # type: ignore[union-attr]


def station_blocks(registers: int) -> list[bytes]:
    """Blocks of i16 values that look like temperatures: 40.0 to 60.0, 0.1 apart from variant to variant."""
    made = random.Random(1)
    base = [made.randint(400, 600) for _ in range(registers)]
    return [struct.pack(f">{registers}h", *(value + made.randint(-1, 1) for value in base)) for _ in range(VARIANTS)]


async def serve_controllers(registers: int, closed: asyncio.Event) -> dict[str, float]:
    """One port on every address of the loopback network: each address is a gateway of its own to who connects."""
    loop = asyncio.get_running_loop()
    answered = [0]
    blocks = station_blocks(registers)
    server = await loop.create_server(lambda: Controller(blocks, answered, closed), "0.0.0.0", 0, backlog=2000)
    say({"port": server.sockets[0].getsockname()[1]})
    await closed.wait()
    return {"answered": answered[0]}


async def publish_rooms(port: int, rooms: int, every_s: float, closed: asyncio.Event) -> dict[str, float]:
    """``rooms`` LoRaWAN sensors as ChirpStack tells of them, evenly spread over ``every_s``; stops publishing when it is told to."""
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="rooms", protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1000)
    acknowledged = [0]
    client.on_publish = lambda *_: acknowledged.__setitem__(0, acknowledged[0] + 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    say({"ready": True})
    made = random.Random(2)
    began, sent = time.monotonic(), 0
    while not closed.is_set():
        due = int((time.monotonic() - began) * rooms / every_s)
        while sent < due:
            body = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "+00:00",
                "fCnt": sent // rooms,
                "object": {"temperature": round(made.uniform(18, 22), 1), "humidity": made.randint(30, 50), "battery": 90},
                "rxInfo": [{"rssi": -made.randint(60, 110)}],
            }
            client.publish(f"application/1/device/{sensor(sent % rooms)}/event/up", json.dumps(body), qos=1)
            sent += 1
        await asyncio.sleep(0.02)
    for _ in range(1200):  # what the broker has not acknowledged it may have or not
        if acknowledged[0] < sent:
            await asyncio.sleep(0.05)
    client.disconnect()
    client.loop_stop()
    return {"sent": sent, "acknowledged": acknowledged[0]}


def sensor(number: int) -> str:
    """The sensor's EUI."""
    return f"a84041{number:010x}"


def say(word: dict[str, object]) -> None:
    print(json.dumps(word), flush=True)


async def until_closed(work: Callable[[asyncio.Event], object]) -> None:
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=wait, daemon=True).start()
    found = await work(closed)  # type: ignore[misc]
    say({**found, "cpu_s": time.process_time()})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--registers", type=int, default=0)
    parser.add_argument("--rooms", type=int, default=0)
    parser.add_argument("--broker", type=int, default=0)
    parser.add_argument("--every", type=float, default=600.0)
    asked = parser.parse_args()

    def work(closed: asyncio.Event) -> object:
        if asked.registers:
            return serve_controllers(asked.registers, closed)
        return publish_rooms(asked.broker, asked.rooms, asked.every, closed)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_closed(work))


if __name__ == "__main__":
    main()

"""Sends the room sensors' messages to the broker, as the gateways of the four networks would, and counts them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators.payloads import Message, Sent
from simulators.ports import HOST

PublishLog = Callable[[Sequence[Sent]], None]


@dataclass
class SentCounts:
    """What was handed to the broker: messages and readings by the first level of the topic, and messages that were not taken."""

    messages: Counter[str] = field(default_factory=Counter)
    readings: Counter[str] = field(default_factory=Counter)
    refused: int = 0


class Publisher:
    """A connection to the broker. ``log`` is told of every reading that was sent, in order."""

    def __init__(self, client: Client, counts: SentCounts, log: PublishLog | None) -> None:
        self._client = client
        self._counts = counts
        self._log = log
        self._unacknowledged: list[MQTTMessageInfo] = []

    def send(self, messages: Iterable[Message]) -> None:
        """Hands messages to the client's thread."""
        self._unacknowledged = [info for info in self._unacknowledged if not info.is_published()]
        for message in messages:
            info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
            if info.rc != MQTT_ERR_SUCCESS:
                self._counts.refused += 1
                continue
            self._unacknowledged.append(info)
            network = message.topic.partition("/")[0]
            self._counts.messages[network] += 1
            self._counts.readings[network] += len(message.readings)
            if self._log is not None and message.readings:
                self._log(message.readings)

    async def delivered(self, within_s: float) -> bool:
        """Waits until the broker has taken everything sent; whether it has in that time."""
        return await asyncio.to_thread(self._wait, time.monotonic() + within_s)

    def _wait(self, until: float) -> bool:
        for info in self._unacknowledged:
            if not info.is_published() and (left_s := until - time.monotonic()) > 0:
                info.wait_for_publish(left_s)
        return all(info.is_published() for info in self._unacknowledged)


@asynccontextmanager
async def mqtt_publisher(
    port: int, user: str, password: str, counts: SentCounts, log: PublishLog | None = None
) -> AsyncIterator[Publisher]:
    """A connected publisher while entered. Raises TimeoutError when the broker does not let it in within ten seconds."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="keepwarm-simulated-gateways", protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set(user, password)
    client.max_inflight_messages_set(200)
    connected = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_connect(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            loop.call_soon_threadsafe(connected.set)

    client.on_connect = on_connect
    client.connect_async(HOST, port, keepalive=60)
    client.loop_start()
    try:
        async with asyncio.timeout(10):
            await connected.wait()
        publisher = Publisher(client, counts, log)
        yield publisher
        await publisher.delivered(0.5)
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)

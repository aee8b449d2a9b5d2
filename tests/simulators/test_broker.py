"""The embedded broker and the publisher, with a real client beside them."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from amqtt.mqtt.protocol.handler import ProtocolHandler
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from domain.errors import ConfigError
from simulators.broker import mqtt_broker
from simulators.payloads import Message, Sent
from simulators.ports import HOST, pick_ports
from simulators.publisher import SentCounts, mqtt_publisher

USERS = {"keepwarm": "a good password", "gateways": "another"}


class Listener:
    """What a subscriber got."""

    def __init__(self) -> None:
        self.reason: Any = None
        self.answered = threading.Event()
        self.subscribed = threading.Event()
        self.got: list[tuple[str, bytes, bool]] = []

    async def has(self, count: int) -> bool:
        async with asyncio.timeout(5):
            while len(self.got) < count:  # noqa: ASYNC110 - filled by paho's thread
                await asyncio.sleep(0.01)
        return len(self.got) == count


@contextmanager
def listening(port: int, password: str | None, topic: str = "#") -> Iterator[Listener]:
    listener = Listener()
    client = Client(CallbackAPIVersion.VERSION2, client_id="test-listener", protocol=MQTTProtocolVersion.MQTTv311)
    if password is not None:
        client.username_pw_set("keepwarm", password)

    def on_connect(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        listener.reason = reason
        listener.answered.set()
        if not reason.is_failure:
            client.subscribe(topic, 1)

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: listener.subscribed.set()
    client.on_message = lambda _client, _data, message: listener.got.append((message.topic, bytes(message.payload), message.retain))
    client.connect_async(HOST, port)
    client.loop_start()
    try:
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("password", [None, "a guess", ""])
async def test_nobody_enters_without_the_password(password: str | None) -> None:
    port = pick_ports().mqtt
    async with mqtt_broker(port, USERS):
        with listening(port, password) as listener:
            assert await asyncio.to_thread(listener.answered.wait, 5)
            assert listener.reason.is_failure


async def test_what_is_sent_arrives_once_is_counted_and_logged() -> None:
    port, counts, logged = pick_ports().mqtt, SentCounts(), list[Sent]()
    sent = [
        Message(f"edge/{k}/points", f"{k}".encode(), 1, retain=False, readings=(Sent(f"room/{k}/indoor_temp_c", k, 20.0 + k),) * 2)
        for k in range(200)
    ]
    async with mqtt_broker(port, USERS), mqtt_publisher(port, "gateways", USERS["gateways"], counts, logged.extend) as publisher:
        with listening(port, USERS["keepwarm"]) as listener:
            assert await asyncio.to_thread(listener.subscribed.wait, 5)
            publisher.send(sent)
            assert await publisher.delivered(5)
            assert await listener.has(200)
    assert sorted((topic, payload) for topic, payload, _ in listener.got) == sorted((message.topic, message.payload) for message in sent)
    assert counts.messages == {"edge": 200}
    assert counts.readings == {"edge": 400}
    assert counts.refused == 0
    assert logged == [reading for message in sent for reading in message.readings]


async def test_a_retained_state_greets_a_late_subscriber() -> None:
    port = pick_ports().mqtt
    async with mqtt_broker(port, USERS), mqtt_publisher(port, "gateways", USERS["gateways"], SentCounts()) as publisher:
        publisher.send([Message("zigbee2mqtt/S07/B01/101", b"{}", 1, retain=True, readings=())])
        assert await publisher.delivered(5)
        with listening(port, USERS["keepwarm"], "zigbee2mqtt/#") as listener:
            assert await listener.has(1)
    assert listener.got == [("zigbee2mqtt/S07/B01/101", b"{}", True)]


async def test_a_delivery_to_a_client_that_has_gone_is_no_line_in_the_log_but_other_tasks_that_fail_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails() -> None:
        raise ValueError("not the broker's")

    async with mqtt_broker(pick_ports().mqtt, USERS):
        for made in (ProtocolHandler.mqtt_publish(None, "t", b"", 1, retain=False), fails()):
            task = asyncio.create_task(made)
            await asyncio.wait([task])
            del task
            gc.collect()
    (told,) = caplog.records
    assert "fails()" in told.getMessage()


async def test_a_taken_port_is_named() -> None:
    port = pick_ports().mqtt
    holder = await asyncio.start_server(lambda _reader, _writer: None, HOST, port)
    async with holder:
        with pytest.raises(ConfigError, match=f"mqtt: '{port}': this port is taken"):
            async with mqtt_broker(port, USERS):
                pass

"""What collecting over MQTT costs: CPU per message of the whole path beside bare paho with decoding, on a real broker.

    python -m benchmarks.collect_mqtt                  five pairs, medians

The broker (mosquitto) and the publisher run in processes of their own. Both sides hear the same messages, QoS 1, acknowledged.
"""

import asyncio
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import paho.mqtt.client as paho
import uvloop
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.collect import Outside, committed, mosquitto, site_of
from benchmarks.collect_outside import sensor
from collector.collect import run_collect
from domain.clock import Clock
from domain.profile import MqttProfile
from domain.site import Broker, Room, Subscription
from store.site_folder.profiles import SHIPPED, load_profile

RUNS = 5
SENSORS, EVERY_S, SPAN_S = 2000, 1.0, 4.0
TOPIC = "application/+/device/+/event/up"
VALUES = 4  # temperature, humidity, battery, rssi


def bare(port: int) -> tuple[int, float]:
    """Messages that paho alone heard, acknowledged, decoded into four numbers and a time; and its CPU seconds."""
    count = 0
    heard: list[tuple[str, int, list[float]]] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=paho.MQTTv5, manual_ack=True)

    def on_message(_client: paho.Client, _user: Any, message: paho.MQTTMessage) -> None:
        nonlocal count
        document = orjson.loads(message.payload)
        at_ms = int(datetime.fromisoformat(document["time"]).timestamp() * 1000)
        values = document["object"]
        numbers = [float(values["temperature"]), float(values["humidity"]), float(values["battery"]), float(document["rxInfo"][0]["rssi"])]
        heard.append((message.topic.split("/")[3], at_ms, numbers))
        client.ack(message.mid, message.qos)
        count += 1

    def on_connect(*_: Any) -> None:
        client.subscribe(TOPIC, qos=1)

    client.on_connect = on_connect
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    thread = threading.Thread(target=client.loop_forever)
    thread.start()
    time.sleep(1.0)
    before, before_s = count, time.process_time()
    time.sleep(SPAN_S)
    found = count - before, time.process_time() - before_s
    client.disconnect()
    thread.join()
    return found


async def whole(port: int) -> tuple[int, float]:
    """Messages whose values ``collect`` has committed to its journal and acknowledged, and its CPU seconds."""
    profile = load_profile(Path(SHIPPED) / "chirpstack.toml")
    assert isinstance(profile, MqttProfile)
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker("rooms", f"mqtt://127.0.0.1:{port}", f"whole-{uuid4().hex}", subscriptions=(Subscription(TOPIC, "chirpstack"),))
        rooms = {f"R{n}": Room(f"R{n}", sensor_id=sensor(n)) for n in range(SENSORS)}
        site = replace(site_of(Path(folder), [], brokers=(broker,)), profiles={"chirpstack": profile}, rooms=rooms)
        site.data.mkdir()
        stop = asyncio.Event()
        task = asyncio.create_task(run_collect(site, Clock(), stop))
        await asyncio.sleep(1.5)
        from_ms, before_s = time.time_ns() // 1_000_000, time.process_time()
        await asyncio.sleep(SPAN_S)
        to_ms, used_s = time.time_ns() // 1_000_000, time.process_time() - before_s
        stop.set()
        await task
        readings, points = committed(site)
        temperatures = {point for point, name in enumerate(points) if name.endswith("/indoor_temp_c")}
        inside = (readings.received_at >= from_ms) & (readings.received_at < to_ms)
        return sum(point in temperatures for point in readings.point[inside].tolist()), used_s


def main() -> None:
    pairs = []
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder)) as (port, _):
        sensors = Outside("--broker", port, "--rooms", SENSORS, "--every", EVERY_S)
        try:
            for _ in range(RUNS):
                count, used_s = bare(port)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    our_count, our_used_s = runner.run(whole(port))
                pairs.append((used_s / count * 1e6, our_used_s / our_count * 1e6))
                print(
                    f"  bare paho {pairs[-1][0]:6.1f} µs a message ({count}), whole path {pairs[-1][1]:6.1f} µs ({our_count})", flush=True
                )
        finally:
            sensors.kill()
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    ours = statistics.median(ours for _, ours in pairs)
    print(f"MQTT, {VALUES} values a message: whole path {ours:.1f} µs CPU a message, {ratio:.2f} × bare paho with decoding")


if __name__ == "__main__":
    main()

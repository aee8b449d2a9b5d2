"""Room sensors behind one MQTT broker: messages become readings of rooms, acknowledged once committed.

take ──▶ presence? retained? repeated? ──▶ parse ──▶ profile ──▶ sensor → room ──▶ columns to the intake ──▶ committed: acknowledge
                                              └── counted by reason    └── unknown: listed
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.backoff import Backoff
from collector.catching_up import CatchingUp
from collector.document import UnreadableError
from collector.health import Flip, SourceHealth
from collector.instants import plausible
from collector.intake import Intake
from collector.measuring_points import MeasuringPoints
from collector.payload import Value
from collector.sources.mqtt import NEW, Listener, Message
from collector.sources.topics import Topics, best
from collector.sparkplug import Births
from collector.unknown_sensors import UnknownSensors
from domain.clock import Clock
from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Broker, Site
from store.health import read_health

AT_ONCE = 2000
REMEMBERED = 20_000  # messages: as many as the inbox holds
NOTE_EVERY_S = 60.0
TICK_S = 1.0
GATHER_S = 0.06  # after the first message, for those that follow: taken together they cost half as much each
OUR_ERROR = "not read, by an error of our own: see the log"
FEW_IN_FLIGHT = 100  # a broker that sends fewer before it wants acknowledgements is not kept waiting

log = structlog.get_logger("collect")

Row = tuple[str, int, int, float, int]  # point's name, measured_at, received_at, value, quality


class Sensors:
    """One broker with the subscriptions of the site; a source that runs until cancelled."""

    def __init__(self, broker: Broker, site: Site, clock: Clock, intake: Intake, unknown: UnknownSensors) -> None:
        """To be made on the event loop. Raises ConfigError for a profile, secret or certificate that can't be used."""
        self.name = f"mqtt {broker.name}"
        self._broker = broker
        self._measuring_points = MeasuringPoints(site)
        self._topics = Topics(broker, site)
        self._births = Births(site.data / f"sparkplug_{broker.name}{site.share.mark}.json")
        self._offline: set[str] = set()
        self._clock, self._intake, self._unknown = clock, intake, unknown
        self._health = SourceHealth(broker.name, "mqtt", broker.url)
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._heard = asyncio.Event()
        self._started = False
        self._listener = self._listen()
        self._unacknowledged = 0
        self._life = 0
        self._catching_up = CatchingUp(_last_connected_ms(site, broker))
        self._state = (False, NEW)

    def point_names(self) -> list[str]:
        """The names of the points that this source gives for certain: its own health."""
        return [f"source/{self._broker.name}/connected", f"source/{self._broker.name}/sensors_offline"]

    def health(self) -> list[SourceHealth]:
        """The broker's record."""
        return [self._health]

    async def run(self) -> None:
        """Takes messages in until cancelled; acknowledging goes on until ``close``."""
        connected, offline = (await self._intake.ids(self.point_names())).tolist()
        if not self._started:
            self._listener.start()
            self._started = True
        loop = asyncio.get_running_loop()
        note_at = 0.0
        while True:
            if self._listener.outdated:
                await self._speak_older()
            listener = self._listener
            changed = self._note_state(listener)
            now = loop.time()
            if changed or now >= note_at:
                self._intake.note(connected, self._clock.now_ms(), float(listener.connected))
                self._intake.note(offline, self._clock.now_ms(), float(len(self._offline)))
                note_at = now + max(1.0, self._clock.wall_s(NOTE_EVERY_S))
            messages = listener.take(AT_ONCE)
            if messages:
                await self._take_in(listener, messages)
                continue
            await self._wait(max(0.05, min(note_at - now, TICK_S)))
            if listener.window > FEW_IN_FLIGHT:
                await asyncio.sleep(GATHER_S)

    async def close(self) -> None:
        """Leaves the broker; the session stays there."""
        if self._started:
            await asyncio.to_thread(self._listener.close)

    def _listen(self) -> Listener:
        loop = asyncio.get_running_loop()
        return Listener(self._broker, self._topics.wanted(), self._clock, partial(call_in, loop, self._heard))

    async def _speak_older(self) -> None:
        """Begins anew with MQTT 3.1.1, which is all that this broker seems to speak."""
        log.warning("broker does not speak MQTT 5; trying 3.1.1", source=self._broker.name, reason=self._listener.trouble)
        await asyncio.to_thread(self._listener.close)
        self._broker = replace(self._broker, protocol="3.1.1")
        self._listener = self._listen()
        self._life = 0
        self._listener.start()

    async def _wait(self, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await self._heard.wait()
        except TimeoutError:
            return
        self._heard.clear()

    def _note_life(self, life: int) -> None:
        if life != self._life:
            self._life = life
            self._catching_up.connected(resumed=self._listener.resumed, wall_ms=monotonic() * 1000)

    def _note_state(self, listener: Listener) -> bool:
        """Takes note of the connection as it is now; returns whether it has come or gone."""
        if listener.connected:
            self._note_life(listener.life)
            self._catching_up.alive(self._clock.now_ms(), monotonic() * 1000)
            self._health.last_good_ms = self._catching_up.last_connected_ms
        if listener.taken_over:
            self._health.counts[f"pushed out by another client with the client_id {self._broker.client_id}"] = listener.taken_over
        state = (listener.connected, listener.trouble)
        if state == self._state:
            return False
        changed = state[0] != self._state[0]
        self._state = state
        for topic, reason in listener.unheard.items():
            self._health.counts[f"subscription refused: {topic}: {reason}"] = 1
        if listener.connected:
            self._health.good(self._clock.now_ms())
        else:
            self._health.failed(listener.trouble)
        return changed

    # ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _take_in(self, listener: Listener, messages: Sequence[Message]) -> None:
        await self._intake.room()
        rows: list[Row] = []
        for message in messages:
            self._read(message, rows)
        readings = Readings.empty()
        if rows:
            names, measured, received, values, qualities = zip(*rows, strict=True)
            readings = Readings.of(await self._ids(names), measured, values, received_at=received, quality=qualities)
        owed = sum([message.qos > 0 for message in messages])
        self._unacknowledged += owed
        self._intake.put(
            readings, partial(self._committed, listener, messages, owed), hurry=self._unacknowledged >= listener.window * 2 // 5
        )

    async def _ids(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The points' ids. Messages once taken must not be lost to a registry that can't be written now: it is asked until it can."""
        backoff = Backoff(0.25, 5.0)
        while True:
            try:
                return await self._intake.ids(names)
            except StoreError as error:
                self._health.counts[f"registry refused: {error}"] += 1
                await asyncio.sleep(backoff.failed())

    def _committed(self, listener: Listener, messages: Sequence[Message], owed: int) -> None:
        self._unacknowledged -= owed
        listener.acknowledge(messages)

    def _read(self, message: Message, rows: list[Row]) -> None:
        """As ``_rows``; an error of our own in reading one message must not take those beside it with it."""
        try:
            self._rows(message, rows)
        except Exception:
            if OUR_ERROR not in self._health.counts:
                log.exception("message not read", source=self._broker.name, topic=message.topic)
            self._health.counts[OUR_ERROR] += 1

    def _rows(self, message: Message, rows: list[Row]) -> None:
        """Adds the readings in one message; what it holds besides is counted by reason."""
        health = self._health
        health.polls += 1
        health.bytes += len(message.payload)
        presence = self._topics.presence_in(message)
        if presence is not None:
            self._note_presence(*presence)
            return
        payloads = self._topics.payloads(message.topic)
        if message.retained:
            payloads = tuple(payload for payload in payloads if not payload.profile.ignore_retained)
            if not payloads:
                health.counts["retained"] += 1
                return
        if message.qos and self._heard_before(message):
            health.counts["repeated"] += 1
            return
        try:
            self._note_life(message.life)
            profile, content = best(payloads, message, self._births, self._catching_up.away_since_ms)
        except UnreadableError as error:
            health.counts[str(error)] += 1
            return
        if content.presence is not None:
            self._note_presence(*content.presence)
        for fault in content.faults:
            health.counts[fault] += 1
        if self._catching_up.away_since_ms is not None:
            self._catching_up.saw(of_now=all(plausible(value.measured_at, message.received_ms) for value in content.values))
        for value in content.values:
            name = self._measuring_points.name_of(value)
            if name:
                rows.append((name, value.measured_at, message.received_ms, value.value, value.quality))
            else:
                self._not_ours(value, profile, message)

    def _not_ours(self, value: Value, profile: str, message: Message) -> None:
        if self._measuring_points.elsewhere(value):
            self._health.counts["of another node"] += 1
            return
        self._health.counts["unknown sensor"] += 1
        if self._unknown.saw(value.sensor, profile, message.topic, message.received_ms, value.of, value.value):
            about = {"sensor": value.sensor, "source": self._broker.name, "profile": profile, "topic": message.topic}
            self._health.changed(Flip.UNKNOWN_SENSOR, value.sensor, **about)

    def _note_presence(self, sensor: str, there: bool) -> None:
        """A sensor says, or the broker in its name, whether it is there: told once, and counted. Its readings stand as long as they do."""
        if there == (sensor not in self._offline):
            return
        self._health.changed(Flip.SENSOR_THERE if there else Flip.SENSOR_GONE, sensor, sensor=sensor, source=self._broker.name)
        (self._offline.discard if there else self._offline.add)(sensor)
        self._health.counts["sensors offline"] = len(self._offline)

    def _heard_before(self, message: Message) -> bool:
        """Whether the broker sends this again because it has not seen our acknowledgement: it is in the intake already.

        Then it has the number it had before [MQTT-4.4.0-1]. One that was lost on its way may say the same as another that was not.
        """
        mark = hash((message.mid, message.topic, message.payload))
        if message.repeated and mark in self._recent:
            return True
        self._recent[mark] = None
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        return False


def _last_connected_ms(site: Site, broker: Broker) -> int | None:
    """When the process before this one last had this broker, by its last word."""
    for word in read_health(site.data):
        if word.component == f"collect{site.share.mark}":
            for record in word.detail.get("sources", ()):
                if record.get("name") == broker.name and record.get("protocol") == "mqtt":
                    last_good_ms: int | None = record.get("last_good_ms")
                    return last_good_ms
    return None


def call_in(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Sets an event of the loop from another thread; the loop may have ended meanwhile."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)

"""Commissioning: every device read once, what a broker's sensors send, what an OPC UA server has; nothing of it is stored.

check --connect   site ──▶ its own sources, at once ──▶ a journal that is thrown away ──▶ one finding a line
discover          OPC UA: browse ──▶ nodes that no device reads       MQTT: listen ──▶ sensors that stand in no room
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np

from collector.collect import keep_running
from collector.document import UnreadableError
from collector.health import SourceHealth
from collector.intake import Intake
from collector.measuring_points import MeasuringPoints
from collector.sources.mqtt import Listener, Message
from collector.sources.opcua.session import Login, open_session
from collector.sources.opcua.tree import Variable
from collector.sources.sensors import call_in
from collector.sources.table import SOURCES
from collector.sources.topics import Topics, best
from collector.sparkplug import Births
from collector.unknown_sensors import UnknownSensors
from domain.clock import Clock
from domain.errors import ConfigError, Mistake, SourceError
from domain.profile import OpcUaProfile
from domain.quantity import parse_point, quantity
from domain.reading import Quality, Readings
from domain.screening import Surroundings
from domain.site import Broker, Device, Site
from store.journal import open_journal
from store.points import PointRegistry
from store.secrets import secret

FIRST_POLL_S = 2.0  # devices are polled at once, spread over so long
TRIES = 2
NAMED = 4  # values of a device with one fault are named one by one; of more, it is the device's
HINTS = {
    Quality.DEVICE_ERROR: "; are unit, base and profile those of this device?",
    Quality.CLOCK: "; the device's clock is off, the time of receipt stands in",
}


@dataclass(frozen=True)
class Finding:
    """One line of an answer: about what, whether it is bad news, and what was found."""

    subject: str
    good: bool
    said: str

    def __str__(self) -> str:
        return f"{'ok ' if self.good else 'BAD'} {self.subject}: {self.said}"


# ── every device once ─────────────────────────────────────────────────────────────────────────────────────────────────


async def read_once(site: Site, clock: Clock, wait_s: float) -> list[Finding]:
    """Reads every device and visits every broker, for at most ``wait_s`` wall seconds; devices in the order of devices.csv.

    Raises ConfigError with every profile, secret or certificate that can't be used.
    """
    devices = {name: replace(device, interval_s=FIRST_POLL_S * clock.speed) for name, device in site.devices.items()}
    with tempfile.TemporaryDirectory() as folder:
        polled = replace(site, devices=devices, brokers=())
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_read(polled, clock, Path(folder), wait_s))
                visits = [group.create_task(_visit(broker, clock, wait_s)) for broker in site.brokers]
        except* ConfigError as errors:
            raise ConfigError(*_mistakes(errors)) from None
    return [*reading.result(), *(visit.result() for visit in visits)]


def _mistakes(errors: ExceptionGroup[ConfigError]) -> Iterable[Mistake]:
    return dict.fromkeys(mistake for error in errors.exceptions if isinstance(error, ConfigError) for mistake in error.mistakes)


async def _read(site: Site, clock: Clock, folder: Path, wait_s: float) -> list[Finding]:
    registry, journal = PointRegistry(folder / "points.db"), open_journal(replace(site, data=folder))
    surroundings = Surroundings(site.stations, site.rooms)
    intake = Intake(registry, journal, surroundings=surroundings)
    unknown = UnknownSensors(folder / "unknown.json", ())
    sources = [source for make in SOURCES.values() for source in make(site, clock, intake, unknown)]
    try:
        committing = asyncio.create_task(intake.run())
        tasks = [asyncio.create_task(keep_running(source.name, source.run)) for source in sources]
        records = {record.name: record for source in sources for record in source.health()}
        await _until_settled(list(records.values()), wait_s)
        await asyncio.sleep(0.5)  # what came last is committed by then; a subscription's values come a moment after its start
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        intake.end()
        await committing
        _, readings = journal.read(0, 10_000_000)
        names = [registry.name(point) for point in readings.point.tolist()]
    finally:
        intake.close()
        journal.close()
        registry.close()
    devices = site.devices.values()
    return [line for device in devices for line in _findings(device, records[device.device_id], names, readings, surroundings)]


async def _until_settled(records: list[SourceHealth], wait_s: float) -> None:
    """Waits until each device has answered or failed twice, at most ``wait_s``. A record says nothing when it changes: it is looked at."""
    end = time.monotonic() + wait_s
    waiting = records
    while waiting and time.monotonic() < end:
        waiting = [record for record in waiting if record.last_good_ms is None and record.failures < TRIES]
        await asyncio.sleep(0.1)


def _findings(device: Device, record: SourceHealth, names: list[str], readings: Readings, surroundings: Surroundings) -> Iterable[Finding]:
    """What one device gave: the newest reading of each of its points."""
    subject = device.device_id
    if record.last_good_ms is None:
        yield Finding(subject, good=False, said=f"{device.protocol} {device.address}: {record.reason or 'nothing came in time'}")
        return
    prefix = f"station/{device.station_id}/"
    newest = {name: row for row, name in enumerate(names) if name.startswith(prefix)}
    odd: dict[Quality, list[str]] = {}
    for name, row in newest.items():
        if mark := readings.quality[row]:
            odd.setdefault(Quality(mark), []).append(name)
    latency = "" if record.latency_ms is None else f" in {record.latency_ms:.0f} ms"
    usable = len(newest) - sum(len(of) for mark, of in odd.items() if mark.bad)
    plausible = len(newest) - sum(map(len, odd.values()))
    yield Finding(subject, good=usable > 0, said=f"{len(newest)} values{latency}, {plausible} of them plausible")
    for key, count in [*record.counts.items(), *((f"answers {words}", count) for words, count in record.exceptions.items())]:
        yield Finding(subject, good=False, said=key if "certificate" in key else f"{key}: {count}")
    for mark, of in odd.items():
        if len(of) > NAMED and mark not in (Quality.RANGE, Quality.SUSPECT_RANGE):
            yield Finding(subject, good=not mark.bad, said=f"{len(of)} values: {_words(mark)}{HINTS.get(mark, '')}")
            continue
        for name in of:
            yield Finding(name, good=not mark.bad, said=_oddity(name, float(readings.value[newest[name]]), mark, surroundings))


def _words(mark: Quality) -> str:
    return mark.name.lower().replace("_", " ")


def _oddity(name: str, value: float, mark: Quality, surroundings: Surroundings) -> str:
    unit = quantity(parse_point(name).quantity).unit
    shown = "no number" if np.isnan(value) else f"{value:g} {unit}".rstrip()
    kind = surroundings.place(name).kind
    of_mark = {Quality.RANGE: (kind.reject_low, kind.reject_high), Quality.SUSPECT_RANGE: (kind.suspect_low, kind.suspect_high)}
    low, high = (f"{limit:g}" if np.isfinite(limit) else "…" for limit in of_mark.get(mark, (np.inf, np.inf)))
    return f"{shown}, {_words(mark)}{f'; plausible is {low} to {high}' if (low, high) != ('…', '…') else ''}"


# ── brokers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Visitor:
    """A listener of its own name, so that the collector keeps its session, which leaves none behind.

    It speaks MQTT 3.1.1 where the broker has no more, as the collector does: ``broker`` says so. What it hears is given to ``hear`` and
    acknowledged at once: there are brokers that answer nothing, and all send nothing more, to one who owes them that.
    """

    def __init__(self, broker: Broker, clock: Clock, hear: Callable[[Message], None]) -> None:
        self.broker = replace(broker, client_id=f"{broker.client_id}-look-{uuid4().hex[:6]}")
        self._clock = clock
        self._hear = hear
        self._heard = asyncio.Event()
        self.listener = self._listen()

    def _listen(self) -> Listener:
        topics = {subscription.topic: True for subscription in self.broker.subscriptions}
        call = partial(call_in, asyncio.get_running_loop(), self._heard)
        listener = Listener(self.broker, topics, self._clock, call, keep_session=False)
        listener.start()
        return listener

    @property
    def shut_out(self) -> bool:
        """Whether the broker refuses us, or all that we subscribe to."""
        return self.listener.refused and not self.listener.outdated

    async def listen(self, wait_s: float, until: Callable[[Listener], bool]) -> None:
        """Listens until that holds, or the broker shuts us out, for at most ``wait_s`` wall seconds."""
        end = time.monotonic() + wait_s
        while not until(self.listener) and not self.shut_out and (left_s := end - time.monotonic()) > 0:
            if self.listener.outdated:
                await self.leave()
                self.broker = replace(self.broker, protocol="3.1.1")
                self.listener = self._listen()
            messages = self.listener.take(1000)
            for message in messages:
                self._hear(message)
            self.listener.acknowledge(messages)
            if not messages:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, 0.2)):
                        await self._heard.wait()
                self._heard.clear()

    async def leave(self) -> None:
        """Ends the connection."""
        await asyncio.to_thread(self.listener.close)


async def _visit(broker: Broker, clock: Clock, wait_s: float) -> Finding:
    visitor = _Visitor(broker, clock, lambda _: None)
    try:
        await visitor.listen(wait_s, lambda listener: listener.connected)
        listener = visitor.listener
        connected, trouble, unheard = listener.connected, listener.trouble, listener.unheard
    finally:
        await visitor.leave()
    older = "" if visitor.broker.protocol == broker.protocol else f" in MQTT {visitor.broker.protocol}, which is all that it speaks"
    refused = "".join(f"; {_refusal(topic, reason)}" for topic, reason in unheard.items())
    said = f"connected{older}{refused}" if connected else trouble
    return Finding(broker.name, good=connected and not unheard, said=f"mqtt {broker.url}: {said}")


def _refusal(topic: str, reason: str) -> str:
    return f"it refuses {topic}: {reason}"


@dataclass
class Heard:
    """A sensor that was heard: by which profile, on which topic, and its newest values."""

    sensor: str
    profile: str
    topic: str
    values: dict[str, float] = field(default_factory=dict)


class Listened(NamedTuple):
    """What was heard of a broker: the sensors, by name, and what it refuses to tell, in words."""

    sensors: list[Heard]
    refusals: list[str]


async def hear_sensors(site: Site, broker: Broker, clock: Clock, wait_s: float) -> Listened:
    """The sensors behind a broker that stand in no room, as heard in ``wait_s`` wall seconds; retained state counts here.

    Raises SourceError when the broker can't be reached in as long, or lets us hear nothing.
    """
    found: dict[str, Heard] = {}
    reader = _Reader(site, broker)
    visitor = _Visitor(broker, clock, lambda message: reader.read(message, found))
    try:
        await visitor.listen(wait_s, lambda listener: listener.life > 0)
        if visitor.listener.life:
            await visitor.listen(wait_s, lambda _: False)
        if not visitor.listener.life or visitor.shut_out:
            raise SourceError(f"mqtt {broker.url}: {visitor.listener.trouble}")
        unheard = visitor.listener.unheard
    finally:
        await visitor.leave()
    refusals = [f"mqtt {broker.url}: {_refusal(topic, reason)}" for topic, reason in unheard.items()]
    return Listened(sorted(found.values(), key=lambda one: one.sensor), refusals)


class _Reader:
    """Reads messages for the sensors in them that are not in the site."""

    def __init__(self, site: Site, broker: Broker) -> None:
        self._topics = Topics(broker, site)
        self._measuring_points = MeasuringPoints(site)
        self._births = Births(None)

    def read(self, message: Message, found: dict[str, Heard]) -> None:
        try:
            profile, content = best(self._topics.payloads(message.topic), message, self._births, None)
        except UnreadableError:
            return
        for value in content.values:
            if not self._measuring_points.name_of(value):
                one = found.setdefault(value.sensor, Heard(value.sensor, profile, message.topic))
                one.values[value.of] = value.value


# ── OPC UA ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def unread_nodes(site: Site, devices: list[Device], timeout_s: float = 5.0) -> list[Variable]:
    """The variables of the server of these devices (one address, one login) that none of their profiles reads.

    Raises SourceError when the server can't be read.
    """
    first = devices[0]
    login = Login(first.address, first.security, first.user, secret(first.password))
    try:
        session = await open_session(login, site.folder, site.data, timeout_s)
        try:
            variables = await session.variables()
        finally:
            await session.close()
    except SourceError as error:
        raise SourceError(f"opcua {first.address}: {error}") from error
    read = {
        (profile.namespace_uri, node.node.replace("{station_id}", device.station_id))
        for device in devices
        if isinstance(profile := site.profiles.get(device.profile), OpcUaProfile)
        for node in profile.nodes
    }
    return [variable for variable in variables if (variable.namespace_uri, variable.node) not in read]

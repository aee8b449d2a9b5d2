"""The process ``collect``: device → reading → journal.

SOURCES ──▶ one task per connection ──▶ intake ──▶ journal          health/collect.json and the log of changes every second
   └── how each stands, every minute ──────┘
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from collector.backoff import Backoff
from collector.change_log import ChangeLog
from collector.health import POINTS_EVERY_S, health_names, health_readings
from collector.intake import Intake
from collector.screen_memory import load_memory, save_memory
from collector.sources.table import SOURCES, Source
from collector.unknown_sensors import UnknownSensors
from domain.clock import Clock
from domain.screening import Surroundings
from domain.site import Site
from store.health import write_health
from store.journal import open_journal
from store.points import PointRegistry, open_points

HEALTH_EVERY_S = 1.0
UNKNOWN_SHOWN = 50
LAST_COMMIT_S = 1.5
CANCELLED_TIMES, CANCELLED_AGAIN_S = 5, 0.2
MEMORY_EVERY_S = 600.0  # what a kill may cost; a large town's is 20 MB

Work = Callable[[], Awaitable[None]]

log = structlog.get_logger("collect")


async def run_collect(site: Site, clock: Clock, stop: asyncio.Event) -> None:
    """``collect_with`` a registry of its own. Raises StoreError also when that can't be opened."""
    with open_points(site) as registry:
        await collect_with(registry, site, clock, stop)


async def collect_with(registry: PointRegistry, site: Site, clock: Clock, stop: asyncio.Event) -> None:
    """Reads the site's devices and brokers into the journal in ``site.data`` until ``stop`` is set; returns within 2 s of it.

    ``registry`` is the site's; others in this process may use it too. Raises ConfigError for a site that can't be collected and StoreError
    when the journal can't be opened. Network errors never end it.
    """
    journal = await asyncio.to_thread(open_journal, site)
    try:
        await _collect(site, clock, stop, Intake(registry, journal, surroundings=Surroundings(site.stations, site.rooms)))
    finally:
        journal.close()


async def _collect(site: Site, clock: Clock, stop: asyncio.Event, intake: Intake) -> None:
    unknown = _unknown_sensors(site)
    if (memory := await asyncio.to_thread(load_memory, _memory_file(site))) is not None:
        intake.remember(memory)
    sources = [source for make in SOURCES.values() for source in make(site, clock, intake, unknown)]
    records = [record for source in sources for record in source.health()]
    await intake.ids([name for source in sources for name in source.point_names()] + health_names(records))
    log.info("collecting", sources=len(sources), devices=len(site.devices), brokers=len(site.brokers))
    committing = asyncio.create_task(intake.run(), name="intake")
    changes = ChangeLog()
    works: list[tuple[str, Work]] = [
        *((source.name, source.run) for source in sources),  # several connections to one address have one name
        ("health", lambda: _tell_health(site, clock, sources, intake, unknown, changes)),
        ("health points", lambda: _note_health(clock, sources, intake)),
        ("screen's memory", lambda: _keep_memory(site, intake)),
    ]
    tasks = [asyncio.create_task(keep_running(name, work), name=name) for name, work in works]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        # The intake never ends by itself: if it does, that is a fault which must end the process loudly.
        await asyncio.wait([stopped, committing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel([*tasks, stopped])
        await _end(site, intake, committing, sources)
        _save(unknown)
        _write(site, clock, sources, intake, unknown)
        changes.end(records)


def _memory_file(site: Site) -> Path:
    return site.data / f"screen{site.share.mark}.npz"


async def _keep_memory(site: Site, intake: Intake) -> None:
    while True:
        await asyncio.sleep(MEMORY_EVERY_S)
        await _save_memory(site, intake)


async def _save_memory(site: Site, intake: Intake) -> None:
    memory = await intake.memory()
    try:
        await asyncio.to_thread(save_memory, _memory_file(site), memory)
    except OSError as error:
        log.warning("memory of the screening not written", reason=str(error))


def _unknown_sensors(site: Site) -> UnknownSensors:
    known = {room.sensor_id.casefold() for room in site.rooms.values() if room.sensor_id} | site.elsewhere
    return UnknownSensors(site.data / f"unknown_sensors{site.share.mark}.json", known)


async def _end(site: Site, intake: Intake, committing: asyncio.Task[None], sources: Sequence[Source]) -> None:
    """The last commit, its acknowledgements, and then the connections that carried them."""
    intake.end()
    await asyncio.wait([committing], timeout=LAST_COMMIT_S)
    if committing.done():
        await _save_memory(site, intake)
    else:
        log.error("the last commit took too long", pending=intake.pending)
    await asyncio.gather(*(_close(source) for source in sources))
    intake.close()
    if committing.done():
        committing.result()  # a fault of our own, if it was one that ended it
    committing.cancel()


async def _close(source: Source) -> None:
    try:
        async with asyncio.timeout(0.4):
            await source.close()
    except TimeoutError:
        log.warning("source did not close in time", source=source.name)


async def _cancel(tasks: Sequence[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
    """Ends these tasks. Told once is not enough: asyncua 2.1.0 takes it for its own where it comes while ``Client.disconnect`` waits for
    its helpers (``_cancel_task``), and ``asyncio.wait_for`` of Python 3.11 overhears it now and then (gh-86296).
    """
    waiting: set[asyncio.Task[Any]] = set(tasks)
    for _ in range(CANCELLED_TIMES):
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=CANCELLED_AGAIN_S)
        if not waiting:
            return
    log.error("sources did not end", sources=sorted(task.get_name() for task in waiting))


async def keep_running(name: str, work: Work) -> None:
    """Runs a source, or what tells of them, for good. An error of our own in one must not end the others: it is logged, and begun anew."""
    backoff = Backoff(1.0, 30.0)
    while True:
        began = time.monotonic()
        try:
            await work()
        except Exception:
            log.exception("failed; beginning anew", what=name)
        if time.monotonic() - began > 60:
            backoff.succeeded()
        await asyncio.sleep(backoff.failed())


# ── health ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _tell_health(
    site: Site, clock: Clock, sources: Sequence[Source], intake: Intake, unknown: UnknownSensors, changes: ChangeLog
) -> None:
    while True:
        changes.tell((record for source in sources for record in source.health()), asyncio.get_running_loop().time())
        await asyncio.to_thread(_write, site, clock, sources, intake, unknown)
        await asyncio.to_thread(_save, unknown)
        await asyncio.sleep(HEALTH_EVERY_S)


async def _note_health(clock: Clock, sources: Sequence[Source], intake: Intake) -> None:
    """Stores how each source stands as readings, every minute of the clock."""
    while True:
        records = [record for source in sources for record in source.health()]
        points = await intake.ids(health_names(records))
        if not intake.full:
            intake.put(health_readings(points, records, clock.now_ms()))
        await asyncio.sleep(max(HEALTH_EVERY_S, clock.wall_s(POINTS_EVERY_S)))


def _save(unknown: UnknownSensors) -> None:
    try:
        unknown.save()
    except OSError as error:
        log.warning("list of unknown sensors not written", reason=str(error))


def _write(site: Site, clock: Clock, sources: Sequence[Source], intake: Intake, unknown: UnknownSensors) -> None:
    records = [record for source in sources for record in source.health()]
    detail: dict[str, object] = {
        "readings_committed": intake.committed,
        "readings_bad": intake.bad,
        "readings_suspect": intake.suspect,
        "commits": intake.commits,
        "commits_refused": intake.refusals,
        "readings_pending": intake.pending,
        "trouble": intake.trouble,
        "sources_good": sum(record.state == "good" for record in records),
        "sources_failing": sum(record.state == "failing" for record in records),
        "overruns": sum(record.overruns for record in records),
        "failures": sum(record.failures for record in records),
        "received_bytes": sum(record.bytes for record in records),
        "sensors_unknown": len(unknown) + unknown.beyond,
        "sources": [record.as_dict() for record in records],
        "unknown_sensors": {"count": len(unknown), "beyond": unknown.beyond, "newest": unknown.newest(UNKNOWN_SHOWN)},
    }
    write_health(site.data, f"collect{site.share.mark}", clock.now_ms(), detail)

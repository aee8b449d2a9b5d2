"""The intake on real stores: what is handed in is on the disk within half a second, once the journal takes it."""

import asyncio
import resource
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from collector.intake import Intake
from domain.errors import StoreError
from domain.reading import Quality, Readings
from store.journal import Journal
from store.points import PointRegistry


class Stores:
    """The stores of a folder, and an intake that runs on them."""

    def __init__(self, folder: Path, most_readings: int = 1_000_000) -> None:
        self.registry = PointRegistry(folder / "points.db")
        self.journal = Journal(folder / "journal.db")
        self.intake = Intake(self.registry, self.journal, most_readings)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Intake]:
        task = asyncio.create_task(self.intake.run())
        try:
            yield self.intake
        finally:
            self.intake.end()
            await asyncio.wait_for(task, 5)
            self.intake.close()

    def kept(self) -> Readings:
        return self.journal.read(0, 10_000_000)[1]

    def close(self) -> None:
        self.journal.close()
        self.registry.close()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    found = Stores(tmp_path)
    yield found
    found.close()


def some(points: np.ndarray, value: float = 20.0, at_ms: int = 1000) -> Readings:
    count = len(points)
    return Readings.of(points, [at_ms] * count, [value] * count)


async def until(condition: object, deadline_s: float = 5.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_readings_are_on_the_disk_within_half_a_second_of_receipt(stores: Stores) -> None:
    async with stores.running() as intake:
        points = await intake.ids(["room/R1/indoor_temp_c"])
        took_s = []
        for number in range(4):
            done = asyncio.Event()
            began = time.monotonic()
            intake.put(some(points, at_ms=number), done.set)
            await asyncio.wait_for(done.wait(), 5)
            took_s.append(time.monotonic() - began)
            assert len(stores.kept()) == number + 1
    assert sorted(took_s)[1] < 0.6


async def test_a_source_in_a_hurry_does_not_wait_for_others(stores: Stores) -> None:
    async with stores.running() as intake:
        points = await intake.ids(["room/R1/indoor_temp_c"])
        took_s = []
        for number in range(4):
            done = asyncio.Event()
            began = time.monotonic()
            intake.put(some(points, at_ms=number), done.set, hurry=True)
            await asyncio.wait_for(done.wait(), 5)
            took_s.append(time.monotonic() - began)
    assert min(took_s) < 0.25


async def test_readings_are_screened_and_none_is_dropped(stores: Stores) -> None:
    async with stores.running() as intake:
        points = await intake.ids(["room/R1/indoor_temp_c", "station/S1/secondary_supply_temp_c"])
        intake.put(some(points, value=70.0))
        intake.note((await intake.ids(["source/D1/exchange_ok"]))[0], 2000, 1.0)
    kept = stores.kept()
    assert kept.quality.tolist() == [Quality.RANGE, Quality.GOOD, Quality.GOOD]
    assert (intake.committed, intake.bad, intake.suspect) == (3, 1, 0)
    assert [stores.registry.name(point) for point in kept.point.tolist()] == [
        "room/R1/indoor_temp_c",
        "station/S1/secondary_supply_temp_c",
        "source/D1/exchange_ok",
    ]


async def test_messages_without_readings_are_acknowledged_too(stores: Stores) -> None:
    async with stores.running() as intake:
        done = asyncio.Event()
        intake.put(Readings.empty(), done.set)
        await asyncio.wait_for(done.wait(), 5)
    assert intake.committed == 0


async def test_what_is_handed_in_last_is_committed_at_the_end(stores: Stores) -> None:
    done = asyncio.Event()
    async with stores.running() as intake:
        intake.put(some(await intake.ids(["room/R1/indoor_temp_c"])), done.set)
    assert done.is_set()
    assert len(stores.kept()) == 1


@pytest.fixture
def disk_full(tmp_path: Path) -> Iterator[object]:
    """Makes the disk full: files of this process can't grow beyond a few pages, as setrlimit does it to real writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def full(yes: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 if yes else before[0], before[1]))

    yield full
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


async def test_while_the_disk_is_full_readings_wait_unacknowledged_and_then_all_come(
    stores: Stores, disk_full: object, capsys: pytest.CaptureFixture[str]
) -> None:
    acknowledged: list[int] = []
    async with stores.running() as intake:
        points = await intake.ids([f"room/R{n}/indoor_temp_c" for n in range(500)])
        disk_full(True)  # type: ignore[operator]
        try:
            for number in range(3):
                intake.put(some(points, at_ms=number), lambda number=number: acknowledged.append(number))  # type: ignore[misc]
                await until(lambda number=number: intake.refusals > number)
            assert not acknowledged
            assert intake.pending == 1500
            assert intake.trouble
        finally:
            disk_full(False)  # type: ignore[operator]
        await until(lambda: acknowledged == [0, 1, 2])
        assert not intake.trouble
        assert intake.pending == 0
    kept = stores.kept()
    assert len(kept) == 1500
    assert sorted(set(kept.measured_at.tolist())) == [0, 1, 2]
    printed = capsys.readouterr().out
    assert printed.count("journal takes no readings") == 1
    assert printed.count("journal takes readings again") == 1


async def test_readings_that_the_journal_refused_at_first_keep_the_marks_of_their_screening(stores: Stores, disk_full: object) -> None:
    async with stores.running() as intake:
        points = await intake.ids(["room/R1/indoor_temp_c"])
        disk_full(True)  # type: ignore[operator]
        try:
            intake.put(Readings.of(np.repeat(points, 4), [60_000, 120_000, 180_000, 240_000], [20.0, 25.0, 25.0, 19.0]))
            await until(lambda: intake.refusals >= 2)
        finally:
            disk_full(False)  # type: ignore[operator]
        await until(lambda: intake.commits == 1)
    assert stores.kept().quality.tolist() == [Quality.GOOD, Quality.RATE, Quality.GOOD, Quality.RATE]
    assert intake.suspect == 2


async def test_the_intake_is_bounded_and_says_so(tmp_path: Path) -> None:
    class Stuck(Journal):
        stuck = True

        def append(self, readings: Readings) -> int:
            if self.stuck:
                raise StoreError("disk full")
            return super().append(readings)

    stores = Stores(tmp_path)
    journal = Stuck(tmp_path / "journal.db")
    stores.intake = Intake(stores.registry, journal, most_readings=10)
    async with stores.running() as intake:
        points = await intake.ids([f"room/R{n}/indoor_temp_c" for n in range(6)])
        intake.put(some(points))
        assert not intake.full
        await asyncio.wait_for(intake.room(), 1)
        intake.put(some(points))
        assert intake.full
        waiting = asyncio.create_task(intake.room())
        await until(lambda: intake.refusals >= 1)
        assert not waiting.done()
        journal.stuck = False
        await asyncio.wait_for(waiting, 5)
        assert not intake.full
    journal.close()
    stores.close()

"""Where all sources hand in what they read: gathered, screened and committed to the journal at most half a second after receipt.

put_block, put, note ──▶ gathered (bounded) ──▶ decode ──▶ screen ──▶ journal.append ──▶ committed callbacks
       the event loop                    a thread of its own                              the event loop
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.backoff import Backoff
from collector.blocks import Block, readings_of
from domain.errors import StoreError
from domain.reading import FIRST_BAD, Quality, Readings
from domain.screening import Memory, Screen, Surroundings
from store.journal import Journal
from store.points import PointRegistry

GATHER_S = 0.35  # from the first receipt to the commit's start
HURRY_S = 0.03  # the same, when a source waits for the commit
MOST_READINGS = 1_000_000

log = structlog.get_logger("collect")


@dataclass
class _Gathered:
    """What came in since the last commit."""

    blocks: list[Block] = field(default_factory=list)
    columns: list[Readings] = field(default_factory=list)
    notes: tuple[list[int], list[int], list[float]] = field(default_factory=lambda: ([], [], []))
    committed: list[Callable[[], None]] = field(default_factory=list)
    count: int = 0
    marked: Readings | None = None  # as they were screened

    def readings(self) -> Readings:
        """Everything as columns, in order of arrival."""
        notes = [Readings.of(*self.notes)] if self.notes[0] else []
        together = Readings.concat([*readings_of(self.blocks), *self.columns, *notes])
        return together.take(np.argsort(together.received_at, kind="stable"))


class Intake:
    """Takes readings in on the event loop and commits them in a thread. Nothing handed in is dropped.

    While the journal can't take them they are kept, and ``full`` tells the sources to hold back. Its health: ``committed``, of these
    ``bad`` and ``suspect`` (by their source or by screening), ``commits``, ``refusals`` (commits that failed), ``pending`` and ``trouble``
    (why the last commit failed, empty when it did not).
    """

    def __init__(
        self, registry: PointRegistry, journal: Journal, most_readings: int = MOST_READINGS, surroundings: Surroundings | None = None
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._most = most_readings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")
        self._screen = Screen(surroundings)
        self._gathered = _Gathered()
        self._committing = 0
        self._ending = False
        self._arrived = asyncio.Event()
        self._hurried = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.committed = 0
        self.bad = self.suspect = 0
        self.commits = 0
        self.refusals = 0
        self.trouble = ""

    async def ids(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The id of each point; new ones are registered, and their plausible ranges learnt.

        Raises StoreError when the registry can't be written.
        """
        found = self._find(names)
        if (found < 0).any():
            unknown = list(dict.fromkeys(name for name, point in zip(names, found.tolist(), strict=True) if point < 0))
            await asyncio.get_running_loop().run_in_executor(self._thread, self._register, unknown)
            found = self._find(names)
        return found

    def remember(self, memory: Memory) -> None:
        """Takes what the screen of an earlier process knew; to be called before any ``ids``."""
        self._screen.remember(memory)

    async def memory(self) -> Memory:
        """What the screen knows now."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._screen.memory)

    def _find(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The ids of points that are registered and learnt, -1 of any other. There is no second list of a town's points here."""
        found = self._registry.found(names)
        found[~self._screen.knows(found)] = -1
        return found

    def _register(self, names: list[str]) -> None:
        self._screen.learn(self._registry.ids(names), names)

    # ── taking in ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def put_block(self, block: Block) -> None:
        """Takes one Modbus reply, to be decoded together with others like it."""
        self._gathered.blocks.append(block)
        self._grow(len(block.points))

    def put(self, readings: Readings, committed: Callable[[], None] | None = None, *, hurry: bool = False) -> None:
        """Takes columns; ``committed`` is called on the event loop once they are on the disk, ``hurry`` makes that soon."""
        if len(readings):
            self._gathered.columns.append(readings)
        if committed is not None:
            self._gathered.committed.append(committed)
        self._grow(len(readings))
        if hurry:
            self._hurried.set()

    def note(self, point: int, at_ms: int, value: float) -> None:
        """Takes one value that the collector itself observed (the health of a source)."""
        points, instants, values = self._gathered.notes
        points.append(point)
        instants.append(at_ms)
        values.append(value)
        self._grow(1)

    def _grow(self, count: int) -> None:
        self._gathered.count += count
        self._arrived.set()
        if self.full:
            self._room.clear()

    @property
    def pending(self) -> int:
        """How many readings are taken in and not yet on the disk."""
        return self._gathered.count + self._committing

    @property
    def full(self) -> bool:
        """Whether sources must hold back: nothing more can be kept until a commit succeeds."""
        return self.pending >= self._most

    async def room(self) -> None:
        """Returns when there is room again."""
        await self._room.wait()

    # ── committing ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Commits what comes in, until ``end``; then what is left, once, and returns."""
        backoff = Backoff(0.25, 5.0)
        while not self._ending or self._gathered.count or self._gathered.committed:
            await self._arrived.wait()
            await self._gather()
            gathered = self._take()
            while not await self._commit(gathered):
                if self._ending:
                    log.error("readings lost at the end: the journal takes none", readings=self.pending, reason=self.trouble)
                    return
                await asyncio.sleep(backoff.failed())
            backoff.succeeded()

    def end(self) -> None:
        """Lets ``run`` commit what is left at once and return; nothing may be handed in any more."""
        self._ending = True
        self._arrived.set()
        self._hurried.set()

    def close(self) -> None:
        """Lets the thread end when it is done."""
        self._thread.shutdown(wait=False)

    async def _gather(self) -> None:
        await asyncio.sleep(0 if self._ending else HURRY_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S - HURRY_S):
                await self._hurried.wait()

    def _take(self) -> _Gathered:
        gathered, self._gathered = self._gathered, _Gathered()
        self._committing += gathered.count
        if not self._ending:
            self._arrived.clear()
            self._hurried.clear()
        return gathered

    async def _commit(self, gathered: _Gathered) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store, gathered)
        except StoreError as error:
            self._note_trouble(str(error))
            return False
        if self.trouble:
            log.info("journal takes readings again", pending=self.pending)
            self.trouble = ""
        self.commits += 1
        self.committed += gathered.count
        self._committing -= gathered.count
        if not self.full:
            self._room.set()
        for acknowledge in gathered.committed:
            acknowledge()
        return True

    def _note_trouble(self, reason: str) -> None:
        self.refusals += 1
        if not self.trouble:
            log.error("journal takes no readings; they are kept", reason=reason, pending=self.pending)
        self.trouble = reason

    def _store(self, gathered: _Gathered) -> None:
        if gathered.marked is None:  # once, however often the journal refuses them: the screen would compare them with themselves
            gathered.marked = self._screen(gathered.readings())
        marked = gathered.marked
        if len(marked):
            self._journal.append(marked)
            self.bad += int((marked.quality >= FIRST_BAD).sum())
            self.suspect += int(((marked.quality > Quality.GOOD) & (marked.quality < FIRST_BAD)).sum())

"""The units behind one address: polled one after the other, each at its own time, over one connection.

wait for the next turn ──▶ leave alone? ──▶ connect ──▶ settle what may come late ──▶ read each request ──▶ blocks to the intake
                           (sick, line down)                                           │           └── refused: part it, remember
                                                                                       └── silence: leave the unit alone for a while
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import numpy as np

from collector.backoff import Backoff
from collector.blocks import Block, Request, settling
from collector.health import SourceHealth
from collector.intake import Intake
from collector.schedule import Rota
from collector.sources.modbus import Line, connect
from collector.sources.replies import BUSY, GATEWAY_CODES, NOT_IN_ONE, ExceptionReplyError, SilentError
from collector.sources.unit import Read, Unit
from domain.clock import Clock
from domain.errors import SourceError
from domain.reading import Quality, Readings

BUSY_PAUSE_S = 0.1
SILENCES_OF_A_DEAD_LINE = 4


class Gateway:
    """One address with its units; a source that runs until cancelled."""

    def __init__(self, units: Sequence[Unit], clock: Clock, intake: Intake) -> None:
        self._protocol, self._address = units[0].device.protocol, units[0].device.address
        self._tagged = self._protocol == "modbus_tcp"  # replies name their question by its transaction
        self.name = f"{self._protocol} {self._address}"
        self._units = units
        self._clock, self._intake = clock, intake
        self._line: Line | None = None
        self._backoff = Backoff.at_pace(clock)
        self._closed_until = 0.0
        self._silences = 0
        self._trouble = ""

    def point_names(self) -> list[str]:
        """The names of all points this source may give."""
        return [name for unit in self._units for name in unit.point_names()]

    def health(self) -> list[SourceHealth]:
        """The record of each unit."""
        return [unit.health for unit in self._units]

    async def close(self) -> None:
        """Nothing is left to close after ``run``."""

    async def run(self) -> None:
        """Polls the units until cancelled."""
        for unit in self._units:
            unit.take_ids(await self._intake.ids(unit.point_names()))
        rota = Rota((unit.turn, unit) for unit in self._units)
        try:
            while True:
                unit, overruns = await rota.next()
                unit.health.overruns += overruns
                await self._serve(unit)
        finally:
            self._hang_up()

    # ── one turn ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, unit: Unit) -> None:
        now = asyncio.get_running_loop().time()
        if self._intake.full:
            unit.health.counts["held back: the journal takes none"] += 1
            return
        if now < max(unit.alone_until, self._closed_until):
            self._intake.note(unit.exchange_ok, self._clock.now_ms(), 0.0)
            if unit.health.state != "failing":
                unit.health.failed(self._trouble)
            return
        unit.health.polls += 1
        unit.answered = False
        try:
            line = await self._connected(unit)
            if unit.owing and (question := settling(unit.asked)) is not None:
                await self._settle(unit, line, question)
            for index, read in enumerate(tuple(unit.reads)):
                if index and unit.pause_s:
                    await asyncio.sleep(unit.pause_s)
                await self._ask(unit, line, read)
        except SourceError as error:
            self._failed(unit, error)

    async def _connected(self, unit: Unit) -> Line:
        if self._line is None or not self._line.connected:
            self._hang_up()
            self._line = await connect(self._protocol, self._address, unit.patience.cap_s)
        return self._line

    async def _settle(self, unit: Unit, line: Line, question: Request) -> None:
        """Asks what no earlier question of ours was alike to: units answer in turn, so after its reply no other is to come.

        A late reply instead of it is of another length: it is refused like any wrong reply, and the next poll begins here again.
        """
        with suppress(ExceptionReplyError):
            await line.read(unit.device.unit, question, unit.device.base, unit.patience.wait_s)
        unit.owing = False
        unit.health.counts["late replies ruled out"] += 1
        if unit.pause_s:
            await asyncio.sleep(unit.pause_s)

    async def _ask(self, unit: Unit, line: Line, read: Read) -> None:
        """Reads one request. A refusal of the device is an answer too: its points are marked, unless parts of it are not refused."""
        reply = await self._try(unit, line, read)
        if reply is None:
            read.refusals = 0
            return
        parts = await self._parts(unit, line, read) if reply.code in NOT_IN_ONE else []
        if not parts:
            self._mark(read)
            return
        # Some address is not the device's, or they are too many for it: from now on it is asked in these parts, for holes not at all.
        at = unit.reads.index(read)
        unit.reads[at : at + 1] = parts
        unit.health.counts["blocks split"] += 1

    async def _parts(self, unit: Unit, line: Line, read: Read) -> list[Read]:
        """The block in as few parts as the device answers; none where it refuses them all: then it is not the addresses.

        As that takes many requests, it is tried at the first refusal on end, the second, the fourth, the eighth and so on.
        """
        read.refusals += 1
        halves = read.halves()
        if halves is None or read.refusals & (read.refusals - 1):
            return []
        parts: list[Read] = []
        refused: list[Read] = []
        waiting = deque(halves)
        while waiting:
            part = waiting.popleft()
            if unit.pause_s:
                await asyncio.sleep(unit.pause_s)
            reply = await self._try(unit, line, part)
            halves = part.halves() if reply is not None and reply.code in NOT_IN_ONE else None
            if halves is not None:
                waiting.extendleft(reversed(halves))
                continue
            parts.append(part)
            if reply is not None:
                refused.append(part)
        if len(refused) == len(parts):
            return []
        for part in refused:
            self._mark(part)
        return parts

    async def _try(self, unit: Unit, line: Line, read: Read) -> ExceptionReplyError | None:
        """Hands in what one request brings; what the device said instead, if it refused."""
        began, bytes_before = monotonic(), line.bytes
        refusal = None
        try:
            payload = await self._exchange(unit, line, read.request)
        except ExceptionReplyError as reply:
            refusal = reply
            self._note_answer(unit, began)
            unit.health.exceptions[str(reply)] += 1
            if reply.code in GATEWAY_CODES and len(self._units) > 1:
                # The gateway waited for the silent target: leave that alone as if it had been silent to us.
                unit.alone_until = asyncio.get_running_loop().time() + 8 * (monotonic() - began)
        else:
            at_ms = self._note_answer(unit, began)
            self._intake.put_block(Block(read.request, read.points, payload, at_ms))
        unit.health.bytes += line.bytes - bytes_before
        return refusal

    async def _exchange(self, unit: Unit, line: Line, request: Request) -> bytes:
        """One request; a busy device is asked once more."""
        try:
            return await self._read(unit, line, request)
        except ExceptionReplyError as reply:
            if reply.code != BUSY:
                raise
            unit.health.exceptions[str(reply)] += 1
        await asyncio.sleep(BUSY_PAUSE_S)
        return await self._read(unit, line, request)

    async def _read(self, unit: Unit, line: Line, request: Request) -> bytes:
        if not self._tagged:
            unit.owing, unit.asked[request] = True, None
        try:
            payload = await line.read(unit.device.unit, request, unit.device.base, unit.patience.wait_s)
        except ExceptionReplyError:
            unit.owing = False
            raise
        unit.owing = False
        return payload

    # ── what came of it ───────────────────────────────────────────────────────────────────────────────────────────────

    def _note_answer(self, unit: Unit, began: float) -> int:
        """Takes note of an exchange that took until now; returns the clock's instant."""
        took_s = monotonic() - began
        at_ms = self._clock.now_ms()
        unit.patience.answered(took_s)
        self._backoff.succeeded()
        self._silences = 0
        if not unit.answered:
            unit.answered = True
            unit.health.good(at_ms, took_s * 1000)
            self._intake.note(unit.exchange_ok, at_ms, 1.0)
            self._intake.note(unit.latency_ms, at_ms, took_s * 1000)
        return at_ms

    def _mark(self, read: Read) -> None:
        """The device's refusal stands in for the values."""
        points, at_ms = read.points, self._clock.now_ms()
        instants = np.full(len(points), at_ms, np.int64)
        marks = np.full(len(points), Quality.DEVICE_ERROR, np.uint8)
        self._intake.put(Readings(points, instants, instants, np.full(len(points), np.nan), marks))

    def _failed(self, unit: Unit, error: SourceError) -> None:
        """Takes note of a poll that got no (sound) answer, and decides how long the unit or the whole line is left alone."""
        now = asyncio.get_running_loop().time()
        self._trouble = str(error)
        if unit.answered:
            unit.health.counts["requests of a poll without answer"] += 1
        else:
            unit.health.failed(self._trouble)
            self._intake.note(unit.exchange_ok, self._clock.now_ms(), 0.0)
        if self._line is None:
            self._closed_until = now + self._backoff.failed()
            return
        if isinstance(error, SilentError):
            unit.alone_until = now + unit.patience.silent()
            self._silences += 1
            if self._silences >= min(max(2, len(self._units)), SILENCES_OF_A_DEAD_LINE):
                # Nobody answers: a half-open link, or a gateway that hangs.
                self._hang_up()
                self._closed_until = now + self._backoff.failed()
        elif not self._line.connected:
            self._hang_up()
            self._closed_until = now + self._backoff.failed()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None

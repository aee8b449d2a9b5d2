"""What every page costs the server until it is whole, in a town towards the end of a season: to whoever opens it first, and to the next."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import psutil

from benchmarks.viewers import Viewer
from dashboard.pages import PAGES

PAGE_MOST_MS: Final = 1_000.0
SETTLES_S: Final = 60.0
IDLE_PERCENT: Final = 10.0


@dataclass(frozen=True)
class Answer:
    """One page: milliseconds of server CPU and of waiting, for the first who opens it and for the next; kB of the answer unpacked."""

    path: str
    first_cpu_ms: float
    first_ms: float
    next_cpu_ms: float
    size_kb: float
    troubles: int


def answers(port: int, process: psutil.Process, cookie: str) -> list[Answer]:
    """Every page, one after the other, by somebody who may see all; once the server has nothing left to do of its own."""
    settle(process)
    return [asyncio.run(_answer(port, process, cookie, path)) for path in PAGES]


def settle(process: psutil.Process) -> None:
    """Waits until a process that has just started does next to nothing any more."""
    process.cpu_percent()
    deadline = time.monotonic() + SETTLES_S
    while process.cpu_percent(0.5) > IDLE_PERCENT and time.monotonic() < deadline:
        pass


async def _answer(port: int, process: psutil.Process, cookie: str, path: str) -> Answer:
    first_cpu, first_ms, size, troubles = await _open(port, process, cookie, path)
    await asyncio.sleep(1.2)  # what is shared for a moment is computed anew
    next_cpu, _, _, more = await _open(port, process, cookie, path)
    return Answer(path, first_cpu, first_ms, next_cpu, size / 1e3, troubles + more)


async def _open(port: int, process: psutil.Process, cookie: str, path: str) -> tuple[float, float, int, int]:
    """CPU ms of the server, ms until the page was whole, its bytes, and what failed on it."""
    before = process.cpu_times()
    async with Viewer(port, cookie, path, ticks=False) as viewer:
        after = process.cpu_times()
        seen = viewer.seen
    cpu_s = after.user + after.system - before.user - before.system
    return cpu_s * 1e3, seen.opened_s[0] * 1e3, seen.opened_bytes[0], sum(seen.troubles.values())

"""What the pages cost: first paint, refreshes for many viewers, memory, trends, the API. Run: python -m benchmarks.dashboard

A town of 5 000 stations and 100 000 rooms, written with our own writers and going on meanwhile, behind a real dashboard on one core;
chromium for the first paint, streams and HTTP of viewers for the rest. Beside it, in the same run: a bare Streamlit page that shows the
same HTML and refreshes as often.

    python -m benchmarks.dashboard [--stations N --rooms N --viewers N --seconds S]
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks.large_town import NOW_MS, large_town, rest, season_station
from benchmarks.page_answers import PAGE_MOST_MS, answers
from benchmarks.viewers import FRESH_S, Seen, watch
from dashboard.accounts import make_invitation, redeem_invitation, signing_key, wall_ms
from dashboard.api.keys import make_key
from dashboard.session import COOKIE, Sessions
from domain.clock import iso
from domain.site import Site
from store.records import open_records

RUNS: Final = 5
WAVES: Final = 6
STARTS_S: Final = 120.0
DAY_MS: Final = 86_400_000
STEPS: Final = 800  # of a chart over a season, as the station's page asks for them
ASKS: Final = ("/now",)  # bar.js
CHROMIUM: Final = "/usr/bin/chromium"
ARGUMENTS: Final = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# When a station's card (or the bare page's) has been painted: the second frame after it stands in the document.
PAINTED: Final = """
window.painted = new Promise((done) => {
  const look = () => document.querySelector(".kw-station")
    ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))
    : requestAnimationFrame(look);
  look();
});
"""
BARE: Final = """
import streamlit as st
st.set_page_config(layout="wide")
@st.fragment(run_every={every})
def wall():
    st.html({html!r})
wall()
"""


@dataclass(frozen=True)
class Size:
    stations: int = 5_000
    rooms: int = 100_000
    viewers: int = 50
    seconds: float = 20.0
    season_days: int = 120


@dataclass(frozen=True)
class Load:
    """So many viewers for so long, and what they cost the server."""

    seen: Seen
    viewers: int
    cpu_s: float
    wall_s: float
    memory_mb: float

    @property
    def cpu_ms(self) -> float:
        """CPU of one refresh of one viewer: everything that his page asks for in two seconds."""
        return self.cpu_s / (self.viewers * self.wall_s / FRESH_S) * 1e3

    @property
    def refresh_kb(self) -> float:
        return self.seen.refresh_bytes / (self.viewers * self.wall_s / FRESH_S) / 1e3


class Server:
    """The dashboard's process."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.records = open_records(site.data / "records.db")
        self._sessions = Sessions(self.records, signing_key(site.data / "dashboard.key"))
        self._names = iter(range(10**6))
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(128)
            self.port = listening.getsockname()[1]
            command = [sys.executable, "-m", "keepwarm", "dashboard", str(site.folder), "--socket", str(listening.fileno())]
            began = time.monotonic()
            self._errors = (site.folder / "dashboard.log").open("w", encoding="utf-8")
            self.process = psutil.Popen(command, pass_fds=[listening.fileno()], stderr=self._errors)
        _answers(f"http://127.0.0.1:{self.port}/healthz")
        self.starts_s = time.monotonic() - began

    def cookie(self, role: str = "viewer") -> str:
        """A reader of his own, signed in."""
        now_ms = wall_ms()
        account = redeem_invitation(self.records, make_invitation(self.records, f"viewer-{next(self._names)}", role, now_ms), now_ms)
        assert account is not None
        return self._sessions.open(account)

    def cookies(self, count: int) -> list[str]:
        return [f"{COOKIE}={self.cookie()}" for _ in range(count)]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.records.dispose()
        self._errors.close()


def _answers(address: str) -> None:
    deadline = time.monotonic() + STARTS_S
    while time.monotonic() < deadline:
        try:
            httpx.get(address, timeout=STARTS_S)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(address)


@contextmanager
def going_on(site: Site) -> Iterator[None]:
    """What collect and watch write meanwhile."""
    outside = subprocess.Popen([sys.executable, "-m", "benchmarks.large_town", str(site.folder)])
    try:
        yield
    finally:
        outside.terminate()
        outside.wait(20)


@contextmanager
def bare_page(html: str, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A Streamlit page with nothing but this HTML, as often refreshed."""
    script = folder / "bare.py"
    script.write_text(BARE.format(every=FRESH_S, html=html), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"server.port": port, "server.headless": "true", "browser.gatherUsageStats": "false", "server.fileWatcherType": "none"}
    command = [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{name}={value}" for name, value in options.items())]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _answers(f"http://127.0.0.1:{port}/_stcore/health")
        yield port, process
    finally:
        process.terminate()
        process.wait(20)


def load(port: int, process: psutil.Process, cookies: Sequence[str], seconds: float, asks: Sequence[str] = ASKS) -> Load:
    """The cost of viewers whose pages are open; that of opening them is not in it."""
    used = 0.0

    def begin() -> None:
        nonlocal used
        used = _cpu_s(process)

    seen = asyncio.run(watch(port, cookies, seconds, asks=asks, opened=begin))
    return Load(seen, len(cookies), _cpu_s(process) - used, seconds, process.memory_info().rss / 1e6)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def first_paints(browser: Browser, address: str, cookie: str, runs: int) -> tuple[float, float]:
    """Median seconds until the wall is painted: for a browser that never was here, and for one that was."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(runs):
        context = browser.new_context(viewport={"width": 1920, "height": 1080})
        context.add_init_script(PAINTED)
        if cookie:
            context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])
        for times in (first, again):
            page = context.new_page()
            page.goto(address)
            times.append(float(page.evaluate("window.painted")) / 1e3)
            page.close()
        context.close()
    return statistics.median(first), statistics.median(again)


def asked_ms(client: httpx.Client, path: str, runs: int = RUNS) -> tuple[float, int]:
    """Median milliseconds of an answer of the API, and its bytes unpacked."""
    times, size = [], 0
    for _ in range(runs):
        began = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - began) * 1e3)
        assert answer.status_code == 200, answer.text
        size = len(answer.content)
    return statistics.median(times), size


def api_figures(server: Server, size: Size) -> dict[str, float]:
    token = make_key(server.records, "benchmark", ("read",), "benchmark", wall_ms())
    address = f"http://127.0.0.1:{server.port}/api/v1"
    point = f"station/{season_station(server.site)}/secondary_supply_temp_c"
    step_h = -(-size.season_days * 24 // STEPS)
    span = {"from": iso(NOW_MS - size.season_days * DAY_MS), "to": iso(NOW_MS), "step_s": str(step_h * 3_600)}
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=60.0) as client:
        trend, _ = asked_ms(client, f"/readings?{httpx.QueryParams({'point': point, **span})}")
        latest, latest_bytes = asked_ms(client, "/latest")
        points = len(client.get("/latest").json()["point"])
    return {"trend_ms": trend, "latest_ms": latest, "latest_points": points, "latest_mb": latest_bytes / 1e6}


def growth(server: Server, waves: int, viewers: int) -> tuple[float, float]:
    """Readers who come, look and go: megabytes that stay for each page opened, and those of the process at the end."""
    sizes = []
    for _ in range(waves):
        asyncio.run(watch(server.port, server.cookies(viewers), FRESH_S, asks=ASKS))
        sizes.append(server.process.memory_info().rss / 1e6)
    half = len(sizes) // 2  # the first waves fill caches
    return max(0.0, sizes[-1] - sizes[half]) / max(1, (len(sizes) - 1 - half) * viewers), sizes[-1]


def pin(process: psutil.Process, core: int) -> None:
    with_core = [core % (os.cpu_count() or 1)]
    process.cpu_affinity(with_core)


def run(folder: Path, size: Size, say: Callable[[str], None] = print, *, runs: int = RUNS, waves: int = WAVES) -> dict[str, float]:
    """All figures, each said with what is required of it."""
    site = large_town(folder / "town", size.stations, size.rooms, season_days=size.season_days)
    rest(site)
    with ExitStack() as stack:
        server = Server(site)
        stack.callback(server.close)
        stack.enter_context(going_on(site))
        idle_mb = server.process.memory_info().rss / 1e6
        found = {"starts_s": server.starts_s, "idle_mb": idle_mb, "load": os.getloadavg()[0]}
        say(
            f"{size.stations} stations, {size.rooms} rooms; answers after {server.starts_s:.1f} s, {idle_mb:.0f} MB; load {found['load']:.1f}"  # noqa: E501
        )
        found |= first_answers(server, say)
        html = _wall_html(server)
        port, bare = stack.enter_context(bare_page(html, folder))
        found |= paints(server, port, runs, say)
        pin(server.process, 0)
        pin(bare, 0)
        found |= refreshes(server, (port, bare), size, waves, say)
        found |= api_figures(server, size)
    _line(say, "a season's trend of one point over the API", found["trend_ms"], 300, "ms")
    beside = f"{found['latest_points']:.0f} points, {found['latest_mb']:.1f} MB of JSON"
    _line(say, "API latest of all points", found["latest_ms"], 300, "ms", beside)
    return found


def _wall_html(server: Server) -> str:
    """What the wall shows now, as a viewer gets it."""
    cookie = f"{COOKIE}={server.cookie()}"
    addresses = asyncio.run(watch(server.port, [cookie], 0.0)).fresh
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers={"cookie": cookie}, timeout=60.0) as client:
        return "".join("".join(client.get(address).json()) for address in addresses)


def first_answers(server: Server, say: Callable[[str], None]) -> dict[str, float]:
    """What the pages cost whoever opens them first, and the next: the dearest of each, in CPU of the server."""
    found = answers(server.port, server.process, f"{COOKIE}={server.cookie('admin')}")
    first, later = max(found, key=lambda one: one.first_cpu_ms), max(found, key=lambda one: one.next_cpu_ms)
    names = ", ".join(f"{one.path or 'overview'} {one.first_cpu_ms:.0f}/{one.next_cpu_ms:.0f}" for one in found)
    _line(say, f"the dearest of {len(found)} pages, first opened", first.first_cpu_ms, PAGE_MOST_MS, "ms CPU", first.path or "overview")
    _line(say, "  opened again", later.next_cpu_ms, PAGE_MOST_MS, "ms CPU", names)
    troubles = sum(one.troubles for one in found)
    return {"page_first_ms": first.first_cpu_ms, "page_next_ms": later.next_cpu_ms, "page_troubles": troubles, "pages": len(found)}


def paints(server: Server, bare_port: int, runs: int, say: Callable[[str], None]) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        first, again = first_paints(browser, f"http://127.0.0.1:{server.port}/", server.cookie(), runs)
        bare_first, bare_again = first_paints(browser, f"http://127.0.0.1:{bare_port}/", "", runs)
        browser.close()
    beside = "{:.2f} × a bare Streamlit page of the same HTML ({:.2f} s)"
    _line(say, "first useful paint, never here before", first, 1.5, "s", beside.format(first / bare_first, bare_first))
    _line(say, "first useful paint, been here before", again, 1.5, "s", beside.format(again / bare_again, bare_again))
    return {"first_paint_s": first, "again_paint_s": again, "bare_first_s": bare_first, "bare_again_s": bare_again}


def refreshes(server: Server, bare: tuple[int, psutil.Process], size: Size, waves: int, say: Callable[[str], None]) -> dict[str, float]:
    one = load(server.port, server.process, server.cookies(1), size.seconds / 2)
    many = load(server.port, server.process, server.cookies(size.viewers), size.seconds)
    few = max(1, size.viewers // 5)
    floor = load(*bare, [""] * few, size.seconds / 2, asks=())
    busy = many.cpu_s / many.wall_s * 100
    late, lost = many.seen.late(1.0), sum(many.seen.troubles.values())
    _line(say, "a refresh of one viewer alone", one.cpu_ms, 50, "ms CPU", f"{one.refresh_kb:.1f} kB over the line")
    beside = f"{many.cpu_ms / floor.cpu_ms:.2f} × a bare Streamlit page ({floor.cpu_ms:.1f} ms), {many.cpu_ms / one.cpu_ms:.2f} × one viewer alone"  # noqa: E501
    _line(say, f"a refresh of each of {size.viewers} viewers", many.cpu_ms, 50, "ms CPU", beside)
    _line(say, "  over the line", many.refresh_kb, 200, "kB", f"{floor.refresh_kb:.1f} kB of a bare Streamlit page")
    beside = f"half within {many.seen.late(0.5):.3f} s, 99 % within {many.seen.late(0.99):.3f} s, {many.seen.missed} of {many.seen.ticks} left out"  # noqa: E501
    _line(say, "  the latest on one core", late, 2.0, "s", f"{beside}, {lost} failed, core {busy:.0f} % busy")
    grown, end_mb = growth(server, waves, size.viewers)
    beside = f"{many.memory_mb:.0f} MB with {size.viewers} pages open; each page opened leaves {grown * 1e3:.0f} kB"
    _line(say, "server's memory", max(end_mb, many.memory_mb), 600, "MB", beside)
    return {
        "one_cpu_ms": one.cpu_ms, "many_cpu_ms": many.cpu_ms, "bare_cpu_ms": floor.cpu_ms, "refresh_kb": many.refresh_kb, "late_s": late,
        "missed": many.seen.missed, "ticks": many.seen.ticks, "failed": lost, "memory_mb": max(end_mb, many.memory_mb), "left_mb": grown,
    }  # fmt: skip


def _line(say: Callable[[str], None], what: str, value: float, most: float, unit: str, beside: str = "") -> None:
    verdict = "ok  " if value <= most else "MISS"
    say(f"{what:<44} {value:9.2f} {unit:<7} {verdict} ≤ {most:g}   {beside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in vars(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), Size(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()

"""What collecting costs: CPU per value of the whole Modbus path beside bare pymodbus, and a whole town on real protocols.

    python -m benchmarks.collect                       CPU per value, then the town for 10 minutes
    python -m benchmarks.collect --town-minutes 1      the same with a short town; --only path|town|scale for one part

The outside world runs in processes of its own; its CPU is stated apart.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import structlog
import uvloop
from numpy.typing import NDArray
from pymodbus.client import AsyncModbusTcpClient

from benchmarks.collect_outside import sensor
from collector.collect import run_collect
from domain.clock import Clock
from domain.profile import ModbusProfile, Register
from domain.reading import Readings
from domain.site import Device, Site, Station
from store.health import read_health
from store.journal import Journal
from store.points import PointRegistry
from store.site_folder.policies import DEFAULT, load_policy

RUNS = 5
DEVICES, VALUES, EVERY_S, SPAN_S = 200, 50, 0.5, 12.0

# Five circuits of ten values, of the kinds that controllers have.
QUANTITIES = [
    f"secondary{circuit}_{rest}"
    for circuit in range(1, 6)
    for rest in ("supply_temp_c", "return_temp_c", "supply_pressure_mpa", "return_pressure_mpa", "flow_m3h", "volume_m3")
] + [
    "primary_supply_temp_c", "primary_return_temp_c", "primary_supply_pressure_mpa", "primary_return_pressure_mpa", "primary_flow_m3h",
    "primary_volume_m3", "heat_power_gjh", "heat_energy_gj", "makeup_flow_m3h", "makeup_volume_m3", "outdoor_temp_c", "tank_level_m",
    "valve_position_pct", "alarm_word", "pump1_running", "pump2_running", "pump3_running", "pump1_frequency_hz", "pump2_frequency_hz",
    "pump3_frequency_hz",
]  # fmt: skip
PROFILE = ModbusProfile("bench", "bench", tuple(Register(name, n, "i16", scale=0.1) for n, name in enumerate(QUANTITIES)))


class Outside:
    """A process of the outside world: its ``first`` word, and its ``last`` one after ``end``."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "benchmarks.collect_outside", *map(str, arguments)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self._word()
        self.last: dict[str, Any] = {}

    def _word(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        word: dict[str, Any] = json.loads(self._process.stdout.readline())
        return word

    def end(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.last = self._word()
        return self.last

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


# ── one path beside bare pymodbus ─────────────────────────────────────────────────────────────────────────────────────


async def bare(port: int, span_s: float) -> tuple[int, float]:
    """Values read by pymodbus alone, as lean as it can be used: block reads, decoded at once with numpy. And its CPU seconds."""
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port, timeout=3) for _ in range(DEVICES)]
    await asyncio.gather(*(client.connect() for client in clients))
    count = 0
    loop = asyncio.get_running_loop()

    async def poll(client: AsyncModbusTcpClient, phase_s: float) -> None:
        nonlocal count
        due = loop.time() + phase_s
        while True:
            await asyncio.sleep(due - loop.time())
            reply = await client.read_input_registers(0, count=VALUES, device_id=1)
            values = np.array(reply.registers, np.uint16).view(np.int16) * 0.1
            count += len(values)
            due += EVERY_S

    tasks = [asyncio.create_task(poll(client, EVERY_S * n / DEVICES)) for n, client in enumerate(clients)]
    await asyncio.sleep(1.0)
    before, before_s = count, time.process_time()
    await asyncio.sleep(span_s)
    found = count - before, time.process_time() - before_s
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for client in clients:
        client.close()
    return found


def site_of(folder: Path, devices: list[Device], **more: Any) -> Site:
    return Site(
        name="bench",
        timezone=ZoneInfo("Asia/Shanghai"),
        policy=load_policy(DEFAULT),
        folder=folder,
        data=folder / "data",
        stations={device.station_id: Station(device.station_id) for device in devices},
        devices={device.device_id: device for device in devices},
        profiles={"bench": PROFILE},
        **more,
    )


def gateway(number: int) -> str:
    """An address of the loopback network for each gateway."""
    return f"127.1.{number // 250}.{1 + number % 250}"


async def whole(port: int, span_s: float) -> tuple[int, float]:
    """Values that ``collect`` read, decoded, screened and committed to its journal, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        devices = [Device(f"D{n}", f"S{n}", "modbus_tcp", f"{gateway(n)}:{port}", "bench", interval_s=EVERY_S) for n in range(DEVICES)]
        site = site_of(Path(folder), devices)
        site.data.mkdir()
        stop = asyncio.Event()
        task = asyncio.create_task(run_collect(site, Clock(), stop))
        await asyncio.sleep(1.5)
        from_ms, before_s = time.time_ns() // 1_000_000, time.process_time()
        await asyncio.sleep(span_s)
        to_ms, used_s = time.time_ns() // 1_000_000, time.process_time() - before_s
        stop.set()
        await task
        readings, names = committed(site)
        of_stations = np.array([name.startswith("station/") for name in names])
        inside = of_stations[readings.point] & (readings.received_at >= from_ms) & (readings.received_at < to_ms)
    return int(inside.sum()), used_s


def committed(site: Site) -> tuple[Readings, list[str]]:
    """Everything in a site's journal, and the points' names by id."""
    registry, journal = PointRegistry(site.data / "points.db"), Journal(site.data / "journal.db")
    try:
        parts, cursor = [], 0
        while True:
            cursor, some = journal.read(cursor)
            if not len(some):
                break
            parts.append(some)
        readings = Readings.concat(parts)
        most = int(readings.point.max()) + 1 if len(readings) else 0
        used = set(np.unique(readings.point).tolist())
        return readings, [registry.name(point) if point in used else "" for point in range(most)]
    finally:
        journal.close()
        registry.close()


def path() -> None:
    """CPU per value, bare and whole in turn, medians; the ratio is the median of each pair's."""
    pairs = []
    server = Outside("--registers", VALUES)
    try:
        for _ in range(RUNS):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                count, used_s = runner.run(bare(server.first["port"], SPAN_S))
                our_count, our_used_s = runner.run(whole(server.first["port"], SPAN_S))
            pairs.append((used_s / count * 1e6, our_used_s / our_count * 1e6))
            print(f"  bare pymodbus {pairs[-1][0]:5.2f} µs a value, whole path {pairs[-1][1]:5.2f} µs ({our_count / SPAN_S:,.0f} values/s)")
    finally:
        server.kill()
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    ours = statistics.median(ours for _, ours in pairs)
    print(f"Modbus, {VALUES} values a request: whole path {ours:.2f} µs CPU a value, {ratio:.2f} × bare pymodbus on uvloop")


# ── a whole town ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Town:
    """So many stations of 20 values each ``POLL_S``, so many rooms that report each ``ROOM_S``."""

    stations: int
    rooms: int


POLL_S, ROOM_S, STATION_VALUES, ROOM_VALUES = 10.0, 600.0, 20, 4
SMALL, LARGE = Town(20, 1000), Town(2000, 100_000)
SCALE_S = 60.0
SETTLE_S = 12.0  # every station has been connected to and polled once


@dataclass
class Measured:
    """What came of a town: readings sent to and committed by ``collect`` in its life, those of the measured time, what they cost."""

    seconds: float
    sent: dict[str, int]
    committed: dict[str, int]
    doubled: int
    readings: int
    waits_ms: NDArray[np.int64]
    cpu_s: float
    outside_cpu_s: float
    memory_mb: float
    overruns: int

    @property
    def us_a_reading(self) -> float:
        """CPU of ``collect`` per reading, its rest between them included."""
        return self.cpu_s / self.readings * 1e6

    def say(self, town: Town) -> None:
        lost = ", ".join(f"{self.sent[kind] - self.committed[kind]} of {self.sent[kind]:,} of {kind}s" for kind in self.sent)
        p50, p99, most = np.percentile(self.waits_ms, [50, 99, 100])
        print(
            f"{town.stations} stations × {STATION_VALUES} values / {POLL_S:.0f} s and {town.rooms} rooms × {ROOM_VALUES}"
            f" / {ROOM_S / 60:.0f} min, {self.seconds / 60:.1f} min: lost {lost}; doubled {self.doubled}, overruns {self.overruns}\n"
            f"  receipt to commit, seen from outside: p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms\n"
            f"  collect: {100 * self.cpu_s / self.seconds:.1f} % of a core, {self.us_a_reading:.1f} µs a reading,"
            f" {self.memory_mb:.0f} MB at most; controllers, sensors and broker: {100 * self.outside_cpu_s / self.seconds:.1f} % of a core",
            flush=True,
        )


def write_site(folder: Path, town: Town, controllers: int, broker: int) -> None:
    """A site's folder, as an engineer would write it."""
    (folder / "profiles").mkdir()
    registers = "".join(
        f'[[register]]\nquantity = "{name}"\noffset = {n}\ntype = "i16"\nscale = 0.1\n\n'
        for n, name in enumerate(QUANTITIES[-STATION_VALUES:])
    )
    (folder / "profiles" / "bench.toml").write_text(f'kind = "modbus"\nname = "bench"\ntitle = "bench"\nfunction = 4\n\n{registers}')
    (folder / "site.toml").write_text(
        'name = "bench"\ntimezone = "Asia/Shanghai"\n\n'
        f'[[mqtt]]\nname = "rooms"\nurl = "mqtt://127.0.0.1:{broker}"\n\n'
        '[[mqtt.subscription]]\ntopic = "application/+/device/+/event/up"\nprofile = "chirpstack"\n'
    )
    stations = [f"S{n:04d}" for n in range(town.stations)]
    _table(folder / "stations.csv", "station_id", stations)
    _table(folder / "buildings.csv", "building_id,station_id", (f"{station}-B,{station}" for station in stations))
    rooms = (f"R{n:06d},{stations[n % len(stations)]}-B,{sensor(n)}" for n in range(town.rooms))
    _table(folder / "rooms.csv", "room_id,building_id,sensor_id", rooms)
    devices = (f"D{n:04d},{station},modbus_tcp,{gateway(n)}:{controllers},bench,{POLL_S:.0f}" for n, station in enumerate(stations))
    _table(folder / "devices.csv", "device_id,station_id,protocol,address,profile,interval_s", devices)


def _table(path: Path, head: str, rows: Iterable[str]) -> None:
    path.write_text("\n".join([head, *rows]) + "\n")


@contextmanager
def mosquitto(folder: Path) -> Iterator[tuple[int, int]]:
    """The broker's port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n")
    process = subprocess.Popen(["mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listening(port))
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], object], most_s: float = 60.0) -> None:
    deadline = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Watcher:
    """Reads the journal of a running ``collect`` as a consumer does, every 20 ms, and notes when each reading could be seen."""

    def __init__(self, data: Path) -> None:
        self.journal = Journal(data / "journal.db")
        self.cursor = 0
        self.waits: list[NDArray[np.int64]] = []
        self.seen: list[NDArray[np.int64]] = []
        self.from_ms = 2**62

    def watch(self, until: float) -> None:
        while True:
            self.step()
            if time.monotonic() >= until:
                return
            time.sleep(0.02)

    def step(self) -> bool:
        self.cursor, some = self.journal.read(self.cursor)
        if len(some):
            now_ms = time.time_ns() // 1_000_000
            self.waits.append((now_ms - some.received_at)[some.received_at >= self.from_ms])  # the backlog before is not waited for
            self.seen.append(np.stack([some.point.astype(np.int64), some.measured_at, some.received_at]))
        return len(some) > 0

    def kinds(self, data: Path) -> dict[str, NDArray[np.int64]]:
        """Point, measured_at and received_at of everything seen of stations and of rooms."""
        seen = np.concatenate(self.seen, axis=1)
        registry = PointRegistry(data / "points.db")
        points = np.unique(seen[0]).tolist()
        kind = np.empty(max(points) + 1, "U7")
        kind[points] = [registry.name(point).partition("/")[0] for point in points]
        registry.close()
        return {name: seen[:, kind[seen[0]] == name] for name in ("station", "room")}


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def detail(data: Path) -> dict[str, Any]:
    return next((word.detail for word in read_health(data) if word.component == "collect"), {})


def live(town: Town, seconds: float) -> Measured:
    """Runs ``keepwarm collect`` on a town for so long, and accounts for every reading that was sent to it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        broker, broker_pid = stack.enter_context(mosquitto(Path(name)))
        folder, data = Path(name) / "site", Path(name) / "site" / "data"
        folder.mkdir()
        controllers = Outside("--registers", STATION_VALUES)
        stack.callback(controllers.kill)
        write_site(folder, town, controllers.first["port"], broker)
        collect = subprocess.Popen(
            [sys.executable, "-m", "keepwarm", "collect", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(collect.kill)
        wait_for(lambda: any(source["state"] == "good" for source in detail(data).get("sources", []) if source["protocol"] == "mqtt"))
        rooms = Outside("--rooms", town.rooms, "--broker", broker, "--every", ROOM_S)
        stack.callback(rooms.kill)
        time.sleep(SETTLE_S)
        watcher = Watcher(data)
        watcher.watch(time.monotonic() + 1)
        watcher.from_ms, began, before_s, broker_s = time.time_ns() // 1_000_000, time.monotonic(), cpu_s(collect.pid), cpu_s(broker_pid)
        watcher.watch(began + seconds)
        span_s, used_s, broker_s = time.monotonic() - began, cpu_s(collect.pid) - before_s, cpu_s(broker_pid) - broker_s
        to_ms = watcher.from_ms + round(span_s * 1000)
        overruns = detail(data)["overruns"]
        sent = {"station": controllers.end()["answered"] * STATION_VALUES, "room": rooms.end()["acknowledged"] * ROOM_VALUES}
        watcher.watch(time.monotonic() + 2)
        memory = memory_mb(collect.pid)
        collect.terminate()
        collect.wait(10)
        while watcher.step():
            pass
        outside_s = controllers.last["cpu_s"] + rooms.last["cpu_s"]  # of their whole life, some seconds longer
        kinds = watcher.kinds(data)
        return Measured(
            span_s, sent, {kind: found.shape[1] for kind, found in kinds.items()}, sum(map(doubled, kinds.values())),
            sum(int(((found[2] >= watcher.from_ms) & (found[2] < to_ms)).sum()) for found in kinds.values()),
            np.concatenate(watcher.waits), used_s, outside_s + broker_s, memory, overruns,
        )  # fmt: skip


def doubled(readings: NDArray[np.int64]) -> int:
    """How many readings are there twice: the same point at the same instant of receipt."""
    return int(readings.shape[1]) - len(np.unique(readings[[0, 2]], axis=1).T)


def town(minutes: float) -> None:
    live(LARGE, minutes * 60).say(LARGE)


def scale() -> None:
    """What a reading costs in a small town and in one of 100 times its size."""
    small, large = live(SMALL, SCALE_S), live(LARGE, SCALE_S)
    small.say(SMALL)
    large.say(LARGE)
    print(f"a reading costs {large.us_a_reading / small.us_a_reading:.2f} × as much in the town of 100 times the size")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["path", "town", "scale"])
    parser.add_argument("--town-minutes", type=float, default=10.0)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if asked.only in (None, "path"):
        path()
    if asked.only in (None, "town"):
        town(asked.town_minutes)
    if asked.only in (None, "scale"):
        scale()


if __name__ == "__main__":
    main()

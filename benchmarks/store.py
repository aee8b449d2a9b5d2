"""What the stores cost: the journal, the histories, the questions people ask. Run: python -m benchmarks.store

Each figure is the median of RUNS, with what is required of it and its ratio to a limit measured in the same run: what the disk, zstd or
pyarrow need for the same readings without any of ours around them. The same questions are put to InfluxDB and VictoriaMetrics (Debian's
packages, through the same interface), where they are installed.
"""

import logging
import os
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog
import zstandard

from domain.reading import Readings
from store.history.delivery import Quarantine
from store.history.endpoint import Endpoint
from store.history.influxdb import InfluxHistory
from store.history.influxdb_database import Database, Names
from store.history.merge import FAN
from store.history.parquet import ParquetHistory
from store.history.protocol import History
from store.history.series import SeriesNames
from store.history.victoriametrics import VictoriaHistory
from store.journal import Journal
from tests.store.history.servers import influxdb, victoria_metrics

RUNS = 5
STATIONS, QUANTITIES, STEP_MS = 12, 20, 10_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
SEASON_DAYS = 120
SEASON_POINT = 1_000
MANY_FROM, MANY = 1_000_000, 100_000


def town_day(day: int, random: np.random.Generator) -> Readings:
    """A day of 12 stations × 20 points at 10 s in order of arrival: 0.1 K steps, polls jittered by some ms, all of a poll at once."""
    polls = DAY_MS // STEP_MS
    steps = random.choice([-0.1, 0.0, 0.0, 0.0, 0.1], (polls, STATIONS * QUANTITIES))
    value = np.round(np.linspace(20, 90, STATIONS * QUANTITIES) + np.cumsum(steps, axis=0), 1)
    poll_at = START + day * DAY_MS + np.arange(polls)[:, None] * STEP_MS + random.integers(0, 50, (polls, STATIONS))
    received_at = poll_at + random.integers(3, 12, (polls, STATIONS))
    return Readings.of(
        np.tile(np.arange(STATIONS * QUANTITIES), polls),
        np.repeat(poll_at, QUANTITIES, axis=1).ravel(),
        value.ravel(),
        received_at=np.repeat(received_at, QUANTITIES, axis=1).ravel(),
    )


def raw(readings: Readings) -> bytes:
    columns = (readings.point, readings.measured_at, readings.received_at, readings.value, readings.quality)
    return b"".join(column.tobytes() for column in columns)


def median_s(work: Callable[[], object], runs: int = RUNS) -> tuple[float, float]:
    """Wall and CPU seconds of one piece of work, medians."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def say(what: str, count: int, took: tuple[float, float], limit: tuple[float, float], limited_by: str, least: float) -> None:
    """A line on how many readings a second; ``least`` million are required."""
    wall, cpu = took
    print(
        f"{what:<44} {count / wall / 1e6:6.2f} M/s  {count / cpu / 1e6:6.2f} M per core-second"
        f"  {verdict(count / wall / 1e6 >= least)} ≥ {least:g}   {wall / limit[0]:5.2f} × {limited_by} ({count / limit[0] / 1e6:.2f} M/s)"
    )


def say_ms(what: str, took: tuple[float, float], most_ms: float | None, beside: str = "") -> None:
    """A line on how long a question takes; ``most_ms`` may be, where something is required."""
    wall_ms, cpu_ms = took[0] * 1e3, took[1] * 1e3
    required = "" if most_ms is None else f"{verdict(wall_ms <= most_ms)} ≤ {most_ms:g} ms"
    print(f"{what:<44} {wall_ms:8.1f} ms {cpu_ms:8.1f} ms CPU here  {required:<14}   {beside}")


def verdict(good: bool) -> str:
    return "ok  " if good else "MISS"


def say_bytes(size: float, most: float | None, beside: str) -> None:
    required = "" if most is None else f"{verdict(size <= most)} ≤ {most:g}"
    print(f"{'':<44} {size:6.2f} bytes a reading  {required}   {beside}")


def journal(folder: Path, readings: Readings, batch: int) -> None:
    count = 1_000_000
    pieces = [readings.take(slice(at, at + batch)) for at in range(0, count, batch)]
    numbers = iter(range(10**6))
    paths: list[Path] = []

    def write() -> None:
        paths.append(folder / f"journal-{batch}-{next(numbers)}.db")
        journal = Journal(paths[-1])
        for piece in pieces:
            journal.append(piece)
        journal.close()

    def read() -> None:
        journal = Journal(paths[-1])
        cursor, found = 0, -1
        while found:
            cursor, some = journal.read(cursor)
            found = len(some)
        journal.close()

    blocks = [zstandard.ZstdCompressor(level=1).compress(raw(piece)) for piece in pieces]

    def limit_write() -> None:
        with (folder / "plain").open("wb", buffering=0) as file:
            for piece in pieces:
                file.write(zstandard.ZstdCompressor(level=1).compress(raw(piece)))
                os.fdatasync(file.fileno())

    def limit_read() -> None:
        for block in blocks:
            zstandard.ZstdDecompressor().decompress(block)

    say(f"journal, {batch} a batch: written", count, median_s(write), median_s(limit_write), "zstd + fdatasync of the raw columns", 1)
    say(f"journal, {batch} a batch: read", count, median_s(read), median_s(limit_read), "zstd alone of the raw columns", 5)
    say_bytes(paths[-1].stat().st_size / count, None, f"raw columns in zstd: {sum(map(len, blocks)) / count:.2f}")


def parquet(folder: Path, days: list[Readings]) -> None:
    numbers = iter(range(10**6))
    day = days[0]
    histories: list[Path] = []

    def write() -> None:
        histories.append(folder / f"history-{next(numbers)}")
        ParquetHistory(histories[-1], lambda point: f"station/S{point // 20:04d}/quantity{point % 20}_c").write(day)

    order = np.lexsort((day.measured_at, day.point))
    day = day.take(order)
    bare = pa.table({"point": day.point, "measured_at": day.measured_at, "value": day.value})
    limit = median_s(lambda: pq.write_table(bare, folder / "bare.parquet", compression="zstd", compression_level=1))
    day = days[0]
    say("Parquet, a day in one piece: written", len(day), median_s(write), limit, "pyarrow, sorted before, no delay nor quality", 3)
    size = sum(path.stat().st_size for path in histories[-1].rglob("*.parquet"))
    say_bytes(size / len(day), 1.3, f"bare pyarrow: {(folder / 'bare.parquet').stat().st_size / len(day):.2f}")


def small_files(folder: Path, day: Readings) -> None:
    """As the forwarder does it: a file every 10 s, merged and merged again."""
    history = ParquetHistory(folder / "small", str, grace_s=0)
    portion, portions = 24_000, FAN * FAN
    wall, cpu = time.perf_counter(), time.process_time()
    for at in range(portions):
        history.write(day.take(slice(at * portion, (at + 1) * portion)))
        history.tidy()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    count = portion * portions
    print(
        f"{'Parquet, portions of 24 000 and their merging':<44} {count / wall / 1e6:6.2f} M/s  {count / cpu / 1e6:6.2f} M per core-second"
        f"   {len(list((folder / 'small').rglob('*.parquet')))} files left of {portions}"
    )


def seven_days(folder: Path, days: list[Readings]) -> None:
    history = ParquetHistory(folder / "week", str)
    for day in days:
        history.write(day)
    week = START, START + 7 * DAY_MS
    point = 137
    found = history.read([point], *week)
    one = pa.table({"measured_at": found.measured_at, "value": found.value})
    pq.write_table(one, folder / "one.parquet", compression="zstd")

    def cold() -> None:
        ParquetHistory(folder / "week", str).read([point], *week)

    limit = median_s(lambda: pq.read_table(folder / "one.parquet", use_threads=False))
    beside = f"{{:.2f}} × pyarrow on a file of that point alone ({limit[0] * 1e3:.1f} ms)"
    for what, work in (("footers known", lambda: history.read([point], *week)), ("new process", cold)):
        took = median_s(work)
        say_ms(f"one point, 7 days ({len(found)} readings), {what}", took, 50, beside.format(took[0] / limit[0]))
    wall, cpu = median_s(lambda: history.read(list(range(0, STATIONS * QUANTITIES, 20)), START, START + 2 * DAY_MS))
    print(f"{'12 points, 2 days':<44} {wall * 1e3:8.1f} ms {cpu * 1e3:8.1f} ms CPU here")


# ── the same questions everywhere ─────────────────────────────────────────────────────────────────────────────────────


def one_point(number: int, days: int, random: np.random.Generator) -> Readings:
    """One point at 10 s, 0.1 K steps, jittered."""
    count = days * DAY_MS // STEP_MS
    at = START + np.arange(count) * STEP_MS + random.integers(0, 50, count)
    value = np.round(40 + np.cumsum(random.choice([-0.1, 0.0, 0.0, 0.0, 0.1], count)), 1)
    return Readings.of(np.full(count, number), at, value, received_at=at + 7)


Took = tuple[float, float]


def questions(what: str, history: History, ours: list[Took] | None = None) -> list[Took]:
    """One point's week, one point's season by the hour, the latest of 100 000 points; ``ours`` is what the embedded history took."""
    week, season = (START, START + 7 * DAY_MS), (START, START + SEASON_DAYS * DAY_MS)
    many = np.arange(MANY_FROM, MANY_FROM + MANY, dtype=np.int32)
    asked: list[tuple[str, float, int, Callable[[], int]]] = [
        ("one point, 7 days at 10 s", 50, 7 * DAY_MS // STEP_MS, lambda: len(history.read([SEASON_POINT], *week))),
        (
            "one point, a season by the hour",
            200,
            SEASON_DAYS * DAY_MS // STEP_MS,
            lambda: int(history.rollup([SEASON_POINT], *season, HOUR_MS).count.sum()),
        ),
        (f"latest of {MANY} points", 200, MANY, lambda: len(history.latest(many, season[1]))),
    ]
    found = []
    for number, (question, most_ms, count, ask) in enumerate(asked):
        assert ask() == count
        took = median_s(ask, RUNS if number < 2 else 3)
        found.append(took)
        beside = "" if ours is None else f"{took[0] / ours[number][0]:.1f} × Parquet"
        say_ms(f"{what}: {question}", took, most_ms if ours is None else None, beside)
    return found


def fill(history: History, random: np.random.Generator, neighbours: int) -> tuple[int, float]:
    """Writes what the questions are about; ``neighbours`` more points have the same season. Gives readings and wall seconds."""
    parts = [one_point(number, SEASON_DAYS, random) for number in range(SEASON_POINT, SEASON_POINT + 1 + neighbours)]
    season = Readings.concat(parts)
    order = np.argsort(season.measured_at, kind="stable")  # as they arrive
    season = season.take(order)
    last_half_hour, rooms = START + SEASON_DAYS * DAY_MS - 1_800_000, []
    for at in range(3):
        measured_at = last_half_hour + at * 600_000 + random.integers(0, 600_000, MANY)
        rooms.append(Readings.of(np.arange(MANY_FROM, MANY_FROM + MANY), measured_at, np.round(random.normal(20, 2, MANY), 1)))
    count, began = 0, time.perf_counter()
    for piece in [*(season.take(slice(at, at + 200_000)) for at in range(0, len(season), 200_000)), *rooms]:
        history.write(piece)
        count += len(piece)
    took = time.perf_counter() - began
    for _ in range(SEASON_DAYS // 4 + 2):
        history.tidy(START + SEASON_DAYS * DAY_MS)
    return count, took


def name_of(point: int) -> str:
    return f"room/R{point}/indoor_temp_c" if point >= MANY_FROM else f"station/S{point // 20:04d}/quantity{point % 20}_c"


def embedded(folder: Path, random: np.random.Generator) -> list[Took]:
    history = ParquetHistory(folder / "season", name_of, grace_s=0)
    count, took = fill(history, random, neighbours=19)
    print(f"{'Parquet: 20 points, a season, and 100 000 rooms':<48} {count / took / 1e6:6.2f} M/s written in portions of 200 000")
    return questions("Parquet", ParquetHistory(folder / "season", name_of))


def servers(folder: Path, random: np.random.Generator, ours: list[Took]) -> None:
    names = SeriesNames(name_of)
    ports = [free_port() for _ in range(3)]
    for kind, program in (("InfluxDB", "influxd"), ("VictoriaMetrics", "victoria-metrics")):
        found = shutil.which(program)
        if found is None:
            print(f"{kind}: not installed (see .ci/debian)")
            continue
        quarantine = Quarantine(folder / f"{kind}.lines")
        with ExitStack() as running:
            if kind == "InfluxDB":
                url = running.enter_context(influxdb(Path(found), folder / kind, ports[0], ports[1])).url
                endpoint = Endpoint(url)
                history: History = InfluxHistory(endpoint, Database(endpoint, Names("keepwarm", "", "keepwarm"), 0.0), names, quarantine)
            else:
                url = running.enter_context(victoria_metrics(Path(found), folder / kind, ports[2])).url
                history = VictoriaHistory(Endpoint(url), Endpoint(url), "keepwarm", names, quarantine)
            count, took = fill(history, random, neighbours=0)
            print(f"{f'{kind}: 1 point, a season, and 100 000 rooms':<48} {count / took / 1e6:6.2f} M/s written in portions of 200 000")
            questions(kind, history, ours)
            history.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def growth(folder: Path, random: np.random.Generator) -> None:
    """What a reading costs in the journal and the Parquet history, in a town a hundred times as large."""
    costs = []
    for points, batch in ((240, 2_400), (24_000, 240_000)):
        count = 2_400_000
        steps = count // points
        at = np.repeat(START + np.arange(steps) * STEP_MS, points) + random.integers(0, 50, count)
        value = np.round(np.tile(np.linspace(20, 90, points), steps) + np.repeat(random.integers(-3, 4, steps) / 10, points), 1)
        town = Readings.of(np.tile(np.arange(points), steps), at, value, received_at=at + 7)
        numbers = iter(range(10**6))

        def work(town: Readings = town, batch: int = batch, points: int = points, numbers: Iterator[int] = numbers) -> None:
            here = folder / f"growth-{points}-{next(numbers)}"
            journal = Journal(here / "journal.db")
            for first in range(0, len(town), batch):
                journal.append(town.take(slice(first, first + batch)))
            history = ParquetHistory(here / "history", name_of)
            cursor, some = journal.read(0)
            while len(some):
                history.write(some)
                cursor, some = journal.read(cursor)
            journal.close()

        costs.append(median_s(work)[1] / count)
    print(
        f"{'journal and Parquet, 240 and 24 000 points':<44} {costs[0] * 1e9:.0f} and {costs[1] * 1e9:.0f} ns CPU a reading"
        f"  {verdict(costs[1] <= 1.2 * costs[0])} {costs[1] / costs[0]:.2f} ≤ 1.2"
    )


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    random = np.random.default_rng(20261121)
    days = [town_day(day, random) for day in range(7)]
    print(f"{len(days[0])} readings a day, {RUNS} runs, medians\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for batch in (1_000, 10_000):
            journal(folder, days[0], batch)
        parquet(folder, days)
        small_files(folder, days[0])
        seven_days(folder, days)
        growth(folder, random)
        print()
        servers(folder, random, embedded(folder, random))


if __name__ == "__main__":
    main()

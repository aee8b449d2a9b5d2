"""What the stores cost: the journal, the Parquet history, one point's seven days. Run: python -m benchmarks.store

Each figure is the median of RUNS, with its ratio to a limit measured in the same run: what the disk, zstd or pyarrow need for the
same readings without any of ours around them.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from domain.reading import Readings
from store.history.merge import FAN
from store.history.parquet import ParquetHistory
from store.journal import Journal

RUNS = 5
STATIONS, QUANTITIES, STEP_MS = 12, 20, 10_000
DAY_MS = 86_400_000
START = 1_768_348_800_000  # 2026-01-14T00:00:00Z


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


def say(what: str, count: int, took: tuple[float, float], limit: tuple[float, float], limited_by: str) -> None:
    wall, cpu = took
    print(
        f"{what:<44} {count / wall / 1e6:6.2f} M/s  {count / cpu / 1e6:6.2f} M per core-second"
        f"   {wall / limit[0]:5.2f} × {limited_by} ({count / limit[0] / 1e6:.2f} M/s)"
    )


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

    say(f"journal, {batch} a batch: written", count, median_s(write), median_s(limit_write), "zstd + fdatasync of the raw columns")
    say(f"journal, {batch} a batch: read", count, median_s(read), median_s(limit_read), "zstd alone of the raw columns")
    print(f"{'':<44} {paths[-1].stat().st_size / count:6.2f} bytes a reading (raw columns in zstd: {sum(map(len, blocks)) / count:.2f})")


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
    say("Parquet, a day in one piece: written", len(day), median_s(write), limit, "pyarrow, sorted before, no delay nor quality")
    size = sum(path.stat().st_size for path in histories[-1].rglob("*.parquet"))
    print(f"{'':<44} {size / len(day):6.2f} bytes a reading (bare pyarrow: {(folder / 'bare.parquet').stat().st_size / len(day):.2f})")


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
    for what, work in (("footers known", lambda: history.read([point], *week)), ("new process", cold)):
        wall, cpu = median_s(work)
        print(
            f"{f'one point, 7 days ({len(found)} readings), {what}':<44} {wall * 1e3:6.1f} ms {cpu * 1e3:6.1f} ms CPU"
            f"   {wall / limit[0]:5.2f} × pyarrow on a file of that point alone ({limit[0] * 1e3:.1f} ms)"
        )
    everything = list(range(STATIONS * QUANTITIES))
    wall, cpu = median_s(lambda: history.latest(everything, 2**62))
    print(f"{f'latest of {len(everything)} points':<44} {wall * 1e3:6.1f} ms {cpu * 1e3:6.1f} ms CPU")
    wall, cpu = median_s(lambda: history.read(everything[::20], START, START + 2 * DAY_MS))
    print(f"{'12 points, 2 days':<44} {wall * 1e3:6.1f} ms {cpu * 1e3:6.1f} ms CPU")


def main() -> None:
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


if __name__ == "__main__":
    main()

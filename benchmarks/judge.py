"""How fast rooms are judged: R2 over a season, the live pass, ``audit`` of files.

    nice .venv/bin/python -m benchmarks.judge [season|live|audit]...

season  2 000 rooms × 120 days × 5 min (2 % of the readings missing), every figure of R2, on one core
live    100 000 and 1 000 000 rooms, of which 10 000 have a new reading: one pass with alarms advanced
audit   ``keepwarm audit`` as a command: 100 000 rows of CSV, 10 million of CSV and of Parquet
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from compliance.room_book import RoomBook
from compliance.series import Series
from compliance.verdict import judge, room_rules
from compliance.warm import warm
from domain.reading import Readings
from domain.site import Room
from store.site_folder import load_policy

ZONE = ZoneInfo("Asia/Shanghai")
DAY_MS = 86_400_000
START_MS = 1_763_136_000_000  # 15 Nov 2025, 00:00 in Shanghai
ROOT = Path(__file__).resolve().parents[1]


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def said(what: str, seconds: float, more: str = "") -> None:
    """One line of the answer."""
    print(f"{what:<62} {seconds:8.3f} s  {more}", flush=True)


def season(rooms: int = 2_000, days: int = 120, step_ms: int = 300_000) -> None:
    """R2 of every room over a season, from series in memory."""
    dice = np.random.default_rng(1)
    per_room = days * DAY_MS // step_ms
    kept = [np.flatnonzero(dice.random(per_room) < 0.98) for _ in range(rooms)]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in kept])]).astype(np.int64)
    at = np.empty(starts[-1], np.int64)
    value = np.empty(starts[-1])
    for row, one in enumerate(kept):
        at[starts[row] : starts[row + 1]] = START_MS + one * step_ms + row * 37
        value[starts[row] : starts[row + 1]] = np.round(18.4 + 1.2 * np.sin(one / 70 + row) + dice.normal(0, 0.2, len(one)), 1)
    del kept
    series = Series(starts, at, value)
    hold_ms = np.full(rooms, 30 * 60_000)
    end_ms = START_MS + days * DAY_MS
    before = peak_mb()
    began = time.process_time()
    rules = room_rules([Room(f"R{n}") for n in range(rooms)], [], load_policy("default"), ZONE, hold_ms, START_MS, end_ms)
    totals = judge(series, rules, np.array([START_MS, end_ms]))
    seconds = time.process_time() - began  # of the one core: others may want the machine too
    assert int(totals.judged_ms.sum()) == rooms * days * DAY_MS
    said(
        f"R2, {len(at) / 1e6:.1f} million readings of {rooms} rooms, a season",
        seconds,
        f"{peak_mb() - before:.0f} MB more, limit 0.8 s, 200 MB",
    )


def live() -> None:
    """Passes over two towns."""
    for rooms, limit_s in ((100_000, 0.05), (1_000_000, 0.5)):
        live_pass(rooms, limit_s)


def live_pass(rooms: int, limit_s: float, new: int = 10_000, hours: int = 2) -> None:
    """Passes over rooms of which some have a new reading each."""
    dice = np.random.default_rng(2)
    policy = load_policy("default")
    book = RoomBook([Room(f"R{n}") for n in range(rooms)], [], policy, ZONE, np.full(rooms, 30 * 60_000), START_MS)
    for step in range(hours * 6):
        at = START_MS + step * 600_000 + dice.integers(0, 60_000, rooms)
        book.advance(
            np.arange(rooms),
            Readings.of(np.zeros(rooms, int), at, np.round(dice.normal(17.5, 1.0, rooms), 1)),
            START_MS + step * 600_000 + 60_000,
        )
        book.tidy(START_MS + step * 600_000 + 60_000)
    now_ms = START_MS + hours * 3_600_000
    took = []
    for _ in range(7):
        now_ms += 6_000
        some = dice.choice(rooms, new, replace=False)
        readings = Readings.of(np.zeros(new, int), np.full(new, now_ms - 2_000), np.round(dice.normal(17.5, 1.0, new), 1))
        began = time.perf_counter()
        book.note_late(some, readings)
        book.advance(some, readings, now_ms)
        book.tidy(now_ms)
        took.append(time.perf_counter() - began)
    said(f"live pass, {rooms} rooms, {new} new readings", float(np.median(took)), f"worst {max(took):.3f} s, limit {limit_s} s")


def audit() -> None:
    """``keepwarm audit`` over files, as people run it."""
    for rows, kinds in ((100_000, ("csv",)), (10_000_000, ("csv", "parquet"))):
        with tempfile.TemporaryDirectory() as folder:
            table = _table(rows)
            for kind in kinds:
                path = Path(folder) / f"readings.{kind}"
                if kind == "csv":
                    pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style="none"))
                else:
                    pq.write_table(table.set_column(1, "measured_at", table["measured_at"].cast(pa.timestamp("ms", "UTC"))), path)
                limit_s = 2.0 if rows == 100_000 or kind == "parquet" else 15.0
                command = [str(Path(sys.executable).with_name("keepwarm")), "audit", "--readings", str(path), "--out", f"{folder}/out.json"]
                began = time.perf_counter()
                subprocess.run(command, check=True)
                seconds = time.perf_counter() - began
                judged = json.loads(Path(folder, "out.json").read_bytes())["totals"]
                assert judged["readings"] == rows
                said(f"audit of {rows} rows of {kind} ({path.stat().st_size / 1e6:.0f} MB)", seconds, f"limit {limit_s} s")


def _table(rows: int) -> pa.Table:
    """Readings of 2 000 rooms in order of time, as a collector writes them."""
    dice = np.random.default_rng(3)
    rooms = 2_000
    room = np.arange(rows) % rooms
    at = np.datetime64(START_MS, "ms") + (np.arange(rows) // rooms * 300_000 + room).astype("timedelta64[ms]")
    names = pa.array([f"room/S01-B{n // 60:02d}-{n % 60}/indoor_temp_c" for n in range(rooms)])
    text = pa.array(np.char.add(np.datetime_as_string(at, "ms"), "Z")) if rows <= 100_000 else pa.array(at).cast(pa.timestamp("ms", "UTC"))
    point = pa.DictionaryArray.from_arrays(pa.array(room, pa.int32()), names).cast(pa.string())
    return pa.table({"point": point, "measured_at": text, "value": np.round(dice.normal(18.5, 1.0, rows), 1)})


PARTS: dict[str, Callable[[], None]] = {
    "season": season,
    "live": live,
    "audit": audit,
}

if __name__ == "__main__":
    warm()
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()

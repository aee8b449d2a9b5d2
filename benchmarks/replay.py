"""How fast all rules run over a season: ``keepwarm replay`` as a command over Parquet.

    nice .venv/bin/python -m benchmarks.replay

2 000 rooms × 120 days × 10 min and 50 stations × 6 quantities × 5 min (45 million readings); limit 20 s.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS, ROOMS, STATIONS = 120, 2_000, 50
START_MS = 1_763_136_000_000  # 15 Nov 2025, 00:00 in Shanghai
LIMIT_S = 20.0
QUANTITIES = {
    "secondary_flow_m3h": (80.0, 5.0),
    "secondary_supply_temp_c": (50.5, 0.4),
    "secondary_return_temp_c": (41.0, 1.0),
    "outdoor_temp_c": (-6.0, 0.3),
    "makeup_flow_m3h": (0.5, 0.04),
    "pump1_frequency_hz": (42.0, 1.0),
}


def site(folder: Path) -> None:
    """A town of 60 rooms a building."""
    (folder / "site.toml").write_text('name = "season"\n')
    stations = [f"S{n:02d},H{n % 3},100" for n in range(STATIONS)]
    (folder / "stations.csv").write_text("\n".join(["station_id,source_id,design_flow_m3h", *stations]) + "\n")
    rooms = [f"R{n},B{n // 40},S{n // 40 % STATIONS:02d}" for n in range(ROOMS)]
    (folder / "rooms.csv").write_text("\n".join(["room_id,building_id,station_id", *rooms]) + "\n")
    curves = [f"S{n:02d},2025-11-01,{outdoor},{supply}" for n in range(STATIONS) for outdoor, supply in ((-20, 66), (10, 36))]
    (folder / "curves.csv").write_text("\n".join(["station_id,effective_from,outdoor_c,supply_c", *curves]) + "\n")


def readings(path: Path) -> int:
    """A season of readings, day by day; returns how many."""
    dice = np.random.default_rng(4)
    names = [f"room/R{n}/indoor_temp_c" for n in range(ROOMS)]
    names += [f"station/S{n:02d}/{quantity}" for n in range(STATIONS) for quantity in QUANTITIES]
    points = pa.array(names)
    schema = pa.schema(
        [("point", pa.dictionary(pa.int32(), pa.string())), ("measured_at", pa.timestamp("ms", "UTC")), ("value", pa.float64())]
    )
    drift = dice.normal(20.0, 0.8, ROOMS)
    mean, spread = (np.tile([pair[side] for pair in QUANTITIES.values()], STATIONS) for side in (0, 1))
    total = 0
    with pq.ParquetWriter(path, schema) as file:
        for day in range(DAYS):
            begin = START_MS + day * 86_400_000
            stopped = np.repeat(dice.random(STATIONS) < 0.03, len(QUANTITIES)) & np.tile(
                np.array(list(QUANTITIES)) == "secondary_flow_m3h", STATIONS
            )
            held: list[list[pa.Array]] = [[], [], []]
            for step in range(0, 1440, 5):
                parts = [(np.arange(len(mean)) + ROOMS, np.where(stopped & (360 < step < 960), 0.0, dice.normal(mean, spread)))]
                if step % 10 == 0:
                    parts.append((np.arange(ROOMS), drift + 0.8 * np.sin(step / 229 + np.arange(ROOMS)) + dice.normal(0, 0.05, ROOMS)))
                point, value = (np.concatenate(side) for side in zip(*parts, strict=True))
                at = pa.array(begin + step * 60_000 + point % 60_000, pa.int64()).cast(schema.field(1).type)
                batch = [pa.DictionaryArray.from_arrays(pa.array(point, pa.int32()), points), at, pa.array(np.round(value, 2))]
                for column, more in zip(held, batch, strict=True):
                    column.append(more)
                total += len(point)
            file.write_table(pa.table([pa.chunked_array(column) for column in held], schema=schema))
    return total


def main() -> None:
    """Writes the season, replays it, says how long that took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site(folder)
        count = readings(folder / "season.parquet")
        command = [
            str(Path(sys.executable).with_name("keepwarm")),
            "replay",
            name,
            "--readings",
            f"{name}/season.parquet",
            "--out",
            f"{name}/events",
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
        events = (folder / "events").read_bytes().count(b"\n")
    assert events > 1000
    what = f"{count / 1e6:.0f} million readings, {ROOMS} rooms, {STATIONS} stations"
    print(f"replay of a season, {what}: {seconds:.1f} s, {events} events, limit {LIMIT_S:g} s")


if __name__ == "__main__":
    main()

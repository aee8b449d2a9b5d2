"""What is special about the Parquet files: their names, merging, readers beside the writer, crashes, damage."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Site
from store.history import open_history
from store.history.merge import FAN, due
from store.history.parquet import QUARANTINE, ParquetHistory
from store.history.parts import current, parts_in, superseded
from store.points import PointRegistry

DAY_MS = 86_400_000
START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
DAY = "2026-01-14"


def name(point: int) -> str:
    return f"room/R{point}/indoor_temp_c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


def round_of(number: int, points: int = 20) -> Readings:
    """One reading of each point."""
    return Readings.of(np.arange(points), np.full(points, START + number * 1_000), np.full(points, float(number)))


def files(folder: Path, day: str = DAY) -> list[str]:
    return sorted(path.name for path in (folder / day).iterdir())


def test_a_file_is_readable_without_the_registry(folder: Path) -> None:
    ParquetHistory(folder, name).write(round_of(3, points=2))
    assert files(folder) == ["part-00000001-00000001.parquet"]
    found = duckdb.sql(f"SELECT name, measured_at::VARCHAR, value, quality FROM '{folder}/*/part-*.parquet' ORDER BY name")
    assert found is not None
    rows = found.fetchall()
    assert [row[0] for row in rows] == ["room/R0/indoor_temp_c", "room/R1/indoor_temp_c"]
    assert rows[0][2:] == (3.0, 0)
    assert "2026-01-14" in rows[0][1]


def test_many_small_files_become_few_and_say_the_same(folder: Path) -> None:
    history = ParquetHistory(folder, name, grace_s=0)
    for number in range(100):
        history.write(round_of(number))
        history.tidy()
    assert len(files(folder)) < 2 * FAN
    found = history.read(range(20), START, START + DAY_MS)
    assert len(found) == 2_000
    assert found.take(found.point == 7).value.tolist() == [float(number) for number in range(100)]


def test_a_finished_day_becomes_one_file(folder: Path) -> None:
    history = ParquetHistory(folder, name, grace_s=0)
    for number in range(3):
        history.write(round_of(number))
    history.tidy()
    assert len(files(folder)) == 3
    history.write(Readings.of([1], [START + DAY_MS], [1.0]))
    history.tidy()
    assert files(folder) == ["part-00000001-00000003.parquet"]
    history.write(round_of(4))  # late
    assert files(folder) == ["part-00000001-00000003.parquet", "part-00000004-00000004.parquet"]
    assert len(history.read(range(20), START, START + DAY_MS)) == 80


def test_late_data_does_not_rewrite_a_finished_day_each_time(folder: Path) -> None:
    history = ParquetHistory(folder, name, grace_s=30)
    history.write(round_of(1))
    history.write(Readings.of([1], [START + DAY_MS], [1.0]))
    history.write(round_of(2))
    history.tidy()
    assert len(files(folder)) == 2


def test_merged_files_stay_for_readers_that_have_listed_them(folder: Path) -> None:
    history = ParquetHistory(folder, name, grace_s=3_600)
    for number in range(FAN):
        history.write(round_of(number))
    history.tidy()
    parts = parts_in(folder / DAY)
    assert len(parts) == FAN + 1
    assert [part.path.name for part in current(parts)] == [f"part-00000001-{FAN:08d}.parquet"]
    assert len(superseded(parts)) == FAN
    assert len(history.read(range(20), START, START + DAY_MS)) == 20 * FAN


def test_a_crash_between_merging_and_removing_duplicates_nothing(folder: Path) -> None:
    crashed = ParquetHistory(folder, name, grace_s=3_600)
    for number in range(FAN):
        crashed.write(round_of(number))
    crashed.tidy()
    (folder / DAY / "part-00000003-00000003.parquet").unlink()  # the crash came in the midst of removing
    history = ParquetHistory(folder, name, grace_s=0)
    assert len(history.read(range(20), START, START + DAY_MS)) == 20 * FAN
    history.tidy()
    assert files(folder) == [f"part-00000001-{FAN:08d}.parquet"]
    assert len(history.read(range(20), START, START + DAY_MS)) == 20 * FAN


def test_readers_beside_a_merging_writer_always_see_everything(folder: Path) -> None:
    """The originals go at once here (no grace): a reader that has listed them must list again."""
    writer = ParquetHistory(folder, name, grace_s=0)
    writer.write(round_of(0))
    done = threading.Event()
    wrong: list[object] = []
    passes = [0, 0]
    written = [1]

    def read(which: int) -> None:
        reader = ParquetHistory(folder, name)
        while not done.is_set():
            at_least = written[0]
            try:
                value = reader.read([5], START, START + DAY_MS).value.tolist()
            except StoreError as error:
                wrong.append(error)
                return
            if value != [float(number) for number in range(len(value))] or len(value) < at_least:
                wrong.append((at_least, value))
            passes[which] += 1

    readers = [threading.Thread(target=read, args=(which,)) for which in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 80):
        writer.write(round_of(number))
        written[0] = number + 1
        writer.tidy()
    done.set()
    for reader in readers:
        reader.join(timeout=20)
    assert wrong == []
    assert min(passes) > 5


def test_merging_holds_only_a_stretch_of_points_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.history.merge._AT_ONCE", 1_000)
    monkeypatch.setattr("store.history.part_file.ROW_GROUP", 100)
    history = ParquetHistory(folder, name, grace_s=0)
    random = np.random.default_rng(2)
    every = []
    for number in range(FAN):
        point = random.integers(0, 200, 900)
        every.append(Readings.of(point, START + random.integers(0, 50_000, 900), random.normal(size=900), received_at=np.full(900, number)))
        history.write(every[-1])
    before = history.read(range(200), START, START + DAY_MS)
    history.tidy()
    assert len(files(folder)) == 1
    after = history.read(range(200), START, START + DAY_MS)
    assert after.value.tolist() == before.value.tolist()
    assert after.measured_at.tolist() == before.measured_at.tolist()


def test_readings_of_impossible_time_are_set_aside_and_counted(folder: Path) -> None:
    history = ParquetHistory(folder, name)
    history.write(Readings.of([1, 1, 1, 1], [-5, START, 2**62, -(2**63)], [1.0, 2.0, 3.0, 4.0], received_at=[START] * 4))
    assert history.quarantined == 3
    assert len(list((folder / QUARANTINE).glob("*.parquet"))) == 1
    assert history.read([1], -(2**63), 2**63 - 1).value.tolist() == [2.0]


@pytest.mark.parametrize("damage", ["cut", "middle", "empty", "no parquet"])
def test_a_damaged_file_is_passed_over_counted_and_kept(folder: Path, damage: str) -> None:
    history = ParquetHistory(folder, name, grace_s=0)
    random = np.random.default_rng(1)
    for number in range(FAN):
        history.write(Readings.of(np.arange(500), np.full(500, START + number), random.normal(size=500)))
    victim = folder / DAY / "part-00000003-00000003.parquet"
    content = bytearray(victim.read_bytes())
    if damage == "middle":
        content[len(content) // 4 : len(content) // 2] = b"\x5a" * (len(content) // 2 - len(content) // 4)
    damaged = {"cut": bytes(content[: len(content) // 2]), "middle": bytes(content), "empty": b"", "no parquet": b"PAR1 nothing PAR1"}
    victim.write_bytes(damaged[damage])

    reader = ParquetHistory(folder, name, grace_s=0)
    for _ in range(2):
        assert len(reader.read(range(500), START, START + DAY_MS)) == 500 * (FAN - 1)
    assert reader.damaged == 1
    reader.tidy()
    assert (folder / DAY / "damaged-part-00000003-00000003.parquet").exists()
    for _ in range(2):
        reader.write(round_of(99))
        reader.tidy()
    assert len(reader.read(range(500), START, START + 99)) == 500 * (FAN - 1)


KILLED = """
import sys
from pathlib import Path
import numpy as np
from domain.reading import Readings
from store.history.parquet import ParquetHistory
history = ParquetHistory(Path(sys.argv[1]), lambda point: f"room/{point}/indoor_temp_c", grace_s=0)
number = int(sys.argv[2])
while True:
    history.write(Readings.of(np.arange(50), np.full(50, 1768348800000 + number), np.full(50, float(number))))
    print(number, flush=True)
    history.tidy()
    number += 1
"""


def test_kill_9_while_writing_and_merging_loses_and_duplicates_nothing(folder: Path) -> None:
    random = np.random.default_rng(20261121)
    number = 0
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(number)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(random.uniform(0.05, 0.3))  # not a wait for a condition: the moment of death is the point
        writer.kill()
        acknowledged = int((first + writer.stdout.read()).split("\n")[-2])
        writer.wait(timeout=10)
        writer.stdout.close()
        found = ParquetHistory(folder, name).read([0, 49], START, START + DAY_MS)
        values = found.take(found.point == 49).value.tolist()
        assert values == [float(at) for at in range(len(values))]
        assert acknowledged + 1 <= len(values) <= acknowledged + 2
        assert len(found) == 2 * len(values)
        number = len(values)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from domain.errors import StoreError
from domain.reading import Readings
from store.history.parquet import ParquetHistory
history = ParquetHistory(Path(sys.argv[1]), lambda point: f"room/{point}/indoor_temp_c")
noise = np.random.default_rng(1)
many = Readings.of(np.arange(50_000), np.full(50_000, 1768348800000), noise.normal(size=50_000))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
try:
    history.write(many)
except StoreError as error:
    print("refused")
print(len(list(Path(sys.argv[1]).rglob("*part-*"))))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
history.write(many)
print(len(history.read(range(50_000), 0, 2**60)))
"""


def test_a_disk_that_takes_no_more_leaves_nothing_half_written(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["refused", "0", "50000"]


def test_what_a_killed_writer_left_is_swept_when_old(folder: Path) -> None:
    history = ParquetHistory(folder, name, grace_s=0)
    history.write(round_of(0))
    fresh, old = folder / DAY / ".part-1.1.tmp", folder / DAY / ".part-2.1.tmp"
    for path in (fresh, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7_200,) * 2)
    history.tidy()
    assert fresh.exists()
    assert not old.exists()


def sizes() -> Iterator[tuple[list[int], bool, slice | None]]:
    yield [], False, None
    yield [10] * (FAN - 1), False, None
    yield [10] * FAN, False, slice(0, FAN)
    yield [1_000_000, *[10] * FAN], False, slice(1, FAN + 1)
    yield [*[10] * 4, 1_000_000, *[10] * 4], False, None
    yield [100_000, *[10] * (FAN - 1)], False, None
    yield [*[100_000] * 4, 10, *[100_000] * 4], False, slice(0, 9)
    yield [100_000] * 3 + [10] * FAN, False, slice(3, 3 + FAN)
    yield [10, 1_000_000], True, slice(0, 2)
    yield [10], True, None


@pytest.mark.parametrize(("rows", "finished", "expected"), list(sizes()))
def test_which_neighbours_are_merged(rows: list[int], finished: bool, expected: slice | None) -> None:
    assert due(rows, finished=finished) == expected


def test_a_history_uses_the_registry_it_is_given_even_while_that_is_empty(tmp_path: Path, site: Site) -> None:
    points = PointRegistry(tmp_path / "elsewhere.db")
    history = open_history(replace(site, data=tmp_path / "own"), points)
    point = int(points.ids(["room/R1/indoor_temp_c"])[0])
    history.write(Readings.of([point], [1_768_348_800_000], [20.5]))
    (part,) = (tmp_path / "own" / "history").glob("2*/part-*.parquet")
    assert pq.read_table(part).column("name").to_pylist() == ["room/R1/indoor_temp_c"]
    points.close()

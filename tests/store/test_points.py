import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from domain.errors import StoreError
from store.points import PointRegistry


def test_ids_are_dense_from_zero_in_the_order_of_asking_and_stay(tmp_path: Path) -> None:
    points = PointRegistry(tmp_path / "points.db")
    assert points.ids(["room/a/indoor_temp_c", "room/b/indoor_temp_c", "room/a/indoor_temp_c"]).tolist() == [0, 1, 0]
    assert points.ids(["room/c/indoor_temp_c", "room/b/indoor_temp_c"]).tolist() == [2, 1]
    points.close()
    again = PointRegistry(tmp_path / "points.db")
    assert again.names() == {0: "room/a/indoor_temp_c", 1: "room/b/indoor_temp_c", 2: "room/c/indoor_temp_c"}
    assert again.ids(["room/c/indoor_temp_c"]).dtype == np.int32
    assert again.ids([]).tolist() == []


def test_what_another_process_registers_is_seen(tmp_path: Path) -> None:
    here, there = PointRegistry(tmp_path / "points.db"), PointRegistry(tmp_path / "points.db")
    there.ids(["a", "b"])
    assert here.find("a") is None
    assert here.refresh() == 2
    assert here.find("a") == 0
    there.ids(["c"])
    assert here.name(2) == "c"
    assert here.ids(["c", "d"]).tolist() == [2, 3]
    assert there.ids(["d"]).tolist() == [3]


def test_an_id_never_given_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        PointRegistry(tmp_path / "points.db").name(0)


def test_a_commit_that_fails_leaves_no_id_behind(tmp_path: Path) -> None:
    points = PointRegistry(tmp_path / "points.db")
    points.ids(["a"])
    pages = points._database.rows("PRAGMA page_count")[0][0]
    points._database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        points.ids([f"room/{number}/indoor_temp_c" for number in range(1_000)])
    assert points.find("room/0/indoor_temp_c") is None
    points._database.rows("PRAGMA max_page_count = 100000")
    assert points.ids(["b"]).tolist() == [1]


REGISTER = """
import sys
from pathlib import Path
from store.points import PointRegistry
path, who = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
points = PointRegistry(path)
for number in range(60):
    names = [f"shared/{number}", f"{who}/{number}", f"shared/{number + 1}"]
    print(*points.ids(names).tolist())
"""


def test_two_processes_registering_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "points.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, str(path), who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        for who in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    outputs = [writer.communicate("go\n", timeout=60)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]

    points = PointRegistry(path)
    names = points.names()
    assert sorted(names) == list(range(60 + 60 + 61))
    assert len(set(names.values())) == len(names)
    for who, output in zip(("one", "two"), outputs, strict=True):
        for number, line in enumerate(output.splitlines()):
            assert [names[int(point)] for point in line.split()] == [f"shared/{number}", f"{who}/{number}", f"shared/{number + 1}"]

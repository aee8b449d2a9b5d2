"""What kill -9, a torn file and a full disk do to the journal: nothing that was accepted is lost or altered."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from domain.errors import StoreError
from domain.reading import Readings
from store.journal import Journal

# Batch k holds k % 50 + 1 readings whose values all are k: what comes back can be checked without asking the writer.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from domain.reading import Readings
from store.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    count = number % 50 + 1
    journal.append(Readings.of(np.arange(count), np.full(count, number), np.full(count, float(number))))
    print(number, flush=True)
    number += 1
"""


def accepted_by_a_killed_writer(path: Path, start: int, alive_s: float) -> int:
    """The last batch that a writer had acknowledged when SIGKILL hit it."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(start)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(alive_s)  # not a wait for a condition: the moment of death is the point
    writer.send_signal(signal.SIGKILL)
    acknowledged = (first + writer.stdout.read()).split("\n")[:-1]
    writer.wait(timeout=10)
    writer.stdout.close()
    return int(acknowledged[-1])


def test_kill_9_at_random_moments_loses_nothing_accepted(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    chance = random.Random(20261121)
    number = 0
    for _ in range(6):
        accepted = accepted_by_a_killed_writer(path, number, chance.uniform(0.0, 0.15))
        journal = Journal(path)
        _, found = journal.read(0, max_readings=10**9)
        batches = np.unique(found.value)
        # Everything acknowledged is there; at most the one batch in flight may be there as well.
        assert batches.tolist() == list(range(len(batches)))
        assert accepted + 1 <= len(batches) <= accepted + 2
        assert np.array_equal(np.bincount(found.value.astype(int)), np.arange(len(batches)) % 50 + 1)
        assert np.array_equal(found.measured_at, found.value)
        assert journal.damaged == 0
        assert journal._database.rows("PRAGMA integrity_check") == [("ok",)]
        journal.close()
        number = len(batches)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("how", ["cut", "garbage"])
def test_a_torn_write_ahead_log_keeps_whole_batches(tmp_path: Path, share: float, how: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    ends = []
    for number in range(10):
        journal.append(Readings.of([0, 1], [number, number], [float(number)] * 2))
        ends.append((tmp_path / "journal.db-wal").stat().st_size)
    torn = tmp_path / "torn.db"
    shutil.copy(tmp_path / "journal.db", torn)
    log = (tmp_path / "journal.db-wal").read_bytes()
    cut = ends[0] + int((len(log) - ends[0]) * share)
    Path(f"{torn}-wal").write_bytes(log[:cut] + (b"" if how == "cut" else b"\x5a" * (len(log) - cut)))
    journal.close()

    again = Journal(torn)
    assert again.read(0)[1].value[::2].tolist() == [float(number) for number, end in enumerate(ends) if end <= cut]
    again.append(Readings.of([0], [99], [99.0]))
    assert again.read(0)[1].value[-1] == 99.0
    again.close()


def test_damaged_pages_of_the_file_cost_only_their_batches(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    noise = np.random.default_rng(1)
    for number in range(60):
        journal.append(Readings.of(np.full(4_000, number), np.arange(4_000), noise.normal(size=4_000)))
    journal.close()
    content = bytearray(path.read_bytes())
    page = 16_384
    for at in (len(content) // page // 3, len(content) // page // 2):
        content[at * page : (at + 1) * page] = b"\xa5" * page
    path.write_bytes(content)

    again = Journal(path)
    whole: set[int] = set()
    cursor = 0
    while (step := again.read(cursor, max_readings=20_000))[0] != cursor:
        cursor, found = step
        numbers, counts = np.unique(found.point, return_counts=True)
        assert set(counts.tolist()) <= {4_000}
        whole |= set(numbers.tolist())
    assert cursor == again.last()
    assert 1 <= again.damaged <= 8
    assert len(whole) == 60 - again.damaged
    again.close()


def test_a_full_file_refuses_loudly_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    noise = np.random.default_rng(1)
    journal._database.rows("PRAGMA max_page_count = 40")
    accepted = 0

    def fill() -> None:
        nonlocal accepted
        for number in range(100):
            journal.append(Readings.of(np.arange(1_000), np.full(1_000, number), noise.normal(size=1_000)))
            accepted += 1

    with pytest.raises(StoreError, match="full"):
        fill()
    assert 10 < accepted < 100
    assert len(journal.read(0, max_readings=10**9)[1]) == accepted * 1_000
    journal._database.rows("PRAGMA max_page_count = 100000")
    journal.append(Readings.of([1], [1], [1.0]))
    assert len(journal.read(0, max_readings=10**9)[1]) == accepted * 1_000 + 1
    assert journal._database.rows("PRAGMA integrity_check") == [("ok",)]


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from domain.errors import StoreError
from domain.reading import Readings
from store.journal import Journal
journal = Journal(Path(sys.argv[1]))
noise = np.random.default_rng(1)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
accepted = refused = 0
while refused < 3:
    try:
        journal.append(Readings.of(np.arange(500), np.full(500, accepted), noise.normal(size=500)))
        accepted += 1
    except StoreError:
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append(Readings.of(np.arange(500), np.full(500, accepted), noise.normal(size=500)))
print(accepted + 1)
"""


def test_a_disk_that_takes_no_more_corrupts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    writer = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, timeout=60)
    accepted = int(writer.stdout)
    assert accepted > 5
    journal = Journal(path)
    _, found = journal.read(0, max_readings=10**9)
    assert np.array_equal(np.bincount(found.measured_at), np.full(accepted, 500))
    assert journal.damaged == 0
    assert journal._database.rows("PRAGMA integrity_check") == [("ok",)]

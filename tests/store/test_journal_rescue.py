"""A journal whose file was damaged goes on: what can be read stays, numbers and cursors too, under the eyes of its readers."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from domain.reading import Readings
from store.journal import Journal
from store.packing import pack

PAGE = 16_384
NOISE = np.random.default_rng(1)


COUNT = 1_000  # readings a batch: one batch a page


def batch(number: int, count: int = COUNT) -> Readings:
    return Readings.of(np.full(count, number % 100), np.full(count, number), NOISE.normal(size=count))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal so large that its tree has inner pages below the root."""
    path = tmp_path_factory.mktemp("large") / "journal.db"
    filled(path, 1_500)
    return path


def filled(path: Path, batches: int) -> list[int]:
    """The sequences of a new journal's batches, made in one transaction."""
    journal = Journal(path)
    pieces = [batch(number) for number in range(batches)]
    last = journal._append(pieces, [pack(piece) for piece in pieces])
    sequences = list(range(last - batches + 1, last + 1))
    journal.advance("watch", sequences[min(100, batches - 1)])
    journal.advance("history", sequences[min(50, batches - 1)], "here")
    journal.close()
    return sequences


def pages(path: Path, kind: int) -> list[int]:
    """The pages of this kind: 5 are inner pages of tables, 13 leaves."""
    content = path.read_bytes()
    return [page for page in range(1, len(content) // PAGE) if content[page * PAGE] == kind]


def victim(path: Path, which: str) -> int:
    """The page to spoil."""
    journal = Journal(path)
    root: dict[str, int] = dict(journal._database.rows("SELECT name, rootpage - 1 FROM sqlite_master"))
    order = "DESC" if which == "the last leaf" else "ASC"
    block = journal._database.rows(f"SELECT packed FROM batches ORDER BY sequence {order} LIMIT 1")[0][0]
    journal.close()
    if which in {"the first leaf", "the last leaf"}:
        return int(path.read_bytes().find(block[:80]) // PAGE)
    inner = pages(path, 5)
    assert len(inner) >= 3
    inner_or_table = {
        "the root": root["batches"],
        "an inner page": max(inner),
        "the cursors": root["cursors"],
        "the numbers": root["sqlite_sequence"],
    }
    return inner_or_table[which]


def spoil(path: Path, *which: int) -> None:
    content = bytearray(path.read_bytes())
    for page in which:
        content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)


def everything(journal: Journal) -> set[int]:
    """The numbers of the batches that can be read, each of which must be whole."""
    found: set[int] = set()
    cursor = 0
    while (step := journal.read(cursor, max_readings=100_000))[0] != cursor:
        cursor, readings = step
        numbers, counts = np.unique(readings.measured_at, return_counts=True)
        assert set(counts.tolist()) <= {COUNT}
        found |= set(numbers.tolist())
    return found


@pytest.mark.parametrize(
    ("which", "touch"),
    [
        ("an inner page", "append"),
        ("an inner page", "advance"),
        ("an inner page", "prune"),
        ("the root", "append"),
        ("the first leaf", "append"),
        ("the first leaf", "prune"),
        ("the last leaf", "append"),
        ("the last leaf", "prune"),
        ("the cursors", "append"),
        ("the numbers", "append"),
    ],
)
def test_damage_costs_what_hung_on_it_and_the_journal_goes_on(tmp_path: Path, large: Path, which: str, touch: str) -> None:
    path = tmp_path / "journal.db"
    shutil.copy(large, path)
    spoil(path, victim(path, which))
    journal = Journal(path)
    cursor, places = journal.cursor("history"), journal.places("history")
    assert (cursor == 0) == (which == "the cursors")
    before = everything(journal)
    least = {"the root": 0, "the cursors": 1_500, "the numbers": 1_500, "an inner page": 300}.get(which, 1_499)
    assert least <= len(before) <= max(least, 1_499)
    if touch == "advance":
        journal.advance("watch", journal.cursor("watch") + 1)
    elif touch == "prune":
        journal.prune(0)
    sequence = journal.append(batch(99_999))
    assert sequence == journal.last() > cursor
    assert everything(journal) == before | {99_999}
    assert (journal.cursor("history"), journal.places("history")) == (cursor, places)
    journal.prune(0)
    assert journal._database.rows("PRAGMA integrity_check") == [("ok",)]
    assert journal.append(batch(100_000)) == sequence + 1
    journal.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.db", "journal.db.lock"]


def test_unread_readings_that_are_gone_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    sequences = filled(path, 300)
    leaves = pages(path, 13)
    spoil(path, *leaves[len(leaves) // 2 : len(leaves) // 2 + 3])
    journal = Journal(path)
    left = everything(journal)
    missing = set(range(300)) - left
    assert 3 <= len(missing) <= 30
    journal.prune(0)
    assert everything(journal) == left
    assert journal.lost() == COUNT * len({number for number in missing if sequences[number] > sequences[50]})
    assert journal._database.rows("PRAGMA integrity_check") == [("ok",)]
    journal.close()


def test_others_who_have_it_open_read_and_write_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    sequences = filled(path, 600)
    spoil(path, pages(path, 13)[10])
    reader, writer, other = Journal(path), Journal(path), Journal(path)
    left = everything(reader)
    writer._pages_damaged = True
    writer.prune(0)
    assert everything(reader) == left
    cursor = reader.last()
    other.append(batch(7_000))
    writer.append(batch(7_001))
    assert set(reader.read(cursor)[1].measured_at.tolist()) == {7_000, 7_001}
    reader.advance("watch", sequences[500])
    assert other.cursor("watch") == sequences[500]
    for journal in (reader, writer, other):
        journal.close()


APPEND = """
import sys
from pathlib import Path
import numpy as np
from domain.reading import Readings
from store.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(5_000, 5_200):
    journal.append(Readings.of(np.full(1_000, 1), np.full(1_000, number), np.zeros(1_000)))
print("done", flush=True)
"""


def test_a_collector_that_appends_meanwhile_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    filled(path, 1_500)
    spoil(path, pages(path, 13)[10])
    collector = subprocess.Popen([sys.executable, "-c", APPEND, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert collector.stdout is not None
    assert collector.stdout.readline() == "ready\n"
    journal = Journal(path)
    everything(journal)
    journal.prune(0)
    assert collector.stdout.readline() == "done\n"
    collector.wait(timeout=20)
    collector.stdout.close()
    assert set(range(5_000, 5_200)) <= everything(journal)
    assert journal._database.rows("PRAGMA integrity_check") == [("ok",)]
    journal.close()


def test_a_file_that_says_nothing_of_its_numbers_goes_on_behind_its_cursors(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    sequences = filled(path, 20)
    journal = Journal(path)
    journal._database.rows("DELETE FROM sqlite_sequence")
    journal._pages_damaged = True
    journal._database.sound = lambda: False  # type: ignore[method-assign]
    journal.prune(0)
    assert journal.append(batch(1)) > sequences[-1]
    journal.close()

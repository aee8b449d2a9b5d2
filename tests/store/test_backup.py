"""A site's stores in one file and back, taken while everything is written to."""

import io
import itertools
import json
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import zstandard

from domain.reading import Readings
from keepwarm import main as command
from store.backup import MANIFEST, _copied, _found
from store.history.forward import Forwarder
from store.history.parquet import ParquetHistory
from store.journal import Journal
from store.points import PointRegistry
from store.readings import CURSOR, read_readings

START = 1_768_348_800_000  # 2026-01-14T00:00:00Z


class Ran(NamedTuple):
    code: int
    out: str
    err: list[str]


Run = Callable[..., Ran]


@pytest.fixture
def keepwarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        code = command.exit_code(arguments)
        out, err = capsys.readouterr()
        return Ran(code, out, [line for line in err.splitlines() if not line.endswith(" …")])

    return run


class Town:
    """A site whose stores are written to as ``collect`` and ``watch`` do it: numbers count up, and each store knows its last."""

    def __init__(self, folder: Path) -> None:
        (folder / "profiles").mkdir(parents=True)
        (folder / "site.toml").write_text('name = "t"\n', encoding="utf-8")
        (folder / "stations.csv").write_text("station_id\nS01\n", encoding="utf-8")
        (folder / "older.backup").write_text("not a file of a site", encoding="utf-8")
        self.data = folder / "data"
        self.points = PointRegistry(self.data / "points.db")
        self.journal = Journal(self.data / "journal.db")
        self.history = ParquetHistory(self.data / "history", self.points.name, grace_s=0)
        self.forwarder = Forwarder(self.journal, self.history)
        self.records = sqlite3.connect(self.data / "records.db", isolation_level=None, check_same_thread=False)
        self.records.execute("PRAGMA journal_mode = WAL")
        self.records.execute("CREATE TABLE kept (cursor INTEGER)")
        (self.data / "dashboard.key").write_bytes(b"secret")
        (self.data / "logs").mkdir()
        (self.data / "logs" / "collect.log").write_text("chatter")
        (self.data / "reports").mkdir()
        (self.data / "reports" / "0123.json").write_text("made again when somebody asks")
        self.number = 0

    def turn(self) -> None:
        """A batch is accepted (with a point never seen), judged, forwarded now and then, and the history tidied."""
        name = f"room/R{self.number}/indoor_temp_c"
        at = START + self.number * 1_000
        cursor = self.journal.append(Readings.of(self.points.ids([name]), [at], [float(self.number)]))
        self.records.execute("INSERT INTO kept VALUES (?)", (cursor,))
        if self.number % 7 == 3:
            self.forwarder.step()
        if self.number % 20 == 0:
            self.history.tidy()
        self.number += 1

    def close(self) -> None:
        for store in (self.points, self.journal, self.history, self.records):
            store.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path / "site")
    with closing(town):
        yield town


def kept(data: Path) -> tuple[list[float], int]:
    """The numbers in a data folder's readings, which must fit together, and how many of them the records have judged."""
    with (
        closing(PointRegistry(data / "points.db")) as points,
        closing(Journal(data / "journal.db")) as journal,
        closing(sqlite3.connect(data / "records.db")) as records,
    ):
        history = ParquetHistory(data / "history", points.name)
        forwarded = journal.cursor(CURSOR)
        found = read_readings(history, journal, np.arange(len(points), dtype=np.int32), 0, 2**62)
        assert [points.name(point) for point in found.point.tolist()] == [f"room/R{int(value)}/indoor_temp_c" for value in found.value]
        # What the journal counts as forwarded is in the history.
        sequence, first = journal.read(forwarded, 1)
        in_history = history.read(np.arange(len(points), dtype=np.int32), 0, 2**62).value
        assert not len(first) or int(first.value[0]) <= len(in_history) or sequence == forwarded
        (judged,) = records.execute("SELECT coalesce(max(cursor), 0) FROM kept").fetchone()
        assert judged <= journal.last()
        (count,) = records.execute("SELECT count(*) FROM kept").fetchone()
    return found.value.tolist(), int(count)


def test_all_there_is_comes_back(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    for _ in range(50):
        town.turn()
    answer = keepwarm("backup", "site", "town.backup")
    assert answer.code == 0, answer.err
    assert stat.S_IMODE((tmp_path / "town.backup").stat().st_mode) == 0o600
    assert list((tmp_path / "site" / "data").glob(".backup-*")) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "site.toml").write_text('name = "other"\ndata = "elsewhere"\n')
    back = keepwarm("restore", "other", "town.backup")
    assert back.code == 0, back.err
    data = tmp_path / "other" / "elsewhere"
    assert kept(data) == ([float(number) for number in range(50)], 50)
    assert (data / "dashboard.key").read_bytes() == b"secret"
    assert {path.name for path in data.iterdir()} >= {"records.db", "journal.db", "points.db", "history", "dashboard.key"}
    assert not (data / "logs").exists()
    assert not (data / "reports").exists()
    assert (tmp_path / "other" / "site.toml").read_text().startswith('name = "other"')
    assert not (tmp_path / "other" / "stations.csv").exists()
    assert [path.name for path in tmp_path.glob(".restore-*")] == []


def test_a_lost_machine_gets_its_folder_back_too(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    town.turn()
    keepwarm("backup", "site", "town.backup")
    assert keepwarm("restore", "again", "town.backup").code == 0
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"site.toml", "stations.csv", "data"}
    assert kept(tmp_path / "again" / "data") == ([0.0], 1)


def test_a_restored_site_goes_on(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    """The forwarder finds its history again and forwards what the journal still has: nothing is missing, nothing there twice."""
    for _ in range(30):
        town.turn()
    keepwarm("backup", "site", "town.backup")
    keepwarm("restore", "again", "town.backup")
    data = tmp_path / "again" / "data"
    with closing(PointRegistry(data / "points.db")) as points, closing(Journal(data / "journal.db")) as journal:
        history = ParquetHistory(data / "history", points.name)
        before = journal.backlog(CURSOR).readings
        assert 0 < before < 30
        assert Forwarder(journal, history).step() == before
        assert history.read(range(30), 0, 2**62).value.tolist() == [float(number) for number in range(30)]
        assert journal.append(Readings.of([0], [START], [1.0])) > town.journal.last()


def test_taken_while_everything_is_written_to_it_fits_together(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    stop, failed = threading.Event(), []

    def work() -> None:
        try:
            while not stop.is_set():
                town.turn()
        except Exception as error:  # the test must hear of it
            failed.append(error)

    for _ in range(100):
        town.turn()
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for attempt in range(8):
            assert keepwarm("backup", "site", f"{attempt}.backup").code == 0
    finally:
        stop.set()
        worker.join()
    assert not failed
    for attempt in range(8):
        assert keepwarm("restore", f"again{attempt}", f"{attempt}.backup").code == 0
        numbers, judged = kept(tmp_path / f"again{attempt}" / "data")
        assert numbers == [float(number) for number in range(len(numbers))]
        assert judged <= len(numbers)


def test_what_is_merged_while_it_is_counted_is_no_fault(keepwarm: Run, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(45):
        town.turn()

    def found_then_merged(data: Path) -> list[Path]:
        found = _found(data)
        if town.number == 45:
            while all(path.exists() for path in found):
                town.turn()
        return found

    monkeypatch.setattr("store.backup._found", found_then_merged)
    answer = keepwarm("backup", "site", "town.backup")
    assert (answer.code, answer.err) == (0, [])
    assert town.number > 45
    assert keepwarm("restore", "again", "town.backup").code == 0
    assert kept(tmp_path / "again" / "data") == ([float(number) for number in range(town.number)], town.number)


def test_what_is_written_between_two_files_of_it_does_no_harm(
    keepwarm: Run, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(45):
        town.turn()
    turns = 0

    def write(*_: object) -> None:
        nonlocal turns
        for _turn in range(15):  # accepted, judged, forwarded, merged
            town.turn()
            turns += 1

    monkeypatch.setattr("keepwarm.progress._plain", lambda: write)
    assert keepwarm("backup", "site", "town.backup").code == 0
    assert turns > 60
    assert keepwarm("restore", "again", "town.backup").code == 0
    numbers, judged = kept(tmp_path / "again" / "data")
    assert numbers == [float(number) for number in range(len(numbers))]
    assert 45 <= judged <= len(numbers) < town.number


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_put_over_anything(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    town.turn()
    keepwarm("backup", "site", "town.backup")
    before = sorted((tmp_path / "site").rglob("*"))
    answer = keepwarm("restore", "site", "town.backup")
    assert (answer.code, len(answer.err)) == (2, 1)
    assert "is not empty: a backup is put back only where nothing would be lost by it" in answer.err[0]
    assert sorted((tmp_path / "site").rglob("*")) == before


def test_a_spoilt_backup_leaves_nothing_behind(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    for _ in range(20):
        town.turn()
    keepwarm("backup", "site", "town.backup")
    whole = (tmp_path / "town.backup").read_bytes()
    spoilt = [whole[: len(whole) * part // 7] for part in range(7)]
    flipped = [whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :] for at in range(40, len(whole), len(whole) // 12)]
    spoilt += [content for content in flipped if not same_content(content, whole)]
    assert len(spoilt) > 7 + 6
    for number, content in enumerate([*spoilt, b"point,measured_at,value\n"]):
        (tmp_path / "spoilt").write_bytes(content)
        answer = keepwarm("restore", f"again{number}", "spoilt")
        assert (answer.code, len(answer.err)) == (2, 1), number
        assert answer.err[0].startswith("spoilt: no whole backup of `keepwarm backup`: ")
        assert not (tmp_path / f"again{number}").exists()
    assert list(tmp_path.glob(".restore-*")) == []


def same_content(content: bytes, whole: bytes) -> bool:
    """Whether the one unpacks to the other: some bits of a frame are not used, so a flip of them spoils nothing."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(content) as altered, zstandard.ZstdDecompressor().stream_reader(whole) as unaltered:
            return altered.read() == unaltered.read()
    except zstandard.ZstdError:
        return False


def packed(*members: tuple[str, bytes]) -> bytes:
    """An archive of these files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w|") as tar:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return zstandard.ZstdCompressor().compress(content.getvalue())


@pytest.mark.parametrize("name", ["data/../../escaped", "/data/escaped", "elsewhere/file", "data"])
def test_an_archive_does_not_reach_out_of_its_folder(keepwarm: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "evil").write_bytes(packed((name, b"x"), (MANIFEST, json.dumps({"format": 1, "data": "data", "files": []}).encode())))
    answer = keepwarm("restore", "again", "evil")
    assert (answer.code, answer.err) == (2, [f"evil: no whole backup of `keepwarm backup`: it holds {name!r}"])
    assert not any(path.name == "escaped" for path in tmp_path.rglob("*"))
    assert not (tmp_path / "again").exists()
    (tmp_path / "evil").write_bytes(packed((MANIFEST, json.dumps({"format": 1, "data": "../out", "files": []}).encode())))
    assert keepwarm("restore", "again", "evil").code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["backup", "nowhere", "f"], "nowhere: no such folder"),
        (["backup", "site", "no/folder/f"], "no/folder/f: its folder no/folder does not exist"),
        (["backup", "site", "site/data/f"], "site/data/f: lies in the data folder"),
        (["restore", "again", "missing"], "missing: no such file"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(keepwarm: Run, town: Town, arguments: list[str], says: str) -> None:
    answer = keepwarm(*arguments)
    assert (answer.code, answer.out, len(answer.err)) == (2, "", 1)
    assert answer.err[0].startswith(says)


def test_what_stands_elsewhere_is_named(keepwarm: Run, town: Town, tmp_path: Path) -> None:
    (tmp_path / "site" / "site.toml").write_text(
        'name = "t"\nrecords_url = "postgresql://records/keepwarm"\n[history]\nkind = "influxdb"\nurl = "http://127.0.0.1:8086"\n'
    )
    answer = keepwarm("backup", "site", "town.backup")
    assert answer.code == 0
    assert [line.split(":")[0] for line in answer.err] == ["note"] * 2
    assert ["influxdb" in answer.err[0], "pg_dump" in answer.err[1]] == [True, True]


def test_a_disk_that_is_full_leaves_no_half_backup(keepwarm: Run, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = itertools.count()

    def full(*_: object) -> None:
        if next(pieces) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("keepwarm.progress._plain", lambda: full)
    town.turn()
    answer = keepwarm("backup", "site", "town.backup")
    assert (answer.code, answer.err) == (2, ["town.backup: can't be written: no space left on device"])
    assert not (tmp_path / "town.backup").exists()
    assert [path.name for path in tmp_path.glob(".town*")] == []


def test_a_database_that_is_just_being_made_is_copied_as_of_one_instant(tmp_path: Path) -> None:
    """Its file is there before anything is in it; what is put in from then on stands beside it first, in its log."""
    path = tmp_path / "records.db"
    path.touch()
    with closing(sqlite3.connect(path)) as maker:
        copies = _copied(path, "data/records.db", tmp_path)
        _, copy = next(copies)
        maker.execute("PRAGMA journal_mode = WAL")
        maker.execute("CREATE TABLE kept (cursor INTEGER)")
        with closing(sqlite3.connect(copy)) as copied:
            assert copied.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert list(copies) == []

"""``keepwarm import`` and ``keepwarm export`` as people call them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from domain.clock import Clock
from domain.errors import StoreError
from domain.reading import Readings
from keepwarm import main as command
from store.history import take_in
from store.history.parquet import ParquetHistory
from store.journal import Journal
from store.points import PointRegistry
from store.readings import CURSOR
from store.readings_file import read_readings

ROOT = Path(__file__).parents[2]
START = 1_768_348_800_000  # 2026-01-14T00:00:00Z


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def keepwarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line beside the folders ``site`` and ``other``."""
    monkeypatch.chdir(tmp_path)
    for name in ("site", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site.toml").write_text('name = "t"\ntimezone = "Asia/Shanghai"\n', encoding="utf-8")

    def run(*arguments: str) -> Ran:
        return Ran(command.exit_code(arguments), *capsys.readouterr())

    return run


def csv(path: str, *rows: str) -> str:
    Path(path).write_text("point,measured_at,value,quality\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


ROWS = (
    "room/R1/indoor_temp_c,2026-01-14T08:00:00+08:00,18.4,",
    "room/R2/indoor_temp_c,2026-01-14T08:00:00+08:00,,stuck",
    "station/S01/secondary_flow_m3h,2026-01-15T08:00:00+08:00,120.5,suspect",
    "room/R1/indoor_temp_c,2026-01-14T08:10:00+08:00,18.5,",
)


def test_what_is_imported_can_be_exported(keepwarm: Run) -> None:
    answer = keepwarm("import", "site", csv("a.csv", *ROWS[:2]), csv("b.csv", *ROWS[2:]))
    assert answer == Ran(
        0, "4 readings of 3 points imported into parquet, 2026-01-14T08:00:00+08:00 to 2026-01-15T08:00:00+08:00\n", answer.err
    )
    shown = keepwarm("export", "site")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "point,measured_at,value,quality,received_at",
        "room/R1/indoor_temp_c,2026-01-14T08:00:00.000+08:00,18.4,good,2026-01-14T08:00:00.000+08:00",
        "room/R1/indoor_temp_c,2026-01-14T08:10:00.000+08:00,18.5,good,2026-01-14T08:10:00.000+08:00",
        "room/R2/indoor_temp_c,2026-01-14T08:00:00.000+08:00,,stuck,2026-01-14T08:00:00.000+08:00",
        "station/S01/secondary_flow_m3h,2026-01-15T08:00:00.000+08:00,120.5,suspect,2026-01-15T08:00:00.000+08:00",
    ]
    assert shown.err.splitlines()[-1] == "4 readings of 3 points exported"


@pytest.mark.parametrize("name", ["all.csv", "all.csv.gz", "all.parquet"])
def test_another_site_takes_an_export_as_it_is(keepwarm: Run, name: str) -> None:
    keepwarm("import", "site", csv("a.csv", *ROWS))
    assert keepwarm("export", "site", "--out", name).code == 0
    assert keepwarm("import", "other", name).code == 0
    assert keepwarm("export", "other").out == keepwarm("export", "site").out
    assert [path.name for path in Path().iterdir() if path.name.endswith(".tmp")] == []


def test_an_import_may_be_repeated(keepwarm: Run) -> None:
    for _ in range(2):
        assert keepwarm("import", "site", csv("a.csv", *ROWS)).code == 0
    assert len(keepwarm("export", "site").out.splitlines()) == 5


def test_period_and_points_are_chosen(keepwarm: Run) -> None:
    keepwarm("import", "site", csv("a.csv", *ROWS))

    def exported(*arguments: str) -> list[str]:
        return [line.split(",")[0] for line in keepwarm("export", "site", *arguments).out.splitlines()[1:]]

    assert exported("--point", "room/*/indoor_temp_c") == ["room/R1/indoor_temp_c"] * 2 + ["room/R2/indoor_temp_c"]
    assert exported("--point", "room/R2/*", "--point", "station/*") == ["room/R2/indoor_temp_c", "station/S01/secondary_flow_m3h"]
    assert exported("--from", "2026-01-14 08:10", "--to", "2026-01-15 08:00") == ["room/R1/indoor_temp_c"]
    assert exported("--from", "2027-01-01") == []


def test_what_only_the_journal_has_is_exported_too(keepwarm: Run) -> None:
    keepwarm("import", "site", csv("a.csv", *ROWS))
    points, journal = PointRegistry(Path("site/data/points.db")), Journal(Path("site/data/journal.db"))
    journal.append(Readings.of(points.ids(["room/R9/indoor_temp_c"]), [START + 40 * 86_400_000], [21.0]))
    assert "room/R9/indoor_temp_c,2026-02-23T08:00:00.000+08:00,21,good," in keepwarm("export", "site").out
    journal.advance(CURSOR, journal.last())  # a forwarder that says so without having done it
    assert "R9" not in keepwarm("export", "site").out
    journal.close()
    points.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "site", "missing.csv"], "missing.csv: no such file"),
        (["import", "nowhere", "a.csv"], "nowhere: no such folder; a site is a folder with site.toml in it"),
        (["import", "site"], "Missing argument 'FILE…'"),
        (["import", "site", "naive.csv"], "naive.csv:2: measured_at: '2026-01-14 08:00:00': a time with offset"),
        (["export", "site", "--from", "soon"], "--from: 'soon': a time such as"),
        (["export", "site", "--from", "2026-02-01", "--to", "2026-01-01"], "'2026-01-01' is not after --from '2026-02-01'"),
        (["export", "site", "--point", "room/*"], "--point: 'room/*': no point of this site is called so"),
        (["export", "site", "--out", "no/such/folder.csv"], "no/such/folder.csv: its folder no/such does not exist"),
        (["export", "site", "--out", "site"], "site: a folder; --out names a file"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(keepwarm: Run, arguments: list[str], says: str) -> None:
    csv("naive.csv", "room/R1/indoor_temp_c,2026-01-14 08:00:00,18.4,")
    answer = keepwarm(*arguments)
    assert answer.code == 2
    assert says in answer.err
    assert len([line for line in answer.err.splitlines() if not line.endswith(" …")]) == 1
    assert answer.out == ""


def test_a_mistake_in_the_last_file_keeps_all_out(keepwarm: Run) -> None:
    csv("bad.csv", *ROWS, "room/R1/indoor_temp_c,2026-01-14T09:00:00+08:00,warm,")
    answer = keepwarm("import", "site", csv("a.csv", *ROWS), "bad.csv")
    assert answer.code == 2
    assert answer.err.splitlines()[-1].startswith("bad.csv:6: value: 'warm': a number")
    assert keepwarm("export", "site").out == "point,measured_at,value,quality,received_at\n"


def test_local_times_are_the_site_s_where_asked(keepwarm: Run) -> None:
    csv("naive.csv", "room/R1/indoor_temp_c,2026-01-14 08:00:00,18.4,")
    assert keepwarm("import", "site", "naive.csv", "--assume-timezone").code == 0
    assert "2026-01-14T08:00:00.000+08:00" in keepwarm("export", "site").out


def test_what_the_history_does_not_keep_is_said(keepwarm: Run) -> None:
    Path("site/site.toml").write_text('name = "t"\n[history]\ndays = 30\n', encoding="utf-8")
    Path("site/data").mkdir()
    Clock.starting_at(START, 1.0).save(Path("site/data/clock.json"))
    assert keepwarm("import", "site", csv("a.csv", *ROWS)).code == 0
    late = keepwarm("import", "site", csv("old.csv", "room/R1/indoor_temp_c,2025-01-14T08:00:00+08:00,18.4,"))
    assert late.code == 1
    assert late.err.splitlines()[-1] == "not in the history: 1 expired"


def test_an_import_into_a_server_that_was_started_anew_is_to_be_done_again(tmp_path: Path) -> None:
    class Restarted(ParquetHistory):
        settle_s = 0.01
        boots = iter(["first", "second"])

        def boot(self) -> str:
            return next(self.boots)

    (tmp_path / "a.csv").write_text("point,measured_at,value\nroom/R1/indoor_temp_c,0,1\n")
    points = PointRegistry(tmp_path / "points.db")
    with pytest.raises(StoreError, match="do it again"):
        take_in.take_in([tmp_path / "a.csv"], None, Restarted(tmp_path / "history", points.name), points, START, lambda *_: None)
    points.close()


# ── constant memory ───────────────────────────────────────────────────────────────────────────────────────────────────

MEASURED = """
import os, re, sys
from pathlib import Path
os.fsync = lambda *_: None  # memory is what is measured, not the disk
from keepwarm import main
from store.history import merge, take_in, upkeep, walk
take_in.PORTION, merge._AT_ONCE, upkeep._DAYS_AT_ONCE = 100_000, 100_000, 1
walk.walk.__defaults__ = (100_000,)
code = main.exit_code(sys.argv[1:])
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # getrusage would give that of the parent
print(code, int(peak_kb) // 1024)
"""


def peak_mb(*arguments: str) -> int:
    """What a command needs at most, in MB, with small portions."""
    ran = subprocess.run([sys.executable, "-c", MEASURED, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    code, peak = ran.stdout.split()[-2:]
    assert code == "0", ran.stderr
    return int(peak)


def made(path: Path, days: int) -> None:
    """A site with a history of 2 points at 1 s: 172 800 readings a day, 6 MB as columns, 16 MB as text."""
    path.mkdir(exist_ok=True)
    (path / "site.toml").write_text('name = "t"\n', encoding="utf-8")
    points = PointRegistry(path / "data" / "points.db")
    ids = points.ids([f"station/S01/quantity{number}_c" for number in range(2)])
    history = ParquetHistory(path / "data" / "history", points.name)
    for day in range(days):
        at = START + day * 86_400_000 + np.arange(86_400) * 1_000
        history.write(Readings.of(np.tile(ids, len(at)), np.repeat(at, 2), np.round(np.sin(np.arange(2 * len(at)) / 1e4) * 20, 1)))
    history.close()
    points.close()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_twice_as_much_needs_no_more_memory(keepwarm: Run, tmp_path: Path, ending: str) -> None:
    exports, imports = [], []
    for days in (6, 14):
        made(tmp_path / f"from{days}", days)
        made(tmp_path / f"into{days}", 0)
        file = str(tmp_path / f"{days}.{ending}")
        exports.append(peak_mb("export", str(tmp_path / f"from{days}"), "--out", file))
        imports.append(peak_mb("import", str(tmp_path / f"into{days}"), file))
    assert len(read_readings([tmp_path / f"14.{ending}"])[1]) == 14 * 172_800
    assert exports[1] - exports[0] < 15, exports
    assert imports[1] - imports[0] < 15, imports

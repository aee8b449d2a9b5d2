"""``keepwarm audit`` as people call it: contract, formats, bad input."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from _pytest.mark import ParameterSet
from openpyxl import load_workbook
from rich.cells import cell_len

from compliance.audit import Figures, Question, audit
from domain.reading import Readings
from keepwarm.audit_formats import as_table
from keepwarm.files_option import spread
from keepwarm.main import main
from store.site_folder import load_policy

SECONDS = ["judged_s", "compliant_s", "breach_s", "unknown_s", "breach_day_s", "breach_night_s"]
COUNTS = ["readings", "readings_breach", "compliance_rate", "coverage"]
ROOM_KEYS = [
    *("room_id", "building_id", "station_id"),
    *SECONDS,
    *("deficit_kh", "longest_breach_s", "min_c", "max_c", "mean_c"),
    *COUNTS,
]
TOTAL_KEYS = [*SECONDS, "deficit_kh", *COUNTS, "rooms", "rooms_known", "rooms_without_breach", "households_rate"]


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: bytes
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs ``keepwarm audit`` in a folder with some files."""
    monkeypatch.chdir(tmp_path)
    rows = [
        ("room/A/indoor_temp_c", "2026-12-01T12:00:00+08:00", 17.5),
        ("room/A/indoor_temp_c", "2026-12-01T12:20:00+08:00", 18.5),
        ("room/=B/indoor_temp_c", "2026-12-01T12:00:00+08:00", 20),
        ("station/S1/outdoor_temp_c", "2026-12-01T12:00:00+08:00", -8),
    ]
    write(tmp_path / "readings.csv", ["point,measured_at,value", *(",".join(str(cell) for cell in row) for row in rows)])
    write(tmp_path / "rooms.csv", ["room_id,building_id,station_id", "A,H1,S1", "客厅,H2,S1"])

    def run_audit(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *arguments])
        out, err = capfdbinary.readouterr()
        return Ran(int(ended.value.code or 0), out, err.decode())

    return run_audit


def write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_contract_to_the_letter(run: Run) -> None:
    ran = run("--readings", "readings.csv", "--rooms", "rooms.csv")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert list(document) == ["policy", "from", "to", "rooms", "totals"]
    assert list(document["policy"]) == ["name", "sha256"]
    assert (document["from"], document["to"]) == ("2026-12-01T12:00:00+08:00", "2026-12-01T12:50:00+08:00")
    assert [list(room) for room in document["rooms"]] == [ROOM_KEYS] * 3
    assert list(document["totals"]) == TOTAL_KEYS
    assert document["rooms"][0] == {
        "room_id": "A", "building_id": "H1", "station_id": "S1", "judged_s": 3000, "compliant_s": 1800, "breach_s": 1200, "unknown_s": 0,
        "breach_day_s": 1200, "breach_night_s": 0, "deficit_kh": 0.166666667, "longest_breach_s": 1200, "min_c": 17.5, "max_c": 18.5,
        "mean_c": 18.1, "readings": 2, "readings_breach": 1, "compliance_rate": 0.6, "coverage": 1.0,
    }  # fmt: skip
    assert document["rooms"][1] == {
        "room_id": "客厅", "building_id": "H2", "station_id": "S1", "judged_s": 3000, "compliant_s": 0, "breach_s": 0, "unknown_s": 3000,
        "breach_day_s": 0, "breach_night_s": 0, "deficit_kh": 0.0, "longest_breach_s": 0, "min_c": None, "max_c": None,
        "mean_c": None, "readings": 0, "readings_breach": 0, "compliance_rate": None, "coverage": 0.0,
    }  # fmt: skip
    assert document["rooms"][2]["room_id"] == "=B"
    assert document["totals"] == {
        "judged_s": 9000, "compliant_s": 3600, "breach_s": 1200, "unknown_s": 4200, "breach_day_s": 1200, "breach_night_s": 0,
        "deficit_kh": 0.166666667, "readings": 3, "readings_breach": 1, "compliance_rate": 0.75, "coverage": pytest.approx(4800 / 9000),
        "rooms": 3, "rooms_known": 2, "rooms_without_breach": 1, "households_rate": 0.5,
    }  # fmt: skip


def test_groups_stand_beside_rooms(run: Run) -> None:
    document = json.loads(run("--readings", "readings.csv", "--rooms", "rooms.csv", "--by", "building").out)
    assert list(document) == ["policy", "from", "to", "rooms", "groups", "totals"]
    assert [list(group) for group in document["groups"]] == [["key", *TOTAL_KEYS]] * 3
    assert [group["key"] for group in document["groups"]] == ["H1", "H2", None]


def test_periods_holds_and_fractions_of_a_second(run: Run) -> None:
    period = ("--from", "2026-12-01T04:10:00.250Z", "--to", "2026-12-01 13:00", "--hold-max-min", "15")
    document = json.loads(run("--readings", "readings.csv", *period).out)
    assert (document["from"], document["to"]) == ("2026-12-01T12:10:00.250+08:00", "2026-12-01T13:00:00+08:00")
    assert [document["rooms"][0][key] for key in ("judged_s", "breach_s", "compliant_s", "unknown_s")] == [2999.75, 299.75, 900, 1800]
    assert "2999.75" in json.dumps(document)
    assert isinstance(document["rooms"][0]["compliant_s"], int)


def test_no_rooms_is_an_answer(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "header.csv", ["point,measured_at,value"])
    document = json.loads(run("--readings", "header.csv").out)
    assert (document["from"], document["to"], document["rooms"]) == (None, None, [])
    assert [document["totals"][key] for key in ("judged_s", "rooms", "compliance_rate", "households_rate")] == [0, 0, None, None]


def test_without_readings_the_period_is_what_was_asked(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "header.csv", ["point,measured_at,value"])
    asked = ("--readings", "header.csv", "--rooms", "rooms.csv")
    document = json.loads(run(*asked, "--to", "2026-12-02").out)
    assert (document["from"], document["to"]) == (None, "2026-12-02T00:00:00+08:00")
    assert [room["judged_s"] for room in document["rooms"]] == [0, 0]
    document = json.loads(run(*asked, "--from", "2026-12-01", "--to", "2026-12-02").out)
    assert [(room["unknown_s"], room["coverage"]) for room in document["rooms"]] == [(86_400, 0.0)] * 2
    assert (document["totals"]["rooms_known"], document["totals"]["households_rate"]) == (0, None)


def test_exclusions_screening_and_another_policy(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "out.csv", ["room_id,from,to,reason,who", "A,2026-12-01T12:10:00+08:00,,vacant,Li", "Z,2026-12-01,,,"])
    law = ['name = "warm"', "[[version]]", "valid_from = 2020-01-01", 'season = "always"', "[version.schedule.residential]"]
    write(tmp_path / "law.toml", [*law, '"00:00-24:00" = 20.5'])
    ran = run("--readings", "readings.csv", "--exclusions", "out.csv", "--policy", "law.toml", "--screen")
    document = json.loads(ran.out)
    assert ran.err == "note: out.csv: room_id: 'Z': no such room in the readings or the rooms file\n"
    assert document["policy"]["name"] == "warm"
    assert [document["rooms"][0][key] for key in ("judged_s", "breach_s")] == [600, 600]
    assert document["rooms"][1]["breach_s"] == 1800


def test_several_files_however_they_are_named(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "more.csv", ["point,measured_at,value", "room/C/indoor_temp_c,2026-12-01T12:00:00+08:00,20"])
    ways = (
        ("--readings", "readings.csv", "more.csv", "--by", "room"),
        ("--readings", "readings.csv", "--by", "room", "--readings", "more.csv"),
        ("--readings=readings.csv", "more.csv"),
    )
    answers = [run(*way) for way in ways]
    assert {answer.out for answer in answers} == {answers[0].out}
    assert [room["room_id"] for room in json.loads(answers[0].out)["rooms"]] == ["A", "=B", "C"]


def test_csv_has_a_row_for_each_room_or_group(run: Run) -> None:
    rooms = list(csv.DictReader(io.StringIO(run("--readings", "readings.csv", "--rooms", "rooms.csv", "--format", "csv").out.decode())))
    assert list(rooms[0]) == ROOM_KEYS
    figures = [(room["room_id"], room["breach_s"], room["compliance_rate"]) for room in rooms]
    assert figures == [("A", "1200", "0.6"), ("客厅", "0", ""), ("=B", "0", "1.0")]
    days = list(csv.DictReader(io.StringIO(run("--readings", "readings.csv", "--by", "day", "--format", "csv").out.decode())))
    assert list(days[0]) == ["key", *TOTAL_KEYS]
    assert [day["key"] for day in days] == ["2026-12-01"]


def test_the_workbook(run: Run, tmp_path: Path) -> None:
    ran = run("--readings", "readings.csv", "--rooms", "rooms.csv", "--by", "building", "--out", "audit.xlsx")
    assert ran == Ran(0, b"", "")
    book = load_workbook(tmp_path / "audit.xlsx")
    assert book.sheetnames == ["房间", "按楼栋", "合计"]
    rooms: Any = list(book["房间"].iter_rows(values_only=True))
    assert rooms[0][:5] == ("房间", "楼栋", "换热站", "应判时长（秒）", "合格时长（秒）")
    assert rooms[1][:6] == ("A", "H1", "S1", 3000, 1800, 1200)
    assert rooms[3][:2] == ("=B", None)
    assert book["房间"].freeze_panes == "B2"
    cell = book["房间"]["A4"]
    assert (cell.value, cell.data_type) == ("=B", "s")
    assert [row[0] for row in book["按楼栋"].iter_rows(min_row=2, values_only=True)] == ["H1", "H2", None]
    totals = dict(book["合计"].iter_rows(min_row=2, values_only=True))
    assert (totals["政策"], totals["不合格时长（秒）"], totals["室温合格率"]) == ("default", 1200, 0.5)


def test_the_table_on_a_pipe_is_plain_and_whole(run: Run) -> None:
    text = run("--readings", "readings.csv", "--rooms", "rooms.csv", "--format", "table").out.decode()
    assert "\x1b" not in text
    assert "…" not in text
    lines = text.splitlines()
    assert lines[1].split()[:4] == ["房间", "楼栋", "换热站", "应判时长"]
    assert [line.split()[0] for line in lines[4:7]] == ["A", "客厅", "=B"]
    assert " ".join(lines[4].split()) == "A H1 S1 0.83 0.50 0.33 0.00 0.17 0.33 17.50 18.50 18.10 60.0% 100.0%"
    assert "–" in lines[5]
    assert "室温合格率 households without breach: 1/2 = 50.0%" in lines[-1]


def test_a_narrow_terminal_gets_fewer_columns_not_cut_ones() -> None:
    room: Figures = dict.fromkeys(ROOM_KEYS, 0) | {"room_id": "S01-B03-502", "building_id": "S01-B03", "station_id": "S01"}
    question = audit([], Readings.empty(), Question(load_policy("default"), ZoneInfo("Asia/Shanghai")))
    answer = replace(question, rooms=[room])
    wide, narrow = (as_table(answer, "room", width).splitlines() for width in (None, 80))
    assert len(wide[1].split()) > len(narrow[1].split())
    assert max(cell_len(line) for line in narrow[:8]) <= 80
    assert narrow[4].split()[0] == "S01-B03-502"
    assert "…" not in "".join(narrow)


def test_a_breach_is_never_rounded_away(run: Run, tmp_path: Path) -> None:
    rows = [f"room/A/indoor_temp_c,{1_796_097_600 + 600 * n},20" for n in range(5000)]
    write(tmp_path / "long.csv", ["point,measured_at,value", *rows, "room/A/indoor_temp_c,1799097600,15"])
    text = run("--readings", "long.csv", "--format", "table", "--hold-max-min", "10").out.decode()
    assert text.splitlines()[4].split()[-2:] == ["99.9%", "100.0%"]


def test_a_file_is_written_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("before")
    assert run("--readings", "nowhere.csv", "--out", "out.json").code == 2
    assert out.read_text() == "before"
    assert run("--readings", "readings.csv", "--out", "out.json").code == 0
    assert json.loads(out.read_bytes())["totals"]["rooms"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "readings.csv", "rooms.csv"]


@pytest.mark.parametrize(("out", "first"), [("a.csv", b"room_id,"), ("a.txt", "\n 房间".encode()), ("a.json", b"{"), ("a", b"{")])
def test_the_format_follows_the_file_name(run: Run, tmp_path: Path, out: str, first: bytes) -> None:
    run("--readings", "readings.csv", "--out", out)
    assert (tmp_path / out).read_bytes().startswith(first)


def mistakes() -> list[ParameterSet]:
    """The cases of audit_mistakes.txt: arguments and the line that is said."""
    text = Path(__file__).with_name("audit_mistakes.txt").read_text(encoding="utf-8")
    cases = [case.splitlines()[:3] for case in text.split("\n== ")[1:]]
    return [pytest.param(command.split()[3:], line, id=what) for what, command, line in cases]


@pytest.mark.parametrize(("arguments", "line"), mistakes())
def test_bad_input_is_one_line_and_exit_2(run: Run, tmp_path: Path, arguments: list[str], line: str) -> None:
    write(tmp_path / "text.csv", ["point,measured_at,value", "room/A/indoor_temp_c,2026-12-01T12:00:00+08:00,warm"])
    write(tmp_path / "contract.csv", ["room_id,premises", "A,contract"])
    assert run(*arguments) == Ran(2, b"", f"{line}\n")


def test_the_option_is_named_before_each_file() -> None:
    assert spread(["--readings", "a", "b", "--by", "day", "--readings=c", "d"]) == [
        *("--readings", "a", "--readings", "b"),
        *("--by", "day"),
        *("--readings", "c", "--readings", "d"),
    ]
    assert spread(["--by", "day", "--readings"]) == ["--by", "day", "--readings"]
    assert spread([]) == []


def test_it_loads_nothing_that_it_does_not_need(run: Run, tmp_path: Path) -> None:
    """100 000 rows in under 2 s leave no time for web servers, databases and pandas."""
    servers, data = "'streamlit', 'fastapi', 'httpx', 'asyncua', 'sqlalchemy'", "'pandas', 'duckdb', 'pyarrow.compute', 'scipy.linalg'"
    heavy = f"{{{servers}, {data}, 'openpyxl', 'rich'}}"
    script = (
        "import sys\nfrom keepwarm.main import main\n"
        "try: main(['audit', '--readings', 'readings.csv', '--rooms', 'rooms.csv', '--out', 'a.json'])\n"
        f"finally: print(sorted({heavy} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"

"""What scripts lean on: pipes, ``-``, exit codes, one line on stderr, nothing left half written, whatever the folder is called."""

import gzip
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from keepwarm import main as command
from keepwarm.output_file import whole_file

ROOT = Path(__file__).parents[2]
SITE = "我的 站点"
ROWS = [
    ("room/客厅/indoor_temp_c", "2026-12-01T12:00:00+08:00", 17.5),
    ("room/客厅/indoor_temp_c", "2026-12-01T12:20:00+08:00", 18.5),
    ("room/A/indoor_temp_c", "2026-12-01T12:00:00+08:00", 20.0),
]
CSV = "".join(["point,measured_at,value\n", *(",".join(map(str, row)) + "\n" for row in ROWS)])


@dataclass(frozen=True)
class Answer:
    code: int
    out: bytes
    err: str


Run = Callable[..., Answer]


def started(folder: Path, *words: str, stdin: int | None = subprocess.DEVNULL, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """The program in a process of its own, in a shell's plainest locale."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LANG": "C", "LC_ALL": "C"}
    line = [sys.executable, "-m", "keepwarm", *words]
    return subprocess.Popen(line, cwd=folder, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with readings, and a site whose name is Chinese and has a space."""
    (tmp_path / "r.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / SITE).mkdir()
    (tmp_path / SITE / "site.toml").write_text('name = "石桥"\n', encoding="utf-8")
    (tmp_path / SITE / "rooms.csv").write_text("room_id\n客厅\nA\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def keepwarm(folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command line in that folder, in this process."""
    monkeypatch.chdir(folder)

    def run(*words: str) -> Answer:
        code = command.exit_code(words)
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Answer(code, out, err.decode())

    return run


def as_parquet() -> bytes:
    """The readings as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(dict(zip(("point", "measured_at", "value"), map(list, zip(*ROWS, strict=True)), strict=True))), sink)
    return bytes(sink.getvalue())


# ── pipes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_standard_input_is_called_dash(folder: Path, keepwarm: Run) -> None:
    wanted = keepwarm("audit", "--readings", "r.csv").out
    with started(folder, "audit", "--readings", "-", "--by", "room", "--out", "-", stdin=subprocess.PIPE) as program:
        out, err = program.communicate(CSV.encode())
    assert (program.returncode, out, err) == (0, wanted, b"")
    assert not (folder / "-").exists()


@pytest.mark.parametrize("content", [CSV.encode(), gzip.compress(CSV.encode()), as_parquet()], ids=["csv", "gzip", "parquet"])
def test_readings_come_through_pipes(folder: Path, keepwarm: Run, content: bytes) -> None:
    wanted = keepwarm("audit", "--readings", "r.csv").out
    os.mkfifo(folder / "pipe")
    with ThreadPoolExecutor() as pool:
        pool.submit((folder / "pipe").write_bytes, content)
        assert keepwarm("audit", "--readings", "pipe") == Answer(0, wanted, "")


def test_a_mistake_in_a_pipe_is_named(folder: Path, keepwarm: Run) -> None:
    os.mkfifo(folder / "pipe")
    with ThreadPoolExecutor() as pool:
        pool.submit((folder / "pipe").write_text, CSV.replace("17.5", "warm"))
        answer = keepwarm("audit", "--readings", "r.csv", "pipe")
    assert (answer.code, answer.out) == (2, b"")
    assert answer.err.startswith("pipe:2: value: 'warm': ")


def test_import_takes_what_export_gives_through_a_pipe(folder: Path, keepwarm: Run) -> None:
    """Import looks at its files twice: all of them are sound before anything is written."""
    assert keepwarm("import", SITE, "r.csv").code == 0
    exported = keepwarm("export", SITE)
    (folder / "other").mkdir()
    (folder / "other" / "site.toml").write_text('name = "o"\n')
    os.mkfifo(folder / "pipe")
    with ThreadPoolExecutor() as pool:
        pool.submit((folder / "pipe").write_bytes, exported.out)
        assert keepwarm("import", "other", "pipe").code == 0
    assert keepwarm("export", "other").out == exported.out
    assert exported.out.decode().count("\n") == 1 + len(ROWS)


def test_the_same_input_gives_the_same_bytes(folder: Path, keepwarm: Run) -> None:
    """To a file or to standard output; and machine-readable output is alone there."""
    keepwarm("import", SITE, "r.csv")
    lines = [
        ("audit", "--readings", "r.csv", "--by", "day"),
        ("replay", SITE, "--readings", "r.csv"),
        ("export", SITE, "--format", "parquet"),
        ("explain", SITE, "room/客厅", "--day", "2026-12-01"),
        ("curves", "list", SITE),
        ("visits", "list", SITE),
        ("policy", "show", "default"),
    ]
    for line in lines:
        first, second = keepwarm(*line), keepwarm(*line)
        assert (first.code, first.out) == (0, second.out), line
        if line[0] in {"audit", "replay", "export"}:
            assert keepwarm(*line, "--out", "a.out") == Answer(0, b"", first.err)
            assert (folder / "a.out").read_bytes() == first.out
            assert keepwarm(*line, "--out", "-").out == first.out


def test_a_reader_that_left_is_no_mistake(folder: Path, keepwarm: Run) -> None:
    keepwarm("import", SITE, "r.csv")
    lines = [("audit", "--readings", "r.csv", "--format", "table"), ("visits", "list", SITE)]
    reading, writing = os.pipe()
    os.close(reading)
    programs = [started(folder, *line, stdout=writing) for line in lines]
    os.close(writing)
    answers = [(program.communicate()[1], program.returncode) for program in programs]
    assert answers == [(b"", command.PIPE_CLOSED)] * len(lines)


def test_workbooks_go_through_pipes_but_not_to_a_terminal(folder: Path, keepwarm: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, report = ("audit", "--readings", "r.csv", "--format", "xlsx"), ("report", SITE, "--period", "2025-12", "--format", "pdf")
    assert load_workbook(io.BytesIO(keepwarm(*audit).out)).sheetnames == ["房间", "合计"]
    assert keepwarm(*report).out.startswith(b"%PDF-")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    wrong = [keepwarm(*audit), keepwarm(*report), keepwarm("export", SITE, "--format", "parquet")]
    assert [(answer.code, answer.out, len(answer.err.splitlines())) for answer in wrong] == [(2, b"", 1)] * 3
    assert "--out" in wrong[0].err
    assert not (folder / "-").exists()


# ── interrupted ───────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupted(program: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it said when it ended by Ctrl-C; pressed again where it came in the very instant in which the program began to wait for more."""
    while True:
        program.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return program.communicate(timeout=10)


def test_ctrl_c_leaves_nothing_half_written(folder: Path) -> None:
    (folder / "o.json").write_text("before")
    os.mkfifo(folder / "slow")
    lines = [("audit", "--readings", "slow", "--out", "o.json"), ("import", SITE, "slow")]
    before = sorted(path.name for path in folder.iterdir())
    for line in lines:
        with started(folder, *line) as program:
            pipe = os.open(folder / "slow", os.O_WRONLY)  # returns when the program has opened its end
            os.write(pipe, CSV.encode())
            out, err = interrupted(program)
            os.close(pipe)
        assert (program.returncode, out) == (command.INTERRUPTED, b""), line
        assert "Traceback" not in err.decode()
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "o.json").read_text() == "before"


def test_a_file_interrupted_in_the_middle_is_not_there(tmp_path: Path) -> None:
    def half() -> None:
        with whole_file(tmp_path / "a.csv") as file:
            file.write(b"half of")
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        half()
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_writer_is_told_to_end_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("before")
    writer = "import sys, keepwarm.output_file as o, pathlib\nwith o.whole_file(pathlib.Path('a.csv')) as f: f.write(b'half of'); "
    writer += "print('writing', flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", writer], cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"writing\n"
        assert len(list(tmp_path.iterdir())) == 2
        program.terminate()
        _, err = program.communicate()
    assert (program.returncode, err) == (143, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "before"


# ── folders that are not as they should be ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file", "set_newer", "line"),
    [
        ("journal.db", "PRAGMA user_version = 99", ("export", SITE)),
        ("points.db", "PRAGMA user_version = 99", ("explain", SITE, "room/A", "--day", "2026-12-01")),
        ("records.db", "UPDATE alembic_version SET version_num = '99'", ("verify-records", SITE)),
        ("records.db", "UPDATE alembic_version SET version_num = '99'", ("report", SITE, "--period", "2025-12")),
    ],
)
def test_what_a_newer_keepwarm_wrote_is_refused(folder: Path, keepwarm: Run, file: str, set_newer: str, line: tuple[str, ...]) -> None:
    assert keepwarm("report", SITE, "--period", "2025-12", "--out", "report.json").code == 0  # makes all the stores
    with sqlite3.connect(folder / SITE / "data" / file) as database:
        database.execute(set_newer)
    database.close()
    answer = keepwarm(*line)
    assert (answer.code, answer.out) == (1, b"")
    assert answer.err.splitlines() == [said for said in answer.err.splitlines() if f"{file}: its layout is 99, this version" in said]
    assert len(answer.err.splitlines()) == 1


@pytest.fixture
def read_only(folder: Path, keepwarm: Run) -> Iterator[Path]:
    """The site with stores in it, where nobody may write."""
    keepwarm("import", SITE, "r.csv")
    keepwarm("report", SITE, "--period", "2025-12")  # makes the stores that are not there yet
    shutil.rmtree(folder / SITE / "data" / "health", ignore_errors=True)
    paths = [folder / SITE, *(folder / SITE).rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in paths:
        if path.exists():
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_folder_that_can_t_be_written_to_is_one_line(read_only: Path) -> None:
    reads = [
        *(("check", SITE), ("replay", SITE, "--readings", "r.csv"), ("policy", "list", SITE), ("visits", "list", SITE)),
        *(("export", SITE), ("report", SITE, "--period", "2025-12"), ("explain", SITE, "room/A", "--day", "2026-12-01")),
        *(("verify-records", SITE), ("curves", "list", SITE), ("visits", "verify", SITE)),
    ]
    writes = [
        *(("collect", SITE), ("run", SITE, "--port", "0"), ("import", SITE, "r.csv"), ("backup", SITE, "b.kw")),
        *(("history", "migrate", SITE, "--to", "parquet"), ("audit", "--readings", "r.csv", "--out", f"{SITE}/a.json")),
    ]
    no_privilege = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    programs = [
        subprocess.Popen(
            [*no_privilege, sys.executable, "-m", "keepwarm", *line],
            cwd=read_only, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for line in (*reads, *writes)
    ]  # fmt: skip
    answers = [(*program.communicate(), program.returncode) for program in programs]
    for line, (_, err, code) in zip(reads, answers, strict=False):
        assert ([text for text in err.splitlines() if not text.endswith((" …", " exported"))], code) == ([], 0), line
    for line, (out, err, code) in zip(writes, answers[len(reads) :], strict=True):
        said = [text for text in err.splitlines() if text[0] != "{" and not text.endswith(" …")]  # without the log
        assert (out, code in {1, 2}, len(said)) == ("", True, 1), (line, err)
        assert any(word in said[0].lower() for word in ("permission denied", "readonly")), said


def test_a_site_with_a_chinese_name_in_a_plain_locale(folder: Path) -> None:
    (folder / "坏 房.csv").write_text("room_id,premises\n客厅,铺\n", encoding="utf-8")
    with started(folder, "audit", "--readings", "r.csv", "--rooms", "坏 房.csv") as wrong, started(folder, "check", SITE) as right:
        assert wrong.communicate() == (b"", "坏 房.csv:2: premises: '铺': one of residential, bungalow, contract\n".encode())
        assert right.communicate() == ("石桥: 2 rooms; policy default, Asia/Shanghai; no mistakes\n".encode(), b"")
    assert (wrong.returncode, right.returncode) == (2, 0)


@pytest.mark.parametrize(
    "line",
    [
        ("simulate", "demoo"),
        ("simulate", "demoo", "--site", "town/site"),
        ("demo", "--scenario", "demoo", "--data", "town", "--no-browser"),
    ],
    ids=" ".join,
)
def test_a_scenario_that_there_is_not_makes_no_folder(folder: Path, keepwarm: Run, line: tuple[str, ...]) -> None:
    before = sorted(folder.iterdir())
    answer = keepwarm(*line)
    assert (answer.code, len(answer.err.splitlines()), "demoo" in answer.err) == (2, 1, True)
    assert sorted(folder.iterdir()) == before


# ── slips of the pen ──────────────────────────────────────────────────────────────────────────────────────────────────


def every_command(group: click.Group = command.keepwarm, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command and its words, those of groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*words, name), found
        if isinstance(found, click.Group):
            yield from every_command(found, (*words, name))


def test_the_nearest_word_is_named(keepwarm: Run) -> None:
    slips = 0
    for words, found in every_command():
        wrong = (*words[:-1], f"{words[-1]}x")
        assert f"Did you mean {words[-1]!r}?" in (said := keepwarm(*wrong)).err or words[-1] in said.err, wrong
        assert (said.code, len(said.err.splitlines())) == (2, 1), wrong
        for option in (param.opts[-1] for param in found.params if isinstance(param, click.Option) and not isinstance(found, click.Group)):
            slip = f"{option[:-1]}{'z' if option[-1] != 'z' else 'q'}"
            said = keepwarm(*words, *("x" for param in found.params if isinstance(param, click.Argument)), slip)
            assert (said.code, said.out, len(said.err.splitlines())) == (2, b"", 1), (words, slip)
            assert option in said.err or len(option) < 6, (words, slip, said.err)  # of --to hardly a letter is left
            slips += 1
    assert slips > 60


@pytest.mark.parametrize(
    "content",
    [b"\x00\x01binary", b"point\x1b[31m,measured_at,value\n", b"point,measured_at,\x07value\nx,y,z\n"],
    ids=["binary", "a colour", "a bell"],
)
def test_what_is_no_text_never_reaches_the_terminal(folder: Path, keepwarm: Run, content: bytes) -> None:
    (folder / "b.csv").write_bytes(content)
    answer = keepwarm("audit", "--readings", "b.csv")
    assert (answer.code, answer.err) == (2, "b.csv:1: no text; readings are CSV, gzipped CSV or Parquet\n")
    (folder / "b.csv").write_bytes(b"room_id,\x1b[31mfloor\nA,1\n")
    answer = keepwarm("audit", "--readings", "r.csv", "--rooms", "b.csv")
    assert answer.code == 2
    assert answer.err.rstrip("\n").isprintable()

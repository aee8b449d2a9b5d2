"""The command line as people and scripts meet it: one line for a mistake, the exit codes of the contract."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.errors import ConfigError, Mistake, StoreError
from keepwarm import main as command

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def keepwarm(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command line in this process."""

    def run(*arguments: str) -> Answer:
        return Answer(command.exit_code(arguments), *capsys.readouterr())

    return run


def test_help_lists_every_command_in_order(keepwarm: Callable[..., Answer]) -> None:
    shown = keepwarm("--help")
    assert shown.code == 0
    commands = shown.out.partition("Commands:")[2].partition("\n\n")[0]
    listed = [line.split()[0] for line in commands.splitlines() if line.startswith("  ") and line[2] != " "]
    assert listed == list(command.COMMANDS)


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_explains_itself(name: str, keepwarm: Callable[..., Answer]) -> None:
    shown = keepwarm(name, "--help")
    assert shown.code == 0, shown.err
    assert shown.out.startswith(f"Usage: keepwarm {name}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument 'SITE'"),
        (["run", "SITE", "--prot", "1"], "No such option '--prot'"),
        (["run", "SITE", "--port", "99999"], "99999 is not in the range"),
        (["status", "no/such/site"], "no/such/site"),
        (["collect", "no/such/site"], "no/such/site"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments: list[str], says: str, keepwarm: Callable[..., Answer]) -> None:
    answer = keepwarm(*arguments)
    assert answer.code == 2
    assert says in answer.err
    assert len(answer.err.splitlines()) == 1
    assert answer.out == ""


def exit_code_of(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(command.keepwarm, "invoke", fail)
    return command.exit_code(["status", "SITE"])


def test_each_mistake_has_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError(
        Mistake("rooms.csv", "names no building", line=7, key="building_id", value="B9\nB8"), Mistake("site.toml", "is missing")
    )
    assert exit_code_of(error, monkeypatch) == 2
    assert capsys.readouterr().err.splitlines() == [r"rooms.csv:7: building_id: 'B9\nB8': names no building", "site.toml: is missing"]


def test_a_store_that_fails_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(StoreError("journal.db: the disk is full"), monkeypatch) == 1
    assert capsys.readouterr().err == "keepwarm: journal.db: the disk is full\n"


def test_interruption_is_130_without_a_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_left_is_not_a_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        answer = subprocess.run(
            [sys.executable, "-m", "keepwarm", "--help"], cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    assert answer.returncode == 141
    assert answer.stderr == ""


@pytest.mark.parametrize("name", ["audit", "check"])
def test_audit_and_check_load_no_server_and_no_database(name: str) -> None:
    heavy = ["sqlalchemy", "streamlit", "fastapi", "asyncua", "pymodbus", "duckdb"]
    code = f"import sys, keepwarm.{name}; print([name for name in {heavy!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("share", ["0/2", "3/2", "2", "1/", "a/b", "1/1000", "-1/2"])
def test_no_share_of_a_site_is_named_as_such(share: str, keepwarm: Callable[..., Answer]) -> None:
    for name in ("run", "collect", "watch"):
        answer = keepwarm(name, "SITE", f"--shard={share}")
        assert answer.code == 2
        assert "1/4 … 4/4 would be the shares of four nodes" in answer.err
        assert len(answer.err.splitlines()) == 1

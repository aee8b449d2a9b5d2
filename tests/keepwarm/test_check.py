"""``keepwarm check`` as people call it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from keepwarm.main import main


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs ``keepwarm check`` beside a folder ``site``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text('name = "阜新"\n', encoding="utf-8")
    (tmp_path / "site" / "stations.csv").write_text("station_id,source_id\nS01,HS1\nS02,HS1\n")
    (tmp_path / "site" / "rooms.csv").write_text("room_id,station_id\nR1,S01\n")

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


def test_a_clean_site_is_one_line_that_says_what_it_holds(check: Callable[..., Ran]) -> None:
    line = "阜新: 1 heat source, 2 stations, 1 room; policy default, Asia/Shanghai; no mistakes\n"
    assert check("site") == Ran(0, line, "")


def test_every_mistake_is_one_line_and_exit_1(check: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "site" / "rooms.csv").write_text('room_id,station_id,premises\nR1,S1,"a\nb"\nR1,S01,\n')
    assert check("site") == Ran(
        1,
        "",
        "rooms.csv:2: station_id: 'S1': no such station; the nearest known is S01\n"
        "rooms.csv:2: premises: 'a b': one of residential, bungalow, contract\n"
        "rooms.csv:4: room_id: 'R1': this id stands in line 2 already; each must be there once\n",
    )


def test_what_can_not_be_checked_is_exit_2(check: Callable[..., Ran], tmp_path: Path) -> None:
    assert check("nowhere") == Ran(2, "", "nowhere: no such folder; a site is a folder with site.toml in it\n")
    (tmp_path / "site" / "site.toml").unlink()
    line = "site/site.toml: no such file; every site folder has one, with at least a name\n"
    assert check("site") == Ran(2, "", line)
    assert check() == Ran(2, "", "keepwarm check: Missing argument 'SITE'. (keepwarm check --help)\n")


def test_a_new_site_without_tables(check: Callable[..., Ran], tmp_path: Path) -> None:
    for name in ("stations.csv", "rooms.csv"):
        (tmp_path / "site" / name).unlink()
    assert check("site").out == "阜新: no tables yet; policy default, Asia/Shanghai; no mistakes\n"

"""``keepwarm curves`` as people call it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from keepwarm.main import main

HEAD = "station_id,effective_from,outdoor_c,supply_c,filed_by,reason,offsets_k\n"
FILED = f"{HEAD}S01,2025-11-01,-20,70,,,\nS01,2025-11-01,0,46,高工,备案,\n"
NEW = f"{HEAD}S01,2099-01-10T12:00,-20,72,,寒潮,0 0 0 1.5 0 0 0 0 0 0 0 0\nS01,2099-01-10T12:00,0,47,,,\n"


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.toml").write_text('name = "阜新"\n', encoding="utf-8")
    (tmp_path / "site" / "stations.csv").write_text("station_id\nS01\n")
    (tmp_path / "site" / "curves.csv").write_text(FILED, encoding="utf-8")
    (tmp_path / "new.csv").write_text(NEW, encoding="utf-8")

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["curves", *arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


def test_filed_listed_verified(curves: Callable[..., Ran], tmp_path: Path) -> None:
    line = "S01 from 2099-01-10T12:00:00+08:00: -20:72, 0:47 | +0 +0 +0 +1.5 +0 +0 +0 +0 +0 +0 +0 +0"
    assert curves("file", "site", "new.csv", "--who", "高工", "--dry-run") == Ran(0, f"would file: {line} (: 寒潮)\n", "")
    assert curves("list", "site").out == "S01 from 2025-11-01T00:00:00+08:00: -20:70, 0:46 (高工: 备案)\n"
    assert curves("file", "site", "new.csv", "--who", "高工") == Ran(0, f"filed: {line} (: 寒潮)\n", "")
    assert curves("list", "site", "S01").out.splitlines()[1] == f"{line} (高工: 寒潮)"
    written = curves("list", "site", "--format", "csv").out
    assert written.splitlines()[1] == "S01,2025-11-01T00:00:00+08:00,-20,70,高工,备案,"
    assert written.splitlines()[4] == "S01,2099-01-10T12:00:00+08:00,0,47,高工,寒潮,0 0 0 1.5 0 0 0 0 0 0 0 0"
    (tmp_path / "site" / "curves.csv").write_text(written, encoding="utf-8")  # what is listed can be taken over
    assert curves("verify", "site") == Ran(0, "阜新: 2 curves of 1 stations, all in order\n", "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (NEW.replace("S01", "S09"), "new.csv:2: station_id: 'S09': no such station; the nearest known is S01"),
        (NEW.replace("2099", "2026"), "new.csv: effective_from: '2026-01-10T12:00:00+08:00': a curve is filed before it is in force"),
        (NEW.replace("寒潮", ""), "new.csv: reason: '': a curve is filed with a reason"),
        (NEW.replace("1.5", "x"), "new.csv:2: offsets_k: '0 0 0 x 0 0 0 0 0 0 0 0': twelve numbers of K parted by blanks"),
        (NEW.replace("0 0 0 1.5", "1.5"), "offsets by time of day are twelve"),
        (NEW.replace(",72", ",40"), "supply temperatures must not rise"),
    ],
)
def test_what_is_refused_files_nothing(curves: Callable[..., Ran], tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "new.csv").write_text(content, encoding="utf-8")
    ran = curves("file", "site", "new.csv", "--who", "高工")
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err.splitlines()[0]
    assert "Traceback" not in ran.err
    assert len(curves("list", "site").out.splitlines()) == 1


def test_an_instant_has_one_curve(curves: Callable[..., Ran]) -> None:
    assert curves("file", "site", "new.csv", "--who", "高工").code == 0
    ran = curves("file", "site", "new.csv", "--who", "高工")
    assert ran.code == 2
    assert "from this very instant already" in ran.err


def test_verify_names_what_is_missing(curves: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "site" / "stations.csv").write_text("station_id\nS01\nS02\n")
    assert curves("verify", "site") == Ran(1, "", "S02: no curve is in force\n")
    assert curves("list", "site", "S03").code == 2

"""``keepwarm events diff``: two replays told apart."""

from pathlib import Path

import pytest

from keepwarm.main import exit_code

SITE = 'name = "town"\n'
HOURS = [f"2026-01-14T{hour:02d}:{minute:02d}:00+08:00" for hour in range(12) for minute in (0, 10, 20, 30, 40, 50)]


@pytest.fixture
def replayed(tmp_path: Path) -> tuple[Path, Path]:
    """One file of readings at 19 ℃, replayed under the default policy and under that of 20 ℃ all day."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "r.csv").write_text("point,measured_at,value\n" + "".join(f"room/R1/indoor_temp_c,{at},19.0\n" for at in HOURS))
    files = tmp_path / "default.jsonl", tmp_path / "twenty.jsonl"
    for policy, out in zip(("default", "twenty-all-day"), files, strict=True):
        command = ["replay", str(tmp_path), "--readings", str(tmp_path / "r.csv"), "--policy", policy, "--out", str(out)]
        assert exit_code(command) == 0
    return files


def test_another_policy_decides_otherwise(replayed: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["events", "diff", *map(str, replayed)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "+ 2026-01-14T00:00:00+08:00 alarm.pending room/R1 limit_c=20.0",
        "+ 2026-01-14T01:00:00+08:00 alarm.raised room/R1 limit_c=20.0",
        "+ 2026-01-14T01:00:00+08:00 complaint.opened room/R1 kind=room rooms=R1",
        "alarm.pending: 0 → 1 (-0 +1)",
        "alarm.raised: 0 → 1 (-0 +1)",
        "complaint.opened: 0 → 1 (-0 +1)",
    ]
    assert exit_code(["events", "diff", str(replayed[1]), str(replayed[0]), "--summary"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "alarm.pending: 1 → 0 (-1 +0)"


def test_the_order_within_an_instant_is_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f'{{"at":"2026-01-14T01:00:00+08:00","event":"alarm.raised","subject":"room/R{n}"}}\n' for n in range(3)]
    (tmp_path / "a").write_text("".join(lines))
    (tmp_path / "b").write_text("".join(reversed(lines)))
    assert exit_code(["events", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out == "both decide alike: 3 events\n"


@pytest.mark.parametrize("line", ["what", '{"at": 1}', "[]"])
def test_a_line_that_is_no_event_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    (tmp_path / "a").write_text('{"at":"t","event":"e","subject":"s"}\n' + line + "\n")
    (tmp_path / "b").write_text("")
    assert exit_code(["events", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    remedy = "an event of keepwarm replay: a JSON object with at, event, subject"
    assert capsys.readouterr().err == f"{tmp_path / 'a'}:2: {line!r}: {remedy}\n"


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["events", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'a'}: no such file\n"

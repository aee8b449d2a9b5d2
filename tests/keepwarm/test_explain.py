"""``keepwarm explain``: a room's day, from its rate down to the readings."""

from pathlib import Path

import pytest

from keepwarm.main import exit_code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.toml").write_text('name = "town"\n')
    (tmp_path / "rooms.csv").write_text("room_id,offset_k\nR1,0.5\n")
    rows = ["2026-01-14T05:50:00+08:00,17.0,", "2026-01-14T06:10:00+08:00,18.0,", "2026-01-14T06:20:00+08:00,99,bad"]
    (tmp_path / "r.csv").write_text("point,measured_at,value,quality\n" + "".join(f"room/R1/indoor_temp_c,{row}\n" for row in rows))
    assert exit_code(["import", str(tmp_path), str(tmp_path / "r.csv")]) == 0
    return tmp_path


def test_from_the_rate_to_the_readings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert exit_code(["explain", str(folder), "room/R1", "--day", "2026-01-14"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "room/R1 on 2026-01-14: residential, offset +0.5 K, a reading stands 30 min"
    assert lines[1].startswith("policy default (valid from 2000-01-01), sha256 ")
    assert [line for line in lines if "limit" in line and "unknown" not in line] == [
        "  2026-01-14T05:50:00+08:00 – 2026-01-14T06:00:00+08:00  compliant  limit 16 ℃, 17.5 ℃",
        "  2026-01-14T06:00:00+08:00 – 2026-01-14T06:10:00+08:00  breach  limit 18 ℃, 17.5 ℃",
        "  2026-01-14T06:10:00+08:00 – 2026-01-14T06:40:00+08:00  compliant  limit 18 ℃, 18.5 ℃",
    ]
    said = "compliance 80.0000% = compliant / (compliant + breach); compliant 2400 s, breach 600 s, unknown 83400 s, unjudged 0 s"
    assert said in lines
    assert lines[-4] == "3 readings, without the offset:"
    assert lines[-1].startswith("  2026-01-14T06:20:00+08:00  99 ℃  bad, does not count, received ")


@pytest.mark.parametrize(
    ("subject", "day", "said"),
    [("room/R9", "2026-01-14", "rooms.csv: room_id: 'room/R9': room/ID of a room"), ("room/R1", "14 Jan", "--day: '14 Jan': a local day")],
)
def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str], subject: str, day: str, said: str) -> None:
    assert exit_code(["explain", str(folder), subject, "--day", day]) == 2
    assert said in capsys.readouterr().err

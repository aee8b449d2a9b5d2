"""``keepwarm replay``: what a site folder may leave out, and another policy in place of the site's."""

from pathlib import Path

import pytest

from keepwarm.main import exit_code

POLICY = """name = "offices"
[[version]]
valid_from = 2000-01-01
season = "always"
[version.schedule.residential]
"00:00-24:00" = 18.0
[version.schedule.office]
"00:00-24:00" = 20.0
"""
NOON = "2026-01-14T12:00:00+08:00"
READINGS = f"point,measured_at,value\nroom/R1/indoor_temp_c,{NOON},19\nroom/R2/indoor_temp_c,{NOON},17\n"


@pytest.fixture
def town(tmp_path: Path) -> Path:
    for name, text in {
        "site.toml": 'name = "town"\n',
        "stations.csv": "station_id,name\nS1,First\n",
        "buildings.csv": "building_id,station_id\nB1,\n",
        "rooms.csv": "room_id,building_id,premises,schedule\nR1,,contract,office\nR2,B1,,\n",
        "offices.toml": POLICY,
        "r.csv": READINGS,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def asked(town: Path, *words: str) -> int:
    return exit_code(["replay", str(town), "--readings", str(town / "r.csv"), *words])


def test_another_policy_may_have_what_the_sites_lacks_and_cells_but_ids_may_be_blank(
    town: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(town, "--policy", str(town / "offices.toml")) == 0
    said = capsys.readouterr().out.splitlines()
    assert [(line.count("alarm.pending"), line.count("room/R1"), line.count("room/R2")) for line in said] == [(1, 1, 0), (1, 0, 1)]


def test_a_policy_without_the_schedule_of_a_room_is_one_line(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(town, "--policy", "default") == 2
    assert capsys.readouterr().err == "rooms.csv:2: schedule: 'office': a schedule of policy 'default'; known: bungalow, residential\n"
    (town / "rooms.csv").unlink()
    (town / "offices.toml").write_text(POLICY.replace("residential", "bungalow"))
    assert asked(town, "--policy", str(town / "offices.toml")) == 2
    remedy = "a schedule of policy 'offices'; known: bungalow, office"
    assert capsys.readouterr().err == f"policy offices: room R1: schedule: 'residential': {remedy}\n"

"""What ``check`` says about a site folder: one exact line for each mistake, all at once."""

from datetime import date
from pathlib import Path

import pytest

from domain.errors import ConfigError
from store.site_folder import check_site, load_site
from store.site_folder.tables import STATIONS
from tests.store.site_cases import cases, lines, write


def test_a_good_site_has_no_mistake_and_loads(tmp_path: Path) -> None:
    assert lines(write(tmp_path, {})) == []
    site = load_site(tmp_path)
    assert (site.name, site.timezone.key, site.policy.name) == ("Fuxin", "Asia/Shanghai", "default")
    assert [site.stations["S01"].name, site.stations["S01"].lat, site.stations["S02"].lat] == ["阳光站", 42.01, None]
    assert site.rooms["R1"].station_id == "S01"
    assert (site.rooms["R2"].offset_k, site.rooms["R2"].hold_max_min, site.rooms["R2"].table) == (0.3, 60.0, "bungalow")
    assert site.devices["D1"].address == "10.0.0.1:502"
    assert site.curves["S01"][0].outdoor_c == (-20.0, 10.0)
    assert site.planned_stops[0].to_ms - site.planned_stops[0].from_ms == 12 * 3_600_000
    assert (site.exclusions[0].to_ms, site.exclusions[0].reason) == (None, "报停")
    assert site.data == tmp_path / "data"
    assert site.sources == {"HS1": ("S01", "S02")}


def test_working_days_of_the_site(tmp_path: Path) -> None:
    write(tmp_path, {"workdays.csv": "date,working,reason\n2027-02-20,yes,调休\n2027/2/12,no,\n"})
    assert load_site(tmp_path).working_days == {date(2027, 2, 20): True, date(2027, 2, 12): False}


def test_everything_but_site_toml_is_optional(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    site = load_site(tmp_path)
    assert (site.name, site.timezone.key, site.rooms) == (tmp_path.name, "Asia/Shanghai", {})


def test_ids_alone_are_enough(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    for table, column in (("stations", "station_id"), ("buildings", "building_id"), ("rooms", "room_id")):
        (tmp_path / f"{table}.csv").write_text(f"{column}\nX\n")
    assert lines(tmp_path) == []


@pytest.mark.parametrize(("file", "content", "expected"), cases("site_folder_mistakes.txt"))
def test_mistakes_in_tables(tmp_path: Path, file: str, content: str, expected: list[str]) -> None:
    kept = {} if file == "exclusions.csv" else {"exclusions.csv": "room_id,from\n"}
    assert lines(write(tmp_path, {**kept, file: content})) == expected


def test_every_mistake_of_the_folder_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "site.toml": 'name = "x"\ntimezone = "Asia/Shanghi"\nhotlin = "12345"\n',
            "stations.csv": "station_id\nS01\nS01\n",
            "buildings.csv": "building_id,station_id\nB1,S02\n",
            "rooms.csv": "room_id,building_id\nR1,B2\n",
        },
    )
    found = lines(tmp_path)
    assert [line.split(": ")[0] for line in found] == [
        "site.toml:2",
        "site.toml:3",
        "stations.csv:3",
        "buildings.csv:2",
        "rooms.csv:2",
    ]
    with pytest.raises(ConfigError) as error:
        load_site(tmp_path)
    assert str(error.value).splitlines() == found


def test_what_a_table_refers_to_is_not_asked_for_where_that_table_is_broken(tmp_path: Path) -> None:
    """A broken stations.csv is one mistake, not one for each building."""
    assert lines(write(tmp_path, {"stations.csv": "name\nx\n"})) == [
        f"stations.csv:1: station_id: this column is missing; the columns are {','.join(STATIONS.all)}",
    ]


def test_no_folder_and_no_site_toml_are_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: no such folder; a site is a folder with site\.toml in it"):
        check_site(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"site\.toml: no such file; every site folder has one, with at least a name"):
        check_site(tmp_path)


def test_files_that_nobody_would_read(tmp_path: Path) -> None:
    write(tmp_path, {"room.csv": "x", "notes.csv": "anything", "stations.xls": "x", "planned-stops.csv": "x"})
    (tmp_path / "rooms.csv").unlink()
    (tmp_path / "exclusions.csv").unlink()
    assert lines(tmp_path) == [
        "room.csv: no table of a site; did you mean rooms.csv?",
        "stations.xls: the old workbook format is not read; save it as .xlsx or CSV",
    ]


def test_one_table_in_two_files(tmp_path: Path) -> None:
    assert lines(write(tmp_path, {"stations.xlsx": b"x"})) == ["stations.xlsx: stations.csv is there as well; one of them must go"]

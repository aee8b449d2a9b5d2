"""Tables as spreadsheet programs write them: encodings, separators, workbooks."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from domain.errors import ConfigError
from store.site_folder import check_site, load_exclusions, load_policy, load_rooms, load_site, table
from store.site_folder.instants import NaiveTimeError, parse_cell_instant, parse_instant
from store.site_folder.settings import zone_named
from tests.store.site_cases import lines

STATIONS = "station_id,name,lat,lon\nS01,阳光花园站,42.01,121.65\nS02,镕城,,\n"


def folder_with(tmp_path: Path, stations: bytes) -> Path:
    (tmp_path / "site.toml").write_text("")
    (tmp_path / "stations.csv").write_bytes(stations)
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_what_excel_writes_is_read(tmp_path: Path, encoding: str) -> None:
    site = load_site(folder_with(tmp_path, STATIONS.encode(encoding)))
    assert [station.name for station in site.stations.values()] == ["阳光花园站", "镕城"]


@pytest.mark.parametrize(
    ("encoding", "text", "said"),
    [
        ("big5", "station_id,name\nS01,x\nS02,陽光花園換熱站\n", "stations.csv:3: the file is neither UTF-8 nor GBK (it looks like Big5)"),
        ("latin-1", "station_id,name\nS01,Küche\n", "stations.csv:2: the file is neither UTF-8 nor GBK (it looks like Windows-1252)"),
        ("shift_jis", "station_id,name\nS01,あたたかい\n", "stations.csv:2: the file is neither UTF-8 nor GBK (it looks like Shift JIS)"),
        ("utf-16-le", "station_id,name\nS01,x\n", "stations.csv:1: the file is no text (it looks like UTF-16 without its mark)"),
    ],
)
def test_any_other_encoding_is_named(tmp_path: Path, encoding: str, text: str, said: str) -> None:
    assert lines(folder_with(tmp_path, text.encode(encoding))) == [f'{said}; save it as UTF-8 (Excel: "CSV UTF-8")']


def test_a_cut_off_file_in_utf_16(tmp_path: Path) -> None:
    content = STATIONS.encode("utf-16")[:-1]
    assert lines(folder_with(tmp_path, content)) == [
        'stations.csv:3: the file is marked as UTF-16 and is not; save it as UTF-8 (Excel: "CSV UTF-8")'
    ]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_separators(tmp_path: Path, delimiter: str) -> None:
    site = load_site(folder_with(tmp_path, STATIONS.replace(",", delimiter).encode()))
    assert site.stations["S01"].lon == 121.65


def test_windows_line_ends_blank_lines_and_cells_over_two_lines(tmp_path: Path) -> None:
    text = 'station_id,name,\r\n\r\n S01 ,"阳光,\r\n花园",\r\n,,\r\nS02,,\r\nS02,,\r\n'
    assert lines(folder_with(tmp_path, text.encode())) == [
        "stations.csv:7: station_id: 'S02': this id stands in line 6 already; each must be there once"
    ]
    (tmp_path / "stations.csv").write_bytes(text.replace("S02,,\r\nS02", "S02").encode())
    assert load_site(tmp_path).stations["S01"].name == "阳光, 花园"


def workbook(path: Path, rows: list[list[object]]) -> None:
    book = Workbook()
    sheet = book.active
    for row in rows:
        sheet.append(row)
    book.save(path)


def test_a_workbook_is_read_as_it_is_seen(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    rooms: list[list[object]] = [["room_id", "floor", "offset_k", None], [101, 3.0, 0.25, None], [None] * 4, ["102", None, None, None]]
    workbook(tmp_path / "rooms.xlsx", rooms)
    stops: list[list[object]] = [
        ["station_id", "from", "to"],
        ["S01", datetime.fromisoformat("2026-12-01T08:30"), date(2026, 12, 2)],
        ["S01", "2026/12/3 8:05", "2026-12-03T16:30:00+08:00"],
    ]
    workbook(tmp_path / "planned_stops.xlsx", stops)
    site = load_site(tmp_path)
    assert [(room.room_id, room.floor, room.offset_k) for room in site.rooms.values()] == [("101", 3, 0.25), ("102", None, 0.0)]
    zone = site.timezone
    assert [(stop.from_ms, stop.to_ms) for stop in site.planned_stops] == [
        (parse_instant("2026-12-01T08:30", zone), parse_instant("2026-12-02", zone)),
        (parse_instant("2026-12-03T08:05", zone), parse_instant("2026-12-03T16:30", zone)),
    ]


def test_mistakes_in_a_workbook_name_its_rows(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    workbook(tmp_path / "rooms.xlsx", [["room_id", "floor"], ["101", "third"], [None, None], [101, 2]])
    assert lines(tmp_path) == [
        "rooms.xlsx:2: floor: 'third': a whole number from -10 to 200",
        "rooms.xlsx:4: room_id: '101': this id stands in line 2 already; each must be there once",
    ]


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
) + b"]>"  # fmt: skip


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("xl/worksheets/sheet1.xml", lambda text: text[: len(text) // 2]),
        ("xl/workbook.xml", lambda text: text[: len(text) // 2]),
        ("[Content_Types].xml", lambda _: b"<x/>"),
        ("xl/worksheets/sheet1.xml", lambda text: b'<!DOCTYPE x [<!ENTITY a SYSTEM "site.toml">]>' + text.replace(b"R1", b"&a;")),
        ("xl/worksheets/sheet1.xml", lambda text: BOMB + text.replace(b"R1", b"&j;")),
    ],
)
def test_a_damaged_or_made_up_workbook_is_a_line_and_reads_no_other_file(
    tmp_path: Path, part: str, change: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "site.toml").write_text('name = "SECRET"')
    workbook(tmp_path / "good.xlsx", [["room_id"], ["R1"]])
    with ZipFile(tmp_path / "good.xlsx") as good, ZipFile(tmp_path / "rooms.xlsx", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, change(good.read(name)) if name == part else good.read(name))
    (tmp_path / "good.xlsx").unlink()
    (line,) = lines(tmp_path)
    assert line.startswith("rooms.xlsx: no readable workbook (")
    assert "SECRET" not in line
    assert len(line) < 300


def test_a_small_file_that_unpacks_to_more_than_memory_holds_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site.toml").write_text("")
    workbook(tmp_path / "rooms.xlsx", [["room_id"], ["R" * 30_000]])
    monkeypatch.setattr(table, "UNPACKED_MOST", 30_000)
    assert lines(tmp_path) == ["rooms.xlsx: it unpacks to more than 0 MiB; no table is as large, save it anew or as CSV"]


def test_a_file_that_only_calls_itself_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    (tmp_path / "rooms.xlsx").write_text("room_id\nR1\n")
    assert lines(tmp_path) == ["rooms.xlsx: no readable workbook (File is not a zip file); save it as .xlsx or CSV again"]


def test_a_large_town_is_read_in_little_time(tmp_path: Path) -> None:
    """10 000 rooms come from a spreadsheet."""
    (tmp_path / "site.toml").write_text("")
    rows = "".join(f"R{number},B{number // 40},residential,0.1,{number % 18}\n" for number in range(10_000))
    (tmp_path / "rooms.csv").write_text("room_id,building_id,premises,offset_k,floor\n" + rows)
    assert check_site(tmp_path) == []


def test_rooms_and_exclusions_files_outside_a_site(tmp_path: Path) -> None:
    zone = zone_named("Asia/Shanghai")
    assert zone is not None
    (tmp_path / "rooms.csv").write_bytes("room_id,building_id,unit\n客厅,B1,一单元\n".encode("gbk"))
    (tmp_path / "exclusions.csv").write_text("room_id,from,to\n客厅,2026-12-01,2026-12-02\n", encoding="utf-8")
    [room] = load_rooms(tmp_path / "rooms.csv", load_policy("default"))
    [exclusion] = load_exclusions(tmp_path / "exclusions.csv", zone)
    assert (room.room_id, room.unit, exclusion.room_id) == ("客厅", "一单元", "客厅")
    assert exclusion.from_ms == 1_796_054_400_000
    with pytest.raises(ConfigError, match=r"nowhere\.csv: no such file"):
        load_rooms(tmp_path / "nowhere.csv", load_policy("default"))
    (tmp_path / "rooms.csv").write_text("room_id,premises\nR1,contract\nR2,flat\n")
    with pytest.raises(ConfigError) as error:
        load_rooms(tmp_path / "rooms.csv", load_policy("default"))
    assert [mistake.line for mistake in error.value.mistakes] == [2, 3]


@pytest.mark.parametrize(
    ("text", "instant_ms"),
    [
        ("2026-12-01T06:00:00+08:00", 1_796_076_000_000),
        ("2026-12-01 06:00:00+0800", 1_796_076_000_000),
        ("2026-11-30T22:00Z", 1_796_076_000_000),
        ("2026-11-30t22:00:00z", 1_796_076_000_000),
        ("2026-12-01T06:00:00.123456+08", 1_796_076_000_123),
        ("2026-12-01T06:00:00.9996+08:00", 1_796_076_001_000),
        ("2026-12-01T06:00:00,5+08:00", 1_796_076_000_500),
        ("2026-12-01T06:00", 1_796_076_000_000),
        ("2026-12-01", 1_796_054_400_000),
    ],
)
def test_instants(text: str, instant_ms: int) -> None:
    assert parse_instant(text, zone_named("Asia/Shanghai")) == instant_ms


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "20261201", "2026-W05-1", "2026/12/01", "２０２６-12-01"),
        *("2026-13-01", "2026-02-29", "2026-12-01T24:00", "2026-12-01T06:00:60Z", "2026-12-01X06:00Z", "2026-12-01T06:00:00+99:00"),
        *("1899-12-31", "2200-01-02", "0001-01-01", "9999-12-31"),
    ],
)
def test_no_instants(text: str) -> None:
    try:
        found = parse_instant(text, zone_named("Asia/Shanghai"))
    except ValueError:
        return
    pytest.fail(f"taken for {found}")


def test_a_time_without_offset_needs_a_zone() -> None:
    with pytest.raises(NaiveTimeError):
        parse_instant("2026-12-01T06:00:00")


def test_local_times_that_are_there_twice_or_never() -> None:
    berlin = zone_named("Europe/Berlin")
    assert berlin is not None
    assert parse_instant("2026-10-25T02:30", berlin) == parse_instant("2026-10-25T00:30Z")
    assert parse_cell_instant("2026/3/29 2:30", berlin) == parse_instant("2026-03-29T01:30Z")


def test_a_town_full_of_mistakes_is_checked_in_little_time(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    (tmp_path / "buildings.csv").write_text("building_id\n" + "".join(f"B{number}\n" for number in range(3000)))
    (tmp_path / "rooms.csv").write_text("room_id,building_id\n" + "".join(f"R{number},X{number}\n" for number in range(5000)))
    found = lines(tmp_path)
    assert len(found) == 5000
    assert found[0] == "rooms.csv:2: building_id: 'X0': no such building; it is none of the 3000 known"

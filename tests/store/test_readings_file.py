"""Readings files: what is read, exactly, and the one line that is said about what can't be."""

import gzip
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import ConfigError
from domain.reading import Quality, Readings
from store.readings_file import csv_file, read_readings
from store.readings_file.columns import OddError
from tests.store.site_cases import cases

SHANGHAI = ZoneInfo("Asia/Shanghai")
P = "room/A/indoor_temp_c"
NOON_MS = 1_796_097_600_000  # 2026-12-01T12:00:00+08:00
NOON = "2026-12-01T12:00:00+08:00"


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def said(path: Path) -> str:
    """The one line that is said about this file, without the folder it is in."""
    with pytest.raises(ConfigError) as error:
        read_readings([path])
    assert len(error.value.mistakes) == 1
    return str(error.value).removeprefix(f"{path.parent}/")


def one(tmp_path: Path, cells: str, columns: str = "point,measured_at,value", zone: ZoneInfo | None = None) -> Readings:
    """The one reading of a file with one row."""
    _, readings = read_readings([written(tmp_path / "r.csv", f"{columns}\n{cells}\n")], assume_timezone=zone)
    assert len(readings) == 1
    return readings


@pytest.fixture
def no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading row by row is not wanted."""

    def refuse(*_: object) -> None:
        raise AssertionError("read row by row")

    monkeypatch.setattr(csv_file, "from_rows", refuse)


GOOD_TIMES = [
    NOON,
    "2026-12-01T04:00:00Z",
    "2026-12-01 12:00:00+0800",
    "2026-12-01T12:00+08:00",
    "2026-12-01T04:00:00.000Z",
    "2026-12-01T04:00:00.000000+00:00",
    "2026-11-30T23:00:00-05",
    "1796097600",
    "1796097600.0",
]


@pytest.mark.parametrize("time", GOOD_TIMES)
@pytest.mark.usefixtures("no_rows")
def test_times_by_columns(tmp_path: Path, time: str) -> None:
    assert one(tmp_path, f"{P},{time},18").measured_at[0] == NOON_MS


@pytest.mark.parametrize("time", [*GOOD_TIMES, "2026-12-01t04:00:00z", "2026-12-01T12:00:00 +08:00", " 2026-12-01T04:00:00Z "])
def test_times_row_by_row(tmp_path: Path, time: str) -> None:
    """Two forms of time in one file are odd, but right."""
    path = written(tmp_path / "r.csv", f"point,measured_at,value\n{P},{NOON},18\n{P},1796097600,18\n{P},{time},18\n")
    assert read_readings([path])[1].measured_at.tolist() == [NOON_MS] * 3


@pytest.mark.parametrize(
    ("time", "after_ms"),
    [
        ("1796097600.123", 123),
        ("1796097600.0004", 0),
        ("2026-12-01T12:00:00.001+08:00", 1),
        ("2026-12-01T12:00:00.123456+08:00", 123),
        ("2026-12-01T12:00:00.1236+08:00", 124),
        ("2026-12-01T12:00:00.9999999+08:00", 1000),
    ],
)
def test_times_are_exact_to_the_millisecond(tmp_path: Path, time: str, after_ms: int) -> None:
    assert one(tmp_path, f"{P},{time},18").measured_at[0] == NOON_MS + after_ms
    mixed = written(tmp_path / "mixed.csv", f"point,measured_at,value\n{P},{NOON},18\n{P},1796097600,18\n{P},{time},18\n")
    assert read_readings([mixed])[1].measured_at[2] == NOON_MS + after_ms


@pytest.mark.usefixtures("no_rows")
def test_local_times_in_an_assumed_zone(tmp_path: Path) -> None:
    assert one(tmp_path, f"{P},2026-12-01T12:00:00,18", zone=SHANGHAI).measured_at[0] == NOON_MS
    assert one(tmp_path, f"{P},2026-12-01,18", zone=SHANGHAI).measured_at[0] == NOON_MS - 12 * 3_600_000
    assert one(tmp_path, f"{P},{NOON},18", zone=ZoneInfo("Europe/Berlin")).measured_at[0] == NOON_MS


def test_local_times_around_a_change_of_clocks_row_by_row_and_by_columns(tmp_path: Path) -> None:
    times = [f"2026-{day}T{hour:02d}:{minute:02d}:07.5" for day in ("03-29", "10-25") for hour in range(5) for minute in (0, 30)]
    berlin = ZoneInfo("Europe/Berlin")
    rows = "".join(f"{P},{time},18\n" for time in times)
    _, by_columns = read_readings([written(tmp_path / "a.csv", f"point,measured_at,value\n{rows}")], assume_timezone=berlin)
    _, by_rows = read_readings([written(tmp_path / "b.csv", f"point,measured_at,value\n{rows}{P},1,18\n")], assume_timezone=berlin)
    assert by_columns.measured_at.tolist() == by_rows.measured_at.tolist()[:-1]
    expected = [round(datetime.fromisoformat(time).replace(tzinfo=berlin).timestamp() * 1000) for time in times]
    assert by_columns.measured_at.tolist() == expected


@pytest.mark.parametrize(
    ("cell", "value"),
    [("17.9", 17.9), ("-0.05", -0.05), ("+18", 18.0), ("1.79e1", 17.9), ("18.", 18.0), (".5", 0.5), ('"18.5"', 18.5), (" 18 ", 18.0)],
)
@pytest.mark.usefixtures("no_rows")
def test_values(tmp_path: Path, cell: str, value: float) -> None:
    reading = one(tmp_path, f"{P},{NOON},{cell}")
    assert (reading.value[0], reading.quality[0]) == (value, Quality.GOOD)


@pytest.mark.parametrize("cell", ["", '""', "nan", "NaN", "inf", "-inf", "Infinity", "1e999"])
@pytest.mark.usefixtures("no_rows")
def test_empty_and_non_finite_values_are_bad(tmp_path: Path, cell: str) -> None:
    assert one(tmp_path, f"{P},{NOON},{cell}").quality[0] == Quality.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("word", "quality"),
    [
        ("", Quality.GOOD),
        ("good", Quality.GOOD),
        ("GOOD", Quality.GOOD),
        ("Uncertain", Quality.SUSPECT),
        ("suspect", Quality.SUSPECT),
        ("bad", Quality.BAD),
        ("stuck", Quality.STUCK),
        ("suspect_range", Quality.SUSPECT_RANGE),
        (" range ", Quality.RANGE),
    ],
)
@pytest.mark.usefixtures("no_rows")
def test_qualities(tmp_path: Path, word: str, quality: Quality) -> None:
    assert one(tmp_path, f"{P},{NOON},18,{word}", "point,measured_at,value,quality").quality[0] == quality


def test_a_reason_of_the_file_stays_where_the_value_is_missing(tmp_path: Path) -> None:
    columns = "point,measured_at,value,quality"
    assert one(tmp_path, f"{P},{NOON},,device_error", columns).quality[0] == Quality.DEVICE_ERROR
    assert one(tmp_path, f"{P},{NOON},,suspect", columns).quality[0] == Quality.NOT_A_NUMBER


@pytest.mark.usefixtures("no_rows")
def test_received_at_is_measured_at_where_it_is_empty(tmp_path: Path) -> None:
    rows = f"{P},1796097600,1,1796097605.5\n{P},1796097600,2,\n"
    path = written(tmp_path / "r.csv", f"point,measured_at,value,received_at\n{rows}")
    assert read_readings([path])[1].received_at.tolist() == [NOON_MS + 5500, NOON_MS]


def test_columns_in_any_order_and_any_spacing(tmp_path: Path) -> None:
    columns = ' received_at , quality,"value",measured_at, point'
    reading = one(tmp_path, f"2026-12-01T12:00:05+08:00,good,18.5,{NOON},{P}", columns)
    assert (reading.value[0], reading.measured_at[0], reading.received_at[0]) == (18.5, NOON_MS, NOON_MS + 5000)


def test_blanks_about_a_point_are_none_of_its_name(tmp_path: Path) -> None:
    rows = f"{P},{NOON},17.0\n{P} ,2026-12-01T12:10:00+08:00,17.1\nroom/A  1/indoor_temp_c,{NOON},17.2\n"
    names, readings = read_readings([written(tmp_path / "r.csv", f"point,measured_at,value\n{rows}")])
    assert names == [P, "room/A 1/indoor_temp_c"]
    assert readings.point.tolist() == [0, 0, 1]
    table = pa.table({"point": [P, f" {P}"], "measured_at": [0.0, 60.0], "value": [17.0, 17.1]})
    pq.write_table(table, tmp_path / "r.parquet")
    assert read_readings([tmp_path / "r.parquet"])[0] == [P]


def test_several_files_are_one_in_their_order(tmp_path: Path) -> None:
    first = written(tmp_path / "1.csv", f"point,measured_at,value\nroom/B/indoor_temp_c,{NOON},1\n{P},{NOON},2\n")
    second = written(tmp_path / "2.csv", f"value,point,measured_at\n3,{P},1796097600\n4,room/C/indoor_temp_c,1796097600\n")
    names, readings = read_readings([first, second])
    assert names == ["room/B/indoor_temp_c", P, "room/C/indoor_temp_c"]
    assert (readings.point.tolist(), readings.value.tolist()) == ([0, 1, 1, 2], [1, 2, 3, 4])


def test_a_header_only_is_an_answer(tmp_path: Path) -> None:
    for text in ("point,measured_at,value", "point,measured_at,value\n", "\ufeffpoint,measured_at,value\r\n\r\n"):
        names, readings = read_readings([written(tmp_path / "r.csv", text)])
        assert (names, len(readings)) == ([], 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = f"point,measured_at,value\nroom/客厅/indoor_temp_c,{NOON},18\n"
    names, readings = read_readings([written(tmp_path / "r.csv", text.encode(encoding))])
    assert (names, readings.value.tolist()) == (["room/客厅/indoor_temp_c"], [18.0])


def test_gzip_whatever_the_file_is_called(tmp_path: Path) -> None:
    content = gzip.compress(f"point,measured_at,value\nroom/客厅/indoor_temp_c,{NOON},18\n".encode("gbk"))
    assert read_readings([written(tmp_path / "r.csv.gz", content)])[0] == ["room/客厅/indoor_temp_c"]
    assert read_readings([written(tmp_path / "r.csv", content)])[0] == ["room/客厅/indoor_temp_c"]


def test_quotes_blank_lines_tabs_and_windows_line_ends(tmp_path: Path) -> None:
    text = f'point,measured_at,value\r\n\r\n"room/A, the ""big"" one/indoor_temp_c","{NOON}","18"\r\n,,\r\n{P},{NOON},19\r\n'
    names, readings = read_readings([written(tmp_path / "r.csv", text)])
    assert (names[0], readings.value.tolist()) == ('room/A, the "big" one/indoor_temp_c', [18.0, 19.0])
    tabs = f"point\tmeasured_at\tvalue\n{P}\t{NOON}\t18\n"
    assert read_readings([written(tmp_path / "t.csv", tabs)])[1].value[0] == 18.0


@pytest.mark.parametrize(("file", "content", "expected"), cases("readings_mistakes.txt"))
def test_mistakes(tmp_path: Path, file: str, content: str, expected: list[str]) -> None:
    assert [said(written(tmp_path / file, content))] == expected


def test_an_encoding_that_nobody_reads(tmp_path: Path) -> None:
    text = f"point,measured_at,value\nroom/客廳溫度/indoor_temp_c,{NOON},18\n".encode("big5")
    assert said(written(tmp_path / "r.csv", text)) == (
        'r.csv:2: the file is neither UTF-8 nor GBK (it looks like Big5); save it as UTF-8 (Excel: "CSV UTF-8")'
    )


def test_a_torn_gzip_file(tmp_path: Path) -> None:
    content = gzip.compress(f"point,measured_at,value\n{P},{NOON},18\n".encode())
    line = said(written(tmp_path / "r.csv.gz", content[:-12]))
    assert line.startswith("r.csv.gz: can't be read to its end: ")


def test_a_workbook_is_no_readings_file(tmp_path: Path) -> None:
    assert said(written(tmp_path / "r.xlsx", b"PK\x03\x04...")) == "r.xlsx: a workbook or archive; readings are CSV, gzipped CSV or Parquet"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert said(tmp_path / "r.csv") == "r.csv: no such file"
    (tmp_path / "folder").mkdir()
    assert said(tmp_path / "folder") == "folder: a folder; a file belongs here"


# ── Parquet ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def parquet(path: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


NOON_TIME = datetime(2026, 12, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOON_TIME], pa.timestamp("s", "UTC")),
        pa.array([NOON_TIME], pa.timestamp("ms", "UTC")),
        pa.array([NOON_TIME], pa.timestamp("us", "+08:00")),
        pa.array([NOON_TIME], pa.timestamp("ns", "UTC")),
        pa.array([1_796_097_600], pa.int64()),
        pa.array([1_796_097_600.0], pa.float64()),
        pa.array([NOON], pa.string()),
        pa.array([NOON], pa.large_string()),
        pa.array([NOON]).dictionary_encode(),
    ],
    ids=lambda times: str(times.type),
)
def test_times_in_parquet(tmp_path: Path, times: pa.Array) -> None:
    path = parquet(tmp_path / "r.parquet", point=pa.array([P]), measured_at=times, value=pa.array([18.0]))
    assert read_readings([path])[1].measured_at.tolist() == [NOON_MS]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([18.5, None, float("nan")], pa.float64()),
        pa.array([18.5, None, float("nan")], pa.float32()),
        pa.array(["18.5", "", "NaN"], pa.string()),
    ],
    ids=lambda values: str(values.type),
)
def test_values_in_parquet(tmp_path: Path, values: pa.Array) -> None:
    points = pa.array([P, "room/B/indoor_temp_c", P]).dictionary_encode()
    path = parquet(tmp_path / "r.parquet", point=points, measured_at=pa.array([1_796_097_600] * 3), value=values)
    names, readings = read_readings([path])
    assert [names[point] for point in readings.point] == [P, "room/B/indoor_temp_c", P]
    assert readings.value[0] == 18.5
    assert readings.quality.tolist() == [0, Quality.NOT_A_NUMBER, Quality.NOT_A_NUMBER]


@pytest.mark.parametrize(
    "qualities", [pa.array([None, "bad", "Stuck"]), pa.array([0, 64, 68], pa.uint8()), pa.array([None, 64, 68], pa.int64())]
)
def test_qualities_in_parquet(tmp_path: Path, qualities: pa.Array) -> None:
    path = parquet(
        tmp_path / "r.parquet", point=pa.array([P] * 3), measured_at=pa.array([1, 2, 3]), value=pa.array([1, 2, 3]), quality=qualities,
        received_at=pa.array([None, 20, None], pa.int64()),
    )  # fmt: skip
    _, readings = read_readings([path])
    assert readings.quality.tolist() == [Quality.GOOD, Quality.BAD, Quality.STUCK]
    assert readings.received_at.tolist() == [1000, 20_000, 3000]


def test_local_times_in_parquet(tmp_path: Path) -> None:
    local = pa.array([datetime.fromisoformat("2026-12-01T12:00:00")], pa.timestamp("ms"))
    path = parquet(tmp_path / "r.parquet", point=pa.array([P]), measured_at=local, value=pa.array([18.0]))
    assert read_readings([path], assume_timezone=SHANGHAI)[1].measured_at.tolist() == [NOON_MS]
    assert said(path).startswith("r.parquet: row 1: measured_at: '2026-12-01T12:00:00': a time with offset")


def test_mistakes_in_parquet(tmp_path: Path) -> None:
    times = pa.array([1_796_097_600] * 2)
    text = parquet(tmp_path / "r.parquet", point=pa.array([P] * 2), measured_at=times, value=pa.array(["18", "warm"]))
    assert said(text) == "r.parquet: row 2: value: 'warm': a number with a decimal point; a value that is not there is left empty"
    column = parquet(tmp_path / "r.parquet", point=pa.array([P] * 2), time=times, measured_at=times, value=pa.array([1.0, 2.0]))
    assert said(column).startswith("r.parquet: time: unknown column; known: quality, received_at")
    torn = written(tmp_path / "r.parquet", (tmp_path / "r.parquet").read_bytes()[:-20])
    assert said(torn).startswith("r.parquet: a damaged Parquet file: ")


def test_a_column_whose_name_is_no_text_is_damage(tmp_path: Path) -> None:
    table = pa.table({"point": ["room/1/indoor_temp_c"], "measured_at": [0], "value": [1.0]})
    pq.write_table(table, tmp_path / "r.parquet", store_schema=False)
    content = (tmp_path / "r.parquet").read_bytes()
    (tmp_path / "r.parquet").write_bytes(content.replace(b"measured_at", b"\x80easured_at"))
    with pytest.raises(ConfigError, match=r"r\.parquet: a damaged Parquet file: .*codec can't decode"):
        read_readings([tmp_path / "r.parquet"])


def test_an_empty_parquet_file_is_an_answer(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "r.parquet", point=pa.array([], pa.string()), measured_at=pa.array([], pa.int64()), value=pa.array([], pa.float64())
    )
    assert read_readings([path])[0] == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["utf-8", "gbk", "utf-16", "gzip", "parquet"]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=4),
)
def test_a_spoilt_file_is_read_or_named(tmp_path: Path, kind: str, edits: list[tuple[float, int, bytes]]) -> None:
    """Whatever a disk or a text editor does to a file, there is no traceback."""
    text = "point,measured_at,value\n" + "".join(f"room/客厅/indoor_temp_c,2026-12-01T12:{n:02d}:00Z,18.5\n" for n in range(9))
    path = tmp_path / "r"
    if kind == "parquet":
        parquet(path, point=pa.array([P] * 9), measured_at=pa.array(range(9)), value=pa.array([18.5] * 9))
        content = path.read_bytes()
    else:
        content = gzip.compress(text.encode(), mtime=0) if kind == "gzip" else text.encode(kind)
    for where, length, instead in edits:
        start = round(where * len(content))
        content = content[:start] + instead + content[start + length :]
    path.write_bytes(content)
    line = str(path)
    try:
        read_readings([path])
    except ConfigError as error:
        line = str(error)
    assert line.startswith(str(path))


# ── by columns and row by row ────────────────────────────────────────────────────────────────────────────────────────

OFFSETS = st.sampled_from([0, 60, 480, -210]).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.integers(0, 4_000_000_000_000)


def time_cell(instant_ms: int, zone: timezone) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)).astimezone(zone).isoformat()


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """Rows of a file whose cells take every form."""
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        point = draw(st.sampled_from([P, "room/B, C/indoor_temp_c", "station/S1/outdoor_temp_c"]))
        measured = time_cell(draw(INSTANTS), draw(OFFSETS))
        value = draw(
            st.sampled_from(["", "nan", "-inf"]) | st.floats(allow_nan=False).map(repr) | st.decimals(-100, 100, places=2).map(str)
        )
        quality = draw(st.sampled_from(["", "good", "Bad", "uncertain", "stuck"]))
        received = draw(st.just("") | INSTANTS.map(lambda instant_ms: time_cell(instant_ms, UTC)))
        rows.append(f'"{point}",{measured},{value},{quality},{received}')
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=files())
def test_both_ways_read_the_same(tmp_path: Path, rows: Sequence[str]) -> None:
    path = written(tmp_path / "r.csv", "\n".join(["point,measured_at,value,quality,received_at", *rows]))
    names, by_columns = read_readings([path])
    with pytest.MonkeyPatch.context() as patch:

        def odd(*_: object) -> None:
            raise OddError

        patch.setattr(csv_file, "from_columns", odd)
        same_names, by_rows = read_readings([path])
    assert names == same_names
    for column in ("point", "measured_at", "received_at", "value", "quality"):
        np.testing.assert_array_equal(getattr(by_columns, column)[by_columns.quality < 64], getattr(by_rows, column)[by_rows.quality < 64])
    assert by_columns.quality.tolist() == by_rows.quality.tolist()


def test_a_dictionary_may_name_points_that_no_row_has(tmp_path: Path) -> None:
    wanted = pa.DictionaryArray.from_arrays(pa.array([2, 0, 2], pa.int32()), pa.array([P, "no point", "room/B/indoor_temp_c"]))
    pq.write_table(pa.table({"point": wanted, "measured_at": [0.0, 60.0, 120.0], "value": [17.0, 18.0, 19.0]}), tmp_path / "r.parquet")
    names, readings = read_readings([tmp_path / "r.parquet"])
    assert [names[point] for point in readings.point] == ["room/B/indoor_temp_c", P, "room/B/indoor_temp_c"]
    assert sorted(names) == [P, "room/B/indoor_temp_c"]


@pytest.mark.parametrize("value", [17.0, "17.0"])
def test_the_row_numbers_that_pandas_writes_are_not_looked_at(tmp_path: Path, value: float | str) -> None:
    table = pa.table({"point": [P], "measured_at": [0.0], "value": [value], "__index_level_0__": [3]})
    pq.write_table(table, tmp_path / "r.parquet")
    assert read_readings([tmp_path / "r.parquet"])[1].value.tolist() == [17.0]


def test_row_groups_are_one_file(tmp_path: Path) -> None:
    """Each group has names of its own; a mistake's row is counted from the file's first."""
    names = [f"room/{letter}/indoor_temp_c" for letter in "ABBCA"]
    columns: dict[str, list[object]] = {
        "point": [*names],
        "measured_at": [f"2026-12-01T12:00:0{k}Z" for k in range(5)],
        "value": [*range(5)],
    }
    late = {"received_at": [None, "2026-12-01T12:01:00Z", None, None, None]}
    path = tmp_path / "r.parquet"
    for more in ({}, late):
        pq.write_table(pa.table({**columns, **more}), path, row_group_size=2)
        found, readings = read_readings([path])
        assert [found[point] for point in readings.point] == names
        assert readings.value.tolist() == [0, 1, 2, 3, 4]
        assert np.diff(readings.measured_at).tolist() == [1000] * 4
        assert (readings.received_at - readings.measured_at).tolist() == [0, 59_000 if more else 0, 0, 0, 0]
    pq.write_table(pa.table({**columns, "measured_at": ["2026-12-01T12:00:00Z"] * 4 + ["noon"]}), path, row_group_size=2)
    assert said(path).startswith("r.parquet: row 5: measured_at: 'noon': ")


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    table = pa.table({"point": pa.array([], pa.string()), "measured_at": pa.array([], pa.float64()), "value": pa.array([], pa.float64())})
    pq.write_table(table, tmp_path / "r.parquet")
    names, readings = read_readings([tmp_path / "r.parquet"])
    assert (names, len(readings)) == ([], 0)

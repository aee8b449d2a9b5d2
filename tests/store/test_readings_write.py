"""Readings files as they are written: what is read again is what was there."""

import io
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import ConfigError
from domain.reading import Quality, Readings
from store.readings_file import csv_file, parquet_file, read_pieces, read_readings
from store.readings_file.write import FORMS, readings_writer

NAMES = ["station/S01/secondary_flow_m3h", 'room/1 号楼, "甲"/indoor_temp_c', "source/plc/exchange_ok"]
START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
SHANGHAI = ZoneInfo("Asia/Shanghai")


def written(form: str, portions: list[Readings], zone: ZoneInfo = SHANGHAI) -> bytes:
    sink = io.BytesIO()
    with readings_writer(sink, form, NAMES.__getitem__, zone) as file:
        for portion in portions:
            file.write(portion)
    return sink.getvalue()


def read_back(path: Path, content: bytes) -> list[tuple[str, int, int, str, int]]:
    """Rows of the file, values by their repr: NaN is NaN, −0.0 not 0.0."""
    path.write_bytes(content)
    names, readings = read_readings([path])
    columns = (readings.point, readings.measured_at, readings.received_at, readings.value, readings.quality)
    return [
        (names[point], at, received, repr(value), quality)
        for point, at, received, value, quality in zip(*(column.tolist() for column in columns), strict=True)
    ]


reading = st.tuples(
    st.integers(0, 2),
    st.integers(0, 4_000_000_000_000),
    st.integers(-5_000, 90_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(list(Quality)),
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None)
@given(portions=st.lists(st.lists(reading, max_size=20), max_size=3))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, form: str, portions: list) -> None:  # type: ignore[type-arg]
    path = tmp_path_factory.getbasetemp() / f"again.{form}"
    rows = [[(point, at, at + delay, value, quality) for point, at, delay, value, quality in portion] for portion in portions]
    parts = []
    for part in rows:
        point, at, received, value, quality = zip(*part, strict=True) if part else ((),) * 5
        parts.append(Readings.of(point, at, value, received_at=received, quality=quality))
    expected = [(NAMES[point], at, received, repr(value), quality) for part in rows for point, at, received, value, quality in part]
    assert read_back(path, written(form, parts)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_number_keeps_its_reason(tmp_path: Path, form: str) -> None:
    readings = Readings.of([0, 0, 0], [START] * 3, [np.nan, np.inf, np.nan], quality=[Quality.STUCK, Quality.DECODE, Quality.NOT_A_NUMBER])
    assert [row[4] for row in read_back(tmp_path / "file", written(form, [readings]))] == [
        Quality.STUCK,
        Quality.DECODE,
        Quality.NOT_A_NUMBER,
    ]


def test_csv_is_for_people(tmp_path: Path) -> None:
    at = START + 21_600_123
    readings = Readings.of([0, 1], [at, at], [18.4, 0.1 + 0.2], received_at=[at + 900, at], quality=[Quality.GOOD, Quality.RANGE])
    assert written("csv", [readings]).decode().splitlines() == [
        "point,measured_at,value,quality,received_at",
        '"station/S01/secondary_flow_m3h","2026-01-14T14:00:00.123+08:00",18.4,"good","2026-01-14T14:00:01.023+08:00"',
        '"room/1 号楼, ""甲""/indoor_temp_c","2026-01-14T14:00:00.123+08:00",0.30000000000000004,"range","2026-01-14T14:00:00.123+08:00"',
    ]
    assert written("csv", [readings.take(slice(0, 1))]).decode().splitlines()[1:] == [
        "station/S01/secondary_flow_m3h,2026-01-14T14:00:00.123+08:00,18.4,good,2026-01-14T14:00:01.023+08:00"
    ]
    assert written("csv", []).decode() == "point,measured_at,value,quality,received_at\n"


def test_both_hours_of_a_change_of_clocks_are_told_apart(tmp_path: Path) -> None:
    turn = 1_792_890_000_000  # 2026-10-25T01:00:00Z: 03:00 becomes 02:00 in Brussels
    readings = Readings.of([0, 0], [turn - 1_800_000, turn + 1_800_000], [1.0, 2.0])
    content = written("csv", [readings], ZoneInfo("Europe/Brussels"))
    assert [line.split(",")[1] for line in content.decode().splitlines()[1:]] == [
        "2026-10-25T02:30:00.000+02:00",
        "2026-10-25T02:30:00.000+01:00",
    ]
    assert [row[1] for row in read_back(tmp_path / "file", content)] == readings.measured_at.tolist()


# ── read in pieces ────────────────────────────────────────────────────────────────────────────────────────────────────


def in_pieces(path: Path, zone: ZoneInfo | None = None) -> tuple[list[tuple[str, int, float]], list[float]]:
    """Rows and shares of a file read in pieces."""
    rows, shares = [], []
    for names, readings, share in read_pieces(path, assume_timezone=zone):
        rows += [
            (names[point], at, value)
            for point, at, value in zip(readings.point.tolist(), readings.measured_at.tolist(), readings.value.tolist(), strict=True)
        ]
        shares.append(share)
    return rows, shares


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read some thousand rows at a time."""
    monkeypatch.setattr(csv_file, "_PIECE_BYTES", 200_000)
    monkeypatch.setattr(csv_file, "_ROWS_AT_ONCE", 5_000)
    monkeypatch.setattr(parquet_file, "_ROWS_AT_ONCE", 10_000)


@pytest.mark.parametrize("form", FORMS)
def test_a_long_file_comes_in_pieces_and_is_the_same(tmp_path: Path, form: str, small_pieces: None) -> None:
    count = 60_000
    portions = [Readings.of(np.arange(count // 2) % 3, START + np.arange(count // 2) * 10, np.arange(count // 2) / 10)] * 2
    (tmp_path / "long").write_bytes(written(form, portions))
    rows, shares = in_pieces(tmp_path / "long")
    names, whole = read_readings([tmp_path / "long"])
    assert [row[0] for row in rows] == [names[point] for point in whole.point.tolist()]
    assert [row[1] for row in rows] == whole.measured_at.tolist()
    assert [row[2] for row in rows] == whole.value.tolist()
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_an_odd_row_far_down_is_read_and_nothing_before_it_twice(tmp_path: Path, encoding: str, small_pieces: None) -> None:
    lines = [f"room/甲{number % 7}/indoor_temp_c,{1_768_348_800 + number},{number % 400 / 10}" for number in range(50_000)]
    lines[40_000] = "room/甲1/indoor_temp_c, 2026-01-14T11:06:40Z , nan"
    (tmp_path / "odd.csv").write_text("point,measured_at,value\n" + "\n".join(lines) + "\n", encoding=encoding)
    rows, shares = in_pieces(tmp_path / "odd.csv")
    assert len(rows) == 50_000
    assert [row[1] for row in rows[:40_000]] == [1_768_348_800_000 + number * 1_000 for number in range(40_000)]
    assert np.isnan(rows[40_000][2])
    assert rows[-1][1:] == (1_768_348_800_000 + 49_999_000, 39.9)
    assert 0 < shares[0] <= shares[-1] <= 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_mistake_far_down_is_named_by_its_line(tmp_path: Path, packed: bool, small_pieces: None) -> None:
    import gzip

    lines = [f"room/1/indoor_temp_c,{1_768_348_800 + number},21.5" for number in range(40_000)]
    lines[39_000] = "room/1/indoor_temp_c,1768348800,warm"
    content = ("point,measured_at,value\n" + "\n".join(lines) + "\n").encode()
    (tmp_path / "long.csv").write_bytes(gzip.compress(content, 1) if packed else content)
    with pytest.raises(ConfigError) as error:
        in_pieces(tmp_path / "long.csv")
    assert (
        str(error.value)
        == f"{tmp_path}/long.csv:39002: value: 'warm': a number with a decimal point; a value that is not there is left empty"
    )


def test_a_mistake_far_down_in_parquet_is_named_by_its_row(tmp_path: Path, small_pieces: None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["room/1/indoor_temp_c"] * 30_000
    names[28_000] = "warm"
    pq.write_table(
        pa.table({"point": names, "measured_at": np.full(30_000, 1_768_348_800), "value": np.ones(30_000)}), tmp_path / "f.parquet"
    )
    with pytest.raises(ConfigError, match="row 28001: point: 'warm'"):
        in_pieces(tmp_path / "f.parquet")


def test_a_header_only_has_no_pieces_and_local_times_find_their_zone(tmp_path: Path) -> None:
    (tmp_path / "head.csv").write_text("point,measured_at,value\n")
    assert in_pieces(tmp_path / "head.csv")[0] == []
    (tmp_path / "local.csv").write_text("point,measured_at,value\nroom/1/indoor_temp_c,2026-01-14 08:00:00,20\n")
    assert in_pieces(tmp_path / "local.csv", SHANGHAI)[0] == [("room/1/indoor_temp_c", START, 20.0)]

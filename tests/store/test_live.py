from pathlib import Path

import numpy as np
import pytest

from domain.errors import StoreError
from domain.site import WHOLE, Share
from store.live import ROOMS, STATIONS, forget_other_live, read_live, write_live

ROOM_COLUMNS = {
    "room_id": ["A", "B"],
    "verdict": ["breach", "unknown"],
    "since_ms": np.array([5, 6]),
    "value_c": np.array([17.4, np.nan]),
    "measured_at": [100, None],
    "limit_c": np.array([18.0, np.nan]),
    "alarm": ["pending", "normal"],
    "alarm_since_ms": [5, None],
    "no_data": np.array([False, True]),
}
STATION_COLUMNS = {
    "station_id": ["S01"],
    "heat": ["supplying"],
    "heat_since_ms": [1],
    "comm": ["ok"],
    "comm_since_ms": [1],
    "data": ["good"],
    "target_c": [46.5],
    "outage_id": [None],
    "planned": [False],
}


def test_before_the_first_pass_there_is_nothing(tmp_path: Path) -> None:
    live = read_live(tmp_path / "live")
    assert live.judged_at_ms is None
    assert (live.rooms.num_rows, live.stations.num_rows) == (0, 0)
    assert live.rooms.schema.names == ROOMS.names


def test_what_watch_writes_the_pages_read(tmp_path: Path) -> None:
    for judged_at in (1_000, 2_000):
        write_live(tmp_path / "live", ROOM_COLUMNS, STATION_COLUMNS, judged_at)
    live = read_live(tmp_path / "live")
    assert live.judged_at_ms == 2_000
    assert live.rooms.to_pylist() == [
        dict(zip(ROOMS.names, ("A", "breach", 5, 17.4, 100, 18.0, "pending", 5, False), strict=True)),
        dict(zip(ROOMS.names, ("B", "unknown", 6, None, None, None, "normal", None, True), strict=True)),
    ]
    assert live.stations.to_pylist() == [
        dict(zip(STATIONS.names, ("S01", "supplying", 1, "ok", 1, "good", 46.5, None, False), strict=True))
    ]
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == ["rooms.arrow", "stations.arrow"]


def test_a_town_without_rooms(tmp_path: Path) -> None:
    write_live(tmp_path, {name: [] for name in ROOMS.names}, STATION_COLUMNS, 7)
    assert read_live(tmp_path).rooms.num_rows == 0


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="verdict"):
        write_live(tmp_path, {name: values for name, values in ROOM_COLUMNS.items() if name != "verdict"}, STATION_COLUMNS, 7)


def test_a_file_that_can_t_be_read_is_a_store_error(tmp_path: Path) -> None:
    write_live(tmp_path, ROOM_COLUMNS, STATION_COLUMNS, 7)
    (tmp_path / "stations.arrow").write_bytes(b"half an arrow")
    with pytest.raises(StoreError, match="stations"):
        read_live(tmp_path)


def test_the_tables_of_several_nodes_are_one(tmp_path: Path) -> None:
    one = {name: np.asarray(column, object)[:1].tolist() for name, column in ROOM_COLUMNS.items()}
    other = {name: np.asarray(column, object)[1:].tolist() for name, column in ROOM_COLUMNS.items()}
    write_live(tmp_path, one, STATION_COLUMNS, 2_000, "-1-of-2")
    write_live(tmp_path, other, {name: [] for name in STATIONS.names}, 1_000, "-2-of-2")
    live = read_live(tmp_path)
    assert live.rooms.column("room_id").to_pylist() == ["A", "B"]
    assert live.stations.num_rows == 1
    assert live.judged_at_ms == 1_000  # as old as the oldest part of it


@pytest.mark.parametrize(("share", "left"), [(Share(1, 3), ["-1-of-3", "-3-of-3"]), (WHOLE, [""])])
def test_what_nodes_of_another_dealing_wrote_goes(share: Share, left: list[str], tmp_path: Path) -> None:
    for mark in ("", "-1-of-2", "-2-of-2", "-1-of-3", "-3-of-3"):
        write_live(tmp_path, ROOM_COLUMNS, STATION_COLUMNS, 1, mark)
    forget_other_live(tmp_path, share)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(f"{name}{mark}" for name in ("rooms", "stations") for mark in left)

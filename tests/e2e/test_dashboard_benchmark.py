"""The benchmark of the pages, on a small town: that it still measures what it says, not how fast this machine is."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from benchmarks.dashboard import Size, run
from benchmarks.large_town import NOW_MS, large_town, live_tables, season_station
from dashboard.pages import PAGES
from domain.clock import Clock
from store.history import open_history
from store.live import read_live
from store.points import PointRegistry
from store.records import open_records
from store.records.tables import metadata
from store.records.visits import broken_visits

pytestmark = [pytest.mark.e2e, pytest.mark.browser]


def test_a_small_town_gives_every_figure(tmp_path: Path, chromium: Path) -> None:
    said: list[str] = []
    found = run(tmp_path, Size(stations=30, rooms=300, viewers=3, seconds=4.0, season_days=2), said.append, runs=1, waves=2)
    assert all(figure >= 0 for figure in found.values())
    assert found["failed"] == 0
    assert found["ticks"] >= 3  # each viewer's panel asked at least once
    assert found["latest_points"] == 30 * 20 + 300
    assert 0.5 < found["refresh_kb"] < 200
    for figure in ("first_paint_s", "again_paint_s", "bare_first_s", "one_cpu_ms", "many_cpu_ms", "bare_cpu_ms", "trend_ms", "latest_ms"):
        assert found[figure] > 0, figure
    assert 100 < found["memory_mb"] < 600
    assert (found["pages"], found["page_troubles"]) == (len(PAGES), 0)
    assert min(found["page_first_ms"], found["page_next_ms"]) > 0
    assert sum("≤" in line for line in said) == 11


def test_the_town_is_what_collect_and_watch_leave_behind(tmp_path: Path) -> None:
    site = large_town(tmp_path, 20, 400, season_days=1)
    assert (len(site.stations), len(site.buildings), len(site.rooms), len(site.devices), len(site.curves)) == (20, 40, 400, 20, 20)
    points = PointRegistry(site.data / "points.db")
    history = open_history(site, points)
    assert len(points) == 20 * 20 + 400
    season = points.find(f"station/{season_station(site)}/secondary_supply_temp_c")
    room = points.find(f"room/{next(iter(site.rooms))}/indoor_temp_c")
    assert season is not None
    assert room is not None
    assert len(history.read([season], NOW_MS - 86_400_000, NOW_MS)) >= 8_640
    assert len(history.read([room], NOW_MS - 2 * 86_400_000, NOW_MS)) in {47, 48}  # two days by the hour, the first of them jittered
    live = read_live(site.data / "live")
    assert (len(live.rooms), len(live.stations)) == (400, 20)
    with open_records(site.data / "records.db").connect() as connection:
        counts = {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables}
        assert not list(broken_visits(connection))
    assert (counts["alarms"], counts["complaints"], counts["visits"], counts["audit"], counts["outages"]) == (81, 20, 8, 80, 2)
    assert counts["alarm_transitions"] > counts["alarms"]
    assert list((site.data / "history" / "hours").glob("*.parquet"))  # its days are counted, as the forwarder does it
    rooms, stations = live_tables(site)
    assert set(rooms["verdict"].tolist()) == {"compliant", "breach", "unknown"}
    assert set(stations["heat"].tolist()) >= {"supplying", "stopped", "unknown"}
    history.close()
    points.close()
    assert abs(Clock.load(site.data / "clock.json").now_ms() - NOW_MS) < 60_000 or Clock.load(site.data / "clock.json").epoch_ms == NOW_MS

"""A report's days of each station do not depend on how its readings are taken in: how many at once, forwarded or not."""

from collections.abc import Iterator
from dataclasses import astuple
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from compliance.report import stations as report_stations
from compliance.report.stations import QUANTITIES, StationDays, station_days
from domain.reading import Readings
from domain.site import Site
from store import readings as store_readings
from store.history import open_history
from store.journal import Journal
from store.points import PointRegistry
from store.readings import CURSOR
from store.records.filed_curves import in_force
from store.site_folder import load_site

DAY_MS: Final = 86_400_000
START_MS: Final = 1_768_320_000_000  # 2026-01-14 00:00 in Shanghai
DAYS: Final = START_MS + DAY_MS * np.arange(10)
STATIONS: Final = 18
VALUES: Final = {"secondary_supply_temp_c": 50.0, "secondary_return_temp_c": 41.0, "outdoor_temp_c": -9.0, "makeup_flow_m3h": 0.5}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Some stations are polled each hour and some each five minutes, some for a part of the time only; the last days lie in the journal."""
    (tmp_path / "site.toml").write_text('name = "阜新"\n', encoding="utf-8")
    names = [f"S{number:02}" for number in range(STATIONS)]
    (tmp_path / "stations.csv").write_text("station_id,name,design_flow_m3h\n" + "".join(f"{name},站,100\n" for name in names), "utf-8")
    points_of_curve = [f"{name},2025-11-01,{outdoor}\n" for name, outdoor in product(names, ("-20,60", "0,45"))]
    (tmp_path / "curves.csv").write_text("station_id,effective_from,outdoor_c,supply_c\n" + "".join(points_of_curve), "utf-8")
    site = load_site(tmp_path)
    site.data.mkdir()
    rng, points, journal = np.random.default_rng(11), PointRegistry(site.data / "points.db"), Journal(site.data / "journal.db")
    every = []
    for number, name in enumerate(names):
        until_ms = START_MS + (3 if number % 5 == 2 else 10) * DAY_MS
        at = np.arange(START_MS, until_ms, 60_000 * (5 if number % 4 == 1 else 60))
        for quantity in QUANTITIES[:5]:
            base = VALUES.get(quantity, 100.0)
            point = points.ids([f"station/{name}/{quantity}"])[0]
            every.append(Readings.of(np.full(len(at), point), at, base + rng.normal(0, abs(base) / 20, len(at))))
    readings = Readings.concat(every)
    forwarded = readings.measured_at < START_MS + 8 * DAY_MS
    history = open_history(site, points)
    history.write(readings.take(forwarded))
    journal.append(readings.take(~forwarded))
    history.close()
    points.close()
    journal.close()
    return site


@pytest.fixture
def stores(site: Site) -> Iterator[report_stations.Stores]:
    points, journal = PointRegistry(site.data / "points.db"), Journal(site.data / "journal.db")
    history = open_history(site, points)
    yield history, journal, points
    history.close()
    journal.close()
    points.close()


def _days_of(site: Site, stores: report_stations.Stores) -> list[StationDays]:
    return list(station_days(site, stores, in_force(site, {}), DAYS))


def _same(one: StationDays, other: StationDays) -> bool:
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(astuple(one), astuple(other), strict=True))


@pytest.mark.parametrize(("at_once", "readings", "fresh"), [(1, 1, 2_000_000), (3, 5_000, 0), (8, 100_000, 2_000_000), (50, 10**9, 0)])
def test_portions_do_not_matter(
    site: Site, stores: report_stations.Stores, monkeypatch: pytest.MonkeyPatch, at_once: int, readings: int, fresh: int
) -> None:
    whole = _days_of(site, stores)
    assert all(one.on_ms.sum() + one.off_ms.sum() > DAY_MS / 8 for one in whole)
    assert sum(float(one.on_ms[-1]) > 0 for one in whole) == sum(number % 5 != 2 for number in range(STATIONS))
    monkeypatch.setattr(report_stations, "AT_ONCE", at_once)
    monkeypatch.setattr(report_stations, "READINGS_AT_ONCE", readings)
    monkeypatch.setattr(store_readings, "FRESH_AT_MOST", fresh)
    for one, other in zip(whole, _days_of(site, stores), strict=True):
        assert _same(one, other), one.station_id


def test_what_is_forwarded_meanwhile_is_not_missed(site: Site, stores: report_stations.Stores) -> None:
    whole = _days_of(site, stores)
    history, journal, _ = stores
    begun = station_days(site, stores, in_force(site, {}), DAYS)
    found = [next(begun)]
    sequence, waiting = journal.read(0, 10**9)
    history.write(waiting)
    journal.advance(CURSOR, sequence)
    found += begun
    assert all(map(_same, whole, found))

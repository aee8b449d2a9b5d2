"""A town of any size on disk, as collect and watch leave it behind: site folder, readings, live tables, records. Seeded.

large_town(FOLDER) ──▶ site.toml + tables ──▶ points, history (two days by the hour; one station's season at 10 s), journal (the last hour)
                                          ──▶ live tables, a season's records (season_records.py)
python -m benchmarks.large_town FOLDER ──▶ goes on with it: station polls, rooms, live tables, alarms, health, until it is killed
"""

import csv
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from benchmarks.season_records import happen, write_records
from domain.clock import Clock
from domain.reading import Readings
from domain.site import Site
from store.health import write_health
from store.history import open_history
from store.history.parquet import ParquetHistory
from store.journal import Journal
from store.live import write_live
from store.points import PointRegistry
from store.records import open_records
from store.site_folder import load_site

ZONE: Final = ZoneInfo("Asia/Shanghai")
NOW_MS: Final = round(datetime(2026, 1, 15, 14, 23, 5, tzinfo=ZONE).timestamp() * 1000)
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
ROOMS_A_STATION: Final = 20
POLL_S: Final = 10
HAPPENS_S: Final = 4  # between two things that watch writes down
COMPONENTS: Final = ("collect", "watch", "forward")
# Quantity → its value on a cold afternoon; all that an XD100n class controller measures.
MEASURED: Final = {
    "outdoor_temp_c": -9.0, "primary_supply_temp_c": 92.0, "primary_return_temp_c": 48.0, "secondary_supply_temp_c": 50.0,
    "secondary_return_temp_c": 41.0, "primary_supply_pressure_mpa": 0.85, "primary_return_pressure_mpa": 0.55,
    "secondary_supply_pressure_mpa": 0.42, "secondary_return_pressure_mpa": 0.28, "valve_position_pct": 56.0, "tank_level_m": 1.35,
    "primary_flow_m3h": 42.0, "secondary_flow_m3h": 118.0, "makeup_flow_m3h": 0.35, "heat_power_gjh": 4.4, "heat_energy_gj": 18_000.0,
    "makeup_volume_m3": 230.0, "pump1_running": 1.0, "pump1_frequency_hz": 43.5, "alarm_word": 0.0,
}  # fmt: skip


def large_town(folder: Path, stations: int, rooms: int, *, season_days: int = 120) -> Site:
    """Writes a town whose clock shows a January afternoon now."""
    _write_folder(folder, stations, rooms)
    site = load_site(folder)
    site.data.mkdir(parents=True)
    _write_readings(site, season_days)
    write_records(site, NOW_MS, season_days)
    rest(site)
    return site


def season_station(site: Site) -> str:
    """The station that has a whole season at 10 s."""
    return next(iter(site.stations))


def rest(site: Site) -> None:
    """Sets the clock back to the afternoon, with watch's tables and everybody's health as of now."""
    clock = Clock.starting_at(NOW_MS, 1.0)
    clock.save(site.data / "clock.json")
    say(site, clock, live_tables(site))


def say(site: Site, clock: Clock, live: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
    """What collect, watch and forwarder say every few moments."""
    now_ms = clock.now_ms()
    write_live(site.data / "live", *live, now_ms - 500)
    for component in COMPONENTS:
        write_health(site.data, component, now_ms, {"autonomy_h": 168.0, "waiting": 1_000})


def go_on(site: Site) -> None:
    """Everything that happens beside the dashboard, at life's pace; stations' polls spread over the interval as collect does it."""
    clock = Clock.load(site.data / "clock.json")
    journal, points = Journal(site.data / "journal.db"), PointRegistry(site.data / "points.db")
    station_ids, room_ids = points.ids(_station_points(site)), points.ids(_room_points(site))
    shares = [slice(k * len(station_ids) // POLL_S, (k + 1) * len(station_ids) // POLL_S) for k in range(POLL_S)]
    values, temperatures = _station_values(site), _room_values(site)
    live, rng, records = live_tables(site), np.random.default_rng(7), open_records(site.data / "records.db")
    for second in range(10**9):
        began = time.monotonic()
        now_ms = clock.now_ms()
        share = shares[second % POLL_S]
        heard = rng.integers(0, len(room_ids), max(1, len(room_ids) // 600))
        ids = np.concatenate([station_ids[share], room_ids[heard]])
        value = np.concatenate([values[share], temperatures[heard]]) + np.round(rng.normal(0, 0.1, len(ids)), 1)
        journal.append(Readings.of(ids, np.full(len(ids), now_ms - 300), value, received_at=np.full(len(ids), now_ms - 100)))
        say(site, clock, live)
        if second % HAPPENS_S == 0:
            happen(records, site, now_ms, second // HAPPENS_S)
        time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))


def live_tables(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    """Watch's two tables: a tenth of the rooms below the limit, some unknown; some stations without heat or link."""
    rooms, temperature = list(site.rooms), _room_values(site)
    unknown = np.arange(len(rooms)) % 37 == 5
    verdict = np.where(unknown, "unknown", np.where(temperature < 18.0, "breach", "compliant"))
    ago = np.full(len(rooms), NOW_MS)
    of_rooms = {
        "room_id": rooms, "verdict": verdict, "since_ms": ago - 3 * HOUR_MS, "value_c": temperature, "measured_at": ago - 4 * MINUTE_MS,
        "limit_c": np.full(len(rooms), 18.0), "alarm": np.where(verdict == "breach", "raised", "normal"),
        "alarm_since_ms": ago - 2 * HOUR_MS, "no_data": unknown,
    }  # fmt: skip
    number = np.arange(len(site.stations))
    ago = np.full(len(number), NOW_MS)
    of_stations = {
        "station_id": list(site.stations), "heat": np.select([number % 400 == 3, number % 150 == 7], ["stopped", "unknown"], "supplying"),
        "heat_since_ms": ago - 6 * HOUR_MS, "comm": np.select([number % 150 == 7, number % 90 == 8], ["lost", "degraded"], "ok"),
        "comm_since_ms": ago - 25 * MINUTE_MS, "data": np.where(number % 70 == 9, "suspect", "good"),
        "target_c": np.full(len(number), 50.0), "outage_id": np.where(number % 400 == 3, number // 400 + 1, np.nan),
        "planned": np.zeros(len(number), np.bool_),
    }  # fmt: skip
    return of_rooms, of_stations


def _write_folder(folder: Path, stations: int, rooms: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.toml").write_text(
        'name = "大城供热"\nhotline = "96069"\n[dashboard]\nport = 0\n[notices]\npublish = "review"\n', "utf-8"
    )
    ids = [f"S{n:05}" for n in range(stations)]
    side = max(1, round(stations**0.5))
    _table(
        folder / "stations.csv",
        "station_id,name,source_id,district,lat,lon,design_flow_m3h,heated_area_m2",
        ((s, f"第{n}换热站", f"R{n % 8}", f"{n % 12}区", 41.8 + n // side * 0.004, 123.4 + n % side * 0.005, 120, 60_000)
         for n, s in enumerate(ids)),
    )  # fmt: skip
    per = max(1, rooms // stations)
    houses = [(f"{s}-B{half}", s) for s in ids for half in (1, 2)]
    _table(
        folder / "buildings.csv",
        "building_id,station_id,name,street,floors,households",
        ((b, s, f"幸福小区{n % 90}号楼", f"解放路{n % 200}号", 6, 60) for n, (b, s) in enumerate(houses)),
    )
    _table(
        folder / "rooms.csv",
        "room_id,building_id,station_id,premises,floor,unit",
        ((f"{b}-{k}", b, s, "residential", 1 + k // 4, f"{k % 4:02}")
         for b, s in houses for k in range(per // 2 + (per % 2 if b.endswith("1") else 0))),
    )  # fmt: skip
    _table(folder / "curves.csv", "station_id,effective_from,outdoor_c,supply_c,filed_by,reason",
           ((s, "2025-10-01", outdoor, supply, "", "") for s in ids for outdoor, supply in ((-25, 62), (5, 38))))  # fmt: skip
    _table(folder / "devices.csv", "device_id,station_id,protocol,address,profile,unit,interval_s",
           ((f"D{s}", s, "modbus_tcp", f"10.{n >> 8}.{n & 255}.1:502", "xd100n", 1, POLL_S) for n, s in enumerate(ids)))  # fmt: skip


def _table(path: Path, columns: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


def _station_points(site: Site) -> list[str]:
    return [f"station/{station}/{name}" for station in site.stations for name in MEASURED]


def _room_points(site: Site) -> list[str]:
    return [f"room/{room}/indoor_temp_c" for room in site.rooms]


def _station_values(site: Site) -> NDArray[np.float64]:
    return np.tile(np.array(list(MEASURED.values())), len(site.stations))


def _room_values(site: Site) -> NDArray[np.float64]:
    return np.round(np.random.default_rng(5).normal(20.0, 1.5, len(site.rooms)), 1)


def tidy(site: Site, points: PointRegistry) -> None:
    """What the forwarder has done by then: files merged, hours counted, the newest noted."""
    history = ParquetHistory(site.data / "history", points.name, grace_s=0.0)
    counted = -1
    while counted != (now := sum(path.stat().st_size for path in (site.data / "history" / "hours").glob("*.parquet"))):
        counted = now
        history.tidy()
    history.close()


def _write_readings(site: Site, season_days: int) -> None:
    points = PointRegistry(site.data / "points.db")
    names = [*_station_points(site), *_room_points(site)]
    ids, values = points.ids(names), np.concatenate([_station_values(site), _room_values(site)])
    history, rng = open_history(site, points), np.random.default_rng(3)
    season = points.ids([f"station/{season_station(site)}/{name}" for name in MEASURED])
    base = np.array(list(MEASURED.values()))
    for day in range(season_days, 0, -1):
        at = NOW_MS - day * DAY_MS + np.arange(0, DAY_MS, POLL_S * 1000)
        value = np.round(base + rng.normal(0, 0.2, (len(at), len(base))), 1)
        history.write(Readings.of(np.tile(season, len(at)), np.repeat(at, len(base)), value.ravel()))
    for hours in range(48, 0, -1):
        at = np.full(len(ids), NOW_MS - hours * HOUR_MS) + rng.integers(0, 10 * MINUTE_MS, len(ids))
        history.write(Readings.of(ids, at, np.round(values + rng.normal(0, 0.2, len(ids)), 1)))
    history.close()
    tidy(site, points)
    journal = Journal(site.data / "journal.db")
    at = np.full(len(ids), NOW_MS - 2_000) - rng.integers(0, 8_000, len(ids))
    journal.append(Readings.of(ids, at, values))
    journal.close()
    points.close()


if __name__ == "__main__":
    go_on(load_site(Path(sys.argv[1])))

"""What the page of data health says of sources, points, journal, disk and unknown sensors."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dashboard.facts.keeping import Keeping, disk, keeping
from dashboard.facts.point_states import PAGE, POINT_STATES, PointTable, WantedPoints, expected_points, point_states, states, wanted_points
from dashboard.facts.sources import source_rows, sources_of
from dashboard.facts.town import Town
from dashboard.facts.unknown_sensors import unknown_sensors
from dashboard.healthz import EXPECTED
from domain.clock import Clock
from domain.profile import ModbusProfile, Register
from domain.reading import Quality, Readings
from domain.site import Broker
from store.health import write_health
from store.journal import Journal
from store.points import PointRegistry
from tests.dashboard.sample_town import COLD_BUILDING, FAILING, NEVER_HEARD, NOW_MS, SILENT, SampleTown, sample_site

MINUTE_MS = 60_000


@pytest.fixture
def spoken(sample: SampleTown) -> Iterator[None]:
    """What the processes say in a test is not what they say in the next."""
    yield
    for component in EXPECTED:
        write_health(sample.site.data, component, NOW_MS, {})


# ── sources ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_worst_source_stands_first_with_the_age_of_its_last_good_exchange(town: Town) -> None:
    rows = source_rows(town)
    assert [(row.station_id, row.state) for row in rows[:3]] == [(SILENT, "silent"), (FAILING, "failing"), (NEVER_HEARD, "never")]
    assert {row.state for row in rows[3:]} == {"good"}
    assert len(rows) == 12
    silent, failing, never = rows[:3]
    assert silent.last_good_at == NOW_MS - 25 * MINUTE_MS
    assert (failing.failures, failing.overruns, failing.latency_ms) == (3, 1, 45.0)
    assert (never.last_good_at, never.latency_ms, never.failures) == (None, None, 40)
    assert rows[-1].last_good_at is not None
    assert NOW_MS - 10_000 <= rows[-1].last_good_at <= NOW_MS


def test_the_devices_of_one_station(town: Town) -> None:
    assert [(row.source_id, row.protocol) for row in sources_of(town, FAILING)] == [(f"D{FAILING}", "modbus_tcp")]


@pytest.mark.usefixtures("spoken")
def test_a_collector_on_this_machine_gives_its_reasons_and_knows_more_lately(town: Town) -> None:
    told = {"name": f"D{SILENT}", "state": "failing", "reason": "no answer in 3.0 s", "last_good_ms": NOW_MS - MINUTE_MS}
    told |= {"exceptions": {"busy": 2}, "counts": {"late reply": 1}}
    write_health(town.site.data, "collect", NOW_MS, {"sources": [told, "nonsense"]})
    row = next(row for row in source_rows(town) if row.station_id == SILENT)
    assert (row.state, row.reason) == ("failing", "no answer in 3.0 s")
    assert row.last_good_at == NOW_MS - MINUTE_MS
    assert row.counts == {"busy": 2, "late reply": 1}


@pytest.mark.parametrize(
    ("interval_s", "silence_s", "failed", "state"),
    [
        (10, 59.0, False, "good"),
        (10, 60.0, False, "good"),
        (10, 61.0, False, "silent"),  # three polls are 30 s, but a minute at least
        (10, 5.0, True, "failing"),
        (300, 899.0, True, "failing"),
        (300, 901.0, True, "silent"),
        (300, None, True, "never"),
    ],
)
def test_a_source_is_silent_after_three_polls_and_a_minute(
    tmp_path: Path, interval_s: float, silence_s: float | None, failed: bool, state: str
) -> None:
    site = sample_site(tmp_path / "data")
    site = replace(site, devices={"D1": replace(site.devices["DS01"], device_id="D1", interval_s=interval_s)})
    points, journal = PointRegistry(site.data / "points.db"), Journal(site.data / "journal.db")
    told = {"failures": 7.0} | ({"exchange_ok": 0.0} if failed else {}) | ({} if silence_s is None else {"silence_s": silence_s})
    ids = points.ids([f"source/D1/{name}" for name in told])
    journal.append(Readings.of(ids, [NOW_MS] * len(ids), list(told.values())))
    stood = Clock.starting_at(NOW_MS, 1e-9)  # a clock that stands: the age is what was told
    town = Town(site, stood)
    (row,) = source_rows(town)
    assert (row.state, row.failures) == (state, 7)
    assert row.last_good_at == (None if silence_s is None else NOW_MS - round(silence_s * 1000))
    town.close()
    journal.close()
    points.close()


def test_a_station_may_be_called_all(tmp_path: Path) -> None:
    site = sample_site(tmp_path / "data")
    devices = {**site.devices, "D1": replace(site.devices["DS01"], device_id="D1", station_id="all")}
    town = Town(replace(site, devices=devices), Clock.starting_at(NOW_MS, 1.0))
    assert len(source_rows(town)) == len(devices)
    assert [row.source_id for row in sources_of(town, "all")] == ["D1"]
    town.close()


def test_a_broker_is_a_source_too(tmp_path: Path) -> None:
    site = replace(sample_site(tmp_path / "data"), devices={}, brokers=(Broker("rooms", "mqtts://broker:8883", "keepwarm"),))
    points = PointRegistry(site.data / "points.db")
    journal = Journal(site.data / "journal.db")
    town = Town(site, Clock.starting_at(NOW_MS, 1.0))
    assert [(row.source_id, row.station_id, row.state) for row in source_rows(town)] == [("rooms", "", "never")]
    journal.append(Readings.of(points.ids(["source/rooms/connected"]), [NOW_MS - 1_000], [1.0]))
    town.shared.life_s = 0.0
    town.shared.forget()
    (row,) = source_rows(town)
    assert (row.state, row.protocol, row.address) == ("good", "mqtt", "mqtts://broker:8883")
    town.close()
    journal.close()
    points.close()


# ── points ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("known", "quality", "age_min", "state"),
    [
        (True, Quality.GOOD, 4, "good"),
        (True, Quality.GOOD, 5, "good"),
        (True, Quality.GOOD, 5.1, "late"),
        (True, Quality.NO_FLOW, 1, "suspect"),
        (True, Quality.NO_FLOW, 6, "late"),
        (True, Quality.STUCK, 1, "stuck"),
        (True, Quality.RANGE, 1, "bad"),
        (True, Quality.DEVICE_ERROR, 600, "bad"),
        (False, Quality.GOOD, 600, "never"),
    ],
)
def test_the_state_of_a_point(known: bool, quality: Quality, age_min: float, state: str) -> None:
    ones = np.ones(1, np.int32)
    table = PointTable(["station/S01/outdoor_temp_c"], ones, ones < 0, np.array([5 * MINUTE_MS]), ones * 0, ["S01"])
    found = states(table, np.array([known]), np.array([quality], np.uint8), np.array([NOW_MS - round(age_min * MINUTE_MS)]), NOW_MS)
    assert [POINT_STATES[one] for one in found] == [state]


def test_every_point_of_stations_and_rooms_is_counted_once(town: Town) -> None:
    found = point_states(town)
    assert sum(found.counts.values()) == len(found.table.names) == 12 * 18 + 400
    assert found.counts["stuck"] == 1
    assert found.counts["late"] == 18 + sum(number % 37 == 5 for number in range(400))
    assert found.counts["never"] == found.counts["bad"] == 0


def test_the_worst_point_stands_first_with_its_last_good_value(town: Town) -> None:
    rows, count = wanted_points(town, WantedPoints())
    assert count == len(rows) == 30
    first = rows[0]
    assert (first.name, first.station_id, first.state, first.quality) == ("station/S04/tank_level_m", "S04", "stuck", Quality.STUCK)
    assert first.value == pytest.approx(1.35, abs=0.05)
    assert first.usable_at is not None
    assert first.usable_at < NOW_MS - 2 * 60 * MINUTE_MS
    late = [row.usable_at or 0 for row in rows[1:]]
    assert late == sorted(late)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (WantedPoints("", "room"), 400),
        (WantedPoints("stuck"), 1),
        (WantedPoints("stuck", "room"), 0),
        (WantedPoints("late", "station"), 18),
        (WantedPoints("", "", "建设街"), 18 + 39),
        (WantedPoints("", "station", "s04/TANK"), 1),
        (WantedPoints("", "", COLD_BUILDING), 13),
        (WantedPoints("", "", "no such thing"), 0),
    ],
)
def test_points_by_what_is_wanted(town: Town, wanted: WantedPoints, count: int) -> None:
    rows, found = wanted_points(town, wanted)
    assert found == count
    assert len(rows) == min(count, PAGE)
    pages = [wanted_points(town, replace(wanted, page=page))[0] for page in range(1, 1 + max(1, -(-count // PAGE)))]
    names = [row.name for page in pages for row in page]
    assert len(names) == len(set(names)) == count
    assert [row.name for row in wanted_points(town, replace(wanted, page=99))[0]] == [row.name for row in pages[-1]]


def test_a_point_that_should_be_there_and_never_was_is_named(tmp_path: Path) -> None:
    site = sample_site(tmp_path / "data")
    profile = ModbusProfile("xd100n", "XD100n", (Register("outdoor_temp_c", 6, "i16"), Register("tank_level_m", 16, "i16")))
    site = replace(site, profiles={"xd100n": profile}, rooms=dict(list(site.rooms.items())[:2]))
    assert len(list(expected_points(site))) == 2 * 12 + 2
    PointRegistry(site.data / "points.db").close()
    Journal(site.data / "journal.db").close()
    town = Town(site, Clock.starting_at(NOW_MS, 1.0))
    found = point_states(town)
    assert found.counts == {"never": 26} | dict.fromkeys(("bad", "stuck", "late", "suspect", "good"), 0)
    row = wanted_points(town, WantedPoints("never", "station", "s01"))[0][0]
    assert (row.value, row.usable_at, row.quantity) == (None, None, "outdoor_temp_c")
    points = PointRegistry(site.data / "points.db")
    points.ids(["station/gone/outdoor_temp_c", "station/S01/outdoor_temp_c"])  # one of a station that left the site
    town.shared.forget()
    assert sum(point_states(town).counts.values()) == 26
    points.close()
    town.close()


# ── journal, disk, unknown sensors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("spoken")
def test_the_forwarders_word(town: Town) -> None:
    said = {"autonomy_h": 310.5, "waiting": 4_200, "waiting_since_ms": NOW_MS - MINUTE_MS, "journal_bytes": 5_000_000, "lost": 7}
    write_health(town.site.data, "forward", NOW_MS, {**said, "history": "influxdb", "error": "refused", "quarantined": 3, "refused": True})
    assert keeping(town) == Keeping(
        autonomy_h=310.5, refused=True, waiting=4_200, lost=7, waiting_since_ms=NOW_MS - MINUTE_MS, journal_bytes=5_000_000, quarantined=3,
        history="influxdb", error="refused",
    )  # fmt: skip


def test_the_disk_under_the_stores(town: Town, tmp_path: Path) -> None:
    found = disk(town)
    assert found is not None
    assert 0 < found.free <= found.total
    assert 0 < found.free_share <= 1
    away = Town(replace(town.site, data=tmp_path / "data"), town.clock)
    away.close()
    shutil.rmtree(tmp_path / "data")
    assert disk(away) is None


@pytest.mark.usefixtures("spoken")
def test_sensors_that_stand_in_no_room_wait_for_commissioning(town: Town) -> None:
    assert unknown_sensors(town).newest == []
    town.shared.forget()
    old = {"sensor": "A1", "profile": "dragino", "topic": "a/b", "first_ms": 1, "last_ms": 2, "count": 9, "values": {"indoor_temp_c": 21.5}}
    new = {**old, "sensor": "B2", "last_ms": 3, "values": {"battery_pct": None}}
    write_health(town.site.data, "collect", NOW_MS, {"unknown_sensors": {"count": 2, "beyond": 5, "newest": [old, new]}})
    found = unknown_sensors(town)
    assert (found.count, found.beyond, [one.sensor for one in found.newest]) == (2, 5, ["B2", "A1"])
    assert found.newest[1].values == {"indoor_temp_c": 21.5}
    assert found.newest[0].values == {}

"""What the pages show of the sample town: counts, order, ages, and unknown as unknown."""

import gc
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from dashboard.facts.alarms import Wanted, alarm_counts, alarm_rows
from dashboard.facts.building import room_grid, room_trend, worst_room
from dashboard.facts.complaints import attached_rooms, complaint_rows
from dashboard.facts.events import lately
from dashboard.facts.notices import notice_rows, public_notices
from dashboard.facts.outages import notice_due_ms, open_outages, outage_rows
from dashboard.facts.point_states import point_table
from dashboard.facts.rooms import building_counts, day_figures, room_states, station_counts, town_counts
from dashboard.facts.sparks import sparks
from dashboard.facts.station import all_values, homes, station_trends
from dashboard.facts.stations import station_states, worst_first
from dashboard.facts.subjects import subject
from dashboard.facts.town import Town
from dashboard.facts.wall import headline
from dashboard.moments import HOUR_MS, Moments
from dashboard.server import warm
from dashboard.text import speech
from domain.clock import Clock
from domain.errors import StoreError
from store.records import open_records
from store.records.tables import notices, outages
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, NOW_MS, OVERDUE, PLANNED, SILENT, STOPPED, SampleTown, dead, write_town

DEAD = sum(dead(number) for number in range(400))


def test_every_room_is_in_one_of_the_buckets_and_unknown_is_none_of_the_others(town: Town) -> None:
    counts = town_counts(town)
    assert (counts.rooms, counts.judged, counts.unknown) == (400, 400, DEAD)
    assert counts.compliant + counts.breach + counts.unknown == 400
    assert counts.rate == counts.compliant / (counts.compliant + counts.breach)
    assert counts.coverage == (400 - DEAD) / 400
    assert station_counts(town).sum() == 400
    assert sum(group.breach for group in building_counts(town).values()) == building_counts(town)[COLD_BUILDING].breach == counts.breach


def test_a_room_watch_never_saw_is_unknown(town: Town) -> None:
    state = room_states(town, ["nobody"])["nobody"]
    assert (state.verdict, state.value_c) == ("unknown", None)


def test_the_day_has_its_third_bucket(town: Town) -> None:
    day = day_figures(town, "2026-01-15")
    assert day.rate is not None
    assert day.unknown_share is not None
    assert 0.9 < day.rate < 1
    assert 0 < day.unknown_share < 0.05
    assert day_figures(town, "2026-01-01").rate is None


def test_stations_stand_worst_first(town: Town) -> None:
    order = [state.station.station_id for state in worst_first(station_states(town))]
    assert set(order[:2]) == {STOPPED, OVERDUE}
    assert order[2] == SILENT
    assert order[3] == PLANNED
    heat = station_states(town).heat_counts()
    assert (heat.supplying, heat.stopped, heat.planned, heat.unknown, heat.link_lost) == (8, 2, 1, 1, 1)


def test_values_of_a_silent_station_are_marked_stale_and_those_of_others_are_not(town: Town) -> None:
    silent, other = all_values(town, SILENT), all_values(town, "S01")
    assert all(value.stale for value in silent.values())
    assert not any(value.stale for value in other.values())
    assert all(value.measured_at is not None and value.measured_at < NOW_MS - 25 * 60_000 for value in silent.values())
    assert station_states(town)[SILENT].off_target_k is None


def test_a_bad_value_is_not_shown_as_if_it_were_good(town: Town) -> None:
    level = all_values(town, "S04")["tank_level_m"]
    assert level.bad
    assert level.stale
    assert level.measured_at is not None
    assert level.measured_at < NOW_MS - 2 * HOUR_MS


def test_the_outdoor_temperature_is_the_towns_median(town: Town) -> None:
    value = station_states(town).outdoor_c()
    assert value == pytest.approx(-8.0, abs=0.5)


def test_outages_and_their_duties(town: Town) -> None:
    assert [row.station_id for row in open_outages(town)] == [OVERDUE, STOPPED]
    stopped = next(row for row in outage_rows(town) if row.station_id == STOPPED)
    assert notice_due_ms(town, stopped) == stopped.started_earliest + 8 * HOUR_MS
    assert stopped.started_earliest < stopped.started_at
    assert [notice.state for notice in notice_rows(town)] == ["due", "published", "closed"]
    assert all(notice.published_at is not None for notice in public_notices(town))
    assert {notice.state for notice in public_notices(town)} == {"closed", "published"}


def test_an_outage_that_goes_on_and_a_notice_that_waits_are_shown_however_many_came_later(tmp_path: Path) -> None:
    sample = write_town(tmp_path, rooms=False)
    engine = open_records(sample.site.data / "records.db")
    over = {"station_id": "S05", "subject": "station/S05", "state": "ended", "stations": ["S05"]}
    times = [NOW_MS - 4 * HOUR_MS + n * 30_000 for n in range(250)]
    part = {"station_id": "S06", "subject": "station/S06", "state": "open", "stations": ["S06"], "parent_id": 2}
    first = NOW_MS - 9 * HOUR_MS
    with engine.begin() as connection:
        connection.execute(
            insert(outages), [over | {"started_at": at, "started_earliest": at, "opened_at": at, "ended_at": at + 1} for at in times]
        )
        connection.execute(insert(outages).values(**part, started_at=first, started_earliest=first, opened_at=first))
        rest = {"subject": "station/S05", "stations": ["S05"], "title_zh": "", "title_en": "", "text_zh": "", "text_en": "", "closing": ""}
        connection.execute(insert(notices), [rest | {"state": "closed", "due_at": at, "closed_at": at + 1} for at in times])
        connection.execute(insert(notices), [rest | {"state": "published", "due_at": at, "published_at": at} for at in times])
        connection.execute(insert(notices).values(**rest, state="due", due_at=NOW_MS - 1))
    engine.dispose()
    with closing(Town(sample.site, sample.clock)) as town:
        assert [row.station_id for row in open_outages(town)] == [OVERDUE, STOPPED]
        assert [row.station_id for row in outage_rows(town)][:4] == [OVERDUE, STOPPED, "S06", "S05"]  # a part stands behind what owes
        assert [row.subject for row in notice_rows(town)][:3] == [f"station/{OVERDUE}", "station/S05", "station/S05"]
        assert [row.state for row in notice_rows(town)][:3] == ["due", "due", "published"]
        assert {row.subject for row in public_notices(town)} >= {f"station/{PLANNED}"}  # the oldest that stands


def test_the_top_of_the_wall(town: Town) -> None:
    top = headline(town, Moments(town.site.timezone, speech("zh")))
    assert [duty.outage.station_id for duty in top.duties] == [OVERDUE, STOPPED]
    assert top.complaints_open == 6
    assert top.complaints_new == 2
    assert top.alarms.unacknowledged == alarm_counts(town).unacknowledged > 0


def test_alarms_by_what_is_wanted(town: Town) -> None:
    everything = alarm_rows(town, Wanted("all"))
    waiting = alarm_rows(town, Wanted("unacknowledged"))
    assert {row.state for row in waiting} == {"unacknowledged", "returned_unacknowledged"}
    assert len(waiting) == alarm_counts(town).unacknowledged < len(everything)
    assert [row.station_id for row in alarm_rows(town, Wanted("open", "water_escalated"))] == [SILENT]
    assert {row.kind for row in alarm_rows(town, Wanted("open", "", "S05"))} == {"room_low"}


def test_complaints_to_do_stand_before_those_that_are_over(town: Town) -> None:
    rows = complaint_rows(town)
    assert [row.over for row in rows] == sorted(row.over for row in rows)
    building = next(row for row in rows if row.kind == "building")
    assert building.rooms == len(attached_rooms(town, building.id)) == 13


def test_the_last_quarter_of_an_hour_and_before(town: Town) -> None:
    happened = lately(town)
    assert len(happened) == 8
    assert [one.at for one in happened] == sorted((one.at for one in happened), reverse=True)


def test_the_grid_of_a_building(town: Town) -> None:
    grid = room_grid(town, COLD_BUILDING)
    assert list(grid.columns) == ["01", "02", "03"]
    assert [floor for floor, _ in grid.floors] == [5, 4, 3, 2, 1]
    cells = [cell for _, row in grid.floors for cell in row if cell is not None]
    assert len(cells) == grid.rooms.rooms == 13
    assert all(cell.stale == (cell.state.verdict == "unknown") for cell in cells)
    worst = worst_room(town, COLD_BUILDING)
    assert room_states(town, [worst])[worst].verdict == "breach"
    assert room_grid(town, "nothing").floors == []


def test_a_rooms_trend_has_its_limit_in_steps(town: Town) -> None:
    trend = room_trend(town, f"{COLD_BUILDING}-203")
    assert set(trend.limit.value.tolist()) == {16.0, 18.0}
    assert len(trend.value) > 200


def test_the_trends_of_a_station(town: Town) -> None:
    found = station_trends(town, "S01", 24)
    supply, target = found.lines["secondary_supply_temp_c"], found.target
    assert len(supply) > 250
    assert len(target) == len(found.lines["outdoor_temp_c"])
    assert abs(float(supply.value[-1]) - float(target.value[-1])) < 3
    assert set(sparks(town)) == set(town.site.stations)


def test_buildings_of_a_station_with_cold_rooms_first(town: Town) -> None:
    assert homes(town, "S05")[0].building.building_id == COLD_BUILDING


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("station/S02", "城北换热站", "station?station=S02"),
        (f"building/{COLD_BUILDING}", "人民路小区3号楼", f"building?building={COLD_BUILDING}"),
        (f"room/{COLD_BUILDING}-101", "人民路小区3号楼 101", f"building?building={COLD_BUILDING}&room={COLD_BUILDING}-101"),
        ("station/S01", EVIL, "station?station=S01"),
        ("room/gone", "gone", ""),
        ("source/R1", "R1", ""),
    ],
)
def test_subjects_have_names_and_addresses(town: Town, text: str, name: str, address: str) -> None:
    found = subject(town, text)
    assert (found.name, found.address) == (name, address)


def test_a_store_that_fails_is_named_since_when_and_comes_back(tmp_path: Path) -> None:
    sample = write_town(tmp_path, rooms=False)
    town = Town(sample.site, Clock.starting_at(NOW_MS, 1.0))
    town.shared.life_s = 0.0
    assert station_states(town)[STOPPED].heat == "stopped"
    path = sample.site.data / "live" / "stations.arrow"
    kept = path.read_bytes()
    path.write_bytes(b"torn")
    with pytest.raises(StoreError):
        station_states(town)
    with pytest.raises(StoreError):
        station_states(town)
    assert [(trouble.store, trouble.since_ms // 10_000) for trouble in town.troubles] == [("live", NOW_MS // 10_000)]
    path.write_bytes(kept)
    assert station_states(town)[STOPPED].heat == "stopped"
    assert town.troubles == []
    town.close()


def test_before_watch_has_judged_nothing_is_compliant(tmp_path: Path) -> None:
    sample = write_town(tmp_path, rooms=False)
    for name in ("rooms.arrow", "stations.arrow"):
        (sample.site.data / "live" / name).unlink()
    town = Town(sample.site, Clock.starting_at(NOW_MS, 1.0))
    counts = town_counts(town)
    assert (counts.unknown, counts.compliant, counts.rate) == (400, 0, None)
    assert {state.heat for state in station_states(town).values()} == {"unknown"}
    top = headline(town, Moments(town.site.timezone, speech("zh")))
    assert top.judged_at is None
    assert top.judged_late
    town.close()


def test_a_town_is_warm_before_its_first_reader_comes_and_a_store_that_is_torn_stops_nothing(sample: SampleTown) -> None:
    def nobody() -> None:
        raise AssertionError

    with closing(Town(sample.site, sample.clock)) as town:
        warm(town)
        assert len(town.shared.of("station_states", nobody)) == len(town.site.stations)  # type: ignore[arg-type]
        assert len(point_table(town).names) > len(town.site.rooms)
        assert gc.get_freeze_count() > 100_000
    with closing(Town(replace(sample.site, data=sample.site.data / "nowhere"), sample.clock)) as town:
        (town.site.data / "live").mkdir()
        (town.site.data / "live" / "rooms.arrow").write_bytes(b"torn")
        warm(town)
        assert [trouble.store for trouble in town.troubles] == ["live"]

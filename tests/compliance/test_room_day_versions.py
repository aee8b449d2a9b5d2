"""A day that comes out otherwise gets another version with its reason; what it said before is kept (R2)."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select

from compliance.watch import Watch
from domain.reading import Readings
from domain.site import Exclusion, Room, Site
from store.records import tables
from tests.compliance.feeding import Feed, Row, every, local_ms

ROOM = "room/R1/indoor_temp_c"
COLUMNS = tables.room_days.c


def begun(live: Feed, site: Site, now: str) -> Watch:
    return Watch(site, live.journal, live.history, live.points, live.records, local_ms(now))


def arrive(live: Feed, watch: Watch, rows: list[Row], now: str) -> None:
    now_ms = local_ms(now)
    values = [value for *_, value in rows]
    readings = Readings.of(
        live.points.ids([name for name, *_ in rows]), [at for _, at, _ in rows], values, received_at=[now_ms] * len(rows)
    )
    live.journal.append(readings)
    while watch.step(now_ms):
        pass
    watch.judge_days()


def said(live: Feed, day: str = "2026-01-14") -> tuple[int, float, str]:
    with live.records.connect() as connection:
        row = connection.execute(select(tables.room_days).where(COLUMNS.day == day)).one()
    return row.version, row.breach_ms / 3_600_000, row.reason


def versions(live: Feed) -> list[tuple[int, float]]:
    kept = tables.room_day_versions.c
    with live.records.connect() as connection:
        rows = connection.execute(select(kept.version, kept.figures).order_by(kept.day, kept.version)).all()
    return [(row.version, row.figures["breach_ms"] / 3_600_000) for row in rows]


def test_late_readings_and_another_calibration_make_versions(site: Site, feed: Callable[[Site], Feed]) -> None:
    live = feed(replace(site, rooms={"R1": Room("R1")}))
    watch = begun(live, live.site, "2026-01-14 00:00")
    arrive(live, watch, every(ROOM, "2026-01-14 00:00", "2026-01-14 12:00", 17.9), "2026-01-14 12:00")
    arrive(live, watch, every(ROOM, "2026-01-14 12:00", "2026-01-14 13:00", 17.9), "2026-01-14 13:00")
    assert said(live) == (1, 7.0, "")  # a day that is not over is only brought up to now
    arrive(live, watch, every(ROOM, "2026-01-15 00:00", "2026-01-15 00:20", 17.9), "2026-01-15 00:20")
    assert said(live) == (1, 7 + 1 / 3, "")  # the last reading of 12:50 stands to 13:20
    arrive(live, watch, every(ROOM, "2026-01-14 14:00", "2026-01-14 15:00", 17.0), "2026-01-15 01:00")
    assert said(live)[0] == 2
    assert said(live)[2] == "late readings"
    assert versions(live) == [(1, 7 + 1 / 3)]
    arrive(live, watch, every(ROOM, "2026-01-15 01:00", "2026-01-15 01:10", 19.0), "2026-01-15 01:10")
    assert said(live)[0] == 2  # nothing of the day changed

    calibrated = replace(live.site, rooms={"R1": Room("R1", offset_k=0.5)})
    arrive(live, begun(live, calibrated, "2026-01-15 02:00"), [], "2026-01-15 02:00")
    version, breach_h, reason = said(live)
    assert (version, reason) == (3, "calibration, hold or schedule changed: R1")
    assert breach_h == 1 + 1 / 3  # only what was 17.0 is below 18.0 still
    assert [one[0] for one in versions(live)] == [1, 2]
    with live.records.connect() as connection:
        row = connection.execute(select(COLUMNS.policy_sha256, COLUMNS.software).where(COLUMNS.day == "2026-01-14")).one()
    assert row.policy_sha256 == site.policy.sha256
    assert row.software


def test_time_excluded_afterwards_changes_the_days_that_it_lies_in(site: Site, feed: Callable[[Site], Feed]) -> None:
    live = feed(replace(site, rooms={"R1": Room("R1"), "R2": Room("R2")}))
    watch = begun(live, live.site, "2026-01-13 12:00")
    rows = every(ROOM, "2026-01-13 12:00", "2026-01-15 12:00", 17.0)
    arrive(live, watch, rows, "2026-01-15 12:00")

    def told(day: str) -> tuple[int, str, int]:
        with live.records.connect() as connection:
            row = connection.execute(select(tables.room_days).where(COLUMNS.day == day, COLUMNS.room_id == "R1")).one()
        return row.version, row.reason, row.judged_ms // 3_600_000

    assert [told(f"2026-01-{day}") for day in (13, 14)] == [(1, "", 24), (1, "", 24)]
    excluded = Exclusion("R1", local_ms("2026-01-14 06:00"), local_ms("2026-01-15 00:00"), "heating stopped by contract")
    away = replace(live.site, exclusions=(excluded,))
    arrive(live, begun(live, away, "2026-01-15 12:10"), [], "2026-01-15 12:10")
    assert [told(f"2026-01-{day}") for day in (13, 14)] == [(1, "", 24), (2, "excluded time changed: R1", 6)]
    for now in ("2026-01-15 12:20", "2026-01-15 12:30"):  # the same again: nothing is computed anew
        arrive(live, begun(live, away, now), [], now)
    open_end = replace(live.site, exclusions=(replace(excluded, to_ms=None),))
    arrive(live, begun(live, open_end, "2026-01-15 12:40"), [], "2026-01-15 12:40")
    assert told("2026-01-14")[:2] == (2, "excluded time changed: R1")
    assert told("2026-01-15")[2] == 0
    arrive(live, begun(live, live.site, "2026-01-15 12:50"), [], "2026-01-15 12:50")
    assert told("2026-01-14") == (3, "excluded time changed: R1", 24)


def test_what_a_day_said_of_a_room_taken_out_of_the_site_stays(site: Site, feed: Callable[[Site], Feed]) -> None:
    live = feed(replace(site, rooms={"R1": Room("R1"), "R2": Room("R2")}))
    other = "room/R2/indoor_temp_c"
    rows = [row for room in (ROOM, other) for row in every(room, "2026-01-14 00:00", "2026-01-15 12:00", 17.0)]
    arrive(live, begun(live, live.site, "2026-01-14 00:00"), rows, "2026-01-15 12:00")
    watch = begun(live, replace(live.site, rooms={"R1": Room("R1")}), "2026-01-16 12:00")
    arrive(live, watch, every(ROOM, "2026-01-14 06:05", "2026-01-14 07:00", 19.0), "2026-01-16 12:00")
    with live.records.connect() as connection:
        found = connection.execute(select(COLUMNS.room_id, COLUMNS.version, COLUMNS.judged_ms).where(COLUMNS.day == "2026-01-14")).all()
    assert sorted(tuple(row) for row in found) == [("R1", 2, 24 * 3_600_000), ("R2", 1, 24 * 3_600_000)]

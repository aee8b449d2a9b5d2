"""A station's trends from hours to a season, what is marked beside them, and how they are drawn."""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import insert

from dashboard.charts import Axis, Line, Marks, trend_chart
from dashboard.facts.station import STEPS_H, station_marks, station_trends
from dashboard.facts.stations import OUTDOOR, SUPPLY
from dashboard.facts.town import Town
from dashboard.facts.trend import STRETCHES, Trend, rolled
from dashboard.moments import HOUR_MS, MINUTE_MS, Moments
from dashboard.text import speech
from domain.clock import Clock
from domain.reading import Quality, Readings
from store.history import open_history
from store.points import PointRegistry
from store.records.tables import events
from tests.dashboard.sample_town import NOW_MS, OVERDUE, TOO_WARM, sample_site

NAME = "station/S01/secondary_supply_temp_c"
START_MS = NOW_MS // HOUR_MS * HOUR_MS - 1000 * HOUR_MS


@pytest.fixture
def season(tmp_path: Path) -> Town:
    """A thousand hours of one point every ten minutes, without hours 300 to 400, with a peak of one reading and one bad one."""
    site = sample_site(tmp_path / "data")
    points = PointRegistry(site.data / "points.db")
    at = np.arange(START_MS, START_MS + 1000 * HOUR_MS, 10 * MINUTE_MS)
    value = 50.0 + 5.0 * np.sin(np.arange(len(at)) / 144 * 2 * np.pi)
    value[1_000], value[4_000] = 79.0, 5.0
    quality = np.where(np.arange(len(at)) == 4_000, Quality.RANGE, Quality.GOOD).astype(np.uint8)
    hour = (at - START_MS) // HOUR_MS
    keep = (hour < 300) | (hour >= 400)
    point = int(points.ids([NAME])[0])
    history = open_history(site, points)
    history.write(Readings.of(np.full(keep.sum(), point), at[keep], value[keep], quality=quality[keep]))
    history.tidy()
    history.close()
    points.close()
    return Town(site, Clock.starting_at(NOW_MS, 1.0))


def test_a_season_keeps_its_extremes_and_its_gap_and_passes_over_what_is_bad(season: Town) -> None:
    (line, nothing), (mean, _) = rolled(season, [NAME, "station/S01/never_temp_c"], START_MS, START_MS + 1000 * HOUR_MS, 4 * HOUR_MS)
    assert len(nothing) == 0
    assert len(line) == 2 * 225 + 1
    assert len(mean) == 225 + 1
    assert np.nanmax(line.value) == 79.0
    assert np.nanmin(line.value) == pytest.approx(45.0, abs=0.01)
    assert np.all(np.diff(line.at_ms) > 0)
    (broken,) = np.flatnonzero(np.isnan(line.value))
    assert START_MS + 299 * HOUR_MS <= line.at_ms[broken] <= START_MS + 302 * HOUR_MS
    assert np.nanmax(np.abs(np.diff(mean.value[:20]))) < 5.0
    season.close()


def test_a_line_rises_through_a_stretch_where_the_next_one_is_higher(season: Town) -> None:
    (line,), _ = rolled(season, [NAME], START_MS, START_MS + 24 * HOUR_MS, 2 * HOUR_MS)
    steps = np.diff(line.value)
    assert np.all(steps[:5] > 0)  # from the mean to the crest in six hours
    assert np.all(steps[6:16] < 0)
    season.close()


@pytest.mark.parametrize("hours", [6, 24, 48, 168, 720, 2160, 3600])
def test_every_span_gives_a_few_hundred_points_and_a_target(town: Town, hours: int) -> None:
    found = station_trends(town, TOO_WARM, hours)
    supply = found.lines[SUPPLY]
    assert found.to_ms - found.from_ms >= hours * HOUR_MS
    assert 20 < len(supply) <= 5 * STRETCHES
    assert len(found.target) > 5
    gap_k = np.interp(found.target.at_ms, supply.at_ms, supply.value) - found.target.value
    assert np.nanmedian(np.abs(gap_k)) < 4.0
    outdoor = found.lines[OUTDOOR].value
    assert -35 < np.nanmin(outdoor) < np.nanmax(outdoor) < 15


def test_the_steps_of_a_season_hold_whole_hours() -> None:
    assert [next(step for step in STEPS_H if step * STRETCHES >= hours) for hours in (168, 720, 2160, 3600)] == [1, 2, 8, 12]


def test_what_happened_at_a_station_is_marked(town: Town) -> None:
    from_ms = NOW_MS - 24 * HOUR_MS
    with town.records.begin() as connection:
        row = {"subject": f"station/{OVERDUE}", "at": NOW_MS - 30 * HOUR_MS, "event": "water.high", "body": {}}
        connection.execute(insert(events).values(row))
    marks = station_marks(town, OVERDUE, from_ms, NOW_MS)
    assert marks.stops == [(round(NOW_MS - 8.2 * HOUR_MS), NOW_MS)]
    assert marks.moments == [(NOW_MS - 2 * MINUTE_MS, "notice.due")]
    week = station_marks(town, OVERDUE, NOW_MS - 168 * HOUR_MS, NOW_MS)
    assert [event for _, event in week.moments] == ["water.high", "notice.due"]
    past = station_marks(town, "S11", NOW_MS - 25 * HOUR_MS, NOW_MS)
    assert past.stops == [(NOW_MS - 25 * HOUR_MS, NOW_MS - 20 * HOUR_MS)]
    assert station_marks(town, "S11", from_ms + 10 * HOUR_MS, NOW_MS).stops == []
    whole = station_marks(town, "S01", -1, NOW_MS)
    assert whole.moments[0] == (0, "curve.filed")


def test_marks_stand_in_local_time_and_are_spelt_only_where_there_is_room() -> None:
    moments = Moments(sample_site(Path("data")).timezone, speech("en"))
    line = Line("Supply", Trend(np.array([NOW_MS - HOUR_MS, NOW_MS]), np.array([50.0, np.nan])))
    span = (NOW_MS - HOUR_MS, NOW_MS)
    chart = trend_chart([line], [Axis()], span, moments, Marks([(NOW_MS - 60_000, NOW_MS)], [(NOW_MS - 60_000, "Link <lost>")]))
    *_, marks = chart["series"]
    local = NOW_MS - 60_000 + 8 * HOUR_MS
    assert marks["markLine"]["data"][0]["xAxis"] == marks["markArea"]["data"][0][0]["xAxis"] == local
    assert marks["markLine"]["data"][0]["label"] | {"show": True, "formatter": "Link <lost>"} == marks["markLine"]["data"][0]["label"]
    many = trend_chart([line], [Axis()], span, moments, Marks((), [(NOW_MS - n, "x") for n in range(13)]))
    assert not any(mark["label"]["show"] for mark in many["series"][-1]["markLine"]["data"])
    assert len(trend_chart([line], [Axis()], span, moments, Marks())["series"]) == 1


def test_a_reading_between_two_gaps_is_a_dot() -> None:
    at, value = np.arange(6, dtype=np.int64) * 3_600_000, np.array([19.0, np.nan, 20.0, 20.1, np.nan, 21.0])
    moments = Moments(ZoneInfo("Asia/Shanghai"), speech("zh"))
    (series,) = trend_chart([Line("x", Trend(at, value))], [Axis()], (0, 6 * 3_600_000), moments)["series"]
    assert (series["showSymbol"], series["symbol"]) == (True, "none")
    dots = [item["value"][1] for item in series["data"] if isinstance(item, dict)]
    assert dots == [19.0, 21.0]
    (series,) = trend_chart([Line("x", Trend(at[:2], value[2:4]))], [Axis()], (0, 6 * 3_600_000), moments)["series"]
    assert series["showSymbol"] is False

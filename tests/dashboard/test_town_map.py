"""The map of the stations: where they stand, what of them is told one by one, and what a refresh of 5 000 costs."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from dashboard.cards import cards
from dashboard.facts.rooms import VERDICTS
from dashboard.facts.shared import Shared
from dashboard.facts.stations import CARD, StationStates, station_states, worst_first
from dashboard.facts.town import Town
from dashboard.facts.town_map import (
    HIGHEST,
    LOWEST,
    MARGIN,
    OUTLINE_POINTS,
    SINGLE_MOST,
    WIDTH,
    background_of,
    dots,
    frame_of,
    labels_of,
    thinned,
    town_map,
)
from dashboard.facts.values import ShownColumns
from dashboard.markup import html
from dashboard.moments import Moments
from dashboard.text import speech
from dashboard.words import MAP_MARK
from domain.site import Outline, Station
from tests.dashboard.sample_town import OVERDUE, PLANNED, SILENT, STOPPED

SHOWN_STATIONS = 60  # as many cards as the wall shows


def test_every_station_of_a_small_town_has_a_mark_of_its_own_the_worst_on_top(town: Town) -> None:
    found = town_map(town, station_states(town))
    assert found is not None
    assert (len(found.marks), found.crowds, found.without_place) == (12, {}, 0)
    assert {one.station.station_id for one in found.marks[-2:]} == {STOPPED, OVERDUE}
    marks = {one.station.station_id: (one.mark, one.lost) for one in found.marks}
    assert (marks[STOPPED], marks[PLANNED], marks[SILENT]) == (("stopped", False), ("planned", False), ("unknown", True))
    assert all(MARGIN - 1 <= one.x <= WIDTH - MARGIN + 1 and 0 <= one.y <= found.height for one in found.marks)


def test_no_name_covers_another_or_a_mark_or_leaves_the_box() -> None:
    places = np.array([[500, 100], [560, 105], [980, 300], [20, 500], [500, 700], [640, 700], [360, 700]], np.int64)
    sides = labels_of(places, range(7), ["城北换热站"] * 7, few=True)
    assert sides[:4] == ["left", "right", "left", "right"]  # two neighbours turn away; at an edge it stands inward
    assert sides[4] == ""  # marks on both sides leave no room: the mark alone, whose title still names it
    assert labels_of(places, [4, 5, 6], ["城北换热站"] * 3, few=False) == ["right", "", "left"]  # the crowd's dots may be covered


def test_every_mark_has_a_name_in_the_key() -> None:
    assert set(MAP_MARK) == {"supplying", "stopped", "planned", "unknown", "unjudged"}


@pytest.mark.parametrize(("high_deg", "wide_deg"), [(0.1, 0.1), (0.3, 0.02), (0.001, 0.4), (0.0, 0.0)])
def test_north_is_up_east_is_right_and_all_of_it_is_in_the_box(high_deg: float, wide_deg: float) -> None:
    lat, lon = np.array([45.0, 45.0 + high_deg]), np.array([126.0, 126.0 + wide_deg])
    frame = frame_of(lat, lon)
    (x0, y0), (x1, y1) = frame.place(lat, lon).tolist()
    assert LOWEST <= frame.height <= HIGHEST
    assert 0 <= x0 <= x1 <= WIDTH
    assert 0 <= y1 <= y0 <= frame.height
    if high_deg == wide_deg == 0.1:  # a degree of longitude at 45° is 0.707 of one of latitude
        assert (x1 - x0) / (y0 - y1) == pytest.approx(0.707, abs=0.01)


def test_dots_on_one_place_are_drawn_once() -> None:
    assert dots(np.array([[5, 7], [5, 7], [1, 2]], np.int64)) == "M0 0m1 2h0m4 5h0"


def test_a_line_loses_what_a_screen_can_not_show_and_keeps_its_end() -> None:
    line = np.stack([np.arange(100), np.zeros(100)], axis=1).astype(np.int64)
    kept = thinned(line, 10)
    assert kept[:, 0].tolist() == [*range(0, 100, 10), 99]


def test_the_background_stays_small_and_what_lies_elsewhere_is_not_drawn() -> None:
    frame = frame_of(np.array([45.0, 45.1]), np.array([126.0, 126.1]))
    rng = np.random.default_rng(1)
    wild = [Outline(45 + rng.random(500) / 10, 126 + rng.random(500) / 10) for _ in range(100)]
    far = Outline(np.array([10.0, 11.0]), np.array([20.0, 21.0]))
    path = background_of([*wild, far], frame)
    assert path.count("M") + path.count("L") <= OUTLINE_POINTS
    assert len(path) < 20_000
    assert background_of([far], frame) == ""
    area = Outline(np.array([45.0, 45.1, 45.1]), np.array([126.0, 126.0, 126.1]), closed=True)
    assert background_of([area], frame).endswith("Z")


def large_states(stations: dict[str, Station]) -> StationStates:
    count = len(stations)
    rng = np.random.default_rng(2)
    seen = pa.table(
        {
            "station_id": list(stations),
            "heat": rng.choice(["supplying", "stopped", "unknown"], count, p=[0.9, 0.05, 0.05]).tolist(),
            "heat_since_ms": [0] * count,
            "comm": rng.choice(["ok", "lost"], count, p=[0.97, 0.03]).tolist(),
            "comm_since_ms": [0] * count,
            "data": ["good"] * count,
            "target_c": [50.0] * count,
            "outage_id": pa.nulls(count, pa.int64()),
            "planned": [False] * count,
        }
    )
    none = ShownColumns(
        np.full(count, np.nan), np.zeros(count, np.int64), np.zeros(count, np.uint8), np.ones(count, bool), np.zeros(count, bool)
    )
    return StationStates(stations, seen, dict.fromkeys(CARD, none), np.zeros((count, len(VERDICTS)), np.int64))


def test_the_map_of_five_thousand_stations_is_a_small_part_of_a_refresh(town: Town) -> None:
    rng = np.random.default_rng(3)
    stations = {
        f"S{n}": Station(f"S{n}", f"第{n}换热站", lat=41.6 + float(rng.random()) * 0.4, lon=123.2 + float(rng.random()) * 0.5)
        for n in range(5_000)
    }
    stations["S17"] = Station("S17", "无坐标")
    town.shared = Shared()
    town.site = replace(town.site, stations=stations)
    states = large_states(stations)
    found = town_map(town, states)
    assert found is not None
    assert found.without_place == 1
    assert len(found.marks) == SINGLE_MOST
    assert {one.mark for one in found.marks} <= {"stopped", "unknown", "supplying"}
    assert all(one.mark != "supplying" or one.lost for one in found.marks)
    drawn = sum(len(re.findall("h0", path)) for path in found.crowds.values()) + len(found.marks)
    assert 4_900 < drawn <= 4_999  # two on one spot are one dot
    whole = replace(found, background="L999 999" * OUTLINE_POINTS)
    moments = Moments(town.site.timezone, speech("zh"))
    shown = cards(worst_first(states, SHOWN_STATIONS), {}, moments, town.now_ms())
    values = {"cards": list(shown), "stations_all": len(states), "roomy": False}
    parts = (
        html("wall_map.html", "zh", map=whole, map_name=MAP_MARK),
        html("wall_stations.html", "zh", **values, now_ms=town.now_ms(), moments=moments, site=town.site),
    )
    assert sum(len(part.encode()) for part in parts) < 180_000  # and at most 20 kB for the counts and what changed


def test_a_site_without_coordinates_has_no_map(town: Town) -> None:
    town.shared = Shared()
    town.site = replace(town.site, stations={"S1": Station("S1")})
    assert town_map(town, large_states({"S1": Station("S1")})) is None

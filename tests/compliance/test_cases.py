"""Every rule case, through ``replay`` and through the live loop with restarts at random passes."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compliance.events import Event
from compliance.replay import replay
from domain.quantity import parse_point
from domain.reading import Readings
from domain.site import Room, Site, Station
from tests.compliance.case_file import CASES, Case, load_case
from tests.compliance.feeding import Feed

FILES = sorted(CASES.glob("*.toml"))


def replayed(case: Case) -> tuple[list[Event], int]:
    names = sorted({row[0] for row in case.rows})
    index = {name: position for position, name in enumerate(names)}
    readings = Readings.of(
        [index[name] for name, *_ in case.rows],
        [at for _, at, *_ in case.rows],
        np.array([value for _, _, value, *_ in case.rows]),
        quality=[quality for _, _, _, quality, _ in case.rows],
        received_at=[received_at for *_, received_at in case.rows],
    )
    outcome = replay(case.site, names, readings, case.until_ms)
    return outcome.events, outcome.until_ms


def with_subjects(site: Site, names: set[str]) -> Site:
    """The site with every room and station that the readings name: a live site has no others."""
    points = [parse_point(name) for name in sorted(names)]
    rooms = {point.subject_id: Room(point.subject_id) for point in points if point.kind == "room"}
    stations = {point.subject_id: Station(point.subject_id) for point in points if point.kind == "station"}
    return replace(site, rooms={**rooms, **site.rooms}, stations={**stations, **site.stations})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_replay(path: Path) -> None:
    case = load_case(path)
    events, _ = replayed(case)
    assert case.said(events) == case.expected()
    assert case.alarms is None or case.alarms_of(events) == case.alarms


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_live_loop_with_restarts(path: Path, feed: Callable[[Site], Feed]) -> None:
    case = load_case(path)
    until_ms = replayed(case)[1]
    names = {name for name, *_ in case.rows}
    live = feed(with_subjects(case.site, names))
    live.run(case.rows, until_ms, random.Random(path.stem))
    assert case.said(live.events()) == case.expected()
    assert case.alarms is None or case.alarm_lines(live.alarms()) == case.alarms

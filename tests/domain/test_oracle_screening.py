"""The screen against the table of domain.md read slowly, over random days; cut into batches at random, as the collector gets them.

``KEEPWARM_SCREEN_DAYS=5000`` makes the comparison longer, ``KEEPWARM_SCREEN_SEED=70000`` begins it elsewhere.
"""

import os
import random
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pytest

from domain.policy import Policy
from domain.reading import Quality, Readings
from domain.screening import Screen, Surroundings, screened
from domain.site import Site
from store.site_folder import load_policy
from tests.domain.oracle_screening import Row, Town
from tests.domain.screening_days import screening_day

DAYS = int(os.environ.get("KEEPWARM_SCREEN_DAYS", "40"))
FIRST = int(os.environ.get("KEEPWARM_SCREEN_SEED", "0"))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("default")


def as_readings(rows: Sequence[Row]) -> tuple[list[str], Readings]:
    names = sorted({row.point for row in rows})
    number = {name: place for place, name in enumerate(names)}
    points, at, value = [number[row.point] for row in rows], [row.at for row in rows], [row.value for row in rows]
    return names, Readings.of(points, at, value, quality=[Quality.BAD if row.bad else Quality.GOOD for row in rows])


def differences(site: Site, rows: Sequence[Row], qualities: Sequence[int]) -> list[str]:
    """Rows marked with none of the reasons that the table gives, or without one."""
    told = []
    for row, reasons, number in zip(rows, Town(site, rows).marks(), qualities, strict=True):
        found = Quality(number).name
        if not row.bad and (found not in reasons if reasons else found != "GOOD"):
            told.append(f"{row.point} {row.at}: {row.value}: {found} instead of {sorted(reasons) or 'GOOD'}")
    return told


@pytest.mark.parametrize("seed", range(FIRST, FIRST + DAYS))
def test_files_and_batches_are_marked_as_the_table_says(seed: int, policy: Policy) -> None:
    site, rows = screening_day(seed, policy)
    names, readings = as_readings(rows)
    surroundings = Surroundings(site.stations, site.rooms)
    whole = screened(names, readings, surroundings).quality
    assert differences(site, rows, whole.tolist()) == []

    chance = random.Random(seed)
    order = np.array(chance.sample(range(len(rows)), len(rows)), np.intp)  # a file's rows may stand in any order
    assert screened(names, readings.take(order), surroundings).quality.tolist() == whole[order].tolist()

    live = Screen(surroundings)  # what was measured at one instant is handed in together
    live.learn(range(len(names)), names)
    marks: list[int] = []
    batch: list[int] = []
    for _, together in groupby(range(len(rows)), key=lambda number: rows[number].at):
        batch += together
        if chance.random() < 0.2:
            marks += live(readings.take(np.array(batch, np.intp))).quality.tolist()
            batch = []
    marks += live(readings.take(np.array(batch, np.intp))).quality.tolist() if batch else []
    assert marks == whole.tolist()


def test_the_days_meet_every_line_of_the_table(policy: Policy) -> None:
    found: Counter[str] = Counter()
    for seed in range(40):
        site, rows = screening_day(seed, policy)
        found.update(reason for reasons in Town(site, rows).marks() for reason in reasons)
    lines = [
        *("RANGE", "SENTINEL", "NOT_A_NUMBER", "STUCK", "SUSPECT_RANGE", "RATE", "RETURN_ABOVE_SUPPLY", "NO_FLOW", "COUNTER_BACKWARDS"),
        *("BELOW_SECONDARY", "FEEDBACK", "PRESSURE"),
    ]
    assert {line: found[line] for line in lines if found[line] < 5} == {}

"""``replay`` against a second, slow reading of R1–R6 and R9, over random towns.

``KEEPWARM_ORACLE_TOWNS=5000`` makes the comparison longer, ``KEEPWARM_ORACLE_SEED=70000`` begins it elsewhere.
"""

import os

import pytest

from compliance.replay import replay
from domain.reading import Readings
from tests.compliance.oracle_rules import decide
from tests.compliance.oracle_towns import Town, random_town

TOWNS = int(os.environ.get("KEEPWARM_ORACLE_TOWNS", "120"))
FIRST = int(os.environ.get("KEEPWARM_ORACLE_SEED", "0"))
PARTS = ("hours", "started_at", "started_earliest", "ended_at", "stations", "kind", "rooms", "reason")

Line = tuple[int, str, str, str]


def said_by_oracle(town: Town) -> list[Line]:
    return sorted(line(*said) for said in decide(town.site, town.rows, town.to_ms))


def said_by_replay(town: Town) -> list[Line]:
    names = sorted({row[0] for row in town.rows})
    index = {name: position for position, name in enumerate(names)}
    readings = Readings.of(
        [index[row[0]] for row in town.rows],
        [row[1] for row in town.rows],
        [row[2] for row in town.rows],
        quality=[row[3] for row in town.rows],
        received_at=[row[1] if row[4] is None else row[4] for row in town.rows],
    )
    events = replay(town.site, names, readings, town.to_ms).events
    return sorted(line(event.at, event.event, event.subject, event.body) for event in events)


def line(at: int, event: str, subject: str, body: dict[str, object]) -> Line:
    """An event with the parts of it that identify the decision."""
    said = {part: body.get(part) for part in PARTS}
    if not event.startswith("alarm."):
        said["reason"] = None
    for part in ("stations", "rooms"):
        names = said[part]
        if isinstance(names, list | tuple):
            said[part] = sorted(map(str, names))
    said["hours"] = None if said["hours"] is None else float(str(said["hours"]))
    return at, event, subject, " ".join(f"{part}={value}" for part, value in said.items() if value is not None)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + TOWNS))
def test_replay_decides_what_the_rules_say(seed: int) -> None:
    town = random_town(seed)
    assert said_by_replay(town) == said_by_oracle(town)

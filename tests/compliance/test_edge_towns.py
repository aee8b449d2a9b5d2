"""Towns written as scripts of the rules' own durations: ``replay``, the oracle and the live loop with restarts decide the same.

``KEEPWARM_ORACLE_TOWNS=5000`` and ``KEEPWARM_LIVE_TOWNS=500`` make the comparisons longer, ``KEEPWARM_ORACLE_SEED=70000`` begins
them elsewhere.
A failing test names its seed: ``edge_town(SEED, policy)`` is the town.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.policy import Policy
from domain.site import Site
from tests.compliance.edge_towns import edge_town, script
from tests.compliance.feeding import Feed
from tests.compliance.oracle_rooms import HOUR, MINUTE, read
from tests.compliance.oracle_rules import decide
from tests.compliance.test_cases import with_subjects
from tests.compliance.test_late_towns import AFTER_MS, fed, said_live
from tests.compliance.test_oracle_rules import FIRST, line, said_by_oracle, said_by_replay

REPLAYED = int(os.environ.get("KEEPWARM_ORACLE_TOWNS", "40"))
WATCHED = int(os.environ.get("KEEPWARM_LIVE_TOWNS", "8"))
DECISIONS = 10  # of each kind, at least, in the towns of the first seeds: else they compare silence with silence
KINDS = [
    *("alarm.pending", "alarm.forgotten", "alarm.raised", "alarm.no_data", "alarm.cleared", "outage.opened", "outage.ended"),
    *("notice.warning", "notice.due", "complaint.opened", "complaint.attached", "curve.off", "water.high"),
]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + REPLAYED))
def test_replay_decides_what_the_rules_say(seed: int, policy: Policy) -> None:
    town = edge_town(seed, policy)
    assert said_by_replay(town) == said_by_oracle(town)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + WATCHED))
def test_the_live_loop_decides_what_the_rules_say(seed: int, policy: Policy, feed: Callable[[Site], Feed]) -> None:
    town = edge_town(seed, policy)
    to_ms = read(town.site, town.rows, None).to_ms
    live = feed(with_subjects(town.site, {name for name, *_ in town.rows}))
    fed(town.rows, to_ms + AFTER_MS, live, seed)
    assert said_live(live, to_ms) == sorted(line(*one) for one in decide(town.site, town.rows, to_ms))


def test_the_towns_come_to_decisions_of_every_kind(policy: Policy) -> None:
    found = Counter(event for seed in range(100) for _, event, _, _ in said_by_replay(edge_town(seed, policy)))
    assert {kind: found[kind] for kind in KINDS if found[kind] < DECISIONS} == {}


def test_a_script_stands_exactly_as_long_as_it_says(policy: Policy) -> None:
    """The last reading before silence stands to the end of its part; the next part begins when the silence is over."""
    parts = [(17.0, HOUR + 1), (None, 2 * HOUR), (19.0, 40 * MINUTE), (16.0, 30 * MINUTE)]
    rows = script("room/R/indoor_temp_c", 0, parts, 30 * MINUTE, 30 * MINUTE)
    instants = [0, 30 * MINUTE, 30 * MINUTE + 1, 3 * HOUR + 1, 3 * HOUR + 30 * MINUTE + 1, 3 * HOUR + 40 * MINUTE + 1]
    assert [(at, value) for _, at, value, *_ in rows] == list(zip(instants, [17.0, 17.0, 17.0, 19.0, 19.0, 16.0], strict=True))
    assert read(replace(edge_town(0, policy).site, rooms={}), rows, None).to_ms == 4 * HOUR + 10 * MINUTE + 1

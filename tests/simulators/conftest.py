"""The demo town, worlds of its scenarios, and the instant the demo starts."""

from collections.abc import Callable

import pytest

from simulators.present import Present
from simulators.scenario import load_scenario
from simulators.simulate import DEMO_START_MS
from simulators.town import Town, build_town
from simulators.world import World

PresentOf = Callable[..., Present]


@pytest.fixture(scope="session")
def town() -> Town:
    return build_town()


@pytest.fixture(scope="session")
def present_of(town: Town) -> PresentOf:
    """The town as its devices show it, some minutes after the demo's start."""

    def make(scenario: str, minutes: float = 0, hours: float = 0.1) -> Present:
        world = World(town, load_scenario(scenario, town), DEMO_START_MS, hours=hours)
        world.advance_to(DEMO_START_MS + round(minutes * 60_000))
        return Present(world)

    return make

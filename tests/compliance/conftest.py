"""A site for the rules, and the live loop over stores of its own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from domain.policy import Policy
from domain.site import Site
from store.history import open_history
from store.journal import Journal
from store.points import PointRegistry
from store.records import open_records
from store.site_folder import load_policy
from tests.compliance.feeding import ZONE, Feed


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The shipped policy."""
    return load_policy(Path("default"))


@pytest.fixture
def site(tmp_path: Path, policy: Policy) -> Site:
    """An empty site; tests replace what they need."""
    return Site("town", ZONE, policy, tmp_path, tmp_path / "data")


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[..., Feed]]:
    """Makes the live loop of a site over stores of its own."""
    made: list[Feed] = []

    def make(site: Site) -> Feed:
        folder = tmp_path / f"feed{len(made)}"
        folder.mkdir()
        own = replace(site, data=folder)
        points = PointRegistry(folder / "points.db")
        fed = Feed(own, points, Journal(folder / "journal.db"), open_history(own, points), open_records(folder / "records.db"))
        made.append(fed)
        return fed

    yield make
    for fed in made:
        fed.records.dispose()
        fed.journal.close()

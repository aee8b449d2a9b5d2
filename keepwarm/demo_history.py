"""Stores what a demo town's devices said before its start, as if it had been collected: ``python -m keepwarm.demo_history FOLDER``.

A process of its own, so that its memory is given back. Each line on stdout is the share done (0 to 1) and what is being done.
"""

import sys
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from dashboard.actions.acting import RefusedError
from dashboard.actions.calibrations import register_calibration
from dashboard.roles import Account
from domain.clock import Clock
from domain.reading import Readings
from domain.site import Site
from keepwarm.demo_town import DemoTown, clock_path, kept_town
from keepwarm.guard import end_with_parent
from keepwarm.progress import Tell
from simulators.history import record
from simulators.scenario import load_scenario
from simulators.town import build_town
from simulators.world import World
from store.history import open_history
from store.history.forward import Forwarder
from store.journal import open_journal
from store.points import PointRegistry
from store.records import records_of
from store.site_folder import load_site

HISTORY_H = 48.0
WHO = Account("demo", "admin")
# Instrument, days since its calibration, days it holds, certificate.
INSTRUMENTS = (("温度计 TH-01", 90, 365, "JL2025-1017"), ("温度计 TH-02", 400, 365, "JL2024-0388"))
GAP_MS = 5 * 60_000  # of silence that no rule notices


def store_history(folder: Path, town: DemoTown, clock: Clock, tell: Tell) -> int:
    """Stores HISTORY_H hours of readings up to the town's start, and what came since where the clock runs already; gives their number."""
    site = load_site(folder)
    layout = build_town(town.seed)
    world = World(layout, load_scenario(town.scenario, layout), town.start_ms, HISTORY_H)
    stored = 0
    with (
        closing(PointRegistry(site.data / "points.db")) as points,
        closing(open_journal(site)) as journal,
        closing(open_history(site, points)) as history,
    ):
        forwarder = Forwarder(journal, history)
        until_ms = town.start_ms
        while until_ms - world.at_ms >= GAP_MS:
            begin_ms = world.at_ms
            for block in record(world, until_ms):
                ids = np.asarray(points.ids(block.names), np.int32)
                journal.append(Readings.of(ids[block.point], block.measured_at, block.value))
                stored += len(block.point)
                tell(f"{HISTORY_H:g} h of history", (world.at_ms - begin_ms) / (until_ms - begin_ms))
            filed = 0
            while moved := forwarder.step():
                filed += moved
                tell("filing the history", min(1.0, filed / stored))
            until_ms = clock.now_ms()
    return stored


def register_instruments(site: Site, now_ms: int) -> None:
    """Registers one thermometer whose calibration holds and one whose has run out, so that a visit can be filed whole, and one wrongly."""
    today = datetime.fromtimestamp(now_ms / 1000, site.timezone).date()
    with records_of(site) as records, suppress(RefusedError):  # registered before a start that was broken off
        for name, begun_days, lasts_days, certificate in INSTRUMENTS:
            begun = today - timedelta(days=begun_days)
            register_calibration(records, WHO, name, begun, begun + timedelta(days=lasts_days), certificate, now_ms)


def _tell(what: str, share: float | None = None) -> None:
    sys.stdout.write(f"{share or 0.0:.3f} {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_with_parent()
    FOLDER = Path(sys.argv[1])
    TOWN = kept_town(FOLDER / "data")
    assert TOWN is not None
    register_instruments(load_site(FOLDER), TOWN.start_ms)
    store_history(FOLDER, TOWN, Clock.load(clock_path(FOLDER)), _tell)

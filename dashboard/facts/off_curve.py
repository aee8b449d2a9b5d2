"""Which stations are off their supply curve (R9): where an engineer begins."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import select

from dashboard.facts.stations import HEATS, OFF_TARGET_K, StationState, station_states
from dashboard.facts.town import Town
from store.records.tables import alarms

MOST: Final = 12


@dataclass(frozen=True)
class OffCurve:
    """One station. ``alarm_since`` is when its alarm was raised, None while it has been off for less than half an hour."""

    state: StationState
    alarm_since: int | None


def off_curve(town: Town) -> list[OffCurve]:
    """The stations with an alarm first, then those further off than 2 K just now while they supply; the furthest first, at most 12."""
    return town.shared.of("off_curve", lambda: _off_curve(town))


def _off_curve(town: Town) -> list[OffCurve]:
    standing = select(alarms.c.station_id, alarms.c.raised_at).where(alarms.c.kind == "curve_off", alarms.c.cleared_at.is_(None))
    raised = {str(station_id): int(at) for station_id, at in town.rows(standing)}
    states = station_states(town)
    off_k = np.where(states.heat == HEATS.index("supplying"), np.abs(np.nan_to_num(states.off_target_k)), 0.0)
    alarmed = np.array([station_id in raised for station_id in states.ids], np.bool_)
    order = np.lexsort([-off_k, ~alarmed])
    rows = order[(alarmed | (off_k > OFF_TARGET_K))[order]][:MOST]
    return [OffCurve(state, raised.get(state.station.station_id)) for state in states.at(rows)]

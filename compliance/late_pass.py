"""Stations whose readings came later than the pass keeps them are judged again, from stored readings (R4).

    late readings ─▶ last checkpoint before them ─▶ stored readings from there on ─▶ outages since ─▶ matched with the records

An outage is thereby moved, split, joined, erased, restored or found, each with its reason; nothing is told twice.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from compliance.cause import Signals
from compliance.heat import PointSeries
from compliance.series import clean_series
from compliance.station_book import StationBook
from compliance.station_state import StationState
from domain.errors import StoreError
from domain.reading import Readings
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings

FEW = 3
MOST = 20  # stations judged at once: what arrives meanwhile waits no longer than a second or two


class LatePass:
    """Judges late stations again, a few at a time."""

    def __init__(self, stations: StationBook, stores: tuple[History, Journal, PointRegistry]) -> None:
        self._stations = stations
        self._stores = stores
        self.rejudged = 0

    def at_once(self, now_ms: int, *, every: bool = False) -> Mapping[str, Signals]:
        """Judges the stations that wait within the pass itself while they are few: nothing is decided that is known better already.

        After a restart ``every`` one: what the last process found out of them is in the records.
        """
        found: dict[str, Signals] = {}
        try:
            while (every and self._stations.late()) or 0 < len(self._stations.late()) <= FEW:
                found |= self.rejudge(now_ms)
        except StoreError:  # they wait: what is decided without them is corrected later
            pass
        return found

    def rejudge(self, now_ms: int) -> Mapping[str, Signals]:
        """Judges some of the stations that wait; returns the stored signals of each, for ``IncidentPass``.

        Raises StoreError when the readings can't be read.
        """
        late = self._stations.late()[:MOST]
        if not late:
            return {}
        found = self._stored(late, now_ms)
        for station_id in late:
            self._stations.rejudge(station_id, found[station_id])
        self.rejudged += len(late)
        return found

    def _stored(self, station_ids: Sequence[str], now_ms: int) -> dict[str, dict[str, PointSeries]]:
        """The stored readings of these stations by quantity, from where they must be judged again."""
        states = [self._stations.stations[station_id] for station_id in station_ids]
        from_ms = min(state.checkpoint_before(state.late_from) - state.rules.hold_ms for state in states if state.late_from is not None)
        return stored_signals(self._stores, states, from_ms, max(now_ms + 1, *(state.judged_to for state in states)))


def stored_signals(
    stores: tuple[History, Journal, PointRegistry], states: Iterable[StationState], from_ms: int, to_ms: int
) -> dict[str, dict[str, PointSeries]]:
    """The stored good readings of these stations in [from_ms, to_ms), by station and every quantity it has.

    Raises StoreError when they can't be read.
    """
    history, journal, points = stores
    found: dict[str, dict[str, PointSeries]] = {}
    ids: dict[int, tuple[str, str]] = {}
    for state in states:
        found[state.station_id] = {}
        for quantity in state.tails:
            found[state.station_id][quantity] = _NONE
            point = points.find(f"station/{state.station_id}/{quantity}")
            if point is not None:
                ids[point] = (state.station_id, quantity)
    for point, series in by_point(read_readings(history, journal, list(ids), from_ms, to_ms), list(ids)).items():
        station_id, quantity = ids[point]
        found[station_id][quantity] = series
    return found


_NONE = PointSeries(np.empty(0, np.int64), np.empty(0, np.float64))


def by_point(readings: Readings, ids: Sequence[int]) -> Mapping[int, PointSeries]:
    """The good readings of each point, in order of time."""
    row_of = np.full(max(ids, default=-1) + 1, -1, np.int64)
    row_of[list(ids)] = np.arange(len(ids))
    series = clean_series(row_of[readings.point], readings, np.zeros(len(ids)))
    bounds = list(zip(series.starts[:-1].tolist(), series.starts[1:].tolist(), strict=True))
    return {point: PointSeries(series.at[low:high], series.value[low:high]) for point, (low, high) in zip(ids, bounds, strict=True)}

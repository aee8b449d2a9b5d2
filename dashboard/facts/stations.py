"""The stations, worst first: all of them as columns; one is put together when it is shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dashboard.facts.rooms import VERDICTS, Counts, station_counts
from dashboard.facts.table_rows import TableRows
from dashboard.facts.town import Town
from dashboard.facts.values import Shown, ShownColumns, shown_columns, station_interval_ms
from domain.site import Station

SUPPLY = "secondary_supply_temp_c"
RETURN = "secondary_return_temp_c"
FLOW = "secondary_flow_m3h"
OUTDOOR = "outdoor_temp_c"
CARD: Final = (SUPPLY, RETURN, FLOW, OUTDOOR)
OFF_TARGET_K = 2.0  # R9
HEATS: Final = ("supplying", "stopped", "unknown", "unjudged")
COMMS: Final = ("ok", "degraded", "lost", "unknown")
DATAS: Final = ("good", "suspect", "bad", "unknown")
UNSEEN: Final[Mapping[str, object]] = {
    "heat": "unknown", "heat_since_ms": None, "comm": "unknown", "comm_since_ms": None, "data": "unknown", "target_c": None,
    "outage_id": None, "planned": False,
}  # fmt: skip


@dataclass(frozen=True)
class StationState:
    """One station as it stands: what watch judged (R4), its newest values, its rooms."""

    station: Station
    heat: str
    heat_since_ms: int | None
    comm: str
    comm_since_ms: int | None
    data: str
    target_c: float | None
    outage_id: int | None
    planned: bool
    values: Mapping[str, Shown]
    rooms: Counts
    off_target_k: float | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.station.name or self.station.station_id

    @property
    def newest_at(self) -> int | None:
        """When the newest of its values was measured."""
        known = [shown.measured_at for shown in self.values.values() if shown.measured_at is not None]
        return max(known) if known else None


class StationStates(Mapping[str, StationState]):
    """Every station of the site, in the order of its file. One that watch has not seen is unknown in everything.

    The columns: ``heat``, ``comm`` and ``data`` are places in ``HEATS``, ``COMMS``, ``DATAS``; ``rooms`` has a column for each of
    ``VERDICTS``; ``off_target_k`` is how far the secondary supply is from the curve's target, NaN where either is not known now.
    """

    def __init__(
        self,
        stations: Mapping[str, Station],
        seen: pa.Table,
        values: Mapping[str, ShownColumns],
        rooms: NDArray[np.int64],
        rows: TableRows | None = None,
    ) -> None:
        self._stations = stations
        self._rows = rows or TableRows(stations)
        self._seen = seen
        self._seen_at = self._rows.places(seen["station_id"])
        self._values = values
        self.ids = list(stations)
        self.rooms = rooms
        self.heat = self._codes("heat", HEATS)
        self.comm = self._codes("comm", COMMS)
        self.data = self._codes("data", DATAS)
        self.planned = self._of_seen(seen["planned"].to_numpy(), False)
        target_c = self._of_seen(seen["target_c"].to_numpy().astype(float), np.nan)
        supply = values[SUPPLY]
        self.off_target_k = np.where(supply.known & ~supply.stale, supply.value - target_c, np.nan)

    def __getitem__(self, station_id: str) -> StationState:
        return self.at([self._rows.row(station_id)])[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stations)

    def __len__(self) -> int:
        return len(self._stations)

    def at(self, rows: Sequence[int] | NDArray[np.integer]) -> list[StationState]:
        """The stations in these rows of the columns."""
        places = self._seen_at[np.asarray(rows, np.intp)]
        judged = iter(self._seen.take(pa.array(places[places >= 0])).to_pylist())
        return [self._state(int(row), UNSEEN if place < 0 else next(judged)) for row, place in zip(rows, places, strict=True)]

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """Rows, worst first: no heat, heat unknown, no link, bad data, rooms below their limit, off the curve; then as in the file."""
        stopped, unknown = self.heat == HEATS.index("stopped"), self.heat == HEATS.index("unknown")
        heat = np.where(stopped, np.where(self.planned, 1.0, 3.0), np.where(unknown, 2.0, 0.0))
        link = np.array([0.0, 1.0, 2.0, 0.0])[self.comm]
        data = np.array([0.0, 0.5, 1.0, 0.0])[self.data]
        low = np.round(self.rooms[:, VERDICTS.index("breach")] / np.maximum(1, self.rooms.sum(axis=1)), 2)
        off = np.abs(np.nan_to_num(self.off_target_k))
        return np.lexsort([-np.round(np.where(off > OFF_TARGET_K, off, 0.0)), -low, -data, -link, -heat])

    def heat_counts(self) -> "Heat":
        """Stations by heat state."""
        supplying, stopped, unknown, unjudged = np.bincount(self.heat, minlength=len(HEATS)).tolist()
        planned = int(np.count_nonzero(self.planned & (self.heat == HEATS.index("stopped"))))
        return Heat(supplying, stopped - planned, planned, unknown, unjudged, int(np.count_nonzero(self.comm == COMMS.index("lost"))))

    def outdoor_c(self) -> float | None:
        """The town's outdoor temperature: the median of what stations measure now."""
        known = np.sort(self._values[OUTDOOR].value[self._values[OUTDOOR].good])
        return float(known[len(known) // 2]) if len(known) else None

    def _state(self, row: int, judged: Mapping[str, Any]) -> StationState:
        off_k = float(self.off_target_k[row])
        return StationState(
            station=self._stations[self.ids[row]],
            **{name: judged[name] for name in UNSEEN},
            values={name: column.at(row, name) for name, column in self._values.items()},
            rooms=Counts(*self.rooms[row].tolist()),
            off_target_k=None if np.isnan(off_k) else off_k,
        )

    def _codes(self, name: str, words: Sequence[str]) -> NDArray[np.intp]:
        codes = pc.fill_null(pc.index_in(self._seen[name], pa.array(words)), words.index("unknown")).to_numpy()
        return self._of_seen(codes, words.index("unknown")).astype(np.intp)

    def _of_seen(self, column: NDArray[Any], unseen: object) -> NDArray[Any]:
        found = np.full(len(self._stations), unseen, column.dtype)
        here = self._seen_at >= 0
        found[here] = column[self._seen_at[here]]
        return found


@dataclass(frozen=True)
class Heat:
    """Stations by heat state; a planned stop counts apart."""

    supplying: int
    stopped: int
    planned: int
    unknown: int
    unjudged: int
    link_lost: int


def station_states(town: Town) -> StationStates:
    """Every station of the site as it stands. Raises StoreError when watch's tables can't be read."""
    return town.shared.of("station_states", lambda: _station_states(town))


def _station_states(town: Town) -> StationStates:
    columns = shown_columns(town, _card_ids(town), _card_intervals(town))
    values = dict(zip(CARD, columns.split(len(CARD)), strict=True))
    rows = town.shared.of("station_rows", lambda: TableRows(town.site.stations), life_s=float("inf"))
    return StationStates(town.site.stations, town.live().stations, values, station_counts(town), rows)


def _card_ids(town: Town) -> NDArray[np.intp]:
    """The points that the cards show, quantity by quantity. They are looked up by name only when points have come."""

    def look_up() -> NDArray[np.intp]:
        return np.array(town.point_ids([f"station/{station_id}/{name}" for name in CARD for station_id in town.site.stations]), np.intp)

    town.points.refresh()
    return town.shared.of(("card_ids", len(town.points)), look_up, life_s=float("inf"))


def _card_intervals(town: Town) -> NDArray[np.int64]:
    def look_up() -> NDArray[np.int64]:
        return np.tile(np.array(list(station_interval_ms(town).values()), np.int64), len(CARD))

    return town.shared.of("card_intervals", look_up, life_s=float("inf"))


def worst_first(states: StationStates, most: int | None = None) -> list[StationState]:
    """The stations in the order in which they need somebody, as many as asked for."""
    return states.at(states.order[:most])

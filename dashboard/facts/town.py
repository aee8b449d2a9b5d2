"""One site as the dashboard knows it: its stores, opened once per process, and what is shared from them."""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import CompoundSelect, Engine, Select
from sqlalchemy.exc import SQLAlchemyError

from dashboard.facts.shared import Shared, Value
from domain.clock import Clock
from domain.curve import FiledCurve
from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Building, Room, Site
from store.history import open_history
from store.history.protocol import History
from store.journal import open_journal
from store.live import Live, read_live
from store.points import PointRegistry
from store.readings import read_readings, read_rollup
from store.recent import Newest, Recent
from store.records import RecordsMark, open_records, reading
from store.records.filed_curves import filed_curves, in_force
from store.rollup import Rollup

KEPT_S: Final = 60.0  # of what the records tell: some rows leave their list by the hour alone, after a week

_log = structlog.get_logger()


@dataclass
class Trouble:
    """A store that could not be read, and since when (clock time)."""

    store: str
    since_ms: int
    reason: str


class Town:
    """Read-only access to everything about one site, for all viewers at once. Instants in UTC milliseconds of ``clock``."""

    districts: frozenset[str] = frozenset()  # those it ends at the border of; none for the whole town

    def __init__(self, site: Site, clock: Clock) -> None:
        site.data.mkdir(parents=True, exist_ok=True)
        self.whole = self  # of a part of a town, the town that it is a part of
        self.site = site
        self.clock = clock
        self.records: Engine = open_records(site.records_url or site.data / "records.db")
        self.shared = Shared()
        self._records_mark = RecordsMark(self.records)
        self.points = PointRegistry(site.data / "points.db")
        self.journal = open_journal(site)
        self.history: History = open_history(site, self.points)
        self._recent: Recent | None = None
        self._recent_lock = threading.Lock()
        self._troubles: dict[str, Trouble] = {}

    def close(self) -> None:
        """Gives the stores back."""
        self._records_mark.close()
        self.records.dispose()
        self.history.close()
        self.journal.close()
        self.points.close()

    def now_ms(self) -> int:
        """The instant it is now on the site's clock."""
        return self.clock.now_ms()

    @property
    def troubles(self) -> list[Trouble]:
        """The stores that can't be read at present: the page says so."""
        return list(self._troubles.values())

    @contextmanager
    def asking(self, store: str) -> Iterator[None]:
        """Notes since when a store can't be read; raises StoreError for whatever its libraries raise."""
        try:
            yield
        except (StoreError, SQLAlchemyError) as error:
            if store not in self._troubles:
                _log.warning("store can't be read", store=store, reason=str(error))
            self._troubles.setdefault(store, Trouble(store, self.now_ms(), str(error)))
            raise StoreError(f"{store}: {error}") from error
        if self._troubles.pop(store, None):
            _log.info("store can be read again", store=store)

    def live(self) -> Live:
        """What watch saw last. Raises StoreError when the files can't be read."""
        return self.shared.of("live", self._read_live)

    def newest(self, names: Sequence[str], *, usable: bool = False) -> Newest:
        """The newest reading of each point, in their order; ``usable`` passes over bad ones.

        While the journal can't be read these grow older: their instants tell.
        """
        return self.newest_of(self.point_ids(names), usable=usable)

    def newest_of(self, points: Sequence[int] | NDArray[np.integer], *, usable: bool = False) -> Newest:
        """As ``newest``, for the registry's ids (−1 for a point that never had a reading): for all points of a town at once."""
        with self._recent_lock:
            return self._recent_now().of_ids(points, usable=usable)

    def _recent_now(self) -> Recent:
        if self._recent is None:
            with self.asking("journal"):
                self._recent = Recent(self.journal, self.history, self.points)
        with suppress(StoreError):
            self.shared.of("recent", self._refresh)
        return self._recent

    def readings(self, names: Sequence[str], from_ms: int, to_ms: int) -> tuple[list[int], Readings]:
        """The ids of these points (−1 for one that never had a reading) and their readings in [from_ms, to_ms).

        Raises StoreError when the history or the journal can't be read.
        """
        ids = self.point_ids(names)
        known = [point for point in ids if point >= 0]
        if not known:
            return ids, Readings.empty()
        with self.asking("history"):
            return ids, read_readings(self.history, self.journal, known, from_ms, to_ms)

    def rollup(self, names: Sequence[str], from_ms: int, to_ms: int, step_ms: int) -> tuple[list[int], Rollup]:
        """The ids of these points (−1 for one that never had a reading) and what their readings did in each stretch of [from_ms, to_ms).

        Raises StoreError when the history or the journal can't be read.
        """
        ids = self.point_ids(names)
        known = [point for point in ids if point >= 0]
        if not known:
            return ids, Rollup.empty()
        with self.asking("history"):
            return ids, read_rollup(self.history, self.journal, known, from_ms, to_ms, step_ms)

    def point_names(self) -> list[str]:
        """Every point that ever had a reading, in order."""
        self.points.refresh()
        return sorted(self.points.names().values())

    def point_ids(self, names: Sequence[str]) -> list[int]:
        """The id of each point; −1 for one that never had a reading."""
        ids = [-1 if point is None else point for point in map(self.points.find, names)]
        if -1 in ids and self.points.refresh():
            ids = [-1 if point is None else point for point in map(self.points.find, names)]
        return ids

    def rows(self, query: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]], **values: object) -> list[tuple[Any, ...]]:
        """The rows of a query over the records, ``values`` for its named parameters. Raises StoreError when they can't be read."""
        with self.asking("records"), reading(self.records).connect() as connection:
            return [tuple(row) for row in connection.execute(query, values)]

    def of_records(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """What the records alone tell, whatever the hour: computed anew as soon as anything is stored there, and every minute.

        What depends on the moment is to be picked out of it when it is asked for.
        """
        return self.shared.of(key, compute, life_s=KEPT_S, mark=self.records_mark())

    def records_mark(self) -> object:
        """Another one than before when anything was stored in the records; on PostgreSQL another one at every moment."""
        whole = self.whole
        return whole.shared.of("records_mark", whole._records_mark.now)  # noqa: SLF001 - the one of the town this is a part of

    def curves(self, station_id: str) -> tuple[FiledCurve, ...]:
        """A station's filed curves, those of the records included; the site's own while the records can't be read."""
        try:
            filed = self.shared.of("curves", self._filed_curves, life_s=5.0)
        except StoreError:
            filed = self.site.curves
        return filed.get(station_id, ())

    def _filed_curves(self) -> dict[str, tuple[FiledCurve, ...]]:
        with self.asking("records"), reading(self.records).connect() as connection:
            return in_force(self.site, filed_curves(connection))

    @cached_property
    def station_of_room(self) -> dict[str, str]:
        """Room → the station that feeds it, by the room's own row or its building's."""
        found = {}
        for room in self.site.rooms.values():
            building = self.site.buildings.get(room.building_id or "")
            station_id = room.station_id or (building.station_id if building else None)
            if station_id:
                found[room.room_id] = station_id
        return found

    @cached_property
    def buildings_of_station(self) -> dict[str, list[Building]]:
        """Station → the buildings it feeds, in the order of the files."""
        found: dict[str, list[Building]] = {}
        for building in self.site.buildings.values():
            if building.station_id:
                found.setdefault(building.station_id, []).append(building)
        return found

    @cached_property
    def rooms_of_building(self) -> dict[str, tuple[Room, ...]]:
        """Building → its rooms, in the order of the files."""
        found: dict[str, list[Room]] = {}
        for room in self.site.rooms.values():
            if room.building_id:
                found.setdefault(room.building_id, []).append(room)
        return {building_id: tuple(rooms) for building_id, rooms in found.items()}

    @cached_property
    def rooms_of_station(self) -> dict[str, tuple[Room, ...]]:
        """Station → the rooms that it feeds, in the order of the files."""
        found: dict[str, list[Room]] = {}
        for room_id, station_id in self.station_of_room.items():
            found.setdefault(station_id, []).append(self.site.rooms[room_id])
        return {station_id: tuple(rooms) for station_id, rooms in found.items()}

    def _read_live(self) -> Live:
        with self.asking("live"):
            return read_live(self.site.data / "live")

    def _refresh(self) -> None:
        assert self._recent is not None
        with self.asking("journal"):
            self._recent.refresh()

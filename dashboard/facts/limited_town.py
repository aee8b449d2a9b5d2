"""The town as somebody sees it who is limited to some of its districts: every way in is narrowed, so that no page need think of it.

site, live tables, points ─▶ by ``Reach``        records ─▶ every statement, row by row (``store.records.narrowed``)
"""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dashboard.facts.shared import Scoped
from dashboard.facts.town import Town
from domain.reach import Reach
from store.live import Live
from store.points import PointRegistry
from store.recent import Newest
from store.records.narrowed import narrowed

NOWHERE: Final = frozenset({""})  # no station stands in a district without a name


def within(town: Town, districts: Collection[str]) -> Town:
    """The town as far as these districts reach; the whole town without any."""
    if not districts:
        return town
    chosen = frozenset(districts)
    return town.shared.of(("within", chosen), lambda: LimitedTown(town, Reach.of(town.site, chosen)), life_s=float("inf"))


class LimitedTown(Town):
    """A town that ends at the border of some districts. It owns nothing: its stores are those of the whole town."""

    def __init__(self, whole: Town, reach: Reach) -> None:
        self.whole = whole
        self.reach = reach
        self.districts = frozenset(reach.districts)
        self.site = reach.narrowed(whole.site)
        self.clock = whole.clock
        self.records = narrowed(whole.records, reach)
        self.shared = Scoped(whole.shared, reach.districts)
        self.points = PointsWithin(whole.points, reach)
        self.journal = whole.journal
        self.history = whole.history
        self._troubles = whole._troubles  # noqa: SLF001 - one list of what can't be read

    def close(self) -> None:
        """Nothing of this is its own."""

    def newest_of(self, points: Sequence[int] | NDArray[np.integer], *, usable: bool = False) -> Newest:
        """As of the whole town; ids out of reach are none."""
        ids = np.asarray(points, np.int64)
        seen = np.isin(ids, np.fromiter(self.points.names(), np.int64))
        return self.whole.newest_of(np.where(seen, ids, -1), usable=usable)

    def _read_live(self) -> Live:
        live = self.whole.live()
        return Live(
            live.judged_at_ms, _only(live.rooms, "room_id", self.reach.rooms), _only(live.stations, "station_id", self.reach.stations)
        )


class PointsWithin(PointRegistry):
    """The registry of points as far as a reach goes; it registers none."""

    def __init__(self, whole: PointRegistry, reach: Reach) -> None:
        self._whole = whole
        self._reach = reach
        self._seen: tuple[int, dict[int, str]] = (-1, {})

    def __len__(self) -> int:
        return len(self.names())

    def ids(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The ids of points that are known and in reach. Raises KeyError for another one."""
        found = [self.find(name) for name in names]
        if None in found:
            raise KeyError(names[found.index(None)])
        return np.array(found, np.int32)

    def name(self, point: int) -> str:
        """The name of a point in reach. Raises KeyError for another one."""
        return self.names()[point]

    def names(self) -> dict[int, str]:
        """The points in reach."""
        if self._seen[0] != len(self._whole):
            self._seen = (len(self._whole), {point: name for point, name in self._whole.names().items() if self._reach.sees(name)})
        return self._seen[1]

    def find(self, name: str) -> int | None:
        """The id of a point in reach, None for another one."""
        return self._whole.find(name) if self._reach.sees(name) else None

    def refresh(self) -> int:
        """As of the whole registry."""
        return self._whole.refresh()

    def close(self) -> None:
        """The whole registry is closed by its owner."""


def _only(table: pa.Table, column: str, names: Collection[str]) -> pa.Table:
    return table.filter(pc.is_in(table[column], pa.array(sorted(names), pa.string())))

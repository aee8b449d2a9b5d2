"""How many rooms keep the promise: by station, by building, and for the town. Unknown is the third bucket, always shown (R2)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import func, select

from dashboard.facts.table_rows import TableRows
from dashboard.facts.town import Town
from store.records.tables import room_days

VERDICTS: Final = ("compliant", "breach", "unknown", "unjudged")
UNKNOWN: Final = VERDICTS.index("unknown")
DAY_LIFE_S: Final = 10.0  # watch computes the day as often at most: of a large town it takes longer
DAY_KEPT_S: Final = 60.0  # for how long sums are kept that watch seems not to have computed anew
DAY_ROOMS: Final = 60


@dataclass(frozen=True)
class Counts:
    """Rooms by verdict at one instant."""

    compliant: int = 0
    breach: int = 0
    unknown: int = 0
    unjudged: int = 0

    @property
    def judged(self) -> int:
        """Rooms that are judged at all."""
        return self.compliant + self.breach + self.unknown

    @property
    def rooms(self) -> int:
        """All rooms."""
        return self.judged + self.unjudged

    @property
    def rate(self) -> float | None:
        """Compliant among those known; None when nothing is known."""
        known = self.compliant + self.breach
        return self.compliant / known if known else None

    @property
    def coverage(self) -> float | None:
        """Known among those judged; None when nothing is judged."""
        return (self.compliant + self.breach) / self.judged if self.judged else None


@dataclass(frozen=True)
class RoomState:
    """One room as watch judged it last, or as unknown where it has not."""

    room_id: str
    verdict: str
    since_ms: int | None
    value_c: float | None
    measured_at: int | None
    limit_c: float | None
    alarm: str
    alarm_since_ms: int | None
    no_data: bool

    @classmethod
    def unseen(cls, room_id: str) -> "RoomState":
        """A room of which watch said nothing."""
        return cls(room_id, "unknown", None, None, None, None, "normal", None, no_data=False)


@dataclass(frozen=True)
class Day:
    """R2 over all rooms for one local day, as computed at ``computed_at``: seconds' sums, then ratios."""

    rate: float | None
    coverage: float | None
    unknown_share: float | None
    computed_at: int | None


class Verdicts:
    """The verdict of every room of the site as columns, in the order of its files; a room watch has not seen is unknown."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._rows = TableRows(town.site.rooms)
        self._station = _groups(town.site.rooms, town.station_of_room, town.site.stations)
        in_building = {room.room_id: room.building_id or "" for room in town.site.rooms.values()}
        self._building = _groups(town.site.rooms, in_building, town.site.buildings)
        self._buildings = {name: row for row, name in enumerate(town.site.buildings)}

    def codes(self) -> NDArray[np.int64]:
        """For each room the place of its verdict in ``VERDICTS``."""
        return self._town.shared.of("verdict_codes", self._codes)

    def _codes(self) -> NDArray[np.int64]:
        table = self._town.live().rooms
        rows = self._rows.rows(table["room_id"])
        seen = pc.index_in(table["verdict"], pa.array(VERDICTS)).to_numpy()
        found = np.full(len(self._rows), UNKNOWN, np.int64)
        here = rows >= 0
        found[rows[here]] = seen[here]
        return found

    def by_station(self) -> NDArray[np.int64]:
        """Rooms by verdict: a row for each station of the site, a column for each of ``VERDICTS``."""
        return _tally(self.codes(), self._station, len(self._town.site.stations) + 1)[:-1]

    def by_building(self) -> Mapping[str, Counts]:
        """Rooms by verdict for each building of the site."""
        return TallyByName(self._buildings, _tally(self.codes(), self._building, len(self._buildings) + 1))

    def all(self) -> Counts:
        """Rooms by verdict."""
        return Counts(*np.bincount(self.codes(), minlength=len(VERDICTS)).tolist())


class TallyByName(Mapping[str, Counts]):
    """Counts by name, made of a tally's rows as they are asked for: a page shows those of a few buildings out of thousands."""

    def __init__(self, row_of: Mapping[str, int], tally: NDArray[np.int64]) -> None:
        self._row_of = row_of
        self._tally = tally

    def __getitem__(self, name: str) -> Counts:
        """The counts of this name. Raises KeyError for one there is not."""
        return Counts(*self._tally[self._row_of[name]].tolist())

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._row_of)

    def __len__(self) -> int:
        """How many names."""
        return len(self._row_of)


def _groups(rooms: Iterable[str], group_of: Mapping[str, str], names: Iterable[str]) -> NDArray[np.intp]:
    """For each room the place of its group among the names; behind the last where it has none."""
    place = {name: row for row, name in enumerate(names)}
    return np.array([place.get(group_of.get(room_id, ""), len(place)) for room_id in rooms], np.intp)


def _tally(codes: NDArray[np.int64], groups: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    return np.bincount(groups * len(VERDICTS) + codes, minlength=count * len(VERDICTS)).reshape(-1, len(VERDICTS))


def verdicts(town: Town) -> Verdicts:
    """The verdicts of this town's rooms."""
    return town.shared.of("verdicts", lambda: Verdicts(town), life_s=float("inf"))


def town_counts(town: Town) -> Counts:
    """All rooms by verdict."""
    return town.shared.of("town_counts", lambda: verdicts(town).all())


def station_counts(town: Town) -> NDArray[np.int64]:
    """Rooms by verdict: a row for each station of the site, a column for each of ``VERDICTS``."""
    return town.shared.of("station_counts", lambda: verdicts(town).by_station())


def building_counts(town: Town) -> Mapping[str, Counts]:
    """Rooms by verdict for each building."""
    return town.shared.of("building_counts", lambda: verdicts(town).by_building())


def room_states(town: Town, room_ids: Collection[str]) -> dict[str, RoomState]:
    """These rooms as watch judged them last, in the order given; one it has not seen is unknown."""
    table = town.live().rooms
    wanted = table.filter(pc.is_in(table["room_id"], pa.array(room_ids, pa.string())))
    seen = {row["room_id"]: RoomState(**row) for row in wanted.to_pylist()}
    return {room_id: seen.get(room_id) or RoomState.unseen(room_id) for room_id in room_ids}


def day_figures(town: Town, day: str) -> Day:
    """The figures of one local day (``2026-01-15``) over all rooms."""

    def figures() -> Day:
        return town.shared.of(("day", day), lambda: _day_figures(town, day), life_s=DAY_KEPT_S, mark=_computed_at(town, day))

    return town.shared.of(("day_seen", day), figures, life_s=DAY_LIFE_S)


def _computed_at(town: Town, day: str) -> list[tuple[Any, ...]]:
    """When the figures of some rooms were computed, of stations all over the town: a node computes those of all its rooms at once."""
    asked = town.shared.of("day_rooms", lambda: _spread(town), life_s=float("inf"))
    columns = room_days.c
    return town.rows(select(columns.room_id, columns.computed_at).where(columns.day == day, columns.room_id.in_(asked)))


def _spread(town: Town) -> list[str]:
    """Some rooms, of as many stations."""
    rooms = list({station_id: room_id for room_id, station_id in town.station_of_room.items()}.values()) or list(town.site.rooms)
    return rooms[:: -(-len(rooms) // DAY_ROOMS) or 1]


def _day_figures(town: Town, day: str) -> Day:
    sums = [func.sum(column) for column in (room_days.c.compliant_ms, room_days.c.breach_ms, room_days.c.unknown_ms)]
    rows = town.rows(select(*sums, func.max(room_days.c.computed_at)).where(room_days.c.day == day))
    compliant, breach, unknown = (int(value or 0) for value in rows[0][:3])
    known, judged = compliant + breach, compliant + breach + unknown
    return Day(
        compliant / known if known else None,
        known / judged if judged else None,
        unknown / judged if judged else None,
        rows[0][3],
    )

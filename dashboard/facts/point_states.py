"""Every point of the town and how its data stands, worst first: columns, so that 350 000 points take a moment only.

registry and profiles ─▶ the points there should be ─▶ their newest readings ─▶ state of each ─▶ counts · the worst that are wanted
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.facts.town import Town
from domain.profile import ModbusProfile, OpcUaProfile
from domain.quantity import parse_point
from domain.reading import FIRST_BAD, Quality
from domain.site import Device, Site

GAP_INTERVALS: Final = 3
LIFE_S: Final = 2.0
PAGE: Final = 60

# Worst first: as they are counted and listed.
POINT_STATES: Final = ("bad", "stuck", "late", "never", "suspect", "good")
BAD, STUCK, LATE, NEVER, SUSPECT, GOOD = range(len(POINT_STATES))


@dataclass(frozen=True)
class PointTable:
    """All points of stations and rooms there are or should be: n names and columns. ``point`` is −1 where there never was a reading.

    ``hold_ms`` is how long a reading of it stands (R2); ``station`` the place of its station in ``stations``, −1 for none.
    """

    names: Sequence[str]
    point: NDArray[np.int32]
    is_room: NDArray[np.bool_]
    hold_ms: NDArray[np.int64]
    station: NDArray[np.int32]
    stations: Sequence[str]


@dataclass(frozen=True)
class PointRow:
    """One point. ``usable_at`` is when its last usable reading was measured; ``quality`` is that of the newest one."""

    name: str
    station_id: str
    state: str
    usable_at: int | None
    value: float | None
    quality: int

    @property
    def quantity(self) -> str:
        """What it measures."""
        return parse_point(self.name).quantity


@dataclass(frozen=True)
class PointStates:
    """The table and the state (an index of ``POINT_STATES``) of each point; ``usable_at`` 0 and ``value`` NaN where there is none."""

    table: PointTable
    state: NDArray[np.int8]
    usable_at: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @property
    def counts(self) -> dict[str, int]:
        """How many points are in each state."""
        return dict(zip(POINT_STATES, np.bincount(self.state, minlength=len(POINT_STATES)).tolist(), strict=True))

    def row(self, place: int) -> PointRow:
        """One point of the table."""
        at, value, station = int(self.usable_at[place]), float(self.value[place]), int(self.table.station[place])
        return PointRow(
            self.table.names[place],
            self.table.stations[station] if station >= 0 else "",
            POINT_STATES[self.state[place]],
            at or None,
            value if at else None,
            int(self.quality[place]),
        )


def point_states(town: Town) -> PointStates:
    """The state of every point. Raises StoreError when neither journal nor history was ever read."""
    return town.shared.of("point_states", lambda: _point_states(town), life_s=LIFE_S)


def _point_states(town: Town) -> PointStates:
    table = point_table(town)
    latest, usable = town.newest_of(table.point), town.newest_of(table.point, usable=True)
    state = states(table, latest.known, latest.quality, usable.measured_at, town.now_ms())
    return PointStates(table, state, usable.measured_at, usable.value, latest.quality)


def states(
    table: PointTable, known: NDArray[np.bool_], quality: NDArray[np.uint8], usable_at: NDArray[np.int64], now_ms: int
) -> NDArray[np.int8]:
    """The state of each point, by its newest reading and its last usable one.

    A point is late when no reading of it stands any more (R2), whatever its quality said before.
    """
    late = now_ms - usable_at > table.hold_ms
    bad = quality >= FIRST_BAD
    return np.select(
        [~known, bad & (quality == Quality.STUCK), bad, late, quality > Quality.GOOD],
        [np.int8(NEVER), np.int8(STUCK), np.int8(BAD), np.int8(LATE), np.int8(SUSPECT)],
        default=np.int8(GOOD),
    )


@dataclass(frozen=True)
class WantedPoints:
    """A filter: ``state`` and ``kind`` (station, room) are empty for all, ``state`` ``not_good`` for all but good ones.

    ``text`` is part of a point's name, or of its station's; ``page`` counts from 1.
    """

    state: str = "not_good"
    kind: str = ""
    text: str = ""
    page: int = 1


def wanted_points(town: Town, wanted: WantedPoints) -> tuple[list[PointRow], int]:
    """One page of the points that are wanted, the worst first (the last page where there are fewer), and how many are wanted."""
    places = town.shared.of(("wanted_points", replace(wanted, page=1)), lambda: _wanted_points(town, wanted), life_s=LIFE_S)
    page = max(1, min(wanted.page, -(-len(places) // PAGE)))
    found = point_states(town)
    return [found.row(place) for place in places[(page - 1) * PAGE : page * PAGE].tolist()], len(places)


def _wanted_points(town: Town, wanted: WantedPoints) -> NDArray[np.intp]:
    """The places in the table of those that are wanted, the worst first."""
    found = point_states(town)
    keep = np.ones(len(found.state), np.bool_)
    if wanted.state == "not_good":
        keep &= found.state != GOOD
    elif wanted.state:
        keep &= found.state == POINT_STATES.index(wanted.state)
    if wanted.kind:
        keep &= found.table.is_room == (wanted.kind == "room")
    places = np.flatnonzero(keep)
    if wanted.text:
        places = places[_speaking_of(town, found.table, places, wanted.text)]
    return places[np.lexsort((places, found.usable_at[places], found.state[places]))]


def _speaking_of(town: Town, table: PointTable, places: NDArray[np.intp], text: str) -> NDArray[np.bool_]:
    sought = text.casefold()
    stations = np.array([sought in station.name.casefold() for station in town.site.stations.values()], np.bool_)
    named = np.fromiter((sought in table.names[place].casefold() for place in places.tolist()), np.bool_, len(places))
    of_station = table.station[places]
    return named | (of_station >= 0) & stations[of_station] if len(stations) else named


# ── the points there should be ────────────────────────────────────────────────────────────────────────────────────────


def point_table(town: Town) -> PointTable:
    """The table, made anew only when the registry has grown."""
    town.points.refresh()
    return town.shared.of(("point_table", len(town.points)), lambda: _point_table(town), life_s=float("inf"))


def _point_table(town: Town) -> PointTable:
    site = town.site
    stations, station_hold_ms = {station_id: place for place, station_id in enumerate(site.stations)}, station_holds_ms(site)
    names: list[str] = []
    columns: list[tuple[int, bool, int, int]] = []
    known = town.points.names()
    expected = set(expected_points(site)).difference(known.values())
    for point, name in [*known.items(), *((-1, name) for name in sorted(expected))]:
        kind, subject_id, _ = parse_point(name)
        if kind == "station" and subject_id in stations:
            columns.append((point, False, station_hold_ms[subject_id], stations[subject_id]))
        elif kind == "room" and subject_id in site.rooms:
            place = stations.get(town.station_of_room.get(subject_id, ""), -1)
            columns.append((point, True, site.hold_ms(site.rooms[subject_id]), place))
        else:
            continue
        names.append(name)
    cells = np.array(columns, np.int64).reshape(-1, 4)
    return PointTable(names, cells[:, 0].astype(np.int32), cells[:, 1] != 0, cells[:, 2], cells[:, 3].astype(np.int32), list(stations))


def expected_points(site: Site) -> Iterable[str]:
    """The points of which the site's folder says that there are: what the devices' profiles read, and each room's temperature."""
    for device in site.devices.values():
        for name in _quantities(site, device):
            yield f"station/{device.station_id}/{name}"
    for room_id in site.rooms:
        yield f"room/{room_id}/indoor_temp_c"


def _quantities(site: Site, device: Device) -> list[str]:
    profile = site.profiles.get(device.profile)
    if isinstance(profile, ModbusProfile):
        return [register.quantity for register in profile.registers]
    if isinstance(profile, OpcUaProfile):
        return [node.quantity for node in profile.nodes]
    return []


def station_holds_ms(site: Site) -> dict[str, int]:
    """How long a reading of each station stands (R4): the site's hold, and three intervals of its slowest device at least."""
    slowest_ms = dict.fromkeys(site.stations, 0)
    for device in site.devices.values():
        slowest_ms[device.station_id] = max(slowest_ms.get(device.station_id, 0), round(device.interval_s * 1000))
    hold_ms = round(site.station_hold_min * 60_000)
    return {station_id: max(hold_ms, GAP_INTERVALS * every_ms) for station_id, every_ms in slowest_ms.items()}

"""From raised room alarms to complaints (R6): one for a room, a building or a station, the largest scope first.

raised at one instant ─▶ open complaint? append ─▶ under an open outage? attach to it ─▶ suspect sensor? maintenance
                      └▶ count ─▶ station rolls up? ─▶ building rolls up? ─▶ room
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from domain.site import Building, Room

WINDOW_MS = 2 * 3_600_000
BUILDING_ROOMS = 5
BUILDING_SHARE = 0.20
STATION_BUILDINGS = 2
STATION_SHARE = 0.5

Kind = Literal["room", "building", "station", "maintenance"]


@dataclass(frozen=True)
class RaisedRoom:
    """A room whose alarm is raised, and why it may not become a complaint.

    ``covered_by`` names the open outage over it, ``shelved`` that a person shelved it, ``suspicion`` what is wrong with the sensor.
    """

    room_id: str
    covered_by: str | None = None
    shelved: bool = False
    suspicion: str | None = None


@dataclass(frozen=True)
class ComplaintChange:
    """A complaint opened, or rooms attached to an open one. ``subject`` is ``room/ID``, ``building/ID`` or ``station/ID``."""

    at: int
    opened: bool
    kind: Kind
    subject: str
    rooms: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class Estate:
    """Which rooms belong to which building, and which buildings to which station; the roll-up's denominators."""

    building_of: Mapping[str, str]
    station_of: Mapping[str, str]
    rooms_in: Mapping[str, int]
    buildings_of: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, rooms: Iterable[Room], buildings: Iterable[Building]) -> "Estate":
        """From the rows of rooms.csv and buildings.csv; what one leaves out the other may say."""
        fed_by = {building.building_id: building.station_id for building in buildings if building.station_id}
        building_of: dict[str, str] = {}
        station_of: dict[str, str] = {}
        rooms_in: dict[str, int] = {}
        for room in rooms:
            if room.building_id:
                building_of[room.room_id] = room.building_id
                rooms_in[room.building_id] = rooms_in.get(room.building_id, 0) + 1
                if room.station_id:
                    fed_by.setdefault(room.building_id, room.station_id)
            station = room.station_id or fed_by.get(room.building_id or "")
            if station:
                station_of[room.room_id] = station
        buildings_of: dict[str, tuple[str, ...]] = {}
        for building_id, station_id in fed_by.items():
            buildings_of[station_id] = (*buildings_of.get(station_id, ()), building_id)
        return cls(building_of, station_of, rooms_in, buildings_of)


@dataclass
class ComplaintBook:
    """The open complaints and the alarms raised within the last 2 h; advanced instant by instant, in order of time."""

    estate: Estate
    open: dict[tuple[Kind, str], set[str]] = field(default_factory=dict)
    recent: deque[tuple[int, str]] = field(default_factory=deque)
    _alarmed: dict[str, Counter[str]] = field(default_factory=dict)  # rooms with alarms of the last 2 h, by building
    _in_station: dict[str, Counter[str]] = field(default_factory=dict)

    def remember(self, recent: Iterable[tuple[int, str]]) -> None:
        """Takes the alarms (instant, room id) that counted within the last 2 h, in order of time."""
        for at, room_id in recent:
            self.recent.append((at, room_id))
            self._count(room_id, 1)

    def raise_together(self, at: int, raised: Sequence[RaisedRoom], recorded: Sequence[str] = ()) -> list[ComplaintChange]:
        """What the alarms raised at this one instant make.

        ``recorded`` are rooms that counted at this instant and have had their complaint: with alarms learned of late they may roll up.
        """
        changes: list[ComplaintChange] = []
        counted: list[str] = []
        appended: dict[tuple[Kind, str], list[str]] = {}
        for room in raised:
            if room.covered_by is not None or room.shelved:
                holder = self._having(room.room_id)
                if holder is not None:  # evidence is appended to an open complaint of the room, whatever else holds
                    appended.setdefault(holder, []).append(room.room_id)
                continue
            if room.suspicion is not None and self._holder(room.room_id) is None:
                changes.append(self._maintain(at, room))
            else:
                counted.append(room.room_id)
        while self.recent and self.recent[0][0] < at - WINDOW_MS:
            self._count(self.recent.popleft()[1], -1)
        self.remember((at, room_id) for room_id in (*recorded, *counted))
        changes.extend(self._roll_up(at, [*recorded, *counted]))
        changes.extend(self._attach(at, counted, {room_id for change in changes if change.opened for room_id in change.rooms}, appended))
        return changes

    def _maintain(self, at: int, room: RaisedRoom) -> ComplaintChange:
        key: tuple[Kind, str] = ("maintenance", f"room/{room.room_id}")
        opened = key not in self.open
        self.open[key] = {room.room_id}
        return ComplaintChange(at, opened, *key, (room.room_id,), room.suspicion or "")

    def _roll_up(self, at: int, counted: Sequence[str]) -> list[ComplaintChange]:
        """Opens the station and building complaints that are due."""
        estate, alarmed = self.estate, self._alarmed
        changes = []
        for station_id in dict.fromkeys(estate.station_of[room_id] for room_id in counted if room_id in estate.station_of):
            buildings = estate.buildings_of.get(station_id, ())
            count = sum(self._rolls_up(building_id) for building_id in buildings)
            if (
                ("station", f"station/{station_id}") not in self.open
                and count >= STATION_BUILDINGS
                and count >= STATION_SHARE * len(buildings)
            ):
                changes.append(self._open(at, "station", station_id, self._in_station[station_id]))
        touched = dict.fromkeys(estate.building_of[room_id] for room_id in counted if room_id in estate.building_of)
        due = [building_id for building_id in touched if self._rolls_up(building_id) and not self._covered(building_id, counted)]
        return changes + [self._open(at, "building", building_id, alarmed[building_id]) for building_id in due]

    def _count(self, room_id: str, times: int) -> None:
        """Adds an alarm to those of the last 2 h of its building and its station, or takes it away."""
        places = ((self._alarmed, self.estate.building_of.get(room_id)), (self._in_station, self.estate.station_of.get(room_id)))
        for counts, place in places:
            if place is not None:
                rooms = counts.setdefault(place, Counter())
                rooms[room_id] += times
                if not rooms[room_id]:
                    del rooms[room_id]

    def _rolls_up(self, building_id: str) -> bool:
        alarmed = len(self._alarmed.get(building_id, ()))
        return alarmed >= BUILDING_ROOMS and alarmed >= BUILDING_SHARE * self.estate.rooms_in[building_id]

    def _covered(self, building_id: str, counted: Sequence[str]) -> bool:
        """Whether a complaint of the building or its station is open already."""
        stations = {self.estate.station_of.get(room_id) for room_id in counted if self.estate.building_of.get(room_id) == building_id}
        return ("building", f"building/{building_id}") in self.open or any(("station", f"station/{one}") in self.open for one in stations)

    def _open(self, at: int, kind: Kind, subject_id: str, rooms: Iterable[str]) -> ComplaintChange:
        subject = f"{kind}/{subject_id}"
        self.open[kind, subject] = set(rooms)
        return ComplaintChange(at, True, kind, subject, tuple(sorted(rooms)))

    def _attach(
        self, at: int, counted: Sequence[str], opened: set[str], joining: dict[tuple[Kind, str], list[str]]
    ) -> list[ComplaintChange]:
        """Rooms not in a complaint opened just now: appended to the open one, or in one of their own; ``joining`` join in any case."""
        changes = []
        for room_id in counted:
            if room_id in opened:
                continue
            holder = self._holder(room_id)
            if holder is None:
                changes.append(self._open(at, "room", room_id, [room_id]))
            else:
                joining.setdefault(holder, []).append(room_id)
        for (kind, subject), rooms in joining.items():
            self.open[kind, subject].update(rooms)
            changes.append(ComplaintChange(at, False, kind, subject, tuple(sorted(rooms))))
        return changes

    def _having(self, room_id: str) -> tuple[Kind, str] | None:
        """The newest open complaint that has this room, tickets of maintenance left aside."""
        return next((key for key, rooms in reversed(self.open.items()) if room_id in rooms and key[0] != "maintenance"), None)

    def _holder(self, room_id: str) -> tuple[Kind, str] | None:
        """The open complaint this room's alarm belongs to, the largest first."""
        station = ("station", f"station/{self.estate.station_of.get(room_id)}")
        building = ("building", f"building/{self.estate.building_of.get(room_id)}")
        for key in (station, building, ("room", f"room/{room_id}")):
            if key in self.open:
                return key
        return None

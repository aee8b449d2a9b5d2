"""R6 of rules.md once more, slow and obvious: what room alarms make of complaints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

from domain.site import Room, Site
from tests.compliance.oracle_heat import Outage
from tests.compliance.oracle_rooms import HOUR, MINUTE, Input, Said, Series, rooms_of, standing


@dataclass
class Complaint:
    """An open complaint and the rooms attached to it."""

    kind: str
    subject: str
    rooms: set[str]


class Raised(NamedTuple):
    """A room's alarm, and what it met at that instant."""

    at: int
    room_id: str
    building_id: str | None
    station_id: str | None
    covered: bool  # by an open outage
    planned: bool
    suspect: bool


def complaints(given: Input, raised: Sequence[tuple[int, str]], outages: Sequence[Outage]) -> list[Said]:
    """What the alarms make, or join."""
    desk = Desk(given.site)
    for at, together in groupby(sorted(raised), key=lambda one: one[0]):
        desk.take(at, [meet(given, at, room_id, outages) for _, room_id in together])
    return desk.said


def meet(given: Input, at: int, room_id: str, outages: Sequence[Outage]) -> Raised:
    """The alarm with its building, station, outage and sensor."""
    room = rooms_of(given)[room_id]
    station_id = room.station_id or station_of(given.site).get(room.building_id)
    covered = any(outage.open_at(at) and station_id in outage.stations for outage in outages)
    # "suppressed by design (season off, planned stop, outage that covers it)"
    planned = any(stop.station_id == station_id and stop.from_ms <= at < stop.to_ms for stop in given.site.planned_stops)
    return Raised(at, room_id, room.building_id, station_id, covered, planned, suspect(given, room, at))


def station_of(site: Site) -> dict[str | None, str]:
    """The station of each building: buildings.csv says it, or else the first of its rooms that does (all columns are optional)."""
    stations: dict[str | None, str] = {one.building_id: one.station_id for one in site.buildings.values() if one.station_id is not None}
    for room in site.rooms.values():
        if room.building_id is not None and room.station_id is not None:
            stations.setdefault(room.building_id, room.station_id)
    return stations


def suspect(given: Input, room: Room, at: int) -> bool:
    """By "Suspect sensor": for a step, for values that stay, for its battery."""
    # "battery low": read as 10 % or less, by the last that was heard of it
    battery = standing(given.series.get(f"room/{room.room_id}/battery_pct", []), at, 10**15)
    if battery is not None and battery <= 10:
        return True
    others = [
        [(when, value + other.offset_k) for when, value in given.series[f"room/{other.room_id}/indoor_temp_c"]]
        for other in rooms_of(given).values()
        if other.room_id != room.room_id and room.building_id is not None and other.building_id == room.building_id
    ]
    own = [(when, value + room.offset_k) for when, value in given.series[f"room/{room.room_id}/indoor_temp_c"] if when <= at]
    for (before, old), (now, new) in pairwise(own):
        # "a step > 3 K between readings ≤ 10 min apart …(suspect for 24 h)"
        if at < now + 24 * HOUR and now - before <= 10 * MINUTE and abs(new - old) > 3 + 1e-9:
            # "while no other room of the building moved > 1 K within 30 min": read as before or after, as far as it is known, and only
            # where another room was measured at all
            near = [within(series, now - 30 * MINUTE, min(now + 30 * MINUTE, at)) for series in others]
            if any(len(values) > 1 for values in near) and not any(spread(values) > 1 for values in near):
                return True
    # "identical values for ≥ 24 h while others of the building changed ≥ 0.5 K"
    same = [own[-1][0]]
    for when, value in reversed(own):
        if value != own[-1][1]:
            break
        same.append(when)
    return same[0] - same[-1] >= 24 * HOUR and any(spread(within(series, at - 24 * HOUR, at)) >= 0.5 - 1e-9 for series in others)


def within(series: Series, from_ms: int, to_ms: int) -> list[float]:
    """The values read in a span, both its ends included."""
    return [value for when, value in series if from_ms <= when <= to_ms]


def spread(values: Sequence[float]) -> float:
    """How far values lie apart."""
    return max(values) - min(values) if values else 0.0


@dataclass
class Desk:
    """The open complaints; "Complaints never close in replay" (architecture.md)."""

    site: Site
    open: list[Complaint] = field(default_factory=list)
    tickets: dict[str, Complaint] = field(default_factory=dict)
    counting: list[Raised] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    def take(self, at: int, alarms: Sequence[Raised]) -> None:
        """By "Alarms raised at one instant are taken together, the largest scope first"."""
        known = len(self.open)
        joined: dict[str, tuple[Complaint, set[str]]] = {}
        free = []
        for alarm in alarms:
            complaint = self.complaint_for(alarm)
            held = next((one for one in reversed(self.open) if alarm.room_id in one.rooms), None)
            if alarm.covered or alarm.planned:
                # "unless: an open complaint exists for that room (then evidence is appended), an outage that covers it is open (then it
                # is attached to that incident), the alarm is shelved or suppressed". Read as: suppressed ones don't count for a roll-up.
                if held is not None:
                    joined.setdefault(held.subject, (held, set()))[1].add(alarm.room_id)
            elif alarm.suspect and complaint is None:
                self.maintain(at, alarm.room_id)  # "or the sensor is suspect: that makes a maintenance ticket instead"; it does not count
            else:
                self.counting.append(alarm)
                free.append(alarm)
        self.roll_up(at, free)
        just_opened = {room_id for complaint in self.open[known:] for room_id in complaint.rooms}
        for alarm in free:
            if alarm.room_id in just_opened:
                continue
            complaint = self.complaint_for(alarm)
            if complaint is None:
                self.new(at, "room", alarm.room_id, {alarm.room_id})
            else:  # "then evidence is appended"; "Rooms joining later are attached"
                joined.setdefault(complaint.subject, (complaint, set()))[1].add(alarm.room_id)
        for complaint, rooms in joined.values():
            complaint.rooms.update(rooms)
            self.say(at, "complaint.attached", complaint, rooms)

    def complaint_for(self, alarm: Raised) -> Complaint | None:
        """The open complaint that an alarm belongs to, the one of the largest scope."""
        subjects = (f"station/{alarm.station_id}", f"building/{alarm.building_id}", f"room/{alarm.room_id}")
        return next((one for subject in subjects for one in self.open if one.subject == subject), None)

    def maintain(self, at: int, room_id: str) -> None:
        """A ticket, or one more alarm on the ticket that is open."""
        event = "complaint.attached" if room_id in self.tickets else "complaint.opened"
        self.tickets.setdefault(room_id, Complaint("maintenance", f"room/{room_id}", {room_id}))
        self.say(at, event, self.tickets[room_id], {room_id})

    def roll_up(self, at: int, now: Sequence[Raised]) -> None:
        """Opens the complaints of stations and buildings that reach the numbers with these alarms."""
        rows: dict[str, int] = {}
        for room in self.site.rooms.values():
            if room.building_id is not None:
                rows[room.building_id] = rows.get(room.building_id, 0) + 1
        feeds = station_of(self.site)
        # "had alarms raised within the last 2 h, cleared since or not": read as 2 h ago, to the ms, is within
        recent = [alarm for alarm in self.counting if at - 2 * HOUR <= alarm.at]
        alarmed: dict[str | None, set[str]] = {}
        for alarm in recent:
            alarmed.setdefault(alarm.building_id, set()).add(alarm.room_id)
        # "at least 5, and at least 20 %, of the rooms of a building (rows of rooms.csv)"
        rolled = {key for key, ids in alarmed.items() if key is not None and len(ids) >= 5 and 5 * len(ids) >= rows.get(key, 0)}
        for station_id in sorted({alarm.station_id for alarm in now if alarm.station_id is not None}):
            # "the same for a station when at least 2, and at least half, of its buildings roll up"; read as: "these rooms" are all of
            # the station's rooms with an alarm within the 2 h
            own = {building_id for building_id, feeder in feeds.items() if feeder == station_id}
            if not self.has(f"station/{station_id}") and len(own & rolled) >= 2 and 2 * len(own & rolled) >= len(own):
                self.new(at, "station", station_id, {alarm.room_id for alarm in recent if alarm.station_id == station_id})
        for building_id in sorted({alarm.building_id for alarm in now if alarm.building_id in rolled and alarm.building_id is not None}):
            above = {alarm.station_id for alarm in now if alarm.building_id == building_id}
            if not self.has(f"building/{building_id}") and not any(self.has(f"station/{station_id}") for station_id in above):
                self.new(at, "building", building_id, set(alarmed[building_id]))  # "there is one building complaint with these rooms"

    def has(self, subject: str) -> bool:
        """Whether a complaint about this subject is open."""
        return any(one.subject == subject for one in self.open)

    def new(self, at: int, kind: str, subject_id: str, rooms: set[str]) -> None:
        """Opens a complaint."""
        self.open.append(Complaint(kind, f"{kind}/{subject_id}", rooms))
        self.say(at, "complaint.opened", self.open[-1], rooms)

    def say(self, at: int, event: str, complaint: Complaint, rooms: set[str]) -> None:
        """Adds an event about a complaint."""
        self.said.append(Said(at, event, complaint.subject, {"kind": complaint.kind, "rooms": sorted(rooms)}))

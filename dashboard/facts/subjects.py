"""What a subject (``room/ID``, ``station/ID``, ``building/ID``, ``source/ID``) is called, and where its page is."""

from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.facts.town import Town
from domain.site import Building, Room


@dataclass(frozen=True)
class Subject:
    """A subject as it is shown. ``address`` is empty where there is no page."""

    kind: str
    subject_id: str
    name: str
    address: str


def subject(town: Town, text: str) -> Subject:
    """The subject of an alarm, outage, complaint or event."""
    kind, _, subject_id = text.partition("/")
    site = town.site
    if kind == "station" and subject_id in site.stations:
        return Subject(kind, subject_id, site.stations[subject_id].name or subject_id, address("station", station=subject_id))
    if kind == "building" and subject_id in site.buildings:
        return Subject(kind, subject_id, building_name(site.buildings[subject_id]), address("building", building=subject_id))
    if kind == "room" and subject_id in site.rooms:
        room = site.rooms[subject_id]
        page = address("building", building=room.building_id, room=subject_id) if room.building_id else ""
        return Subject(kind, subject_id, room_name(town, room), page)
    return Subject(kind, subject_id, subject_id or text, "")


def address(page: str, **query: str) -> str:
    """The address of a page: ``station?station=S01``."""
    return f"{page}?{urlencode(query)}" if query else page


def building_name(building: Building) -> str:
    """What people call a building."""
    return building.name or building.building_id


def room_name(town: Town, room: Room) -> str:
    """What people call a room: its building, unit and number."""
    building = town.site.buildings.get(room.building_id or "")
    place = f"{building_name(building)} " if building else ""
    return f"{place}{room_label(room)}"


def room_label(room: Room) -> str:
    """A room inside its building: its id without the building's, else its unit."""
    if room.building_id and room.room_id.startswith(f"{room.building_id}-"):
        return room.room_id.removeprefix(f"{room.building_id}-")
    return room.unit or room.room_id

"""What the desk sees at once of a home that somebody calls from: heat, outage, notice, the room, complaints of the building."""

from dataclasses import dataclass

from compliance.complaint_life import NOT_OVER
from dashboard.facts.complaints import ComplaintRow, rows_where
from dashboard.facts.notices import NoticeRow, notice_rows
from dashboard.facts.outages import OutageRow, open_outages
from dashboard.facts.rooms import Counts, RoomState, building_counts, room_states
from dashboard.facts.stations import StationState, station_states
from dashboard.facts.subjects import Subject, subject
from dashboard.facts.town import Town
from store.records.tables import complaints

LISTED = 8


@dataclass(frozen=True)
class Known:
    """What is known of a place now. ``room`` is None where no sensor measures; ``complaints`` are the building's that are not over."""

    subject: Subject
    station: StationState | None
    building: Subject | None
    counts: Counts | None
    room: RoomState | None
    outages: list[tuple[OutageRow, NoticeRow | None]]
    complaints: list[tuple[ComplaintRow, Subject]]


def known_of(town: Town, place: str) -> Known:
    """What is known of a place (``room/ID`` or ``building/ID``). Raises StoreError when records or live tables can't be read."""
    kind, _, name = place.partition("/")
    room = town.site.rooms.get(name) if kind == "room" else None
    building_id = (room.building_id if room else name if kind == "building" else None) or ""
    building = town.site.buildings.get(building_id)
    station_id = town.station_of_room.get(name) if room else building.station_id if building else None
    told = {notice.outage_id: notice for notice in notice_rows(town)}
    columns = complaints.c
    of_building = columns.building_id == building_id if building else columns.subject == place
    open_ones = rows_where(town, of_building & columns.state.in_(NOT_OVER), columns.opened_at.desc(), most=LISTED)
    return Known(
        subject(town, place),
        station_states(town).get(station_id or ""),
        subject(town, f"building/{building_id}") if building else None,
        building_counts(town).get(building_id),
        room_states(town, [name])[name] if room else None,
        [(outage, told.get(outage.id)) for outage in open_outages(town) if station_id in outage.stations],
        [(row, subject(town, row.subject)) for row in open_ones],
    )

"""What the rules decided, in the words of ``keepwarm replay``: an event, its instant, its subject."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from compliance.adherence import Turn
from compliance.complaint import ComplaintChange
from compliance.notice import Duty, Mark, duty_marks
from compliance.outage import Outage, SourceOutage
from compliance.room_alarm import RoomEvent, RoomEvents


@dataclass(frozen=True)
class Event:
    """One decision. ``at`` is the instant (UTC ms) at which its condition was completed."""

    at: int
    event: str
    subject: str
    body: dict[str, Any] = field(default_factory=dict)


_ALARM_EVENTS = {
    RoomEvent.PENDING: "alarm.pending",
    RoomEvent.FORGOTTEN: "alarm.forgotten",
    RoomEvent.DROPPED: "alarm.forgotten",
    RoomEvent.RAISED: "alarm.raised",
    RoomEvent.NO_DATA: "alarm.no_data",
    RoomEvent.CLEARED: "alarm.cleared",
    RoomEvent.ENDED: "alarm.cleared",
}


def alarm_events(found: RoomEvents, room_ids: Sequence[str], excluded: "ExcludedAt") -> list[Event]:
    """The events of rooms' alarms, in the order given."""
    events = []
    columns = (found.room.tolist(), found.kind.tolist(), found.at.tolist(), found.limit_c.tolist(), found.value_c.tolist())
    for room, kind, at, limit_c, value_c in zip(*columns, strict=True):
        body: dict[str, Any] = {}
        if kind in (RoomEvent.PENDING, RoomEvent.RAISED, RoomEvent.CLEARED):
            body = {"limit_c": limit_c, "value_c": value_c}
        if kind in (RoomEvent.ENDED, RoomEvent.DROPPED):
            body["reason"] = "excluded" if excluded(room_ids[room], at) else "season_ended"
        elif kind == RoomEvent.CLEARED:
            body["reason"] = "recovered"
        elif kind == RoomEvent.FORGOTTEN:
            body["reason"] = "unknown" if math.isnan(value_c) else "compliant"
        events.append(Event(at, _ALARM_EVENTS[RoomEvent(kind)], f"room/{room_ids[room]}", body))
    return events


class ExcludedAt:
    """Tells whether a room was excluded at an instant."""

    def __init__(self, spans: Iterable[tuple[str, int, int | None]]) -> None:
        self._spans: dict[str, list[tuple[int, int | None]]] = {}
        for room_id, from_ms, to_ms in spans:
            self._spans.setdefault(room_id, []).append((from_ms, to_ms))

    def __call__(self, room_id: str, at: int) -> bool:
        """Whether this room is excluded at ``at`` (UTC ms)."""
        return any(start <= at and (stop is None or at < stop) for start, stop in self._spans.get(room_id, ()))


def subject_of(outage: Outage | SourceOutage) -> str:
    """``station/ID`` or ``source/ID``."""
    return f"station/{outage.station_id}" if isinstance(outage, Outage) else f"source/{outage.source_id}"


def as_known(outage: Outage | SourceOutage, at: int) -> Outage | SourceOutage:
    """The outage as it stood at an instant: not ended, without the stations that followed later."""
    if isinstance(outage, Outage):
        return outage if outage.ended_seen_at is None else replace(outage, ended_at=None, ended_seen_at=None)
    return replace(outage, parts=tuple(part for part in outage.parts if part.opened_at <= at), ended_seen_at=None)


def outage_body(outage: Outage | SourceOutage, cause: str) -> dict[str, Any]:
    """What an outage's events carry; instants still in UTC ms."""
    stations = [outage.station_id] if isinstance(outage, Outage) else sorted({part.station_id for part in outage.parts})
    return {
        "started_at": outage.started_at,
        "started_earliest": outage.started_earliest,
        "ended_at": outage.ended_at,
        "cause": cause,
        "stations": stations,
    }


def own_marks(outage: Outage | SourceOutage, sources: Iterable[SourceOutage], duty: Duty, until_ms: int) -> list[Mark]:
    """The marks of an outage that are its own: those of a part end where an outage of its source covers them (R4)."""
    marks = duty_marks(outage, duty, until_ms)
    if isinstance(outage, SourceOutage):
        return marks
    covered = [source.joined_at(part) for source in sources for part in source.parts if part == outage]
    return [mark for mark in marks if not covered or mark.at < min(covered)]


def outage_events(outage: Outage | SourceOutage, marks: Sequence[Mark], cause: str, until_ms: int) -> list[Event]:
    """Everything that one outage makes happen up to ``until_ms``."""
    subject = subject_of(outage)
    body = outage_body(outage, cause)
    events = [Event(outage.opened_at, "outage.opened", subject, outage_body(as_known(outage, outage.opened_at), cause))]
    for mark in marks:
        if mark.due:
            events.append(Event(mark.at, "notice.due", subject, outage_body(as_known(outage, mark.at), cause)))
        else:
            events.append(Event(mark.at, "notice.warning", subject, {"hours": int(mark.hours) if mark.hours.is_integer() else mark.hours}))
    if outage.ended_seen_at is not None:
        events.append(Event(outage.ended_seen_at, "outage.ended", subject, body))
        if any(mark.due for mark in marks):
            events.append(Event(outage.ended_seen_at, "notice.closed", subject, body))
    return [event for event in events if event.at <= until_ms]


def complaint_event(change: ComplaintChange) -> Event:
    """A complaint opened or joined."""
    body: dict[str, Any] = {"kind": change.kind, "rooms": list(change.rooms)}
    if change.reason:
        body["reason"] = change.reason
    return Event(change.at, "complaint.opened" if change.opened else "complaint.attached", change.subject, body)


def turn_event(turn: Turn, station_id: str) -> Event:
    """A station off its curve or back on it, or losing water."""
    return Event(turn.at, turn.event, f"station/{station_id}", {"reason": turn.reason} if turn.reason else {})

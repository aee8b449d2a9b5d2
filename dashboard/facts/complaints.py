"""Complaints, the steps they took and may take (R6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, or_, select

from dashboard.facts.outages import Transition
from dashboard.facts.town import Town
from dashboard.moments import DAY_MS
from store.records.tables import complaint_rooms, complaint_transitions, complaints

OVER: Final = ("closed", "rejected", "merged")
SHOWN_OVER_MS = 7 * DAY_MS
MOST = 300

# What may follow what: new → accepted → dispatched → on_site → resolved → called_back → closed; rejected, reopened.
NEXT_STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "new": ("accepted", "rejected"),
    "accepted": ("dispatched", "resolved", "rejected"),
    "dispatched": ("on_site", "resolved", "rejected"),
    "on_site": ("resolved", "rejected"),
    "resolved": ("called_back", "reopened"),
    "called_back": ("closed", "reopened"),
    "closed": ("reopened",),
    "rejected": ("reopened",),
    "merged": (),
    "reopened": ("accepted", "dispatched", "resolved", "rejected"),
}
# A rejection is explained to the complainant, and a reopening says what was not cured.
NEEDS_REASON: Final = frozenset({"rejected", "reopened"})


@dataclass(frozen=True)
class ComplaintRow:
    """One complaint. ``rooms`` counts the rooms attached to it."""

    id: int
    kind: str
    origin: str
    subject: str
    station_id: str | None
    building_id: str | None
    opened_at: int
    state: str
    merged_into: int | None
    reason: str
    evidence: dict[str, Any]
    rooms: int

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in OVER


@dataclass(frozen=True)
class AttachedRoom:
    """A room of a complaint, by the alarm episode that attached it."""

    room_id: str
    raised_at: int
    attached_at: int
    evidence: dict[str, Any]


def complaint_rows(town: Town) -> Sequence[ComplaintRow]:
    """Open complaints, oldest first; then those over within seven days, newest first."""
    return town.shared.of("complaints", lambda: _complaint_rows(town))


def _complaint_rows(town: Town) -> list[ComplaintRow]:
    columns = [complaints.c[name] for name in ComplaintRow.__dataclass_fields__ if name != "rooms"]
    attached = (
        select(func.count(complaint_rooms.c.room_id.distinct())).where(complaint_rooms.c.complaint_id == complaints.c.id).scalar_subquery()
    )
    lately = or_(complaints.c.state.not_in(OVER), complaints.c.opened_at > town.now_ms() - SHOWN_OVER_MS)
    query = select(*columns, attached).where(lately).order_by(complaints.c.opened_at.desc(), complaints.c.id.desc()).limit(MOST)
    rows = [ComplaintRow(*row) for row in town.rows(query)]
    to_do = sorted((row for row in rows if not row.over), key=lambda row: (row.opened_at, row.id))
    return [*to_do, *(row for row in rows if row.over)]


def attached_rooms(town: Town, complaint_id: int) -> list[AttachedRoom]:
    """The rooms of a complaint, in the order in which they joined."""
    rooms = complaint_rooms.c
    query = (
        select(rooms.room_id, rooms.raised_at, rooms.attached_at, rooms.evidence)
        .where(rooms.complaint_id == complaint_id)
        .order_by(rooms.attached_at, rooms.room_id)
    )
    return town.shared.of(("attached", complaint_id), lambda: [AttachedRoom(*row) for row in town.rows(query)])


def complaint_steps(town: Town, complaint_id: int) -> list[Transition]:
    """The complaint's stored transitions, oldest first."""
    steps = complaint_transitions.c
    columns = (steps.from_state, steps.to_state, steps.at, steps.who, steps.why)
    query = select(*columns).where(steps.complaint_id == complaint_id).order_by(steps.id)
    return town.shared.of(("complaint_steps", complaint_id), lambda: [Transition(*row) for row in town.rows(query)])

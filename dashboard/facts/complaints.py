"""Complaints: the queue by the time left, and one with its evidence, its history and its duties (R6, R7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from compliance.complaint import Estate
from compliance.complaint_cases import states_of
from compliance.complaint_life import NOT_OVER, OVER
from compliance.evidence import gather
from compliance.service_duties import DutyState, next_due
from dashboard.facts.duties import complaints_mark, kept_s, read_cases_of, standing_duties
from dashboard.facts.outages import Transition
from dashboard.facts.stations import station_states
from dashboard.facts.town import Town
from dashboard.moments import DAY_MS
from domain.errors import StoreError
from store.records.tables import complaint_deeds, complaint_rooms, complaint_transitions, complaints, escalations

SHOWN_OVER_MS = 7 * DAY_MS
OPEN_MOST, OVER_MOST = 5_000, 300
NEARLY_NOW_MS = 300_000


@dataclass(frozen=True)
class ComplaintRow:
    """One complaint, without its evidence. ``rooms`` counts the rooms attached to it; ``assignee`` has it in hand."""

    id: int
    kind: str
    origin: str
    subject: str
    station_id: str | None
    building_id: str | None
    opened_at: int
    state: str
    merged_into: int | None
    outage_id: int | None
    assignee: str
    reason: str
    category: str
    severity: str
    cause: str
    source: str
    external_id: str | None
    address: str
    reporter: str
    contact: str
    proposed_at: int | None
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
    return town.shared.of("complaints", lambda: _complaint_rows(town), life_s=kept_s(town), mark=complaints_mark(town))


def _complaint_rows(town: Town) -> list[ComplaintRow]:
    columns = complaints.c
    oldest_first = rows_where(town, columns.state.in_(NOT_OVER), columns.opened_at, columns.id, most=OPEN_MOST)
    lately = columns.state.in_(OVER) & (columns.opened_at > town.now_ms() - SHOWN_OVER_MS)
    return [*oldest_first, *rows_where(town, lately, columns.opened_at.desc(), columns.id.desc(), most=OVER_MOST)]


def rows_where(town: Town, which: ColumnElement[bool], *order: Any, most: int) -> list[ComplaintRow]:
    """The complaints that ``which`` (a condition on ``complaints``) picks, in an order."""
    columns = [complaints.c[name] for name in ComplaintRow.__dataclass_fields__ if name != "rooms"]
    attached = (
        select(func.count(complaint_rooms.c.room_id.distinct())).where(complaint_rooms.c.complaint_id == complaints.c.id).scalar_subquery()
    )
    return [ComplaintRow(*row) for row in town.rows(select(*columns, attached).where(which).order_by(*order).limit(most))]


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


@dataclass(frozen=True)
class QueueRow:
    """A complaint in the queue, with the duty that presses most; ``left_ms`` is below 0 when it is overdue, None without a duty.

    ``share`` is how much of that duty's time is used up, from 0 to 1.
    """

    complaint: ComplaintRow
    duty: DutyState | None
    left_ms: int | None
    share: float = 0.0


@dataclass(frozen=True)
class DeedRow:
    """Something done for a complaint beside its states; ``body`` holds a call-back's answer or a proposal's evidence."""

    kind: str
    at: int
    who: str
    why: str
    body: dict[str, Any]


@dataclass(frozen=True)
class EscalationRow:
    """Who was told of an overdue duty, and when."""

    duty: str
    step: int
    due_at: int
    at: int
    told: str


@dataclass(frozen=True)
class Dossier:
    """Everything about one complaint. ``merged`` are those merged into it."""

    complaint: ComplaintRow
    evidence: dict[str, Any]
    rooms: list[AttachedRoom]
    steps: list[Transition]
    deeds: list[DeedRow]
    duties: list[DutyState]
    escalations: list[EscalationRow]
    merged: list[int]

    @property
    def call_backs(self) -> list[DeedRow]:
        """Call-backs, oldest first: who, when, satisfied or not (None: nobody answered)."""
        return [deed for deed in self.deeds if deed.kind == "call_back"]

    @property
    def proposal(self) -> DeedRow | None:
        """The evidence on which it is proposed resolved, None while it is not."""
        if self.complaint.proposed_at is None:
            return None
        return next((deed for deed in reversed(self.deeds) if deed.kind == "proposed"), None)


Pressing = Sequence[tuple[ComplaintRow, DutyState | None]]


def pressing(town: Town) -> Pressing:
    """Complaints that still owe something with the duty that presses most, the earliest due first; then those without, oldest first.

    The very list of last time while nothing of it changed.
    """
    rows = complaint_rows(town)
    states = standing_duties(town, "queue", [row.id for row in rows], town.now_ms())
    return town.shared.of("pressing", lambda: _pressing(rows, states), life_s=kept_s(town), mark=(rows, states))


def _pressing(rows: Sequence[ComplaintRow], states: Mapping[int, Sequence[DutyState]]) -> Pressing:
    found = [(row, next_due(states.get(row.id, ()))) for row in rows]
    owing = [(row, duty) for row, duty in found if duty is not None or not row.over]
    return sorted(owing, key=lambda one: (one[1] is None, one[1].due_at if one[1] else 0, one[0].opened_at, one[0].id))


def complaint_queue(town: Town) -> list[QueueRow]:
    """Complaints that still owe something, the least time left first; then those without a duty, oldest first."""
    return town.shared.of("complaint_queue", lambda: _queue(town))


def _queue(town: Town) -> list[QueueRow]:
    now_ms = town.now_ms()
    return [QueueRow(row, duty, None if duty is None else duty.due_at - now_ms, used_up(duty, now_ms)) for row, duty in pressing(town)]


def complaints_overdue(town: Town) -> int:
    """How many complaints owe something whose time has run out."""
    now_ms = town.now_ms()
    return sum(duty is not None and duty.due_at < now_ms for _, duty in pressing(town))


def used_up(duty: DutyState | None, now_ms: int) -> float:
    """How much of a duty's time has passed, from 0 to 1."""
    if duty is None:
        return 0.0
    return min(1.0, max(0.0, (now_ms - duty.started_at) / max(1, duty.due_at - duty.started_at)))


def duties_of(town: Town, ids: Sequence[int], now_ms: int) -> dict[int, list[DutyState]]:
    """The duties of these complaints as they stand (R7)."""
    return states_of(town.site, read_cases_of(town, ids), now_ms)


def dossier(town: Town, complaint_id: int) -> Dossier | None:
    """Everything about one complaint, however old; None where there is none."""
    return town.shared.of(("dossier", complaint_id), lambda: _dossier(town, complaint_id))


def _dossier(town: Town, complaint_id: int) -> Dossier | None:
    found = rows_where(town, complaints.c.id == complaint_id, complaints.c.id, most=1)
    if not found:
        return None
    rooms = attached_rooms(town, complaint_id)
    deed, told = complaint_deeds.c, escalations.c
    deeds = select(deed.kind, deed.at, deed.who, deed.why, deed.body).where(deed.complaint_id == complaint_id).order_by(deed.id)
    steps_up = select(told.duty, told.step, told.due_at, told.at, told.told).where(told.subject == f"complaint/{complaint_id}")
    return Dossier(
        found[0],
        town.rows(select(complaints.c.evidence).where(complaints.c.id == complaint_id))[0][0],
        rooms,
        complaint_steps(town, complaint_id),
        [DeedRow(*row) for row in town.rows(deeds)],
        duties_of(town, [complaint_id], town.now_ms()).get(complaint_id, []),
        [EscalationRow(*row) for row in town.rows(steps_up.order_by(told.at, told.step))],
        [row[0] for row in town.rows(select(complaints.c.id).where(complaints.c.merged_into == complaint_id).order_by(complaints.c.id))],
    )


def evidence_now(town: Town, subject: str) -> dict[str, Any]:
    """What the instruments say now of a room, building or station: the snapshot that a resident's complaint is opened with.

    Raises StoreError when neither history nor journal can be read.
    """
    return _evidence(town, subject, town.now_ms(), town.now_ms())


def evidence_at(town: Town, subject: str, at: int) -> dict[str, Any]:
    """What they said at an instant (UTC ms); the station's state only where that is now. Raises as ``evidence_now``."""
    return _evidence(town, subject, at, town.now_ms())


def _evidence(town: Town, subject: str, at: int, now_ms: int) -> dict[str, Any]:
    kind, _, name = subject.partition("/")
    site = town.site
    estate = Estate.of(site.rooms.values(), site.buildings.values())
    building = site.buildings.get(name) if kind == "building" else None
    station_id = name if kind == "station" else building.station_id if building else estate.station_of.get(name)
    stations = {station_id: _station_now(town, station_id) if now_ms - at < NEARLY_NOW_MS else {}} if station_id else {}
    rooms = [name] if kind == "room" and name in site.rooms else []
    with town.asking("history"):
        found = gather(site, estate, (town.history, town.journal, town.points), rooms, (at, at), stations)
    return found.of_room(name, at) if rooms else found.around(station_id, "residential", at)


def _station_now(town: Town, station_id: str) -> dict[str, Any]:
    try:
        state = station_states(town).get(station_id)
    except StoreError:
        state = None
    return {} if state is None else {"heat": state.heat, "comm": state.comm, "data": state.data, "outage_id": state.outage_id}

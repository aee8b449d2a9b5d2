"""What was decided and done: verdicts by day; alarms, outages, notices, complaints, each as a list and one by one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, String, Table, cast, select

from compliance.complaint_life import CATEGORIES, SEVERITIES, SOURCES
from dashboard.actions.complaints import ResidentReport, move_complaint, open_resident_complaint
from dashboard.actions.visit_complaints import open_visit_complaint
from dashboard.api.answers import ProblemError
from dashboard.api.asked import PLAIN, Call, Desk, Part, Plain, Reader
from dashboard.facts.complaints import evidence_at, evidence_now
from dashboard.facts.visits import complained_of, visit_row
from store.records.tables import (
    alarm_transitions,
    alarms,
    complaint_rooms,
    complaint_transitions,
    complaints,
    notice_transitions,
    notices,
    outage_transitions,
    outages,
    room_days,
)

router = APIRouter()

RowId = Annotated[int, Path(ge=1, le=2**53)]
Day = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", description="A local day such as 2026-01-15.")]
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class RowsAsked(Part):
    """Rows of a station, in a state, or all."""

    after: str = Field("", pattern=r"^([1-9]\d{0,14})?$", description="The cursor `next` of the page before.")
    station: Plain = ""
    state: Plain = ""


class VerdictsAsked(Part):
    """Verdicts of a day, of a station where one is named."""

    day: Day
    station: Plain = ""


@dataclass(frozen=True)
class Kind:
    """One kind of rows: the table, its transitions, what a list of it tells, which of it belong to a station."""

    name: str
    table: Table
    transitions: Table
    rule: str
    about: str
    of_station: Callable[[str], ColumnElement[bool]]

    @property
    def key(self) -> str:
        """The column by which a transition names its row."""
        return f"{self.name}_id"


def _named_in_notice(station_id: str) -> ColumnElement[bool]:
    return cast(notices.c.stations, String).contains(json.dumps(station_id), autoescape=True)


KINDS: Final = (
    Kind(
        "alarm", alarms, alarm_transitions, "R3, R9",
        "`state` is unacknowledged, acknowledged, returned_unacknowledged or normal (ISA-18.2).",
        lambda station_id: alarms.c.station_id == station_id,
    ),
    Kind(
        "outage", outages, outage_transitions, "R4",
        "`state` is open, ended or erased (by late readings). Duty clocks run from `started_earliest`, reports use `started_at`.",
        lambda station_id: outages.c.station_id == station_id,
    ),
    Kind("notice", notices, notice_transitions, "R5", "`state` is due, published, amended or closed.", _named_in_notice),
    Kind(
        "complaint", complaints, complaint_transitions, "R6",
        "`origin` is sensor, resident or visit; `kind` room, building, station, household or maintenance.",
        lambda station_id: complaints.c.station_id == station_id,
    ),
)  # fmt: skip
COMPLAINT: Final = KINDS[-1]


@router.get("/verdicts", summary="Rooms' verdicts of one local day (R2)")
def verdicts(call: Reader, asked: Annotated[VerdictsAsked, Query()]) -> Response:
    """Judged, compliant, breach and unknown time of each room in milliseconds, by room id."""
    query = select(room_days).where(room_days.c.day == asked.day).order_by(room_days.c.room_id).limit(asked.limit + 1)
    if asked.after:
        query = query.where(room_days.c.room_id > asked.after)
    if asked.station:
        query = query.where(room_days.c.station_id == asked.station)
    return call.page(call.rows(query), asked, "room_id")


def _add(kind: Kind) -> None:
    """The list of a kind, newest first, and one row with what became of it."""

    def rows(call: Reader, asked: Annotated[RowsAsked, Query()]) -> Response:
        query = select(kind.table).order_by(kind.table.c.id.desc()).limit(asked.limit + 1)
        if asked.after:
            query = query.where(kind.table.c.id < int(asked.after))
        if asked.station:
            query = query.where(kind.of_station(asked.station))
        if asked.state:
            query = query.where(kind.table.c.state == asked.state)
        return call.page(call.rows(query), asked, "id")

    def row(call: Reader, row_id: RowId) -> Response:
        return call.answer(_one(call, kind, row_id))

    many = f"/{kind.name}s"
    router.add_api_route(many, rows, summary=f"{kind.name.title()}s, newest first ({kind.rule})", description=kind.about, name=many)
    one = f"{many}/{{row_id}}"
    router.add_api_route(one, row, summary=f"One {kind.name} with its transitions", description=kind.about, name=one)


for _kind in KINDS:
    _add(_kind)


def _one_of(words: Sequence[str]) -> str:
    return f"^({'|'.join(words)})$"


class Report(BaseModel):
    """What a resident complains of. `subject` is room/ID, building/ID or station/ID; `external_id` is the caller's own number."""

    model_config = ConfigDict(extra="forbid")

    subject: Text = Field(max_length=160)
    category: str = Field(pattern=_one_of(CATEGORIES))
    source: str = Field(pattern=_one_of(SOURCES))
    told: Text = Field("", max_length=2_000)
    address: Text = Field("", max_length=500)
    reporter: Text = Field("", max_length=100)
    contact: Text = Field("", max_length=100)
    severity: str = Field("ordinary", pattern=_one_of(SEVERITIES))
    external_id: Plain | None = Field(None, min_length=1, max_length=100)
    reported_at: str | None = Field(None, max_length=40, json_schema_extra={"format": "date-time"})


@router.post("/complaints", status_code=201, summary="Open a resident's complaint (scope complaints)")
def report(call: Desk, new: Report) -> Response:
    """Opened with what the instruments say now; the same `external_id` of a source posted again gives the one opened before."""
    town = call.town
    told = ResidentReport(**(new.model_dump() | {"reported_at": call.instant_ms("reported_at", new.reported_at)}))
    evidence = evidence_now(town, new.subject)
    row_id = call.do(
        "the complaint is not opened",
        lambda: open_resident_complaint(town.records, call.key.actor("complaints"), town.site, told, evidence, town.now_ms()),
    )
    return call.answer(_one(call, COMPLAINT, row_id), 201)


@router.post("/visits/{row_id}/complaint", status_code=201, summary="Open a complaint from a measuring visit (scope complaints)")
def report_visit(call: Desk, row_id: RowId) -> Response:
    """Of an official measurement below the limit; asked for again, or where the home has an open complaint, that one is answered."""
    town = call.town
    found = visit_row(town, row_id)
    if found is None:
        raise ProblemError(404, "there is no such visit")
    evidence = evidence_at(town, complained_of(town.site, found.visit.room_id), found.visit.measured_at)
    complaint_id = call.do(
        "the complaint is not opened",
        lambda: open_visit_complaint(town.records, call.key.actor("complaints"), town.site, row_id, evidence, town.now_ms()),
    )
    return call.answer(_one(call, COMPLAINT, complaint_id), 201)


class Step(BaseModel):
    """A step of a complaint: from the state that the caller saw to a following one."""

    model_config = ConfigDict(extra="forbid")

    from_state: str = Field(max_length=32, pattern=PLAIN)
    to_state: str = Field(max_length=32, pattern=PLAIN)
    why: Text = Field("", max_length=2_000)


@router.post("/complaints/{row_id}/transitions", status_code=201, summary="Take a complaint a step on (scope complaints)")
def move(call: Desk, row_id: RowId, step: Step) -> Response:
    """Stored with who and why; refused where the complaint is in another state by now."""
    town = call.town
    _one(call, COMPLAINT, row_id)
    actor = call.key.actor("complaints")
    call.do(
        "the step is not taken",
        lambda: move_complaint(town.records, actor, row_id, step.from_state, step.to_state, step.why, town.now_ms()),
    )
    return call.answer(_one(call, COMPLAINT, row_id), 201)


def _one(call: Call, kind: Kind, row_id: int) -> dict[str, Any]:
    """A row with its transitions, a complaint with its rooms too. Raises ProblemError 404 where there is none."""
    found = call.rows(select(kind.table).where(kind.table.c.id == row_id))
    if not found:
        raise ProblemError(404, f"there is no such {kind.name}")
    more = {"transitions": _belonging(call, kind.transitions, kind.key, row_id, "id")}
    if kind is COMPLAINT:
        more["rooms"] = _belonging(call, complaint_rooms, kind.key, row_id, "room_id")
    return call.shown(found[0]) | more


def _belonging(call: Call, table: Table, key: str, row_id: int, order: str) -> list[dict[str, Any]]:
    rows = call.rows(select(table).where(table.c[key] == row_id).order_by(table.c[order]))
    return [call.shown({name: value for name, value in row.items() if name not in ("id", key, "queued")}) for row in rows]

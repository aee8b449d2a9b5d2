"""What was decided and done: verdicts by day; alarms, outages, notices, complaints, each as a list and one by one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy import ColumnElement, String, Table, cast, select

from dashboard.api.answers import ProblemError
from dashboard.api.asked import Call, Part, Plain, Reader, RowId
from dashboard.api.shapes import NOT_SHOWN, PERSONAL, answers, listed
from store.records.tables import (
    alarm_transitions,
    alarms,
    complaint_deeds,
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

Day = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", description="A local day such as 2026-01-15.")]


class Rows(Part):
    """Rows, newest first."""

    after: str = Field("", pattern=r"^([1-9]\d{0,14})?$", description="The cursor `next` of the page before.")


class RowsOfStation(Rows):
    """Rows of a station, or all."""

    station: Plain = ""


class RowsAsked(RowsOfStation):
    """Rows of a station, in a state, or all."""

    state: Plain = ""


PartOfRows = Annotated[Rows, Query()]


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
        "`state` is unacknowledged, acknowledged, returned_unacknowledged or normal (ISA-18.2). `kind` is room_low, curve_off, water_high "
        "or water_escalated; `value` and `limit_value` are in ℃, of make-up water in per cent. `suppressed_by` says why it asks "
        "for nobody and makes no complaint: planned_stop, outage/ID, shelved, out_of_service or sensor:…",
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
        "`origin` is sensor, resident or visit; `kind` room, building, station, household or maintenance. `state` goes from new over "
        "accepted, dispatched, on_site, resolved and called_back to closed; or is rejected, merged or reopened. `reporter` and `contact` "
        "are null for a key without the scope complaints. One complaint comes with its `evidence`, its rooms and what was done for it "
        "(`deeds`); a list has none of these.",
        lambda station_id: complaints.c.station_id == station_id,
    ),
)  # fmt: skip
ALARM, OUTAGE, NOTICE, COMPLAINT = KINDS


@router.get("/verdicts", summary="Rooms' verdicts of one local day (R2)", responses=answers("RoomDay", many=True))
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
        query = select(*listed(kind.table)).order_by(kind.table.c.id.desc()).limit(asked.limit + 1)
        if asked.after:
            query = query.where(kind.table.c.id < int(asked.after))
        if asked.station:
            query = query.where(kind.of_station(asked.station))
        if asked.state:
            query = query.where(kind.table.c.state == asked.state)
        return call.page([_for_key(call, one) for one in call.rows(query)], asked, "id")

    def row(call: Reader, row_id: RowId) -> Response:
        return call.answer(row_of(call, kind, row_id))

    many, shape = f"/{kind.name}s", kind.name.title()
    newest = f"{shape}s, newest first ({kind.rule})"
    router.add_api_route(many, rows, summary=newest, description=kind.about, name=many, responses=answers(shape, many=True))
    one = f"{many}/{{row_id}}"
    told = f"One {kind.name} with its transitions"
    router.add_api_route(one, row, summary=told, description=kind.about, name=one, responses=answers(f"{shape}InFull"))


for _kind in KINDS:
    _add(_kind)


def row_of(call: Call, kind: Kind, row_id: int) -> dict[str, Any]:
    """A row with its transitions, a complaint with its rooms too. Raises ProblemError 404 where there is none."""
    found = call.rows(select(kind.table).where(kind.table.c.id == row_id))
    if not found:
        raise ProblemError(404, f"there is no such {kind.name}")
    more = {"transitions": _belonging(call, kind.transitions, kind.key, row_id, "id")}
    if kind is COMPLAINT:
        more["rooms"] = _belonging(call, complaint_rooms, kind.key, row_id, "room_id")
        more["deeds"] = _belonging(call, complaint_deeds, kind.key, row_id, "id")
    return call.shown(_for_key(call, found[0])) | more


def _for_key(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """A row without what names a resident, for a key that does not work on complaints."""
    hidden = () if "complaints" in call.key.scopes else PERSONAL
    return {name: None if name in hidden else value for name, value in row.items()}


def _belonging(call: Call, table: Table, key: str, row_id: int, order: str) -> list[dict[str, Any]]:
    rows = call.rows(select(table).where(table.c[key] == row_id).order_by(table.c[order]))
    return [call.shown({name: value for name, value in row.items() if name not in (*NOT_SHOWN, key)}) for row in rows]

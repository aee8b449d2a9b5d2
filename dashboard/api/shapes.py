"""What the routes answer, as JSON Schema: made from the tables and data classes that the answers themselves are made of."""

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from pydantic import TypeAdapter
from sqlalchemy import JSON, Boolean, Column, Float, Integer, Table

from dashboard.api.answers import PROBLEM_SCHEMA, is_instant, shown_name
from dashboard.facts.rooms import RoomState
from domain.curve import FiledCurve
from domain.site import Building, Station
from store.live import STATIONS
from store.records.tables import (
    alarm_transitions,
    alarms,
    complaint_deeds,
    complaint_rooms,
    complaint_transitions,
    complaints,
    notice_transitions,
    notices,
    out_of_service,
    outage_transitions,
    outages,
    planned_stops,
    room_days,
)

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
COUNT: Final[Shape] = {"type": "integer"}
NUMBER: Final[Shape] = {"type": "number"}
INSTANT: Final[Shape] = {"type": "string", "format": "date-time"}
# Resident's name and telephone are for those who work on complaints.
PERSONAL: Final = ("reporter", "contact")
# Columns that hold a list; other JSON is an object.
LISTS: Final = {
    "outages.stations": {"type": "array", "items": TEXT},
    "outages.evidence": {"type": "array", "items": {"type": "object"}},
    "notices.stations": {"type": "array", "items": TEXT},
}
# Columns of a row that are the program's own, or are said by where the row stands.
NOT_SHOWN: Final = ("id", "queued")
# What one row is shown with and a list of them is not: the readings of a day beside each of a thousand complaints.
NOT_LISTED: Final = ("complaints.evidence",)


def thing(properties: Mapping[str, Shape]) -> Shape:
    """An object that has all of these; others may come with later versions."""
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def list_of(item: Shape) -> Shape:
    """A list of such things."""
    return {"type": "array", "items": item}


def page_of(item: Shape) -> Shape:
    """One page of a list; ``next`` is null on the last one."""
    return thing({"items": list_of(item), "next": nullable(TEXT)})


def nullable(shape: Shape) -> Shape:
    """The same, or null."""
    return {**shape, "type": [shape["type"], "null"]}


def listed(table: Table) -> list[Column[Any]]:
    """The columns of a table that a list of its rows shows."""
    return [column for column in table.columns if str(column) not in NOT_LISTED]


def of_table(table: Table, *left_out: str) -> dict[str, Shape]:
    """The columns of a table as the answers show them."""
    return {shown_name(column.name): _of_column(column) for column in table.columns if column.name not in left_out}


def of_class(kind: type) -> dict[str, Shape]:
    """The fields of a data class as the answers show them."""
    found = TypeAdapter(kind).json_schema()["properties"]
    return {shown_name(name): _named(shown_name(name), _plain(field)) for name, field in found.items()}


def named(name: str) -> Shape:
    """One of ``SHAPES`` by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answers(name: str, status: int = 200, *, many: bool = False) -> dict[int | str, dict[str, Any]]:
    """What a route says it answers: one of ``SHAPES`` by its name, or a page of them."""
    shape = named(name)
    return {status: {"content": {"application/json": {"schema": page_of(shape) if many else shape}}}}


def _of_column(column: Column[Any]) -> Shape:
    if isinstance(column.type, JSON):
        found = LISTS.get(f"{column.table.name}.{column.name}", {"type": "object"})
    else:
        kinds: tuple[tuple[type, Shape], ...] = ((Boolean, {"type": "boolean"}), (Integer, COUNT), (Float, NUMBER))
        found = next((shape for kind, shape in kinds if isinstance(column.type, kind)), TEXT)
    return _named(shown_name(column.name), nullable(found) if column.nullable else found)


def _plain(field: Shape) -> Shape:
    """A field of pydantic's as we write it: null beside the type, without titles and defaults."""
    kinds = field.get("anyOf", [field])
    kept = {name: value for name, value in kinds[0].items() if name in {"type", "enum", "items"}}
    return nullable(kept) if len(kinds) > 1 else kept


def _of_arrow(schema: pa.Schema) -> dict[str, Shape]:
    kinds = {pa.string(): TEXT, pa.int64(): COUNT, pa.float64(): NUMBER, pa.bool_(): {"type": "boolean"}}
    found = {}
    for field in schema:
        name, shape = shown_name(field.name), kinds[field.type]
        found[name] = _named(name, nullable(shape) if field.nullable else shape)
    return found


def _named(name: str, shape: Shape) -> Shape:
    """An instant is text, whatever it is kept as."""
    if not is_instant(name):
        return shape
    return nullable(INSTANT) if "null" in shape["type"] else INSTANT


def _columns(*names: str, **others: Shape) -> Shape:
    """Columns of equal length; numbers are null where there is none."""
    return thing({"point": list_of(TEXT)} | {name: list_of(others.get(name, nullable(NUMBER))) for name in names})


def _in_full(table: Table, transitions: Table, key: str, **more: Shape) -> Shape:
    steps = list_of(thing(of_table(transitions, *NOT_SHOWN, key)))
    return thing(_row(table) | {"transitions": steps} | more)


def _listed(table: Table) -> Shape:
    shown = {shown_name(column.name) for column in listed(table)}
    return thing({name: shape for name, shape in _row(table).items() if name in shown})


def _row(table: Table) -> dict[str, Shape]:
    found = of_table(table)
    return found | {name: nullable(TEXT) for name in PERSONAL if name in found}


_PLACE: Final[dict[str, Shape]] = {
    "building_id": nullable(TEXT),
    "station_id": nullable(TEXT),
    "floor": nullable(COUNT),
    "unit": TEXT,
    "premises": TEXT,
}
_STEPS: Final = _columns("at", "low", "mean", "high", "count", at=COUNT, count=COUNT)
_READINGS: Final = _columns("measured_at", "received_at", "value", "quality", measured_at=COUNT, received_at=COUNT, quality=COUNT)

SHAPES: Final[dict[str, Shape]] = {
    "Problem": PROBLEM_SCHEMA,
    "Site": thing(
        {"name": TEXT, "timezone": TEXT, "policy": thing({"name": TEXT, "sha256": TEXT}), "now": INSTANT}
        | dict.fromkeys(("stations", "buildings", "rooms", "devices"), COUNT)
    ),
    "Station": thing(of_class(Station) | _of_arrow(STATIONS)),
    "Building": thing(of_class(Building)),
    "Room": thing(of_class(RoomState) | _PLACE),
    "Curve": thing(of_class(FiledCurve)),
    "Latest": _columns("measured_at", "value", "quality", measured_at=COUNT, quality=COUNT),
    "Readings": {"anyOf": [_READINGS, _STEPS]},
    "RoomDay": thing(of_table(room_days)),
    "Alarm": _listed(alarms),
    "AlarmInFull": _in_full(alarms, alarm_transitions, "alarm_id"),
    "Outage": _listed(outages),
    "OutageInFull": _in_full(outages, outage_transitions, "outage_id"),
    "Notice": _listed(notices),
    "NoticeInFull": _in_full(notices, notice_transitions, "notice_id"),
    "Complaint": _listed(complaints),
    "ComplaintInFull": _in_full(
        complaints,
        complaint_transitions,
        "complaint_id",
        rooms=list_of(thing(of_table(complaint_rooms, *NOT_SHOWN, "complaint_id"))),
        deeds=list_of(thing(of_table(complaint_deeds, *NOT_SHOWN, "complaint_id"))),
    ),
    "PlannedStop": thing(_row(planned_stops)),
    "OutOfService": thing(_row(out_of_service)),
    "TakenOut": thing({"id": COUNT, "kind": TEXT, "subject": TEXT}),
    "Returned": thing({"id": COUNT}),
    "Acknowledged": thing({"acknowledged": COUNT}),
}

"""The records as somebody sees them who is limited to some districts: every statement is narrowed, row by row, before it is executed.

SELECT, UPDATE, DELETE ─▶ the tables it reads ─▶ each with its condition (station, room, subject, or the row it belongs to) ─▶ the database

A table that can't be told by district shows nothing, so that a new one is shut until somebody says what it is (``SITE_WIDE``).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from typing import cast as cast_type

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Engine,
    FromClause,
    Insert,
    Select,
    String,
    Table,
    Update,
    and_,
    bindparam,
    cast,
    event,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSON as POSTGRES_JSON
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import Alias, CompoundSelect, Executable, Join

from domain.errors import StoreError
from domain.reach import Reach
from store.records.tables import metadata

WHOLE: Final = "keepwarm_whole"  # execution option: a chain of hashes is that of all records
_REACH: Final = "keepwarm_reach"
# What belongs to the whole site: people may see it whatever district they are limited to. Pages ask for their own rights beside.
SITE_WIDE: Final = frozenset(
    {"accounts", "api_keys", "audit", "calibrations", "invitations", "kept", "policies", "sessions", "shift_entries"}
)
# Rows about other rows by a text: ``complaint/12``; these tables have none.
OF_ROWS: Final = ("alarm", "complaint", "notice", "outage")
OF_PLACES: Final = frozenset({"events", "notices", "out_of_service"})


def narrowed(engine: Engine, reach: Reach) -> Engine:
    """The same records for one who sees only this reach; its statements may be built as if there were nothing else."""
    mine = engine.execution_options(**{_REACH: reach})
    conditions = Conditions(reach, engine.dialect.name)

    @event.listens_for(mine, "before_execute", retval=True)
    def narrow(
        _: Connection, statement: Executable, many: Any, values: Any, options: Mapping[str, Any]
    ) -> tuple[Executable, Any, Any]:  # fmt: skip
        return (statement if options.get(WHOLE) else conditions.narrow(statement)), many, values

    return mine


def reach_of(engine: Engine) -> Reach | None:
    """How far these records reach; None for all of them."""
    found = engine.get_execution_options().get(_REACH)
    return found if isinstance(found, Reach) else None


class Conditions:
    """Which rows of which table one sees."""

    def __init__(self, reach: Reach, dialect: str) -> None:
        self._reach = reach
        self._dialect = dialect

    def narrow(self, statement: Executable) -> Executable:
        """The statement over the rows that are seen. Raises StoreError for one whose tables can't be told (text)."""
        if isinstance(statement, Insert):
            return statement
        if not isinstance(statement, Select | CompoundSelect | Update | Delete):
            raise StoreError(f"{type(statement).__name__}: not for an account that is limited to districts")
        found: Any = visitors.cloned_traverse(statement, {}, {"select": self._narrow_select})
        if isinstance(found, Update | Delete):
            return found.where(self.of(found.table))
        return cast_type("Select[Any] | CompoundSelect[Any]", found)

    def _narrow_select(self, found: Select[Any]) -> None:
        conditions = [self.of(one) for one in _tables(found.get_final_froms())]
        found._where_criteria += tuple(one for one in conditions if one is not None)  # noqa: SLF001 - a traversal changes in place

    def of(self, seen: FromClause) -> Any:
        """The condition of a table, or of its alias in a statement."""
        table = seen.element if isinstance(seen, Alias) else seen
        if not isinstance(table, Table) or table.name in SITE_WIDE:
            return and_(True)
        found = [*self._by_place(seen), *self._by_row(seen)]
        return or_(*found) if found else false()

    def _by_place(self, seen: FromClause) -> Iterator[ColumnElement[bool]]:
        columns, reach = seen.c, self._reach
        if "station_id" in columns:
            yield self._in(columns.station_id, reach.stations)
        if "source_id" in columns and "station_id" in columns:
            yield columns.station_id.is_(None) & self._in(columns.source_id, reach.sources)
        if "room_id" in columns and "station_id" not in columns:
            yield self._in(columns.room_id, reach.rooms)
        if "subject" in columns and "station_id" not in columns:
            yield self._in(columns.subject, reach.subjects)
        elif "subject" in columns:  # what is the source's alone names no station
            yield columns.station_id.is_(None) & self._in(columns.subject, [f"source/{one}" for one in sorted(reach.sources)])

    def _by_row(self, seen: FromClause) -> Iterator[ColumnElement[bool]]:
        """A row that belongs to another one is seen with it."""
        columns = seen.c
        if not {"station_id", "room_id", "subject"} & set(columns.keys()):
            for column in columns.values():
                parent = next((key.column.table for key in column.foreign_keys), None)
                if parent is not None and parent.name not in {*SITE_WIDE, _name(seen)}:
                    yield self._belongs(column, parent)
        if "subject" in columns and "station_id" not in columns and _name(seen) not in OF_PLACES:
            for kind in OF_ROWS:
                row = metadata.tables[f"{kind}s"].alias()
                named = columns.subject == literal(f"{kind}/").concat(cast(row.c.id, String))
                yield columns.subject.like(f"{kind}/%") & exists().where(named, self.of(row))

    def _belongs(self, column: ColumnElement[Any], parent: Table) -> ColumnElement[bool]:
        other = parent.alias()
        return column.in_(select(other.c.id).where(self.of(other)))

    def _in(self, column: ColumnElement[Any], names: Iterable[str]) -> ColumnElement[bool]:
        """One parameter however many names there are: a district has tens of thousands of rooms."""
        every = bindparam(None, json.dumps(sorted(names)), String)
        made = func.json_each(every) if self._dialect == "sqlite" else func.json_array_elements_text(cast(every, POSTGRES_JSON))
        return column.in_(select(type_coerce(made.table_valued("value").c.value, String)))


def _name(seen: FromClause) -> str:
    table = seen.element if isinstance(seen, Alias) else seen
    return table.name if isinstance(table, Table) else ""


def _tables(froms: Iterable[FromClause]) -> Iterator[FromClause]:
    for one in froms:
        if isinstance(one, Join):
            yield from _tables((one.left, one.right))
        else:
            yield one

"""The alarms, newest first, as far as a page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select

from dashboard.facts.town import Town
from store.records.tables import alarms

UNACKNOWLEDGED = ("unacknowledged", "returned_unacknowledged")
MOST = 300


@dataclass(frozen=True)
class AlarmRow:
    """One alarm (ISA-18.2). ``no_data_at``: since when nothing is heard of what it is about."""

    id: int
    kind: str
    subject: str
    station_id: str | None
    building_id: str | None
    raised_at: int
    cleared_at: int | None
    cleared_reason: str | None
    no_data_at: int | None
    value: float | None
    limit_value: float | None
    state: str
    acknowledged_at: int | None
    acknowledged_by: str | None
    comment: str
    shelved_until: int | None
    suppressed_by: str | None


@dataclass(frozen=True)
class AlarmCounts:
    """``standing`` alarms are raised now; ``unacknowledged`` wait for somebody, cleared since or not."""

    standing: int
    unacknowledged: int
    no_data: int


@dataclass(frozen=True)
class Wanted:
    """Which alarms to show. Empty fields mean all; ``only`` is open, unacknowledged or all."""

    only: str = "open"
    kind: str = ""
    station_id: str = ""


def alarm_counts(town: Town) -> AlarmCounts:
    """How many alarms there are to look at."""
    return town.shared.of("alarm_counts", lambda: _alarm_counts(town))


def _alarm_counts(town: Town) -> AlarmCounts:
    standing = alarms.c.cleared_at.is_(None)
    waiting = alarms.c.state.in_(UNACKNOWLEDGED) & alarms.c.suppressed_by.is_(None)
    query = select(
        func.count().filter(standing), func.count().filter(waiting), func.count().filter(standing & alarms.c.no_data_at.is_not(None))
    ).where(or_(standing, waiting))
    return AlarmCounts(*town.rows(query)[0])


def alarm_rows(town: Town, wanted: Wanted) -> Sequence[AlarmRow]:
    """The newest alarms wanted, unacknowledged before others."""
    return town.shared.of(("alarms", wanted), lambda: _alarm_rows(town, wanted))


def _alarm_rows(town: Town, wanted: Wanted) -> list[AlarmRow]:
    columns = [alarms.c[name] for name in AlarmRow.__dataclass_fields__]
    conditions: list[ColumnElement[bool]] = []
    if wanted.only == "open":
        conditions.append(or_(alarms.c.cleared_at.is_(None), alarms.c.state.in_(UNACKNOWLEDGED)))
    elif wanted.only == "unacknowledged":
        conditions.append(alarms.c.state.in_(UNACKNOWLEDGED))
    if wanted.kind:
        conditions.append(alarms.c.kind == wanted.kind)
    if wanted.station_id:
        conditions.append(alarms.c.station_id == wanted.station_id)
    waits = alarms.c.state.in_(UNACKNOWLEDGED)
    query = select(*columns).where(*conditions).order_by(waits.desc(), alarms.c.raised_at.desc(), alarms.c.id.desc()).limit(MOST)
    return [AlarmRow(*row) for row in town.rows(query)]

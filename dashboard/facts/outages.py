"""Outages, and when they owe a notice (R4, R5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from dashboard.facts.town import Town
from dashboard.moments import DAY_MS, HOUR_MS
from store.records.tables import outages

SHOWN_ENDED_MS = 7 * DAY_MS
OPEN_MOST, OVER_MOST = 5_000, 200  # a heat source may take thousands of stations with it


@dataclass(frozen=True)
class OutageRow:
    """Heat not delivered. Duty clocks run from ``started_earliest``, reports use ``started_at``."""

    id: int
    subject: str
    station_id: str | None
    source_id: str | None
    state: str
    started_at: int
    started_earliest: int
    opened_at: int
    ended_at: int | None
    cause: str
    evidence: list[Any]
    parent_id: int | None
    stations: list[str]
    said: dict[str, Any]


@dataclass(frozen=True)
class Transition:
    """One stored step: from, to, at, who, why."""

    from_state: str
    to_state: str
    at: int
    who: str
    why: str


def notice_due_ms(town: Town, outage: OutageRow) -> int:
    """When the outage owes its users a notice: the policy's hours after its earliest start (R5)."""
    started = datetime.fromtimestamp(outage.started_earliest / 1000, town.site.timezone)
    version = town.site.policy.version_at(started.date())
    hours = version.notice_after_h if version else 8.0
    return outage.started_earliest + round(hours * HOUR_MS)


def outage_rows(town: Town) -> Sequence[OutageRow]:
    """Open outages, oldest first, the parts of a source's behind the others; then those ended within seven days, newest first."""
    return town.of_records("outages", lambda: _outage_rows(town))


def _outage_rows(town: Town) -> list[OutageRow]:
    """Two questions: however many are over, or began later, no open one is left out."""
    columns = outages.c
    still = _rows_where(town, columns.state == "open", columns.started_earliest, columns.id, most=OPEN_MOST)
    lately = (columns.state != "open") & (columns.ended_at > town.now_ms() - SHOWN_ENDED_MS)
    return [
        *sorted(still, key=lambda row: row.parent_id is not None),
        *_rows_where(town, lately, columns.started_at.desc(), columns.id.desc(), most=OVER_MOST),
    ]


def _rows_where(town: Town, which: ColumnElement[bool], *order: Any, most: int) -> list[OutageRow]:
    columns = [outages.c[name] for name in OutageRow.__dataclass_fields__]
    return [OutageRow(*row) for row in town.rows(select(*columns).where(which).order_by(*order).limit(most))]


def open_outages(town: Town) -> list[OutageRow]:
    """Outages that go on, oldest first. The parts of a source's outage are counted with it."""
    return [row for row in outage_rows(town) if row.state == "open" and row.parent_id is None]

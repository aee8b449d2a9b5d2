"""Complaints of the records as cases whose duties can be computed (R6, R7)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from compliance.complaint_life import Deed, Step
from compliance.service_duties import Calendar, Case, DutyState, duty_states, stand_until
from domain.deadlines import DeadlineTable
from domain.policy import Policy
from domain.site import Site
from store.records.tables import complaint_deeds, complaint_transitions, complaints

IDS_AT_ONCE = 500


def read_cases(connection: Connection, which: ColumnElement[bool]) -> dict[int, Case]:
    """The complaints that ``which`` (a condition on ``complaints``) picks, by id, with all that was merged into them."""
    columns = complaints.c
    rows = {row.id: row for row in connection.execute(select(complaints).where(which).order_by(columns.id))}
    children: dict[int, list[int]] = {}
    wanted = list(rows)
    while wanted:  # what was merged may itself have taken in others
        found = _in_parts(connection, lambda ids: select(complaints).where(columns.merged_into.in_(ids)), wanted)
        for row in found:
            children.setdefault(row.merged_into, []).append(row.id)
        wanted = [row.id for row in found if row.id not in rows]
        rows.update((row.id, row) for row in found)
    picked = [row.id for row in connection.execute(select(columns.id).where(which))]
    steps, deeds = _steps(connection, rows), _deeds(connection, rows)

    def case(complaint_id: int) -> Case:
        row = rows[complaint_id]
        merged = tuple(case(one) for one in sorted(children.get(complaint_id, ())))
        done = steps.get(complaint_id, ()), deeds.get(complaint_id, ())
        return Case(row.category, row.severity, row.origin, row.kind, row.opened_at, *done, merged)

    return {complaint_id: case(complaint_id) for complaint_id in picked}


def _steps(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[Step, ...]]:
    table = complaint_transitions.c
    found: dict[int, tuple[Step, ...]] = {}
    columns = (table.complaint_id, table.to_state, table.at)
    for row in _in_parts(connection, lambda part: select(*columns).where(table.complaint_id.in_(part)).order_by(table.id), ids):
        if row.to_state != "new":
            found[row.complaint_id] = (*found.get(row.complaint_id, ()), Step(row.to_state, row.at))
    return found


def _deeds(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[Deed, ...]]:
    table = complaint_deeds.c
    found: dict[int, tuple[Deed, ...]] = {}
    columns = (table.complaint_id, table.kind, table.at, table.body)
    for row in _in_parts(connection, lambda part: select(*columns).where(table.complaint_id.in_(part)).order_by(table.id), ids):
        deed = Deed(row.kind, row.at, bool(row.body.get("reached", True)), row.body.get("satisfied"))
        found[row.complaint_id] = (*found.get(row.complaint_id, ()), deed)
    return found


def _in_parts(connection: Connection, query: Any, ids: Iterable[int]) -> list[Any]:
    """All rows of a query over ids, a few hundred at a time: databases bound the length of a list."""
    listed = list(ids)
    rows: list[Any] = []
    for first in range(0, len(listed), IDS_AT_ONCE):
        statement: Select[Any] = query(listed[first : first + IDS_AT_ONCE])
        rows.extend(connection.execute(statement))
    return rows


def calendar_of(site: Site) -> Calendar:
    """The site's zone and its own working days."""
    return Calendar(site.timezone, site.working_days)


def table_of(policy: Policy, calendar: Calendar, reported_at: int) -> DeadlineTable | None:
    """The service deadlines in force when this was reported; a change of the policy never moves a clock that runs."""
    return policy.deadlines_at(datetime.fromtimestamp(reported_at / 1000, calendar.zone).date())


def states_of(site: Site, cases: Mapping[int, Case], now_ms: int) -> dict[int, list[DutyState]]:
    """The duties of each case at ``now_ms``."""
    return StandingDuties().of(site, cases, now_ms)


class StandingDuties:
    """The duties of many cases, again and again: computed anew only where something was stored, or an instant passed that changes them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Case, int, int, list[DutyState]]] = {}

    def of(self, site: Site, cases: Mapping[int, Case], now_ms: int) -> dict[int, list[DutyState]]:
        """The duties of each case at ``now_ms``."""
        calendar = calendar_of(site)
        known = {}
        for complaint_id, case in cases.items():
            before = self._known.get(complaint_id)
            if before is None or not before[1] <= now_ms <= before[2] or (before[0] is not case and before[0] != case):
                states = duty_states(case, table_of(site.policy, calendar, case.reported_at), calendar, now_ms)
                before = case, now_ms, stand_until(case, states, now_ms), states
            known[complaint_id] = before
        self._known = known
        return {complaint_id: states for complaint_id, (_, _, _, states) in known.items()}

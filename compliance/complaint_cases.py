"""Complaints of the records as cases whose duties can be computed (R6, R7)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select
from sqlalchemy import case as sql_case

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
    facts = select(columns.id, columns.merged_into, columns.category, columns.severity, columns.origin, columns.kind, columns.opened_at)
    rows = {complaint_id: row for complaint_id, _, *row in connection.execute(facts.where(which).order_by(columns.id))}
    picked = list(rows)
    children: dict[int, list[int]] = {}
    wanted = picked
    while wanted:  # what was merged may itself have taken in others
        following = []
        for complaint_id, into, *row in _in_parts(connection, lambda ids: facts.where(columns.merged_into.in_(ids)), wanted):
            children.setdefault(into, []).append(complaint_id)
            if complaint_id not in rows:
                rows[complaint_id] = row
                following.append(complaint_id)
        wanted = following
    steps, deeds = _steps(connection, rows), _deeds(connection, rows)

    def case_of(complaint_id: int) -> Case:
        merged = tuple(case_of(one) for one in sorted(children.get(complaint_id, ())))
        category, severity, origin, kind, opened_at = rows[complaint_id]
        done = steps.get(complaint_id, ()), deeds.get(complaint_id, ())
        return Case(category, severity, origin, kind, opened_at, *done, merged)

    return {complaint_id: case_of(complaint_id) for complaint_id in picked}


def _steps(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[Step, ...]]:
    table = complaint_transitions.c
    found: dict[int, list[Step]] = {}
    columns = (table.complaint_id, table.to_state, table.at)
    which = table.to_state != "new"
    query = lambda part: select(*columns).where(table.complaint_id.in_(part), which).order_by(table.id)  # noqa: E731
    for complaint_id, to_state, at in _in_parts(connection, query, ids):
        found.setdefault(complaint_id, []).append(Step(to_state, at))
    return {complaint_id: tuple(steps) for complaint_id, steps in found.items()}


def _deeds(connection: Connection, ids: Iterable[int]) -> dict[int, tuple[Deed, ...]]:
    table = complaint_deeds.c
    found: dict[int, list[Deed]] = {}
    told = sql_case((table.kind != "proposed", table.body), else_=None)  # a proposal's is its evidence
    columns = (table.complaint_id, table.kind, table.at, told)
    query = lambda part: select(*columns).where(table.complaint_id.in_(part)).order_by(table.id)  # noqa: E731
    for complaint_id, kind, at, body in _in_parts(connection, query, ids):
        said = body or {}
        found.setdefault(complaint_id, []).append(
            Deed(kind, at, bool(said.get("reached", True)), said.get("satisfied"), said.get("cause", ""))
        )
    return {complaint_id: tuple(deeds) for complaint_id, deeds in found.items()}


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
        self._last: tuple[Mapping[int, Case], int, int, dict[int, list[DutyState]]] | None = None

    def of(self, site: Site, cases: Mapping[int, Case], now_ms: int) -> dict[int, list[DutyState]]:
        """The duties of each case at ``now_ms``. The very mapping of last time (never changed) gets the very answer while it stands."""
        if self._last is not None and self._last[0] is cases and self._last[1] <= now_ms <= self._last[2]:
            return self._last[3]
        calendar = calendar_of(site)
        known = {}
        for complaint_id, case in cases.items():
            before = self._known.get(complaint_id)
            if before is None or not before[1] <= now_ms <= before[2] or (before[0] is not case and before[0] != case):
                states = duty_states(case, table_of(site.policy, calendar, case.reported_at), calendar, now_ms)
                before = case, now_ms, stand_until(case, states, now_ms), states
            known[complaint_id] = before
        self._known = known
        found = {complaint_id: states for complaint_id, (_, _, _, states) in known.items()}
        stands_ms = min((until for _, _, until, _ in known.values()), default=now_ms)
        self._last = cases, now_ms, stands_ms, found
        return found

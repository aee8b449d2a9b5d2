"""One alarm in full: its journal, and the readings around it beside what they were judged by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import select

from compliance.adherence import WATER_SHARE
from dashboard.facts.alarms import AlarmRow, alarm_columns, alarm_row
from dashboard.facts.outages import Transition
from dashboard.facts.stations import FLOW, OUTDOOR, RETURN, SUPPLY
from dashboard.facts.town import Town
from dashboard.facts.trend import Trend, limit_trend, target_trend, trends
from dashboard.facts.values import station_interval_ms
from dashboard.moments import HOUR_MS, MINUTE_MS
from store.records.tables import alarm_transitions, alarms

BEFORE_MS: Final = 6 * HOUR_MS
AFTER_MS: Final = 2 * HOUR_MS
STANDING_MOST_MS: Final = 24 * HOUR_MS  # of an alarm that stands for days its beginning is the evidence
MAKEUP: Final = "makeup_flow_m3h"
GAP_INTERVALS: Final = 3


@dataclass(frozen=True)
class AlarmDetail:
    """An alarm with what its row in a table has no room for."""

    row: AlarmRow
    pending_at: int
    policy: str
    shelved_by: str | None
    shelved_reason: str | None


def alarm_detail(town: Town, alarm_id: int) -> AlarmDetail | None:
    """The alarm with this number; None where there is none."""
    return town.shared.of(("alarm", alarm_id), lambda: _alarm_detail(town, alarm_id))


def _alarm_detail(town: Town, alarm_id: int) -> AlarmDetail | None:
    more = (alarms.c.pending_at, alarms.c.policy, alarms.c.shelved_by, alarms.c.shelved_reason)
    found = town.rows(select(*alarm_columns(town.now_ms()), *more).where(alarms.c.id == alarm_id))
    if not found:
        return None
    *columns, pending_at, policy, shelved_by, shelved_reason = found[0]
    return AlarmDetail(alarm_row(columns), pending_at, policy, shelved_by, shelved_reason)


def alarm_steps(town: Town, alarm_id: int) -> Sequence[Transition]:
    """The stored journal of an alarm: from, to, at, who, why; the newest first."""
    steps = alarm_transitions.c
    query = select(steps.from_state, steps.to_state, steps.at, steps.who, steps.why).where(steps.alarm_id == alarm_id)
    return town.shared.of(("alarm_steps", alarm_id), lambda: [Transition(*row) for row in town.rows(query.order_by(steps.id.desc()))])


@dataclass(frozen=True)
class AlarmReadings:
    """What was measured around an alarm over [from_ms, to_ms), by name of its quantity, and what it was held to.

    ``bound`` is the limit or target of ``name``; both are in ``unit``.
    """

    from_ms: int
    to_ms: int
    name: str
    value: Trend
    bound: Trend
    outdoor: Trend


def alarm_readings(town: Town, alarm: AlarmDetail) -> AlarmReadings:
    """The readings around an alarm. Raises StoreError when the history can't be read."""
    key = ("alarm_readings", alarm.row.id, alarm.row.cleared_at)
    return town.shared.of(key, lambda: _alarm_readings(town, alarm), life_s=5.0)


def span_of(alarm: AlarmDetail, now_ms: int) -> tuple[int, int]:
    """From six hours before its condition began until two hours after it was over; of one that stands, its first day."""
    row = alarm.row
    end_ms = row.cleared_at + AFTER_MS if row.cleared_at else row.raised_at + STANDING_MOST_MS
    longest_ms = row.raised_at + STANDING_MOST_MS + AFTER_MS
    return alarm.pending_at - BEFORE_MS, max(alarm.pending_at + MINUTE_MS, min(now_ms, end_ms, longest_ms))


def _alarm_readings(town: Town, alarm: AlarmDetail) -> AlarmReadings:
    from_ms, to_ms = span_of(alarm, town.now_ms())
    kind, _, subject_id = alarm.row.subject.partition("/")
    station_id = alarm.row.station_id or (subject_id if kind == "station" else "")
    outdoor = Trend.empty()
    if station_id in town.site.stations:
        outdoor = _station_lines(town, station_id, (OUTDOOR,), from_ms, to_ms)[0]
    if kind == "room" and subject_id in town.site.rooms:
        room = town.site.rooms[subject_id]
        line = trends(town, [f"room/{subject_id}/indoor_temp_c"], from_ms, to_ms, town.site.hold_ms(room))[0]
        value = Trend(line.at_ms, line.value + room.offset_k)
        return AlarmReadings(from_ms, to_ms, "indoor_temp_c", value, limit_trend(town, room.table, from_ms, to_ms), outdoor)
    if station_id not in town.site.stations:
        return AlarmReadings(from_ms, to_ms, SUPPLY, Trend.empty(), Trend.empty(), outdoor)
    if alarm.row.kind.startswith("water_"):
        rate = makeup_rate(*_station_lines(town, station_id, (MAKEUP, FLOW), from_ms, to_ms))
        bound = Trend(np.array([from_ms, to_ms], np.int64), np.full(2, WATER_SHARE * 100))
        return AlarmReadings(from_ms, to_ms, "makeup_rate_pct", rate, bound, Trend.empty())
    supply, _ = _station_lines(town, station_id, (SUPPLY, RETURN), from_ms, to_ms)
    target = target_trend(outdoor, town.curves(station_id), town.site.timezone)
    return AlarmReadings(from_ms, to_ms, SUPPLY, supply, target, outdoor)


def _station_lines(town: Town, station_id: str, names: Sequence[str], from_ms: int, to_ms: int) -> list[Trend]:
    hold_ms = max(round(town.site.station_hold_min * MINUTE_MS), GAP_INTERVALS * station_interval_ms(town)[station_id])
    return trends(town, [f"station/{station_id}/{name}" for name in names], from_ms, to_ms, hold_ms)


def makeup_rate(makeup: Trend, flow: Trend) -> Trend:
    """Make-up flow in per cent of the circulation that stood at its instant (R9); NaN without circulation."""
    if not len(makeup) or not len(flow):
        return Trend.empty()
    place = np.searchsorted(flow.at_ms, makeup.at_ms, side="right") - 1
    standing = np.where(place >= 0, flow.value[np.maximum(place, 0)], np.nan)
    rate = np.full(len(makeup), np.nan)
    np.divide(makeup.value * 100.0, standing, out=rate, where=standing > 0)
    return Trend(makeup.at_ms, rate)

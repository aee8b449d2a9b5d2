"""All rules over stored readings, with hindsight: what would have fired (``keepwarm replay``).

readings ─▶ room alarms ─┐
        └▶ heat ─▶ outages ─▶ duties ─┴▶ complaints ─▶ events in order of time
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise

import numpy as np

from compliance.adherence import KeepingTimer, curve_runs, curve_turns, water_runs, water_turns
from compliance.cause import Cause, cause_of_source, outage_cause
from compliance.complaint import ComplaintBook, Estate, RaisedRoom
from compliance.events import Event, ExcludedAt, alarm_events, complaint_event, outage_events, own_marks, turn_event
from compliance.heat import PointSeries, Runs, StationRules, heat_runs
from compliance.notice import Duty
from compliance.outage import Outage, SourceOutage, planned_at, source_outages, station_outages
from compliance.room_alarm import RoomEvent, fold_alarms, fresh_states
from compliance.sensor import sensor_suspicion
from compliance.series import Series, clean_series
from compliance.verdict import room_rules
from domain.policy import Policy
from domain.quantity import parse_point
from domain.reading import Readings
from domain.site import Room, Site, Station
from store.site_folder.policies import check_schedules

ROOM_QUANTITY = "indoor_temp_c"


@dataclass(frozen=True)
class Columns:
    """Readings sorted out by what they say: good ones only. ``rooms`` in the order of the site's rooms, then of the file."""

    rooms: tuple[Room, ...]
    room_series: Series
    batteries: Mapping[str, PointSeries]
    stations: Mapping[str, Mapping[str, PointSeries]]
    from_ms: int | None
    stands_until_ms: int | None


@dataclass
class Outcome:
    """What a replay found up to ``until_ms`` (UTC ms); ``heat`` by station, for those who ask why."""

    events: list[Event]
    until_ms: int
    outages: list[Outage] = field(default_factory=list)
    sources: list[SourceOutage] = field(default_factory=list)
    heat: dict[str, Runs] = field(default_factory=dict)


def duty_at(policy: Policy, site: Site, at: int) -> Duty:
    """The outage duties of the policy version in force at an instant (UTC ms)."""
    version = policy.version_at(datetime.fromtimestamp(at / 1000, site.timezone).date())
    return Duty() if version is None else Duty(version.notice_after_h, version.warn_after_h)


def sort_out(site: Site, names: Sequence[str], readings: Readings) -> Columns:
    """Sorts readings (``point`` is the index into ``names``) out by room and by station and quantity."""
    points = [parse_point(name) for name in names]
    rooms = list(site.rooms.values())
    row_of = {room.room_id: row for row, room in enumerate(rooms)}
    row = np.full(len(names), -1, np.int64)
    for index, point in enumerate(points):
        if point.kind == "room" and point.quantity == ROOM_QUANTITY:
            if point.subject_id not in row_of:
                row_of[point.subject_id] = len(rooms)
                rooms.append(Room(point.subject_id))
            row[index] = row_of[point.subject_id]
    others = [index for index, point in enumerate(points) if row[index] < 0 and point.kind in ("room", "station")]
    row[others] = np.arange(len(rooms), len(rooms) + len(others))
    offset_k = np.concatenate([[room.offset_k for room in rooms], np.zeros(len(others))])
    room_series, series = _apart(clean_series(row[readings.point], readings, offset_k), len(rooms))
    stations: dict[str, dict[str, PointSeries]] = {station_id: {} for station_id in site.stations}
    batteries = {}
    for index, one in zip(others, series, strict=True):
        point = points[index]
        if point.kind == "station":
            stations.setdefault(point.subject_id, {})[point.quantity] = one
        elif point.quantity == "battery_pct":
            batteries[point.subject_id] = one
    from_ms, until_ms = _extent(site, rooms, room_series, stations)
    return Columns(tuple(rooms), room_series, batteries, stations, from_ms, until_ms)


def _apart(series: Series, rooms: int) -> tuple[Series, list[PointSeries]]:
    """The rooms' series, which come first, and each of the others."""
    end = int(series.starts[rooms])
    bounds = pairwise(series.starts[rooms:].tolist())
    others = [PointSeries(series.at[low:high], series.value[low:high]) for low, high in bounds]
    return Series(series.starts[: rooms + 1], series.at[:end], series.value[:end]), others


def _extent(
    site: Site, rooms: Sequence[Room], series: Series, stations: Mapping[str, Mapping[str, PointSeries]]
) -> tuple[int | None, int | None]:
    """The first good reading and the latest end of a stand."""
    hold_ms = round(site.station_hold_min * 60_000)
    firsts: list[int] = []
    ends: list[int] = []
    for row, room in enumerate(rooms):
        low, high = series.starts[row], series.starts[row + 1]
        if high > low:
            firsts.append(int(series.at[low]))
            ends.append(int(series.at[high - 1]) + site.hold_ms(room))
    for quantities in stations.values():
        for one in quantities.values():
            if len(one.at):
                firsts.append(int(one.at[0]))
                ends.append(int(one.at[-1]) + hold_ms)
    return (min(firsts), max(ends)) if firsts else (None, None)


def replay(site: Site, names: Sequence[str], readings: Readings, to_ms: int | None = None) -> Outcome:
    """Runs every rule over the readings up to and including ``to_ms`` (UTC ms), by default the latest end of a stand.

    Raises ConfigError when the policy lacks the schedule of a room.
    """
    columns = sort_out(site, names, readings)
    check_schedules(site.policy, columns.rooms)
    if columns.from_ms is None or columns.stands_until_ms is None:
        return Outcome([], 0)
    until_ms = columns.stands_until_ms if to_ms is None else to_ms
    outcome = Outcome([], until_ms)
    if until_ms < columns.from_ms:
        return outcome
    _outages(site, columns, until_ms, outcome)
    raised = _alarms(site, columns, until_ms, outcome)
    _complaints(site, columns, raised, outcome)
    outcome.events.sort(key=lambda event: event.at)
    return outcome


def _alarms(site: Site, columns: Columns, until_ms: int, outcome: Outcome) -> list[tuple[int, int]]:
    """Adds the events of room alarms; returns (instant, room row) of each one raised, in order of time."""
    assert columns.from_ms is not None
    rooms = columns.rooms
    hold_ms = np.array([site.hold_ms(room) for room in rooms], np.int64)
    rules = room_rules(rooms, site.exclusions, site.policy, site.timezone, hold_ms, columns.from_ms, until_ms + 1)
    found = fold_alarms(columns.room_series, rules, fresh_states(len(rooms)), columns.from_ms, until_ms + 1)
    excluded = ExcludedAt((one.room_id, one.from_ms, one.to_ms) for one in site.exclusions)
    events = alarm_events(found, [room.room_id for room in rooms], excluded)
    outcome.events.extend(event for event in events if event.at <= until_ms)
    raised = (found.kind == RoomEvent.RAISED) & (found.at <= until_ms)
    return sorted(zip(found.at[raised].tolist(), found.room[raised].tolist(), strict=True))


def _outages(site: Site, columns: Columns, until_ms: int, outcome: Outcome) -> None:
    assert columns.from_ms is not None
    seasons = site.policy.seasons(site.timezone, columns.from_ms, until_ms + 1)
    for station_id, series in columns.stations.items():
        station = site.stations.get(station_id, Station(station_id))
        rules = StationRules(station.design_flow_m3h, site.curves.get(station_id, ()), round(site.station_hold_min * 60_000), site.timezone)
        runs = heat_runs(series, rules, seasons, columns.from_ms, until_ms + 1)
        outcome.heat[station_id] = runs
        turns = curve_turns(curve_runs(series, rules, runs), KeepingTimer())
        turns += water_turns(water_runs(series, rules, seasons, columns.from_ms, until_ms + 1), KeepingTimer())
        outcome.events.extend(turn_event(turn, station_id) for turn in turns if turn.at <= until_ms)
        outcome.outages.extend(one for one in station_outages(station_id, runs, site.planned_stops) if one.opened_at <= until_ms)
    outcome.sources = source_outages(outcome.outages, site.sources)
    both: list[Outage | SourceOutage] = [*outcome.outages, *outcome.sources]
    for outage in both:
        marks = own_marks(outage, outcome.sources, duty_at(site.policy, site, outage.opened_at), until_ms)
        outcome.events.extend(outage_events(outage, marks, _cause(site, columns, outage).name, until_ms))


def _cause(site: Site, columns: Columns, outage: Outage | SourceOutage) -> Cause:
    if isinstance(outage, SourceOutage):
        return cause_of_source(outage)
    others = [columns.stations[station_id] for station_id in site.beside(outage.station_id)]
    return outage_cause(columns.stations[outage.station_id], outage.started_at, others=others)


def _complaints(site: Site, columns: Columns, raised: Sequence[tuple[int, int]], outcome: Outcome) -> None:
    estate = Estate.of(columns.rooms, site.buildings.values())
    book = ComplaintBook(estate)
    doubts = _Doubts(columns, estate)
    by_station: dict[str, list[Outage]] = {}
    for outage in outcome.outages:
        by_station.setdefault(outage.station_id, []).append(outage)
    for at, group in groupby(raised, key=lambda one: one[0]):
        together = []
        for _, row in group:
            room_id = columns.rooms[row].room_id
            station_id = estate.station_of.get(room_id, "")
            covered = any(outage.open_at(at) for outage in by_station.get(station_id, ()))
            if planned_at(site.planned_stops, station_id, at):
                together.append(RaisedRoom(room_id, covered_by="planned_stop"))
            elif covered:
                together.append(RaisedRoom(room_id, covered_by=f"station/{station_id}"))
            else:
                together.append(RaisedRoom(room_id, suspicion=doubts.suspicion(at, row)))
        outcome.events.extend(complaint_event(change) for change in book.raise_together(at, together))


class _Doubts:
    """Looks a sensor's suspicion up in the readings of its building."""

    def __init__(self, columns: Columns, estate: Estate) -> None:
        self._columns = columns
        self._building = [estate.building_of.get(room.room_id) for room in columns.rooms]
        self._rows: dict[str, list[int]] = {}
        self._found: dict[int, PointSeries] = {}
        for row, building_id in enumerate(self._building):
            if building_id is not None:
                self._rows.setdefault(building_id, []).append(row)

    def _series(self, row: int) -> PointSeries:
        found = self._found.get(row)
        if found is None:
            series = self._columns.room_series
            rows = slice(int(series.starts[row]), int(series.starts[row + 1]))
            found = self._found[row] = PointSeries(series.at[rows], series.value[rows])
        return found

    def suspicion(self, at: int, row: int) -> str | None:
        battery = self._columns.batteries.get(self._columns.rooms[row].room_id)
        building_id = self._building[row]
        if building_id is None:
            none = PointSeries(np.empty(0, np.int64), np.empty(0))
            return sensor_suspicion(at, none, (), battery)
        others = [self._series(other) for other in self._rows[building_id] if other != row]
        return sensor_suspicion(at, self._series(row), others, battery)

"""Screening: marks what can't be true and what is unlikely, drops nothing (domain.md, plausibility).

    each value:     not a number ─▶ sentinel ─▶ outside what can be ─▶ outside what is usual ─▶ time ahead of its receipt
    each history:   exact 0.00 with a battery ─▶ falling counter ─▶ step ─▶ stuck          (hour by hour, in order of time)
    each circuit:   return above supply, no flow with a pump running, … (``relations``)
    the town:       outdoor temperature off the median

The first bad mark stays, a suspect one gives way to a bad one. Live batches and whole files go the same way: what came before is kept
by point, and a batch is looked at in the order in which it was measured, however it is cut. A reading older than the newest of its
point is judged by its value alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from domain.reading import FIRST_BAD, Quality, Readings
from domain.screening.hour import Hour, Points, Rows, keys_of
from domain.screening.known_points import NEVER, KnownPoints
from domain.screening.memory import Memory, memory_of, recall
from domain.screening.moving import Moving, hour_of
from domain.screening.relations import DUST, RELATIONS, WATER_FLOWS, Mask, Relation, Values
from domain.screening.surroundings import HOUR_MS, MINUTE_MS, ROLES, Kind, Place, Role, Surroundings

# 0x7FFF, 0x8000 and 0xFFFF as gateways pass them on: as they are, and the first two in tenths. Most lie outside what can be.
SENTINELS = (-3276.8, 3276.7, 32767.0, 32768.0, -32768.0, 65535.0)
STANDS_MS = 5 * MINUTE_MS  # a neighbour's last value can be compared with
STEP_MS = 10 * MINUTE_MS
AHEAD_MS = 10 * MINUTE_MS
OUTDOOR_STANDS_MS = 30 * MINUTE_MS
OUTDOOR_OFF_K = 5.0
OUTDOOR_LEAST = 3  # stations, for a median that means something
BATTERY_STANDS_MS = 24 * HOUR_MS


class Screen:
    """Marks readings of the points it has learnt, by id."""

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()
        self._points = KnownPoints()
        self._kinds: dict[Kind, int] = {Kind(): 0}
        self._table = np.array([Kind()], np.float64)
        self._circuits: dict[str, int] = {}
        self._members = np.full((16, ROLES), -1, np.int32)
        self._rooms: dict[str, tuple[int, int]] = {}  # the points of room temperature and of battery, while one of them is missing
        self._moving = Moving()
        self._remembered: Memory | None = None

    def memory(self) -> Memory:
        """A copy of what is known of the points, to be kept over a restart."""
        return memory_of(self._points, self._moving)

    def remember(self, memory: Memory) -> None:
        """Takes what an earlier screen knew of the same ids: it counts for each point from when that is learnt."""
        self._remembered = memory

    def learn(self, ids: Sequence[int] | Points, names: Sequence[str]) -> None:
        """Takes in points: ``ids`` and ``names`` of one length."""
        if not len(names):
            return
        self._points.grow(int(max(ids)) + 1)
        known = len(self._kinds)
        for point, name in zip(ids, names, strict=True):
            self._settle_in(int(point), self._surroundings.place(name))
        if len(self._kinds) > known:
            self._table = np.array(list(self._kinds), np.float64)
        if self._remembered is not None:
            recall(self._remembered, self._points, self._moving, np.array(ids, np.int64))

    def knows(self, points: Points) -> Mask:
        """Which of these points have been learnt."""
        known = self._points.known
        inside = (points >= 0) & (points < len(known))
        inside[inside] = known[points[inside]]
        return inside

    def _settle_in(self, point: int, place: Place) -> None:
        points = self._points
        points.known[point] = True
        points.kind[point] = self._kinds.setdefault(place.kind, len(self._kinds))
        points.outdoor[point] = place.outdoor
        if place.role != Role.NONE:
            circuit = self._circuits.setdefault(place.circuit, len(self._circuits))
            if circuit == len(self._members):
                self._members = np.concatenate([self._members, np.full_like(self._members, -1)])
            points.circuit[point], points.role[point] = circuit, place.role
            self._members[circuit, place.role] = point
        if place.neighbours:
            window_h = int(min(place.kind.stuck_ms, 6 * HOUR_MS)) // HOUR_MS if place.circuit else int(place.kind.stuck_ms) // HOUR_MS
            points.slot[point] = self._moving.slot(place.neighbours, window_h)
        if place.room:
            sensor, battery = self._rooms.pop(place.room, (-1, -1))
            sensor, battery = (sensor, point) if place.battery else (point, battery)
            if sensor >= 0 and battery >= 0:
                points.battery[sensor] = battery
            else:
                self._rooms[place.room] = sensor, battery

    def __call__(self, readings: Readings) -> Readings:
        """The same readings with their qualities marked. Every point must have been learnt."""
        quality = readings.quality.copy()
        limits = self._table[self._points.kind[readings.point]]
        self._by_value(readings, limits, quality)
        for rows in self._hours(readings, quality):
            self._by_history(readings, rows, quality)
        return replace(readings, quality=quality)

    # ── each value ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _by_value(self, readings: Readings, limits: Values, quality: NDArray[np.uint8]) -> None:
        value = readings.value
        bad = (
            ~np.isfinite(value),
            _coded(value) & (limits[:, 4] == 1),
            (value < limits[:, 0]) | (value > limits[:, 1]),
        )
        for mark, found in zip((Quality.NOT_A_NUMBER, Quality.SENTINEL, Quality.RANGE), bad, strict=True):
            quality[found & (quality < FIRST_BAD)] = mark
        quality[((value < limits[:, 2]) | (value > limits[:, 3])) & (quality == Quality.GOOD)] = Quality.SUSPECT_RANGE
        quality[(readings.measured_at > readings.received_at + AHEAD_MS) & (quality == Quality.GOOD)] = Quality.CLOCK

    # ── each history ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _hours(self, readings: Readings, quality: NDArray[np.uint8]) -> Iterator[Rows]:
        """The rows that go on from what is known, in order of time, hour by hour."""
        at = readings.measured_at
        on_time = (at >= self._points.at[readings.point]) & (at <= readings.received_at + AHEAD_MS)
        rows = np.flatnonzero((quality < FIRST_BAD) & on_time)
        if not len(rows):
            return
        hours = at[rows] // HOUR_MS
        if hours[0] == hours[-1] and (hours == hours[0]).all():
            yield rows
            return
        order = np.argsort(at[rows], kind="stable")
        rows, hours = rows[order], hours[order]
        yield from np.split(rows, np.flatnonzero(np.diff(hours)) + 1)

    def _by_history(self, readings: Readings, rows: Rows, quality: NDArray[np.uint8]) -> None:
        """Marks rows of one hour."""
        keys = keys_of(readings.point[rows], readings.measured_at[rows])
        order = np.argsort(keys, kind="stable")
        rows = rows[order]
        hour = Hour(self._points, keys[order], readings.point[rows], readings.measured_at[rows], readings.value[rows])
        zeros = self._zeros(hour)
        if zeros.any():
            quality[rows[zeros]] = Quality.SENTINEL
            rows, hour = rows[~zeros], hour.take(np.flatnonzero(~zeros))
        if not len(rows):
            return
        good = quality[rows] == Quality.GOOD
        marks = np.zeros(len(rows), np.uint8)
        table = self._table[self._points.kind[hour.point]]
        before, before_at = hour.before(hour.value, self._points.value), hour.before(hour.at, self._points.at)
        marks[(table[:, 7] == 1) & (hour.value < before)] = Quality.COUNTER_BACKWARDS
        marks[(np.abs(hour.value - before) > table[:, 5] + DUST) & (hour.at - before_at <= STEP_MS)] = Quality.RATE
        self._relate(hour, marks)
        stuck = self._stuck(hour, before, table[:, 6])
        self._points.value[hour.point[hour.last]] = hour.value[hour.last]
        self._points.at[hour.point[hour.last]] = hour.at[hour.last]
        self._outdoors(hour, marks)
        quality[rows[good]] = marks[good]
        quality[rows[stuck]] = Quality.STUCK

    def _zeros(self, hour: Hour) -> Mask:
        """A probe's exact 0.00 while its battery is there: no probe, not frost (domain.md)."""
        battery = self._points.battery[hour.point]
        found: Mask = (hour.value == 0) & (battery >= 0)
        if found.any():
            found[found] = hour.of(battery[found], hour.at[found], BATTERY_STANDS_MS) > 0
        return found

    def _stuck(self, hour: Hour, before: Values, stuck_ms: Values) -> Mask:
        """The same value for too long while its neighbours move and, at a station, water flows."""
        slots = self._points.slot[hour.point]
        moving = slots >= 0
        if not moving.any():
            return moving
        self._note_moves(hour, slots)
        begins = hour.value != before
        since = hour.runs(begins | hour.first, np.where(begins, hour.at, self._points.same_since[hour.point]))
        self._points.same_since[hour.point[hour.last]] = since[hour.last]
        found: Mask = moving & (hour.at - since >= stuck_ms)
        if found.any():
            found[found] = self._moving.others_move(slots[found].astype(np.intp))
        circuit = self._points.circuit[hour.point]
        of_station = found & (circuit >= 0)
        if of_station.any():
            instruments = self._members[circuit[of_station]][:, WATER_FLOWS.instruments]
            found[of_station] = WATER_FLOWS.holds(hour.of(instruments, hour.at[of_station, None], STANDS_MS))
        return found

    def _note_moves(self, hour: Hour, slots: Points) -> None:
        starts = np.flatnonzero(hour.first)
        low, high = np.minimum.reduceat(hour.value, starts), np.maximum.reduceat(hour.value, starts)
        of = slots[starts]
        own = of >= 0
        self._moving.saw(hour_of(int(hour.at[0])), of[own].astype(np.intp), low[own], high[own])

    # ── each circuit, the town ────────────────────────────────────────────────────────────────────────────────────────

    def _relate(self, hour: Hour, marks: NDArray[np.uint8]) -> None:
        roles = self._points.role[hour.point]
        present = np.bincount(roles + 1, minlength=ROLES + 1)
        for relation in RELATIONS:
            if present[relation.role + 1]:
                rows = np.flatnonzero(roles == relation.role)
                marks[rows[self._broken(hour, rows, relation)]] = relation.mark

    def _broken(self, hour: Hour, rows: Rows, relation: Relation) -> Mask:
        own = hour.take(rows)
        circuit = self._points.circuit[own.point]
        broken = relation.breaks(own.value, hour.of(self._members[circuit, relation.other], own.at, STANDS_MS))
        if relation.only_if is not None and broken.any():
            instruments = self._members[circuit[broken]][:, relation.only_if.instruments]
            broken[broken] = relation.only_if.holds(hour.of(instruments, own.at[broken, None], STANDS_MS))
        if not relation.for_ms:
            return broken
        since = self._points.broken_since
        begun = np.where(broken, own.at, NEVER)
        earlier = own.before(begun, since)  # of the row before, NEVER where the rule held
        goes_on = broken & (earlier != NEVER)
        begun = np.where(own.first & goes_on, earlier, begun)
        begun = own.runs(own.first | ~goes_on, begun)
        since[own.point[own.last]] = begun[own.last]
        return broken & (own.at - begun >= relation.for_ms)

    def _outdoors(self, hour: Hour, marks: NDArray[np.uint8]) -> None:
        """Far from the town's median, as it is with these readings."""
        rows = np.flatnonzero(self._points.outdoor[hour.point])
        if not len(rows):
            return
        every = np.flatnonzero(self._points.outdoor)
        standing = every[self._points.at[every] >= hour.at[rows].max() - OUTDOOR_STANDS_MS]
        if len(standing) >= OUTDOOR_LEAST:
            off = np.abs(hour.value[rows] - np.median(self._points.value[standing])) > OUTDOOR_OFF_K
            marks[rows[off]] = Quality.OUTDOOR


def _coded(value: Values) -> Mask:
    """Which values are codes for "no value". All of them are large: few are looked at twice."""
    found: Mask = np.abs(value) >= SENTINELS[1]
    if found.any():
        found[found] = np.isin(value[found], SENTINELS)
    return found


def screened(names: Sequence[str], readings: Readings, surroundings: Surroundings | None = None) -> Readings:
    """A file's readings with their qualities marked; ``readings.point`` is an index of ``names``. Bad ones keep their reason."""
    screen = Screen(surroundings)
    screen.learn(range(len(names)), names)
    return screen(readings)

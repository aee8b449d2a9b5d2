"""When a cold room counts as cured (R6): compliant for 24 h of known time since the last breach. Silence is not warmth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compliance.evidence import DAY_MS
from compliance.series import Series, clean_series
from compliance.verdict import AT_LIMIT_K, RoomRules, cut, most_segments, room_rules, segments_of
from domain.clock import iso
from domain.site import Room, Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings

CURED_AFTER_MS = DAY_MS
LOOK_BACK_MS = 7 * DAY_MS


@dataclass(frozen=True)
class Cure:
    """A room compliant for 24 h of known time over [from_ms, to_ms), ``to_ms`` being the instant at which they were full (UTC ms)."""

    from_ms: int
    to_ms: int
    unknown_ms: int
    min_c: float

    def evidence(self, site: Site) -> dict[str, Any]:
        """As it is stored with the proposal."""
        return {
            "from": iso(self.from_ms, site.timezone),
            "to": iso(self.to_ms, site.timezone),
            "compliant_s": CURED_AFTER_MS // 1000,
            "unknown_s": self.unknown_ms // 1000,
            "min_c": round(self.min_c, 3),
        }


def cured_rooms(site: Site, stores: tuple[History, Journal, PointRegistry], opened: Mapping[str, int], now_ms: int) -> dict[str, Cure]:
    """Of these rooms (with when their complaint was opened, UTC ms) those that are cured at ``now_ms``, and since when, to the millisecond.

    At most seven days are looked at, and none before the complaint. Raises StoreError when the readings can't be read.
    """
    rooms = [site.rooms[room_id] for room_id in opened if room_id in site.rooms]
    if not rooms:
        return {}
    start = max(min(opened.values()), now_ms - LOOK_BACK_MS)
    if now_ms - start < CURED_AFTER_MS:
        return {}
    series, rules = _series(site, stores, rooms, start, now_ms)
    found = {}
    for row, room in enumerate(rooms):
        cure = _cure(series, rules, row, max(start, opened[room.room_id]), now_ms)
        if cure is not None:
            found[room.room_id] = cure
    return found


def _cure(series: Series, rules: RoomRules, row: int, from_ms: int, to_ms: int) -> Cure | None:
    low, high = int(series.starts[row]), int(series.starts[row + 1])
    cuts = segments_of(most_segments(rules, row, high - low))
    count = cut(series.at, series.value, low, high, rules, row, from_ms, to_ms, cuts)
    starts, limit_c, value_c = cuts.at[:count], cuts.limit_c[:count], cuts.value_c[:count]
    length = np.diff(cuts.at[: count + 1])
    known = ~np.isnan(limit_c) & ~np.isnan(value_c)
    breach = known & (value_c < limit_c - AT_LIMIT_K)
    first = int(np.flatnonzero(breach)[-1]) + 1 if breach.any() else 0
    compliant_ms = np.cumsum(np.where(known[first:], length[first:], 0))
    if not len(compliant_ms) or compliant_ms[-1] < CURED_AFTER_MS:
        return None
    last = first + int(np.searchsorted(compliant_ms, CURED_AFTER_MS))
    cured_at = int(cuts.at[last + 1]) - int(compliant_ms[last - first] - CURED_AFTER_MS)
    unknown = np.isnan(value_c[first:last]) & ~np.isnan(limit_c[first:last])
    known_c = value_c[first : last + 1][known[first : last + 1]]
    return Cure(int(starts[first]), cured_at, int(length[first:last][unknown].sum()), float(known_c.min()))


def _series(
    site: Site, stores: tuple[History, Journal, PointRegistry], rooms: Sequence[Room], from_ms: int, to_ms: int
) -> tuple[Series, RoomRules]:
    history, journal, points = stores
    hold_ms = np.array([site.hold_ms(room) for room in rooms], np.int64)
    row_by = {point: row for row, room in enumerate(rooms) if (point := points.find(f"room/{room.room_id}/indoor_temp_c")) is not None}
    readings = read_readings(history, journal, list(row_by), from_ms - int(hold_ms.max()), to_ms)
    row_of = np.full(max(row_by, default=-1) + 1, -1, np.int64)
    row_of[list(row_by)] = list(row_by.values())
    series = clean_series(row_of[readings.point], readings, np.array([room.offset_k for room in rooms]))
    return series, room_rules(rooms, site.exclusions, site.policy, site.timezone, hold_ms, from_ms, to_ms)

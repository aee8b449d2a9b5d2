"""When a cold room counts as cured (R6): compliant for 24 h of known time since the last breach. Silence is not warmth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compliance.evidence import DAY_MS
from compliance.series import clean_series
from compliance.verdict import judge, room_rules
from domain.clock import iso
from domain.site import Room, Site
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings

CURED_AFTER_MS = DAY_MS
LOOK_BACK_MS = 7 * DAY_MS
PIECE_MS = 10 * 60_000


def cured_rooms(
    site: Site, stores: tuple[History, Journal, PointRegistry], opened: Mapping[str, int], now_ms: int
) -> dict[str, dict[str, Any]]:
    """Of these rooms (with when their complaint was opened, UTC ms) those that are cured at ``now_ms``, each with its evidence.

    Time counts in pieces of ten minutes back from now, to the piece that has a breach in it: never too early. At most seven days are
    looked at, and none before the complaint. Raises StoreError when the readings can't be read.
    """
    rooms = [site.rooms[room_id] for room_id in opened if room_id in site.rooms]
    if not rooms:
        return {}
    start = max(min(opened.values()), now_ms - LOOK_BACK_MS)
    pieces = (now_ms - start) // PIECE_MS
    if pieces * PIECE_MS < CURED_AFTER_MS:
        return {}
    edges = now_ms - PIECE_MS * np.arange(pieces, -1, -1, dtype=np.int64)
    totals = _judged(site, stores, rooms, edges)
    found = {}
    for row, room in enumerate(rooms):
        since = int(np.searchsorted(edges, max(opened[room.room_id], int(edges[0]))))
        breaches = np.flatnonzero(totals.breach_ms[row, since:])
        first = since + (int(breaches[-1]) + 1 if len(breaches) else 0)
        compliant_ms = int(totals.compliant_ms[row, first:].sum())
        if compliant_ms >= CURED_AFTER_MS:
            lows = totals.min_c[row, first:]
            found[room.room_id] = {
                "from": iso(int(edges[first]), site.timezone),
                "to": iso(now_ms, site.timezone),
                "compliant_s": compliant_ms // 1000,
                "unknown_s": int(totals.unknown_ms[row, first:].sum()) // 1000,
                "min_c": round(float(np.nanmin(lows)), 3),
            }
    return found


def _judged(site: Site, stores: tuple[History, Journal, PointRegistry], rooms: Sequence[Room], edges: Any) -> Any:
    history, journal, points = stores
    hold_ms = np.array([site.hold_ms(room) for room in rooms], np.int64)
    row_by = {point: row for row, room in enumerate(rooms) if (point := points.find(f"room/{room.room_id}/indoor_temp_c")) is not None}
    first, last = int(edges[0]), int(edges[-1])
    readings = read_readings(history, journal, list(row_by), first - int(hold_ms.max()), last)
    row_of = np.full(max(row_by, default=-1) + 1, -1, np.int64)
    row_of[list(row_by)] = list(row_by.values())
    series = clean_series(row_of[readings.point], readings, np.array([room.offset_k for room in rooms]))
    return judge(series, room_rules(rooms, site.exclusions, site.policy, site.timezone, hold_ms, first, last), edges)

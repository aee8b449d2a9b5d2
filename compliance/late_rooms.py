"""Rooms whose readings came later than the pass keeps them are judged again, from stored readings (R3).

    late reading ─▶ the last instant before it at which the room's alarm was surely normal ─▶ stored readings from there on
                                         ─▶ the state at the checkpoint, and what happened before it ─▶ the next pass goes on from there

An alarm that stands in the records over the late reading began from normal, at its ``pending_at``. Elsewhere a room's alarm is normal
where the room is compliant or not judged, and where it has been unknown for more than two hours on end.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Engine

from compliance.kernel import B1, I64, kernel
from compliance.points_map import ROOM_QUANTITY
from compliance.recording.episode_rows import alarms_before
from compliance.room_alarm import FORGET_AFTER_MS, Verdict, events_of, fold_each, fresh_states, joined, verdict_of
from compliance.room_book import Reopened, RoomBook
from compliance.series import Series, clean_series
from compliance.verdict import FOREVER_MS, RoomRules, cut, most_segments, room_rules, segments_of
from domain.errors import StoreError
from domain.reading import Readings
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import read_readings

HOUR_MS = 3_600_000
FEW = 3  # so many are judged again within the pass itself
MOST = 50  # rooms judged again at once: a pass that records their alarms and complaints takes no longer than half a second
MOST_ROOM_MS = 20_000 * HOUR_MS
BACK_MS = (8 * HOUR_MS, 48 * HOUR_MS, FOREVER_MS)  # so far a normal instant is looked for; the first is nearly always enough


class LateRooms:
    """Judges late rooms again, a portion at a time, the newest readings first."""

    def __init__(self, rooms: RoomBook, records: Engine, stores: tuple[History, Journal, PointRegistry]) -> None:
        self._rooms = rooms
        self._records = records
        self._stores = stores
        self._ready = nothing()
        self._unreadable = False
        self.rejudged = 0
        self.too_late = 0

    def read(self) -> bool:
        """Judges a portion of the rooms that wait, for the next pass to take; False when none waits.

        Raises StoreError when the readings can't be read.
        """
        self._ready = self._portion()
        self._unreadable = False
        return len(self._ready.rows) > 0

    def reopen(self, room_row: I64, readings: Readings, *, few: bool, every: bool) -> Reopened:
        """What a pass does before it takes these readings: rooms that are ready go on from other states.

        While those that wait are ``few`` they are judged again at once: nothing is decided that is known better already. So are all
        (``every``) after a restart, for what the last process found out of them is in the records.
        """
        ready, self._ready = self._ready, nothing()
        late, too_late = self._rooms.note_late(room_row, readings)
        self.too_late += too_late
        parts = [self._take(without(ready, late))]
        while every or (few and 0 < len(self._rooms.late()) <= FEW):
            try:
                part = nothing() if self._unreadable else self._portion()
            except StoreError:  # they wait: what is decided without them is corrected later
                self._unreadable = True
                break
            if not len(part.rows):
                break
            parts.append(self._take(part))
        return together(parts)

    def _take(self, part: Reopened) -> Reopened:
        self._rooms.reopen(part)
        self.rejudged += len(part.rows)
        return part

    def _portion(self) -> Reopened:
        rooms = self._rooms
        rows = rooms.late()[:MOST]
        length_ms = rooms.checkpoint_at[rows] - rooms.late_from[rows] + BACK_MS[0]
        rows = rows[: max(1, int(np.searchsorted(length_ms * np.arange(1, len(rows) + 1), MOST_ROOM_MS)))]
        return together(list(self._judged(rows)))

    def _judged(self, rows: I64) -> Iterator[Reopened]:
        if not len(rows):
            return
        floor, covered = self._begun(rows)
        for back_ms in BACK_MS:
            late_from, checkpoint_at = self._rooms.late_from[rows], self._rooms.checkpoint_at[rows]
            from_ms = np.where(covered, floor, np.maximum(floor, late_from - back_ms))
            rules = self._rules(rows, int(from_ms.min()), int(checkpoint_at.max()))
            series = self._stored(rows, from_ms - rules.hold_ms, checkpoint_at)
            since_ms = np.where(from_ms == floor, floor, -1)
            found = last_normal(series, rules, from_ms, late_from)
            since_ms = np.where(~covered & (found >= 0), found, since_ms)
            done = since_ms >= 0
            states = fresh_states(len(rows))
            events = fold_each(series, rules, states, since_ms, np.where(done, checkpoint_at, since_ms))
            yield Reopened(rows[done], since_ms[done], states[done], events._replace(room=rows[events.room]))
            rows, floor, covered = rows[~done], floor[~done], covered[~done]
            if not len(rows):
                return

    def _begun(self, rows: I64) -> tuple[I64, B1]:
        """By the records: since when each room's alarm has stood over the late reading, else an instant before it after the last alarm."""
        floor = np.full(len(rows), self._rooms.start_ms)
        covered = np.zeros(len(rows), np.bool_)
        index = {f"room/{self._rooms.rooms[row].room_id}": place for place, row in enumerate(rows.tolist())}
        late_from = self._rooms.late_from[rows].tolist()
        with self._records.connect() as connection:
            for subject, pending_at, cleared_at in alarms_before(connection, list(index), max(late_from)):
                place = index[subject]
                if pending_at >= late_from[place] or covered[place]:
                    continue
                if cleared_at is None or cleared_at >= late_from[place]:
                    covered[place], floor[place] = True, pending_at
                else:
                    floor[place] = max(floor[place], cleared_at)
        return floor, covered

    def _rules(self, rows: I64, from_ms: int, to_ms: int) -> RoomRules:
        book = self._rooms
        rooms = [book.rooms[row] for row in rows.tolist()]
        return room_rules(rooms, book.exclusions, book.policy, book.zone, book.hold_ms[rows], from_ms, to_ms)

    def _stored(self, rows: I64, from_ms: I64, to_ms: I64) -> Series:
        """The stored readings of these rooms that count, from the earliest of ``from_ms`` to the latest of ``to_ms``."""
        history, journal, points = self._stores
        ids = points.found([f"room/{self._rooms.rooms[row].room_id}/{ROOM_QUANTITY}" for row in rows.tolist()])
        readings = read_readings(history, journal, ids[ids >= 0], int(from_ms.min()), int(to_ms.max()))
        place = np.full(int(ids.max(initial=-1)) + 1, -1, np.int64)
        place[ids[ids >= 0]] = np.flatnonzero(ids >= 0)
        return clean_series(place[readings.point], readings, self._rooms.offset_k[rows])


def nothing() -> Reopened:
    """No rooms."""
    none = np.empty(0, np.int64)
    return Reopened(none, none, fresh_states(0), events_of(0))


def together(parts: Sequence[Reopened]) -> Reopened:
    """All of them; no room is in two."""
    if not parts:
        return nothing()
    rows, since_ms, states = (np.concatenate([getattr(one, name) for one in parts]) for name in ("rows", "since_ms", "states"))
    return Reopened(rows, since_ms, states, joined([one.events for one in parts]))


def without(reopened: Reopened, rows: I64) -> Reopened:
    """Those that are not among ``rows``: of these more was heard since."""
    left = ~np.isin(reopened.rows, rows)
    events = np.flatnonzero(~np.isin(reopened.events.room, rows))
    return Reopened(reopened.rows[left], reopened.since_ms[left], reopened.states[left], reopened.events.take(events))


@kernel
def last_normal(series: Series, rules: RoomRules, from_ms: I64, to_ms: I64) -> I64:
    """Until when each room's alarm was surely normal within [from_ms, to_ms) (R,), were none raised there; −1 where that is not known."""
    size = 0
    for room in range(len(from_ms)):
        size = max(size, most_segments(rules, room, series.starts[room + 1] - series.starts[room]))
    cuts = segments_of(size)
    found = np.full(len(from_ms), -1, np.int64)
    for room in range(len(from_ms)):
        low, high = series.starts[room], series.starts[room + 1]
        silent_ms = 0
        for k in range(cut(series.at, series.value, low, high, rules, room, from_ms[room], to_ms[room], cuts)):
            verdict = verdict_of(cuts.limit_c[k], cuts.value_c[k])
            silent_ms = silent_ms + cuts.at[k + 1] - cuts.at[k] if verdict == Verdict.UNKNOWN else 0
            if verdict not in (Verdict.BREACH, Verdict.UNKNOWN) or silent_ms > FORGET_AFTER_MS:
                found[room] = cuts.at[k + 1]
    return found

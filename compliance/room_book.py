"""The live pass over rooms: recent readings and folded states of all rooms, advanced to now.

    new readings ─▶ insert (any order) ─▶ touched and due rooms ─▶ fold to the newest reading ─▶ fold to now ─▶ new events
                                                     ▲                        │ near: closed events │ open events
                       checkpoint: the state before the oldest kept reading; late data folds again from it
                       older late data: ``late_rooms`` finds what the state there should have been

What was folded up to a room's newest reading (``near``) is closed: only a reading before it opens it again. What follows is open,
for the next reading may change it. A pass costs what was touched, not what there is; what a pass finds does not depend on how passes
were spread.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import B1, F64, I64
from compliance.room_alarm import RoomEvents, fresh_states
from compliance.room_episodes import Episode, among, episodes, instant_of, keys_of, kind_of, reordered, room_of
from compliance.room_tails import Kept, Progress, fold_rows, insert_all, settle_all
from compliance.verdict import FOREVER_MS, RoomRules, last_at_or_before, room_rules
from domain.policy import Policy
from domain.reading import FIRST_BAD, Readings
from domain.site import Exclusion, Room

WINDOW_MS = 6 * 3_600_000  # late readings up to this age are judged in the pass; for older ones the stored readings are read again
HORIZON_MS = 3 * 86_400_000
CAPACITY = 64


@dataclass(frozen=True)
class RoomChanges:
    """What a pass found: events not known before, and events known before that late data undid."""

    happened: RoomEvents
    undone: RoomEvents


@dataclass(frozen=True)
class Reopened:
    """Rooms judged again from further back: ``rows`` (n,), normal at ``since_ms``, then ``events``, then ``states`` at the checkpoints."""

    rows: I64
    since_ms: I64
    states: NDArray[np.void]
    events: RoomEvents


class RoomBook:
    """All rooms' recent readings (R, C) and states (R,)."""

    def __init__(
        self, rooms: Sequence[Room], exclusions: Sequence[Exclusion], policy: Policy, zone: ZoneInfo, hold_ms: I64, start_ms: int
    ) -> None:
        self.rooms = list(rooms)
        self.exclusions = list(exclusions)
        self.policy = policy
        self.zone = zone
        self.hold_ms = np.asarray(hold_ms, np.int64)
        count = len(self.rooms)
        self.offset_k = np.array([room.offset_k for room in rooms], np.float64)
        self.at = np.zeros((count, CAPACITY), np.int64)
        self.received = np.zeros((count, CAPACITY), np.int64)
        self.value = np.zeros((count, CAPACITY), np.float64)
        self.count = np.zeros(count, np.int64)
        self.checkpoint = fresh_states(count)
        self.checkpoint_at = np.full(count, start_ms, np.int64)
        self.near = fresh_states(count)
        self.near_at = np.full(count, start_ms, np.int64)
        self.states = fresh_states(count)
        self.due = np.full(count, start_ms, np.int64)
        self.closed = np.empty(0, np.uint64)  # keys of the events found between checkpoint and near, in no order
        self.open = np.empty(0, np.uint64)  # and after it
        self.start_ms = start_ms
        self.late_from = np.full(count, FOREVER_MS)  # the oldest reading of each room that came too late for it and is not judged yet
        self.covered_to = 0
        self.rules = self._rules(start_ms)

    def _rules(self, now_ms: int) -> RoomRules:
        start_ms = int(self.checkpoint_at.min()) if len(self.checkpoint_at) else now_ms
        self.covered_to = now_ms + HORIZON_MS
        return room_rules(self.rooms, self.exclusions, self.policy, self.zone, self.hold_ms, start_ms, self.covered_to)

    def advance(self, room_row: I64, readings: Readings, now_ms: int) -> RoomChanges:
        """Takes new readings in order of arrival (``room_row`` (n,) says whose) and judges every room to ``now_ms`` inclusive."""
        usable = (readings.quality < FIRST_BAD) & np.isfinite(readings.value)
        touched = self.due <= now_ms
        again = np.zeros(len(self.rooms), np.bool_)
        self._insert(np.asarray(room_row, np.int64)[usable], readings.take(usable), touched, again)
        if now_ms >= self.covered_to - HORIZON_MS // 3:
            self.rules = self._rules(now_ms)
        rows = np.flatnonzero(touched)
        progress = Progress(self.checkpoint, self.near, self.near_at, self.states, self.due)
        found, closed = fold_rows(rows, again, now_ms, self._kept(), self.rules, progress)
        return RoomChanges(*self._compare(touched, again, found, closed))

    def tidy(self, now_ms: int) -> None:
        """Settles what is older than the window, when there is little room left; what the passes found must be recorded by then."""
        if self.count.max(initial=0) > self.at.shape[1] * 3 // 4:
            self.settle(now_ms - WINDOW_MS)

    def _kept(self) -> Kept:
        return Kept(self.at, self.received, self.value, self.count, self.checkpoint_at)

    def _insert(self, room: I64, readings: Readings, touched: B1, again: B1) -> None:
        value = readings.value + self.offset_k[room]
        done = 0
        while done < len(room):
            done = insert_all(done, room, readings.measured_at, readings.received_at, value, self._kept(), self.near_at, touched, again)
            if done < len(room):
                self._widen(2 * self.at.shape[1])

    def note_late(self, room_row: I64, readings: Readings) -> tuple[I64, int]:
        """Notes which rooms have readings from before their checkpoints; returns these rooms, and how many readings nothing is made of.

        Those are from before everything ever judged.
        """
        usable = (readings.quality < FIRST_BAD) & np.isfinite(readings.value)
        late = usable & (readings.measured_at < self.checkpoint_at[room_row])
        reachable = late & (readings.measured_at >= self.start_ms)
        np.minimum.at(self.late_from, room_row[reachable], readings.measured_at[reachable])
        return np.unique(room_row[reachable]), int(late.sum() - reachable.sum())

    def late(self) -> I64:
        """The rooms that wait to be judged again, the newest readings first."""
        rows = np.flatnonzero(self.late_from < FOREVER_MS)
        return rows[np.argsort(-self.late_from[rows], kind="stable")]

    def reopen(self, reopened: Reopened) -> None:
        """Takes other states at the checkpoints of some rooms; the next pass folds their kept readings again."""
        rows = reopened.rows
        self.checkpoint[rows] = self.near[rows] = reopened.states
        self.near_at[rows] = self.checkpoint_at[rows]
        self.due[rows] = self.start_ms
        self.late_from[rows] = FOREVER_MS
        theirs = np.isin(room_of(self.closed), rows)
        self.open = np.concatenate([self.open, self.closed[theirs]])
        self.closed = self.closed[~theirs]

    def _widen(self, width: int) -> None:
        """Makes room for so many readings a room, at least for those there are."""
        width = max(width, int(self.count.max(initial=0)))
        for name in ("at", "received", "value"):
            old = getattr(self, name)
            column = np.zeros((len(old), width), old.dtype)
            kept = min(width, old.shape[1])
            column[:, :kept] = old[:, :kept]
            setattr(self, name, column)

    def settle(self, before_ms: int) -> None:
        """Folds readings older than ``before_ms`` (UTC ms) into the checkpoints; all must have been judged."""
        settled = np.sort(keys_of(settle_all(before_ms, self._kept(), self.rules, self.checkpoint, self.near_at)))
        self.closed = self.closed[~among(self.closed, settled)]
        if self.at.shape[1] > CAPACITY and 4 * self.count.max(initial=0) < self.at.shape[1]:
            self._widen(CAPACITY)

    def _compare(self, touched: B1, again: B1, found: RoomEvents, closed: B1) -> tuple[RoomEvents, RoomEvents]:
        """Splits off what is new, and what was known and is no longer true."""
        keys = keys_of(found)
        of_touched, of_again = touched[room_of(self.open)], again[room_of(self.closed)]
        before = np.sort(np.concatenate([self.open[of_touched], self.closed[of_again]]))
        gone = before[~among(before, np.sort(keys))]
        self.open = np.concatenate([self.open[~of_touched], keys[~closed]])
        self.closed = np.concatenate([self.closed[~of_again], keys[closed]])
        nothing = np.full(len(gone), np.nan)
        undone = RoomEvents(room_of(gone), kind_of(gone), instant_of(gone), nothing, nothing)
        rows = np.flatnonzero(~among(keys, before))
        return found.take(rows[np.argsort(found.at[rows], kind="stable")]), undone

    def episodes(self, rows: Sequence[int], reopened: Reopened) -> dict[int, list[Episode]]:
        """The alarms of these rooms since their checkpoints, the first of them maybe raised before; of those reopened since then."""
        before = self.checkpoint[rows]
        before[np.isin(rows, reopened.rows)] = fresh_states(1)[0]
        return episodes(np.concatenate([keys_of(reopened.events), self.closed, self.open]), before, self.states[rows], rows)

    def stands(self, events: RoomEvents) -> B1:
        """Which of these events nothing has undone since, as far as they lie behind the checkpoints."""
        keys = keys_of(events)
        return among(keys, np.sort(np.concatenate([self.closed, self.open]))) | (events.at < self.checkpoint_at[events.room])

    def newest(self) -> tuple[F64, I64]:
        """The newest good value of each room (°C, calibrated; NaN for none) and when it was measured (−1 for none)."""
        last = np.maximum(self.count - 1, 0)
        rows = np.arange(len(last))
        none = self.count == 0
        return np.where(none, np.nan, self.value[rows, last]), np.where(none, -1, self.at[rows, last])

    def limits_c(self, now_ms: int) -> F64:
        """The limit in °C each room is held to now, NaN where nothing is judged."""
        rules = self.rules
        by_table = np.array(
            [
                rules.step_limit_c[last_at_or_before(rules.step_at, rules.step_starts[table], rules.step_starts[table + 1], now_ms)]
                for table in range(len(rules.step_starts) - 1)
            ]
        )
        limits = by_table[rules.table] if len(by_table) else np.empty(0)
        return np.where(self.states["verdict"] == 0, np.nan, limits)

    def dump(self) -> bytes:
        """Everything a restart needs, to be stored with the journal's cursor."""
        buffer = io.BytesIO()
        width = max(1, int(self.count.max(initial=1)))
        np.savez_compressed(
            buffer, room_id=np.array([room.room_id for room in self.rooms]), at=self.at[:, :width], received=self.received[:, :width],
            value=self.value[:, :width], count=self.count, checkpoint=self.checkpoint, checkpoint_at=self.checkpoint_at,
            known=np.concatenate([self.closed, self.open]), late_from=self.late_from,
        )  # fmt: skip
        return buffer.getvalue()

    def restore(self, dumped: bytes, now_ms: int) -> None:
        """Takes up what was dumped; rooms are matched by id, new rooms start fresh, rooms no longer there are left out."""
        with np.load(io.BytesIO(dumped), allow_pickle=False) as kept:
            old = {room_id: index for index, room_id in enumerate(kept["room_id"].tolist())}
            pairs = [(row, old[room.room_id]) for row, room in enumerate(self.rooms) if room.room_id in old]
            rows, olds = (np.array(side, np.int64) for side in zip(*pairs, strict=True)) if pairs else (np.empty(0, np.int64),) * 2
            width = kept["at"].shape[1]
            capacity = max(CAPACITY, width)
            for name in ("at", "received", "value"):
                column = np.zeros((len(self.rooms), capacity), kept[name].dtype)
                column[rows, :width] = kept[name][olds]
                setattr(self, name, column)
            for name in ("count", "checkpoint", "checkpoint_at"):
                getattr(self, name)[rows] = kept[name][olds]
            if "late_from" in kept.files:  # not in what was kept before 2026-11-27
                self.late_from[rows] = kept["late_from"][olds]
            new_row = np.full(len(old), -1, np.int64)
            new_row[olds] = rows
            known = kept["known"]
            room = new_row[room_of(known)] if len(known) else np.empty(0, np.int64)
            known, room = known[room >= 0], room[room >= 0]
            self.open = reordered(known, room)
        self.near[:], self.near_at[:] = self.checkpoint, self.checkpoint_at  # the next pass folds all again
        self.due[:] = now_ms
        self.rules = self._rules(now_ms)

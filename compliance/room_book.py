"""The live pass over rooms: recent readings and folded states of all rooms, advanced to now.

    new readings ─▶ insert (any order) ─▶ touched and due rooms ─▶ fold to the newest reading ─▶ fold to now ─▶ new events
                                                     ▲                        │ near: closed events │ open events
                       checkpoint: the state before the oldest kept reading; late data folds again from it

What was folded up to a room's newest reading (``near``) is closed: only a reading before it opens it again. What follows is open,
for the next reading may change it. A pass costs what was touched, not what there is; what a pass finds does not depend on how passes
were spread.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import B1, F64, I64, Record, kernel
from compliance.room_alarm import (
    CLEAR_AFTER_MS,
    FORGET_AFTER_MS,
    NO_DATA_AFTER_MS,
    RAISE_AFTER_MS,
    Phase,
    RoomEvents,
    Verdict,
    append,
    events_of,
    first_events,
    fold_room,
    fresh_states,
)
from compliance.verdict import FOREVER_MS, RoomRules, cut, last_at_or_before, most_segments, room_rules, segments_of
from domain.policy import Policy
from domain.reading import FIRST_BAD, Readings
from domain.site import Exclusion, Room

WINDOW_MS = 6 * 3_600_000  # late readings up to this age change alarms; older ones change the figures of their day only
HORIZON_MS = 3 * 86_400_000
CAPACITY = 64

# An event's key: room row (20 bits), instant since 2020 (40 bits), kind (3 bits).
_SINCE_MS = 1_577_836_800_000


@dataclass(frozen=True)
class RoomChanges:
    """What a pass found: events not known before, events known before that late data undid, and how many readings came too late."""

    happened: RoomEvents
    undone: RoomEvents
    too_late: int


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
        too_late = self._insert(np.asarray(room_row, np.int64)[usable], readings.take(usable), touched, again)
        if now_ms >= self.covered_to - HORIZON_MS // 3:
            self.rules = self._rules(now_ms)
        rows = np.flatnonzero(touched)
        progress = Progress(self.checkpoint, self.near, self.near_at, self.states, self.due)
        found, closed = _fold_rows(rows, again, now_ms, self._kept(), self.rules, progress)
        happened, undone = self._compare(touched, again, found, closed)
        if self.count.max(initial=0) > self.at.shape[1] * 3 // 4:
            self.settle(now_ms - WINDOW_MS)
        return RoomChanges(happened, undone, too_late)

    def _kept(self) -> "Kept":
        return Kept(self.at, self.received, self.value, self.count, self.checkpoint_at)

    def _insert(self, room: I64, readings: Readings, touched: B1, again: B1) -> int:
        value = readings.value + self.offset_k[room]
        done, too_late = 0, 0
        while done < len(room):
            columns = (room, readings.measured_at, readings.received_at, value)
            done, late = _insert_all(done, *columns, self._kept(), self.near_at, touched, again)
            too_late += late
            if done < len(room):
                self._widen(2 * self.at.shape[1])
        return too_late

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
        settled = np.sort(_keys(_settle_all(before_ms, self._kept(), self.rules, self.checkpoint, self.near_at)))
        self.closed = self.closed[~_among(self.closed, settled)]
        if self.at.shape[1] > CAPACITY and 4 * self.count.max(initial=0) < self.at.shape[1]:
            self._widen(CAPACITY)

    def _compare(self, touched: B1, again: B1, found: RoomEvents, closed: B1) -> tuple[RoomEvents, RoomEvents]:
        """Splits off what is new, and what was known and is no longer true."""
        keys = _keys(found)
        of_touched, of_again = touched[_key_room(self.open)], again[_key_room(self.closed)]
        before = np.sort(np.concatenate([self.open[of_touched], self.closed[of_again]]))
        gone = before[~_among(before, np.sort(keys))]
        self.open = np.concatenate([self.open[~of_touched], keys[~closed]])
        self.closed = np.concatenate([self.closed[~of_again], keys[closed]])
        nothing = np.full(len(gone), np.nan)
        undone = RoomEvents(_key_room(gone), (gone & np.uint64(7)).astype(np.int64), _key_at(gone), nothing, nothing)
        rows = np.flatnonzero(~_among(keys, before))
        rows = rows[np.argsort(found.at[rows], kind="stable")]
        return RoomEvents(found.room[rows], found.kind[rows], found.at[rows], found.limit_c[rows], found.value_c[rows]), undone

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
            known=np.concatenate([self.closed, self.open]),
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
            new_row = np.full(len(old), -1, np.int64)
            new_row[olds] = rows
            known = kept["known"]
            room = new_row[_key_room(known)] if len(known) else np.empty(0, np.int64)
            known, room = known[room >= 0], room[room >= 0]
            self.open = (known & np.uint64((1 << 43) - 1)) | (room.astype(np.uint64) << np.uint64(43))
        self.near[:], self.near_at[:] = self.checkpoint, self.checkpoint_at  # the next pass folds all again
        self.due[:] = now_ms
        self.rules = self._rules(now_ms)


def _keys(events: RoomEvents) -> NDArray[np.uint64]:
    keys = (events.room << 43) | ((events.at - _SINCE_MS) << 3) | events.kind
    return keys.astype(np.uint64)


def _among(keys: NDArray[np.uint64], ordered: NDArray[np.uint64]) -> B1:
    """Which keys are among those in order."""
    if not len(ordered):
        return np.zeros(len(keys), np.bool_)
    return np.asarray(ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys)


def _key_room(keys: NDArray[np.uint64]) -> I64:
    return (keys >> np.uint64(43)).astype(np.int64)


def _key_at(keys: NDArray[np.uint64]) -> I64:
    return ((keys >> np.uint64(3)) & np.uint64((1 << 40) - 1)).astype(np.int64) + _SINCE_MS


class Kept(NamedTuple):
    """The kept readings as the kernels take them: (R, C) columns of which the first ``filled`` (R,) are filled."""

    at: I64
    received: I64
    value: F64
    filled: I64
    checkpoint_at: I64


class Progress(NamedTuple):
    """How far each room has been folded: the states before the oldest kept reading, before its newest, and now; when it is due."""

    checkpoint: NDArray[np.void]
    near: NDArray[np.void]
    near_at: I64
    states: NDArray[np.void]
    due: I64


@kernel
def _insert_all(
    start: int, room: I64, measured_at: I64, received_at: I64, value: F64, kept: Kept, near_at: I64, touched: B1, again: B1
) -> tuple[int, int]:
    """Inserts readings from row ``start`` on; stops where a room is full. Returns the next row and how many came too late.

    ``again`` is set for rooms with a reading that changes what is closed.
    """
    capacity = kept.at.shape[1]
    late = 0
    for k in range(start, len(room)):
        row = room[k]
        instant = measured_at[k]
        if instant < kept.checkpoint_at[row]:
            late += 1
            continue
        place = kept.filled[row]
        while place > 0 and kept.at[row, place - 1] > instant:
            place -= 1
        if place > 0 and kept.at[row, place - 1] == instant:
            if received_at[k] >= kept.received[row, place - 1]:
                kept.received[row, place - 1] = received_at[k]
                kept.value[row, place - 1] = value[k]
                touched[row] = True
                again[row] |= instant < near_at[row]
            continue
        if kept.filled[row] == capacity:
            return k, late
        for later in range(kept.filled[row], place, -1):
            _move(kept, row, later - 1, later)
        kept.at[row, place] = instant
        kept.received[row, place] = received_at[k]
        kept.value[row, place] = value[k]
        kept.filled[row] += 1
        touched[row] = True
        again[row] |= instant < near_at[row]
    return len(room), late


@kernel
def _move(kept: Kept, row: int, source: int, target: int) -> None:
    kept.at[row, target] = kept.at[row, source]
    kept.received[row, target] = kept.received[row, source]
    kept.value[row, target] = kept.value[row, source]


@kernel
def _settle_all(before: int, kept: Kept, rules: RoomRules, checkpoint: NDArray[np.void], near_at: I64) -> RoomEvents:
    """Folds all readings before the newest one that is not after ``before`` into the checkpoint, and drops them.

    Nothing beyond ``near_at`` is folded: what is open may still change. Returns the events in what was folded.
    """
    size = 0
    for row in range(len(kept.filled)):
        size = max(size, most_segments(rules, row, kept.filled[row]))
    cuts = segments_of(size)
    found = events_of(3 * size)
    events = events_of(1024)
    total = 0
    for row in range(len(kept.filled)):
        drop = last_at_or_before(kept.at[row], 0, kept.filled[row], min(before, near_at[row]))
        if drop <= 0:
            continue
        until = kept.at[row, drop]
        count = cut(kept.at[row], kept.value[row], 0, kept.filled[row], rules, row, kept.checkpoint_at[row], until, cuts)
        for k in range(fold_room(count, cuts, checkpoint[row], found)):
            events = append(events, total, row, found, k)
            total += 1
        kept.checkpoint_at[row] = until
        for k in range(drop, kept.filled[row]):
            _move(kept, row, k, k - drop)
        kept.filled[row] -= drop
    return first_events(events, total)


@kernel
def _next_due(state: Record, now: int, next_change: int) -> int:
    """The next instant at which this room may change without a new reading; ``state`` is folded to ``now``."""
    due = next_change
    if state.phase == Phase.PENDING:
        if state.verdict == Verdict.BREACH:
            due = min(due, now + RAISE_AFTER_MS - state.breach_ms)
        elif state.verdict == Verdict.UNKNOWN:
            due = min(due, now + FORGET_AFTER_MS - state.unknown_ms)
    elif state.phase == Phase.RAISED:
        if state.verdict != Verdict.UNKNOWN:
            due = min(due, now + CLEAR_AFTER_MS - state.clear_ms)
        elif state.no_data == 0:
            due = min(due, state.silence_at + NO_DATA_AFTER_MS)
    return int(max(due, now))


@kernel
def _next_change(kept: Kept, rules: RoomRules, row: int, now: int) -> int:
    """The next instant after ``now`` at which a reading, a stand's end, a limit or an exclusion changes what holds."""
    change = FOREVER_MS
    newest = last_at_or_before(kept.at[row], 0, kept.filled[row], now)
    if newest + 1 < kept.filled[row]:
        change = min(change, kept.at[row, newest + 1])
    if newest >= 0 and kept.at[row, newest] + rules.hold_ms[row] > now:
        change = min(change, kept.at[row, newest] + rules.hold_ms[row])
    low, high = rules.step_starts[rules.table[row]], rules.step_starts[rules.table[row] + 1]
    step = last_at_or_before(rules.step_at, low, high, now) + 1
    if step < high:
        change = min(change, rules.step_at[step])
    for one in range(rules.exclusion_starts[row], rules.exclusion_starts[row + 1]):
        if rules.exclusion_from[one] > now:
            change = min(change, rules.exclusion_from[one])
        elif rules.exclusion_to[one] > now:
            change = min(change, rules.exclusion_to[one])
    return int(change)


@kernel
def _fold_rows(rows: I64, again: B1, now: int, kept: Kept, rules: RoomRules, progress: Progress) -> tuple[RoomEvents, B1]:
    """Folds these rooms to ``now`` inclusive: those in ``again`` from their checkpoints, the others from where they were closed.

    Returns what happened since, and which of it is closed.
    """
    size = 0
    for k in range(len(rows)):
        size = max(size, most_segments(rules, rows[k], kept.filled[rows[k]]))
    cuts = segments_of(size)
    found = events_of(3 * size)
    events = events_of(1024)
    closed = np.zeros(1024, np.bool_)
    total = 0
    for k in range(len(rows)):
        row = rows[k]
        at, value, filled = kept.at[row], kept.value[row], kept.filled[row]
        if again[row]:
            progress.near[row] = progress.checkpoint[row]
            progress.near_at[row] = kept.checkpoint_at[row]
        newest = last_at_or_before(at, 0, filled, now)
        for stage in range(2):
            if stage == 0:
                if newest < 0 or at[newest] <= progress.near_at[row]:
                    continue
                state, until = progress.near[row], at[newest]
            else:
                progress.states[row] = progress.near[row]
                state, until = progress.states[row], now + 1
            count = cut(at, value, 0, filled, rules, row, progress.near_at[row], until, cuts)
            for j in range(fold_room(count, cuts, state, found)):
                if found.at[j] > now:
                    continue
                events = append(events, total, row, found, j)
                if total == len(closed):
                    more = np.zeros(2 * total, np.bool_)
                    more[:total] = closed
                    closed = more
                closed[total] = stage == 0
                total += 1
            if stage == 0:
                progress.near_at[row] = until
        progress.due[row] = _next_due(progress.states[row], now + 1, _next_change(kept, rules, row, now))
    return first_events(events, total), closed[:total]

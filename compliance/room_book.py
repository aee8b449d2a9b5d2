"""The live pass over rooms: recent readings and folded states of all rooms, advanced to now.

    new readings ─▶ insert (any order) ─▶ touched and due rooms ─▶ fold from checkpoint to now ─▶ new events
                                                     ▲
                       checkpoint: the state before the oldest kept reading; late data re-folds from it

A pass costs what was touched, not what there is; what a pass finds does not depend on how passes were spread.
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
        self.states = fresh_states(count)
        self.due = np.full(count, start_ms, np.int64)
        self.known = np.empty(0, np.uint64)
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
        too_late = self._insert(np.asarray(room_row, np.int64)[usable], readings.take(usable), touched, now_ms)
        if now_ms >= self.covered_to - HORIZON_MS // 3:
            self.rules = self._rules(now_ms)
        rows = np.flatnonzero(touched)
        found = _fold_rows(rows, now_ms, self._kept(), self.rules, self.checkpoint, self.states, self.due)
        happened, undone = self._compare(touched, found)
        return RoomChanges(happened, undone, too_late)

    def _kept(self) -> "Kept":
        return Kept(self.at, self.received, self.value, self.count, self.checkpoint_at)

    def _insert(self, room: I64, readings: Readings, touched: B1, now_ms: int) -> int:
        value = readings.value + self.offset_k[room]
        done, too_late = 0, 0
        while done < len(room):
            done, late = _insert_all(done, room, readings.measured_at, readings.received_at, value, self._kept(), touched)
            too_late += late
            if done < len(room):
                self._make_room(now_ms)
        return too_late

    def _make_room(self, now_ms: int) -> None:
        """Folds what is older than the window into the checkpoints; grows the columns where that is not enough."""
        self.settle(now_ms - WINDOW_MS)
        if self.count.max() == self.at.shape[1]:
            wider = ((0, 0), (0, self.at.shape[1]))
            self.at, self.received = np.pad(self.at, wider), np.pad(self.received, wider)
            self.value = np.pad(self.value, wider)

    def settle(self, before_ms: int) -> None:
        """Folds readings older than ``before_ms`` (UTC ms) into the checkpoints."""
        _settle_all(before_ms, self._kept(), self.rules, self.checkpoint)
        self.known = self.known[_key_at(self.known) >= self.checkpoint_at[_key_room(self.known)]]

    def _compare(self, touched: B1, found: RoomEvents) -> tuple[RoomEvents, RoomEvents]:
        """Splits off what is new, and what was known and is no longer true."""
        keys = _keys(found)
        new = ~np.isin(keys, self.known)
        of_touched = touched[_key_room(self.known)] if len(self.known) else np.empty(0, np.bool_)
        gone = self.known[of_touched & ~np.isin(self.known, keys)]
        self.known = np.sort(np.concatenate([self.known[~np.isin(self.known, gone)], keys[new]]))
        nothing = np.full(len(gone), np.nan)
        undone = RoomEvents(_key_room(gone), (gone & np.uint64(7)).astype(np.int64), _key_at(gone), nothing, nothing)
        rows = np.flatnonzero(new)
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
            value=self.value[:, :width], count=self.count, checkpoint=self.checkpoint, checkpoint_at=self.checkpoint_at, known=self.known,
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
            self.known = np.sort((known & np.uint64((1 << 43) - 1)) | (room.astype(np.uint64) << np.uint64(43)))
        self.due[:] = now_ms
        self.rules = self._rules(now_ms)


def _keys(events: RoomEvents) -> NDArray[np.uint64]:
    keys = (events.room << 43) | ((events.at - _SINCE_MS) << 3) | events.kind
    return keys.astype(np.uint64)


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


@kernel
def _insert_all(start: int, room: I64, measured_at: I64, received_at: I64, value: F64, kept: Kept, touched: B1) -> tuple[int, int]:
    """Inserts readings from row ``start`` on; stops where a room is full. Returns the next row and how many came too late."""
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
    return len(room), late


@kernel
def _move(kept: Kept, row: int, source: int, target: int) -> None:
    kept.at[row, target] = kept.at[row, source]
    kept.received[row, target] = kept.received[row, source]
    kept.value[row, target] = kept.value[row, source]


@kernel
def _settle_all(before: int, kept: Kept, rules: RoomRules, checkpoint: NDArray[np.void]) -> None:
    """Folds all readings before the newest one that is not after ``before`` into the checkpoint, and drops them."""
    size = 0
    for row in range(len(kept.filled)):
        size = max(size, most_segments(rules, row, kept.filled[row]))
    cuts = segments_of(size)
    found = events_of(3 * size)
    for row in range(len(kept.filled)):
        drop = last_at_or_before(kept.at[row], 0, kept.filled[row], before)
        if drop <= 0:
            continue
        until = kept.at[row, drop]
        count = cut(kept.at[row], kept.value[row], 0, kept.filled[row], rules, row, kept.checkpoint_at[row], until, cuts)
        fold_room(count, cuts, checkpoint[row], found)
        kept.checkpoint_at[row] = until
        for k in range(drop, kept.filled[row]):
            _move(kept, row, k, k - drop)
        kept.filled[row] -= drop


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
def _fold_rows(
    rows: I64, now: int, kept: Kept, rules: RoomRules, checkpoint: NDArray[np.void], states: NDArray[np.void], due: I64
) -> RoomEvents:
    """Folds these rooms from their checkpoints to ``now`` inclusive; returns what happened since the checkpoints."""
    size = 0
    for k in range(len(rows)):
        size = max(size, most_segments(rules, rows[k], kept.filled[rows[k]]))
    cuts = segments_of(size)
    found = events_of(3 * size)
    events = events_of(1024)
    total = 0
    for k in range(len(rows)):
        row = rows[k]
        states[row] = checkpoint[row]
        count = cut(kept.at[row], kept.value[row], 0, kept.filled[row], rules, row, kept.checkpoint_at[row], now + 1, cuts)
        for j in range(fold_room(count, cuts, states[row], found)):
            if found.at[j] <= now:
                events = append(events, total, row, found, j)
                total += 1
        due[row] = _next_due(states[row], now + 1, _next_change(kept, rules, row, now))
    return first_events(events, total)

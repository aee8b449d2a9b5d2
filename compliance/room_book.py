"""The live pass over rooms: recent readings and folded states of all rooms, advanced to now.

    new readings ─▶ insert (any order) ─▶ touched and due rooms ─▶ fold from checkpoint to now ─▶ new events
                                                     ▲
                       checkpoint: the state before the oldest kept reading; late data re-folds from it

A pass costs what was touched, not what there is; what a pass finds does not depend on how passes were spread.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compliance.room_alarm import (
    CLEAR_AFTER_MS,
    FORGET_AFTER_MS,
    NO_DATA_AFTER_MS,
    RAISE_AFTER_MS,
    ROOM_STATE,
    RoomEvents,
    fold_room,
    fresh_states,
)
from compliance.verdict import FOREVER_MS, I64, RoomRules, cut, last_at_or_before, room_rules
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
        found = RoomEvents(*self._fold(rows, now_ms))
        happened, undone = self._compare(touched, found)
        return RoomChanges(happened, undone, too_late)

    def _insert(self, room: I64, readings: Readings, touched: NDArray[np.bool_], now_ms: int) -> int:
        value = readings.value + self.offset_k[room]
        done, too_late = 0, 0
        while done < len(room):
            done, late = _insert_all(
                done, room, readings.measured_at, readings.received_at, value,
                self.at, self.received, self.value, self.count, self.checkpoint_at, touched,
            )  # fmt: skip
            too_late += late
            if done < len(room):
                self._make_room(now_ms)
        return too_late

    def _make_room(self, now_ms: int) -> None:
        """Folds what is older than the window into the checkpoints; grows the columns where that is not enough."""
        self._settle(now_ms - WINDOW_MS)
        if self.count.max() == self.at.shape[1]:
            wider = ((0, 0), (0, self.at.shape[1]))
            self.at, self.received, self.value = (np.pad(one, wider) for one in (self.at, self.received, self.value))

    def _settle(self, before_ms: int) -> None:
        _settle_all(
            before_ms, self.at, self.received, self.value, self.count, self.checkpoint_at, self.checkpoint, *_packed(self.rules)
        )
        self.known = self.known[_key_at(self.known) >= self.checkpoint_at[_key_room(self.known)]]

    def _fold(self, rows: I64, now_ms: int) -> tuple[NDArray[np.generic], ...]:
        return _fold_rows(
            rows, now_ms, self.at, self.value, self.count, self.checkpoint_at, self.checkpoint, self.states, self.due,
            *_packed(self.rules),
        )  # type: ignore[no-any-return]  # fmt: skip

    def _compare(self, touched: NDArray[np.bool_], found: RoomEvents) -> tuple[RoomEvents, RoomEvents]:
        """Splits off what is new, and what was known and is no longer true."""
        keys = _keys(found)
        new = ~np.isin(keys, self.known)
        of_touched = touched[_key_room(self.known)] if len(self.known) else np.empty(0, np.bool_)
        gone = self.known[of_touched & ~np.isin(self.known, keys)]
        self.known = np.sort(np.concatenate([self.known[~np.isin(self.known, gone)], keys[new]]))
        nothing = np.full(len(gone), np.nan)
        undone = RoomEvents(_key_room(gone), (gone & np.uint64(7)).astype(np.int64), _key_at(gone), nothing, nothing)
        columns = (found.room[new], found.kind[new], found.at[new], found.limit_c[new], found.value_c[new])
        order = np.argsort(columns[2], kind="stable")
        return RoomEvents(*(column[order] for column in columns)), undone

    def newest(self) -> tuple[NDArray[np.float64], I64]:
        """The newest good value of each room (°C, calibrated; NaN for none) and when it was measured (−1 for none)."""
        last = np.maximum(self.count - 1, 0)
        rows = np.arange(len(last))
        none = self.count == 0
        return np.where(none, np.nan, self.value[rows, last]), np.where(none, -1, self.at[rows, last])

    def limits_c(self, now_ms: int) -> NDArray[np.float64]:
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
    since = (events.at - _SINCE_MS).astype(np.uint64)
    return (events.room.astype(np.uint64) << np.uint64(43)) | (since << np.uint64(3)) | events.kind.astype(np.uint64)


def _key_room(keys: NDArray[np.uint64]) -> I64:
    return (keys >> np.uint64(43)).astype(np.int64)


def _key_at(keys: NDArray[np.uint64]) -> I64:
    return ((keys >> np.uint64(3)) & np.uint64((1 << 40) - 1)).astype(np.int64) + _SINCE_MS


def _packed(rules: RoomRules) -> tuple[NDArray[np.generic], ...]:
    return (
        rules.hold_ms, rules.table, rules.step_starts, rules.step_at, rules.step_limit_c, rules.step_day,
        rules.exclusion_starts, rules.exclusion_from, rules.exclusion_to,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _insert_all(  # type: ignore[no-untyped-def]
    start, room, measured_at, received_at, value, at, received, kept, count, checkpoint_at, touched
):  # fmt: skip
    """Inserts readings from row ``start`` on; stops where a room is full. Returns the next row and how many came too late."""
    capacity = at.shape[1]
    late = 0
    for k in range(start, len(room)):
        row = room[k]
        instant = measured_at[k]
        if instant < checkpoint_at[row]:
            late += 1
            continue
        place = count[row]
        while place > 0 and at[row, place - 1] > instant:
            place -= 1
        if place > 0 and at[row, place - 1] == instant:
            if received_at[k] >= received[row, place - 1]:
                received[row, place - 1] = received_at[k]
                kept[row, place - 1] = value[k]
                touched[row] = True
            continue
        if count[row] == capacity:
            return k, late
        for later in range(count[row], place, -1):
            at[row, later] = at[row, later - 1]
            received[row, later] = received[row, later - 1]
            kept[row, later] = kept[row, later - 1]
        at[row, place] = instant
        received[row, place] = received_at[k]
        kept[row, place] = value[k]
        count[row] += 1
        touched[row] = True
    return len(room), late


@njit(cache=True, nogil=True)
def _longest(rows, count, table, step_starts, exclusion_starts):  # type: ignore[no-untyped-def]
    size = 0
    for k in range(len(rows)):
        row = rows[k]
        steps = step_starts[table[row] + 1] - step_starts[table[row]]
        size = max(size, 2 * count[row] + steps + 2 * (exclusion_starts[row + 1] - exclusion_starts[row]))
    return size + 4


@njit(cache=True, nogil=True)
def _settle_all(  # type: ignore[no-untyped-def]
    before, at, received, value, count, checkpoint_at, checkpoint, hold_ms, table, step_starts, step_at, step_limit, step_day,
    exclusion_starts, exclusion_from, exclusion_to,
):  # fmt: skip
    """Folds all readings before the newest one that is not after ``before`` into the checkpoint, and drops them."""
    size = _longest(np.arange(len(count)), count, table, step_starts, exclusion_starts)
    seg_at = np.empty(size + 1, np.int64)
    seg_limit = np.empty(size, np.float64)
    seg_value = np.empty(size, np.float64)
    seg_day = np.empty(size, np.bool_)
    seg_first = np.empty(size, np.bool_)
    kinds = np.empty(3 * size, np.int64)
    ats = np.empty(3 * size, np.int64)
    limits = np.empty(3 * size, np.float64)
    values = np.empty(3 * size, np.float64)
    for row in range(len(count)):
        drop = last_at_or_before(at[row], 0, count[row], before)
        if drop <= 0:
            continue
        until = at[row, drop]
        kind = table[row]
        segments = cut(
            at[row], value[row], 0, count[row], hold_ms[row], step_at, step_limit, step_day,
            step_starts[kind], step_starts[kind + 1], exclusion_from, exclusion_to,
            exclusion_starts[row], exclusion_starts[row + 1], checkpoint_at[row], until,
            seg_at, seg_limit, seg_value, seg_day, seg_first,
        )  # fmt: skip
        fold_room(segments, seg_at, seg_limit, seg_value, checkpoint[row], kinds, ats, limits, values)
        checkpoint_at[row] = until
        for k in range(drop, count[row]):
            at[row, k - drop] = at[row, k]
            received[row, k - drop] = received[row, k]
            value[row, k - drop] = value[row, k]
        count[row] -= drop


@njit(cache=True, nogil=True)
def _next_due(state, now, next_value, next_step, next_exclusion):  # type: ignore[no-untyped-def]
    """The next instant at which this room may change without a new reading; ``state`` is folded to ``now``."""
    due = min(next_value, next_step, next_exclusion)
    if state.phase == 1:
        if state.verdict == 3:
            due = min(due, now + RAISE_AFTER_MS - state.breach_ms)
        elif state.verdict == 1:
            due = min(due, now + FORGET_AFTER_MS - state.unknown_ms)
    elif state.phase == 2:
        if state.verdict == 1:
            if state.no_data == 0:
                due = min(due, state.silence_at + NO_DATA_AFTER_MS)
        else:
            due = min(due, now + CLEAR_AFTER_MS - state.clear_ms)
    return max(due, now)


@njit(cache=True, nogil=True)
def _fold_rows(  # type: ignore[no-untyped-def]
    rows, now, at, value, count, checkpoint_at, checkpoint, states, due, hold_ms, table, step_starts, step_at, step_limit, step_day,
    exclusion_starts, exclusion_from, exclusion_to,
):  # fmt: skip
    """Folds these rooms from their checkpoints to ``now`` inclusive; returns the columns of RoomEvents since the checkpoints."""
    size = _longest(rows, count, table, step_starts, exclusion_starts)
    seg_at = np.empty(size + 1, np.int64)
    seg_limit = np.empty(size, np.float64)
    seg_value = np.empty(size, np.float64)
    seg_day = np.empty(size, np.bool_)
    seg_first = np.empty(size, np.bool_)
    kinds = np.empty(3 * size, np.int64)
    ats = np.empty(3 * size, np.int64)
    limits = np.empty(3 * size, np.float64)
    values = np.empty(3 * size, np.float64)
    capacity = 1024
    total = 0
    out_room = np.empty(capacity, np.int64)
    out_kind = np.empty(capacity, np.int64)
    out_at = np.empty(capacity, np.int64)
    out_limit = np.empty(capacity, np.float64)
    out_value = np.empty(capacity, np.float64)
    for k in range(len(rows)):
        row = rows[k]
        kind = table[row]
        states[row] = checkpoint[row]
        segments = cut(
            at[row], value[row], 0, count[row], hold_ms[row], step_at, step_limit, step_day,
            step_starts[kind], step_starts[kind + 1], exclusion_from, exclusion_to,
            exclusion_starts[row], exclusion_starts[row + 1], checkpoint_at[row], now + 1,
            seg_at, seg_limit, seg_value, seg_day, seg_first,
        )  # fmt: skip
        found = fold_room(segments, seg_at, seg_limit, seg_value, states[row], kinds, ats, limits, values)
        for j in range(found):
            if ats[j] > now:
                continue
            if total == capacity:
                capacity *= 2
                out_room = np.append(out_room, np.empty(total, np.int64))
                out_kind = np.append(out_kind, np.empty(total, np.int64))
                out_at = np.append(out_at, np.empty(total, np.int64))
                out_limit = np.append(out_limit, np.empty(total, np.float64))
                out_value = np.append(out_value, np.empty(total, np.float64))
            out_room[total] = row
            out_kind[total] = kinds[j]
            out_at[total] = ats[j]
            out_limit[total] = limits[j]
            out_value[total] = values[j]
            total += 1
        newest = last_at_or_before(at[row], 0, count[row], now)
        next_value = at[row, newest + 1] if newest + 1 < count[row] else FOREVER_MS
        if newest >= 0 and at[row, newest] + hold_ms[row] > now:
            next_value = min(next_value, at[row, newest] + hold_ms[row])
        step = last_at_or_before(step_at, step_starts[kind], step_starts[kind + 1], now) + 1
        next_step = step_at[step] if step < step_starts[kind + 1] else FOREVER_MS
        next_exclusion = FOREVER_MS
        for one in range(exclusion_starts[row], exclusion_starts[row + 1]):
            if exclusion_from[one] > now:
                next_exclusion = min(next_exclusion, exclusion_from[one])
            elif exclusion_to[one] > now:
                next_exclusion = min(next_exclusion, exclusion_to[one])
        due[row] = _next_due(states[row], now + 1, next_value, next_step, next_exclusion)
    return out_room[:total], out_kind[:total], out_at[:total], out_limit[:total], out_value[:total]

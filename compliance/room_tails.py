"""All rooms' recent readings, and the folds over them (R3): what the live pass does to columns, compiled.

insert (any order) ─▶ fold to the newest reading (closed) ─▶ fold to now (open) ─▶ due: when it may change without a reading
settle: what nothing can change any more is folded into the checkpoint, and dropped
"""

from typing import NamedTuple

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
)
from compliance.verdict import FOREVER_MS, RoomRules, cut, last_at_or_before, most_segments, segments_of


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
def insert_all(
    start: int, room: I64, measured_at: I64, received_at: I64, value: F64, kept: Kept, near_at: I64, touched: B1, again: B1
) -> int:
    """Inserts readings from row ``start`` on; stops where a room is full. Returns the next row.

    Those older than a room's checkpoint are passed over: see ``late_rooms``. ``again`` is set for rooms with a reading that changes
    what is closed.
    """
    capacity = kept.at.shape[1]
    for k in range(start, len(room)):
        row = room[k]
        instant = measured_at[k]
        if instant < kept.checkpoint_at[row]:
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
            return k
        for later in range(kept.filled[row], place, -1):
            _move(kept, row, later - 1, later)
        kept.at[row, place] = instant
        kept.received[row, place] = received_at[k]
        kept.value[row, place] = value[k]
        kept.filled[row] += 1
        touched[row] = True
        again[row] |= instant < near_at[row]
    return len(room)


@kernel
def _move(kept: Kept, row: int, source: int, target: int) -> None:
    kept.at[row, target] = kept.at[row, source]
    kept.received[row, target] = kept.received[row, source]
    kept.value[row, target] = kept.value[row, source]


@kernel
def settle_all(before: int, kept: Kept, rules: RoomRules, checkpoint: NDArray[np.void], near_at: I64) -> RoomEvents:
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
def fold_rows(rows: I64, again: B1, now: int, kept: Kept, rules: RoomRules, progress: Progress) -> tuple[RoomEvents, B1]:
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

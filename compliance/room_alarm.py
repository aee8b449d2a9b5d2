"""The low-temperature alarm of a room (R3), folded over the segments of ``compliance.verdict``.

        breach                breach adds up to 60 min             ≥ L + 0.3 K for 30 min
normal ────────▶ pending ──────────────────────────────▶ raised ──────────────────────────▶ normal (cleared)
   ▲               │ compliance, or unknown > 2 h          │ unknown for 2 h on end: marked no_data, stays raised
   └───────────────┘ (forgotten)                           │ season ends, exclusion starts: cleared

Timers run on known judged time only; every event carries the instant at which its condition was completed.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compliance.verdict import AT_LIMIT_K, I64, RoomRules, Series, cut, scratch_size

MINUTE_MS = 60_000
RAISE_AFTER_MS = 60 * MINUTE_MS
CLEAR_AFTER_MS = 30 * MINUTE_MS
FORGET_AFTER_MS = 120 * MINUTE_MS  # more unknown time than this forgets a pending alarm
NO_DATA_AFTER_MS = 120 * MINUTE_MS
CLEAR_ABOVE_K = 0.3


class Phase(IntEnum):
    """Where an alarm stands."""

    NORMAL = 0
    PENDING = 1
    RAISED = 2


class Verdict(IntEnum):
    """What is known of a room at an instant (R2)."""

    UNJUDGED = 0
    UNKNOWN = 1
    COMPLIANT = 2
    BREACH = 3


class RoomEvent(IntEnum):
    """What happened to a room's alarm."""

    PENDING = 0
    FORGOTTEN = 1
    RAISED = 2
    NO_DATA = 3
    CLEARED = 4
    ENDED = 5  # cleared because judging ended: end of season or start of an exclusion
    DROPPED = 6  # forgotten for the same reason


# One room's alarm between two segments. ``silence_at`` is the start of the unknown time now running, −1 for none.
ROOM_STATE = np.dtype(
    [
        ("phase", np.int64),
        ("pending_at", np.int64),
        ("raised_at", np.int64),
        ("breach_ms", np.int64),
        ("unknown_ms", np.int64),
        ("clear_ms", np.int64),
        ("silence_at", np.int64),
        ("no_data", np.int64),
        ("limit_max_c", np.float64),
        ("verdict", np.int64),
        ("verdict_at", np.int64),
    ]
)


@dataclass(frozen=True)
class RoomEvents:
    """Columns of n events: room row, RoomEvent, instant (UTC ms), limit and value (°C, NaN where none) at that instant."""

    room: I64
    kind: I64
    at: I64
    limit_c: NDArray[np.float64]
    value_c: NDArray[np.float64]


def fresh_states(rooms: int) -> NDArray[np.void]:
    """The states of rooms of which nothing is known yet."""
    states = np.zeros(rooms, ROOM_STATE)
    states["silence_at"] = -1
    states["verdict_at"] = -1
    return states


def fold_alarms(series: Series, rules: RoomRules, states: NDArray[np.void], from_ms: int, to_ms: int) -> RoomEvents:
    """Advances every room's state over [from_ms, to_ms) and returns what happened, by room and then by time.

    ``states`` (R,) is changed in place.
    """
    columns = _fold_all(
        series.starts, series.at, series.value,
        rules.hold_ms, rules.table, rules.step_starts, rules.step_at, rules.step_limit_c, rules.step_day,
        rules.exclusion_starts, rules.exclusion_from, rules.exclusion_to, states, from_ms, to_ms,
    )  # fmt: skip
    return RoomEvents(*columns)


@njit(cache=True, nogil=True)
def _put(out_kind, out_at, out_limit, out_value, count, kind, at, limit, value):  # type: ignore[no-untyped-def]
    out_kind[count] = kind
    out_at[count] = at
    out_limit[count] = limit
    out_value[count] = value
    return count + 1


@njit(cache=True, nogil=True)
def _to_normal(state):  # type: ignore[no-untyped-def]
    state.phase = 0
    state.breach_ms = 0
    state.unknown_ms = 0
    state.clear_ms = 0
    state.no_data = 0


@njit(cache=True, nogil=True)
def fold_room(count, seg_at, seg_limit, seg_value, state, out_kind, out_at, out_limit, out_value):  # type: ignore[no-untyped-def]
    """Advances one room's state over its segments; returns how many events were put out (at most 3 a segment)."""
    events = 0
    for k in range(count):
        at = seg_at[k]
        limit = seg_limit[k]
        value = seg_value[k]
        length_ms = seg_at[k + 1] - at
        unjudged = np.isnan(limit)
        unknown = np.isnan(value)
        breach = not unjudged and not unknown and value < limit - AT_LIMIT_K
        verdict = 0 if unjudged else 1 if unknown else 3 if breach else 2
        if verdict != state.verdict or state.verdict_at < 0:
            state.verdict = verdict
            state.verdict_at = at
        if unjudged:
            if state.phase != 0:
                kind = 5 if state.phase == 2 else 6
                events = _put(out_kind, out_at, out_limit, out_value, events, kind, at, limit, value)
                _to_normal(state)
            state.silence_at = -1
            continue
        if state.phase != 0:
            state.limit_max_c = max(state.limit_max_c, limit)
        if unknown:
            if state.silence_at < 0:
                state.silence_at = at
            if state.phase == 1:
                left_ms = FORGET_AFTER_MS - state.unknown_ms
                if length_ms > left_ms:
                    events = _put(out_kind, out_at, out_limit, out_value, events, 1, at + left_ms, limit, value)
                    _to_normal(state)
                else:
                    state.unknown_ms += length_ms
            elif state.phase == 2 and state.no_data == 0 and state.silence_at + NO_DATA_AFTER_MS <= at + length_ms:
                state.no_data = 1
                events = _put(out_kind, out_at, out_limit, out_value, events, 3, state.silence_at + NO_DATA_AFTER_MS, limit, value)
            continue
        state.silence_at = -1
        state.no_data = 0
        if state.phase == 0 and breach:
            state.phase = 1
            state.pending_at = at
            state.limit_max_c = limit
            events = _put(out_kind, out_at, out_limit, out_value, events, 0, at, limit, value)
        if state.phase == 1:
            if not breach:
                events = _put(out_kind, out_at, out_limit, out_value, events, 1, at, limit, value)
                _to_normal(state)
            elif length_ms >= RAISE_AFTER_MS - state.breach_ms:
                state.raised_at = at + RAISE_AFTER_MS - state.breach_ms
                _to_normal(state)
                state.phase = 2
                events = _put(out_kind, out_at, out_limit, out_value, events, 2, state.raised_at, limit, value)
            else:
                state.breach_ms += length_ms
        elif state.phase == 2:
            if value < state.limit_max_c + CLEAR_ABOVE_K - AT_LIMIT_K:
                state.clear_ms = 0
            elif length_ms >= CLEAR_AFTER_MS - state.clear_ms:
                cleared_at = at + CLEAR_AFTER_MS - state.clear_ms
                events = _put(out_kind, out_at, out_limit, out_value, events, 4, cleared_at, limit, value)
                _to_normal(state)
            else:
                state.clear_ms += length_ms
    return events


@njit(cache=True, nogil=True)
def _fold_all(  # type: ignore[no-untyped-def]
    starts, at, value, hold_ms, table, step_starts, step_at, step_limit, step_day,
    exclusion_starts, exclusion_from, exclusion_to, states, from_ms, to_ms,
):  # fmt: skip
    size = scratch_size(starts, step_starts, table, exclusion_starts)
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
    all_room = np.empty(capacity, np.int64)
    all_kind = np.empty(capacity, np.int64)
    all_at = np.empty(capacity, np.int64)
    all_limit = np.empty(capacity, np.float64)
    all_value = np.empty(capacity, np.float64)
    for room in range(len(starts) - 1):
        kind = table[room]
        count = cut(
            at, value, starts[room], starts[room + 1], hold_ms[room], step_at, step_limit, step_day,
            step_starts[kind], step_starts[kind + 1], exclusion_from, exclusion_to,
            exclusion_starts[room], exclusion_starts[room + 1], from_ms, to_ms,
            seg_at, seg_limit, seg_value, seg_day, seg_first,
        )  # fmt: skip
        found = fold_room(count, seg_at, seg_limit, seg_value, states[room], kinds, ats, limits, values)
        while total + found > capacity:
            capacity *= 2
            all_room = np.append(all_room, np.empty(capacity - len(all_room), np.int64))
            all_kind = np.append(all_kind, np.empty(capacity - len(all_kind), np.int64))
            all_at = np.append(all_at, np.empty(capacity - len(all_at), np.int64))
            all_limit = np.append(all_limit, np.empty(capacity - len(all_limit), np.float64))
            all_value = np.append(all_value, np.empty(capacity - len(all_value), np.float64))
        all_room[total : total + found] = room
        all_kind[total : total + found] = kinds[:found]
        all_at[total : total + found] = ats[:found]
        all_limit[total : total + found] = limits[:found]
        all_value[total : total + found] = values[:found]
        total += found
    return all_room[:total], all_kind[:total], all_at[:total], all_limit[:total], all_value[:total]

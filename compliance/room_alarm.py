"""The low-temperature alarm of a room (R3), folded over the segments of ``compliance.verdict``.

        breach                breach adds up to 60 min             ≥ L + 0.3 K for 30 min
normal ────────▶ pending ──────────────────────────────▶ raised ──────────────────────────▶ normal (cleared)
   ▲               │ compliance, or unknown > 2 h          │ unknown for 2 h on end: marked no_data, stays raised
   └───────────────┘ (forgotten)                           │ season ends, exclusion starts: cleared

Timers run on known judged time only; every event carries the instant at which its condition was completed.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import F64, I64, Record, kernel
from compliance.series import Series
from compliance.verdict import AT_LIMIT_K, RoomRules, Segments, cut, most_segments, segments_of

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


class RoomEvents(NamedTuple):
    """Columns of n events: room row, RoomEvent, instant (UTC ms), limit and value (°C, NaN where none) at that instant."""

    room: I64
    kind: I64
    at: I64
    limit_c: F64
    value_c: F64

    def take(self, rows: I64) -> "RoomEvents":
        """These rows."""
        return RoomEvents(self.room[rows], self.kind[rows], self.at[rows], self.limit_c[rows], self.value_c[rows])


def joined(parts: Sequence[RoomEvents]) -> RoomEvents:
    """The events of all parts, one after the other."""
    room, kind, at, limit_c, value_c = zip(*parts, strict=True)
    return RoomEvents(np.concatenate(room), np.concatenate(kind), np.concatenate(at), np.concatenate(limit_c), np.concatenate(value_c))


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
    rooms = len(states)
    return fold_each(series, rules, states, np.full(rooms, from_ms), np.full(rooms, to_ms))


@kernel
def events_of(size: int) -> RoomEvents:
    """Room for ``size`` events."""
    return RoomEvents(
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.float64), np.empty(size, np.float64)
    )


@kernel
def append(events: RoomEvents, count: int, room: int, found: RoomEvents, k: int) -> RoomEvents:
    """Puts event k of ``found`` in row ``count`` of ``events``, or of a copy with twice the room where that is full."""
    if count == len(events.at):
        larger = events_of(2 * count)
        larger.room[:count] = events.room
        larger.kind[:count] = events.kind
        larger.at[:count] = events.at
        larger.limit_c[:count] = events.limit_c
        larger.value_c[:count] = events.value_c
        events = larger
    events.room[count] = room
    events.kind[count] = found.kind[k]
    events.at[count] = found.at[k]
    events.limit_c[count] = found.limit_c[k]
    events.value_c[count] = found.value_c[k]
    return events


@kernel
def first_events(events: RoomEvents, count: int) -> RoomEvents:
    """The rows that are filled."""
    return RoomEvents(events.room[:count], events.kind[:count], events.at[:count], events.limit_c[:count], events.value_c[:count])


@kernel
def fold_each(series: Series, rules: RoomRules, states: NDArray[np.void], from_ms: I64, to_ms: I64) -> RoomEvents:
    """As ``fold_alarms``, each room over a span of its own: ``from_ms`` and ``to_ms`` are (R,)."""
    size = 0
    for room in range(len(series.starts) - 1):
        size = max(size, most_segments(rules, room, series.starts[room + 1] - series.starts[room]))
    cuts = segments_of(size)
    found = events_of(3 * size)
    events = events_of(1024)
    total = 0
    for room in range(len(series.starts) - 1):
        low, high = series.starts[room], series.starts[room + 1]
        count = cut(series.at, series.value, low, high, rules, room, from_ms[room], to_ms[room], cuts)
        for k in range(fold_room(count, cuts, states[room], found)):
            events = append(events, total, room, found, k)
            total += 1
    return first_events(events, total)


@kernel
def fold_room(count: int, cuts: Segments, state: Record, out: RoomEvents) -> int:
    """Advances one room's state over its segments; returns how many events were put out (at most 3 a segment)."""
    events = 0
    for k in range(count):
        limit = cuts.limit_c[k]
        value = cuts.value_c[k]
        verdict = verdict_of(limit, value)
        if verdict != state.verdict or state.verdict_at < 0:
            state.verdict = verdict
            state.verdict_at = cuts.at[k]
        if state.phase != Phase.NORMAL and verdict != Verdict.UNJUDGED:
            state.limit_max_c = max(state.limit_max_c, limit)
        if verdict >= Verdict.COMPLIANT and _as_before(state, value, verdict == Verdict.BREACH):
            state.silence_at = -1
            state.no_data = 0
        elif verdict == Verdict.UNJUDGED:
            events = _unjudged(state, cuts, k, out, events)
        elif verdict == Verdict.UNKNOWN:
            events = _unknown(state, cuts, k, out, events)
        else:
            events = _known(state, cuts, k, verdict == Verdict.BREACH, out, events)
    return events


@kernel
def _as_before(state: Record, value: float, breach: bool) -> bool:
    """Whether known time changes nothing: warm and normal, or raised and not cured. Most time is such, and told apart at once."""
    if state.phase == Phase.NORMAL:
        return not breach
    return bool(state.phase == Phase.RAISED and state.clear_ms == 0 and value < state.limit_max_c + CLEAR_ABOVE_K - AT_LIMIT_K)


@kernel
def verdict_of(limit: float, value: float) -> int:
    """The Verdict of a value under a limit (°C); NaN: no limit, no value."""
    if np.isnan(limit):
        return Verdict.UNJUDGED
    if np.isnan(value):
        return Verdict.UNKNOWN
    return Verdict.BREACH if value < limit - AT_LIMIT_K else Verdict.COMPLIANT


@kernel
def _put(out: RoomEvents, count: int, kind: int, at: int, cuts: Segments, k: int) -> int:
    out.kind[count] = kind
    out.at[count] = at
    out.limit_c[count] = cuts.limit_c[k]
    out.value_c[count] = cuts.value_c[k]
    return count + 1


@kernel
def _to_phase(state: Record, phase: int) -> None:
    state.phase = phase
    state.breach_ms = 0
    state.unknown_ms = 0
    state.clear_ms = 0
    state.no_data = 0


@kernel
def _unjudged(state: Record, cuts: Segments, k: int, out: RoomEvents, events: int) -> int:
    """Judging ends: a raised alarm is cleared, a pending one forgotten."""
    if state.phase != Phase.NORMAL:
        kind = RoomEvent.ENDED if state.phase == Phase.RAISED else RoomEvent.DROPPED
        events = _put(out, events, kind, cuts.at[k], cuts, k)
        _to_phase(state, Phase.NORMAL)
    state.silence_at = -1
    return events


@kernel
def _unknown(state: Record, cuts: Segments, k: int, out: RoomEvents, events: int) -> int:
    """Unknown time freezes the timers; too much of it forgets a pending alarm, and marks a raised one."""
    at = cuts.at[k]
    length_ms = cuts.at[k + 1] - at
    if state.silence_at < 0:
        state.silence_at = at
    if state.phase == Phase.PENDING:
        left_ms = FORGET_AFTER_MS - state.unknown_ms
        if length_ms > left_ms:
            events = _put(out, events, RoomEvent.FORGOTTEN, at + left_ms, cuts, k)
            _to_phase(state, Phase.NORMAL)
        else:
            state.unknown_ms += length_ms
    elif state.phase == Phase.RAISED and state.no_data == 0 and state.silence_at + NO_DATA_AFTER_MS <= at + length_ms:
        state.no_data = 1
        events = _put(out, events, RoomEvent.NO_DATA, state.silence_at + NO_DATA_AFTER_MS, cuts, k)
    return events


@kernel
def _known(state: Record, cuts: Segments, k: int, breach: bool, out: RoomEvents, events: int) -> int:
    """Breach time raises; time above every limit held to since it began clears."""
    at = cuts.at[k]
    length_ms = cuts.at[k + 1] - at
    state.silence_at = -1
    state.no_data = 0
    if state.phase == Phase.NORMAL and breach:
        _to_phase(state, Phase.PENDING)
        state.pending_at = at
        state.limit_max_c = cuts.limit_c[k]
        events = _put(out, events, RoomEvent.PENDING, at, cuts, k)
    if state.phase == Phase.PENDING:
        if not breach:
            events = _put(out, events, RoomEvent.FORGOTTEN, at, cuts, k)
            _to_phase(state, Phase.NORMAL)
        elif length_ms >= RAISE_AFTER_MS - state.breach_ms:
            state.raised_at = at + RAISE_AFTER_MS - state.breach_ms
            _to_phase(state, Phase.RAISED)
            events = _put(out, events, RoomEvent.RAISED, state.raised_at, cuts, k)
        else:
            state.breach_ms += length_ms
    elif state.phase == Phase.RAISED:
        if cuts.value_c[k] < state.limit_max_c + CLEAR_ABOVE_K - AT_LIMIT_K:
            state.clear_ms = 0
        elif length_ms >= CLEAR_AFTER_MS - state.clear_ms:
            events = _put(out, events, RoomEvent.CLEARED, at + CLEAR_AFTER_MS - state.clear_ms, cuts, k)
            _to_phase(state, Phase.NORMAL)
        else:
            state.clear_ms += length_ms
    return events

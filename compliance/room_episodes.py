"""What a room's alarm has done as keys of its events, and the episodes (raised … cleared) that they make up (R3).

key: room row (20 bits) │ instant since 2020 (40 bits) │ kind (3 bits)      in order: by room, then by time, then by kind
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compliance.kernel import B1, I64
from compliance.room_alarm import NO_DATA_AFTER_MS, Phase, RoomEvent, RoomEvents

SINCE_MS = 1_577_836_800_000

Keys = NDArray[np.uint64]


class Episode(NamedTuple):
    """One alarm of a room; instants in UTC ms. ``cleared_by`` is CLEARED, or ENDED with judging; None while it stands."""

    pending_at: int
    raised_at: int
    no_data_at: int | None = None
    cleared_at: int | None = None
    cleared_by: RoomEvent | None = None


def keys_of(events: RoomEvents) -> Keys:
    """The key of each event."""
    keys = (events.room << 43) | ((events.at - SINCE_MS) << 3) | events.kind
    return keys.astype(np.uint64)


def among(keys: Keys, ordered: Keys) -> B1:
    """Which keys are among those in order."""
    if not len(ordered):
        return np.zeros(len(keys), np.bool_)
    return np.asarray(ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys)


def room_of(keys: Keys) -> I64:
    """The room row of each key."""
    return (keys >> np.uint64(43)).astype(np.int64)


def instant_of(keys: Keys) -> I64:
    """The instant of each key, UTC ms."""
    return ((keys >> np.uint64(3)) & np.uint64((1 << 40) - 1)).astype(np.int64) + SINCE_MS


def kind_of(keys: Keys) -> I64:
    """The RoomEvent of each key."""
    return (keys & np.uint64(7)).astype(np.int64)


def reordered(keys: Keys, rows: I64) -> Keys:
    """The keys with another room row each."""
    return (keys & np.uint64((1 << 43) - 1)) | (rows.astype(np.uint64) << np.uint64(43))


def episodes(keys: Keys, before: NDArray[np.void], now: NDArray[np.void], rows: Sequence[int]) -> dict[int, list[Episode]]:
    """The episodes of these rooms: those their keys make up since the states ``before`` them, the first maybe begun earlier.

    ``now`` are the states after them; both are in the order of ``rows``.
    """
    mine = np.sort(keys[np.isin(room_of(keys), rows)])
    bounds = np.searchsorted(room_of(mine), [list(rows), [row + 1 for row in rows]])
    kinds, instants = kind_of(mine).tolist(), instant_of(mine).tolist()
    found: dict[int, list[Episode]] = {}
    for index, (row, low, high) in enumerate(zip(rows, *bounds.tolist(), strict=True)):
        told = zip(kinds[low:high], instants[low:high], strict=True)
        found[row] = _paired(told, before[index], now[index])
    return found


def _paired(told: Iterable[tuple[int, int]], before: np.void, now: np.void) -> list[Episode]:
    """The raised and cleared of one room in order, as episodes."""
    pending_at = int(before["pending_at"])
    found = [Episode(pending_at, int(before["raised_at"]))] if before["phase"] == Phase.RAISED else []
    for kind, at in told:
        if kind == RoomEvent.PENDING:
            pending_at = at
        elif kind == RoomEvent.RAISED:
            found.append(Episode(pending_at, at))
        elif kind in (RoomEvent.CLEARED, RoomEvent.ENDED):
            found[-1] = found[-1]._replace(cleared_at=at, cleared_by=RoomEvent(kind))
    if found and found[-1].cleared_at is None and now["no_data"]:
        found[-1] = found[-1]._replace(no_data_at=int(now["silence_at"]) + NO_DATA_AFTER_MS)
    return found

"""The evidence of a complaint as it was frozen when it was opened (R6): lines to draw, and what held then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.facts.complaints import Dossier
from dashboard.facts.subjects import room_label
from dashboard.facts.town import Town
from dashboard.facts.trend import Trend, limit_trend, thinned
from dashboard.moments import DAY_MS

ROOMS_DRAWN = 6


@dataclass(frozen=True)
class Frozen:
    """The readings that a complaint was opened with, by room, over [from_ms, to_ms); ``opened_at`` is marked in them.

    ``same_policy`` tells whether the policy's file is still the one that it was judged by.
    """

    from_ms: int
    to_ms: int
    opened_at: int
    rooms: dict[str, Trend]
    limit: Trend
    facts: Mapping[str, Any]
    same_policy: bool


def frozen_evidence(town: Town, found: Dossier) -> Frozen:
    """The stored snapshot: nothing of it is read from the history again."""
    parts: list[tuple[str, int, Mapping[str, Any]]] = [(room.room_id, room.attached_at, room.evidence) for room in found.rooms]
    kind, _, name = found.complaint.subject.partition("/")
    if kind == "room":
        own: Mapping[str, Any] = found.evidence
        parts.append((name, found.complaint.opened_at, own))
    first: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for room_id, at, evidence in parts:
        if evidence.get("readings") and room_id not in first:
            first[room_id] = (at, evidence)
    drawn = dict(list(first.items())[:ROOMS_DRAWN])
    opened_at = found.complaint.opened_at
    from_ms = min([opened_at, *(at for at, _ in drawn.values())]) - DAY_MS
    to_ms = max([opened_at, *(at for at, _ in drawn.values())]) + 1
    room = town.site.rooms.get(next(iter(drawn), ""))
    facts: Mapping[str, Any] = found.evidence
    for _, evidence in drawn.values():
        facts = facts or evidence
    return Frozen(
        from_ms,
        to_ms,
        opened_at,
        {_name(town, room_id): _line(town, room_id, evidence, from_ms, to_ms) for room_id, (_, evidence) in drawn.items()},
        limit_trend(town, room.table if room else "residential", from_ms, to_ms),
        facts,
        same_policy=facts.get("policy_sha256") in (None, town.site.policy.sha256),
    )


def _name(town: Town, room_id: str) -> str:
    room = town.site.rooms.get(room_id)
    return room_label(room) if room else room_id


def _line(town: Town, room_id: str, evidence: Mapping[str, Any], from_ms: int, to_ms: int) -> Trend:
    rows = np.array(evidence["readings"], np.float64).reshape(-1, 2)
    room = town.site.rooms.get(room_id)
    hold_ms = town.site.hold_ms(room) if room else 30 * 60_000
    return thinned(rows[:, 0].astype(np.int64), rows[:, 1], from_ms, to_ms, hold_ms)

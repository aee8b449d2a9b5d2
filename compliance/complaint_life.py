"""The life of a complaint (R6): which state may follow which, and what its stored rows say of its rounds and holds.

new ─▶ accepted ─▶ dispatched ─▶ on_site ─▶ resolved ─▶ called_back ─▶ closed
 └────────┴─────────────┴───────────┴─▶ rejected (explained)   merged (into another)   reopened ─▶ a new round
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NEXT_STATES: Final[Mapping[str, tuple[str, ...]]] = {
    "new": ("accepted", "rejected"),
    "accepted": ("dispatched", "resolved", "rejected"),
    "dispatched": ("on_site", "resolved", "rejected"),
    "on_site": ("resolved", "rejected"),
    "resolved": ("called_back", "reopened"),
    "called_back": ("closed", "reopened"),
    "closed": ("reopened",),
    "rejected": ("reopened",),
    "merged": (),
    "reopened": ("accepted", "dispatched", "resolved", "rejected"),
}
OVER: Final = ("closed", "rejected", "merged")
NOT_OVER: Final = tuple(state for state in NEXT_STATES if state not in OVER)  # by which an index finds them, as none does "not over"
WORKED_ON: Final = ("new", "accepted", "dispatched", "on_site", "reopened")  # before it is resolved: may be held, merged
# A rejection is explained to the complainant, and a reopening says what was not cured.
NEEDS_REASON: Final = frozenset({"rejected", "reopened"})

CATEGORIES: Final = ("low_temperature", "leak", "pipe_burst", "heat_stopped", "other")
SOURCES: Final = ("phone", "counter", "app", "hotline_12345")
SEVERITIES: Final = ("ordinary", "major")
# As found, when it is resolved or rejected.
CAUSES: Final = (
    *("curve_low", "hydraulic_imbalance", "air_lock", "station_fault", "pipe_fault", "source_fault", "power_loss"),
    *("user_side", "sensor_fault", "no_fault_found", "other"),
)
# Found on the user's side: what the company is not held to cure (R7).
USERS_OWN: Final = "user_side"
# What is done for a complaint beside its states; call-backs, proposals, merges, and who has it in hand, have acts of their own.
DEEDS: Final = ("contacted", "handed_over", "answered", "verified", "filed", "held", "resumed")


@dataclass(frozen=True)
class Step:
    """A stored transition: into ``to_state`` at ``at`` (UTC ms)."""

    to_state: str
    at: int


@dataclass(frozen=True)
class Deed:
    """Something done at ``at`` (UTC ms): one of DEEDS; ``call_back``, ``reached`` where somebody answered; or ``found``, a ``cause``."""

    kind: str
    at: int
    reached: bool = True
    satisfied: bool | None = None
    cause: str = ""


@dataclass(frozen=True)
class Round:
    """From a report or a reopening to the next reopening. ``until`` is None for the last one. Instants in UTC ms."""

    reported_at: int
    until: int | None
    steps: tuple[Step, ...]


def following(state: str, origin: str) -> tuple[str, ...]:
    """The states a person may take a complaint to. What a sensor or a visit found has nobody to call back: it may be closed at once."""
    after = NEXT_STATES.get(state, ())
    return (*after, "closed") if state == "resolved" and origin != "resident" else after


def rounds(reported_at: int, steps: Sequence[Step]) -> list[Round]:
    """The rounds of a complaint, in order: each reopening starts all clocks anew, and the past round keeps what it came to."""
    found: list[Round] = []
    began = reported_at
    taken: list[Step] = []
    for step in steps:
        if step.to_state == "reopened":
            found.append(Round(began, step.at, tuple(taken)))
            began, taken = step.at, []
        else:
            taken.append(step)
    found.append(Round(began, None, tuple(taken)))
    return found


def holds(deeds: Sequence[Deed], steps: Sequence[Step]) -> list[tuple[int, int | None]]:
    """Spans [from, to) in which a complaint waited for its resident; None while it still does.

    A hold ends when it is resumed, and at the next transition at the latest: who goes on working no longer waits.
    """
    marks = sorted([(deed.at, deed.kind) for deed in deeds if deed.kind in ("held", "resumed")] + [(step.at, "step") for step in steps])
    spans: list[tuple[int, int | None]] = []
    since: int | None = None
    for at, kind in marks:
        if kind == "held":
            since = at if since is None else since
        elif since is not None:
            spans.append((since, at))
            since = None
    return spans if since is None else [*spans, (since, None)]

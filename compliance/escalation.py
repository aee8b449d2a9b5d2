"""Who is told of an overdue duty, and when (R7): one step up, once per step.

dispatcher (holds the duty) ──due──▶ department head ──as long again──▶ manager
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from compliance.service_duties import DutyState, span_ms

STEPS: Final = ("department_head", "manager")


@dataclass(frozen=True)
class Escalation:
    """Somebody is told at ``at`` (UTC ms) that a duty was due at ``due_at`` and is not done; ``step`` counts from 1."""

    duty: str
    started_at: int
    step: int
    due_at: int
    at: int
    told: str


def escalations(states: Sequence[DutyState], now_ms: int) -> Iterator[Escalation]:
    """The steps that overdue duties have reached by ``now_ms``. The next step comes when the duty's span has passed once more."""
    for state in states:
        if state.standing != "overdue":
            continue
        for number, told in enumerate(STEPS, start=1):
            at = state.due_at + (number - 1) * span_ms(state.duty)
            if at < now_ms:
                yield Escalation(state.duty.duty, state.started_at, number, state.due_at, at, told)

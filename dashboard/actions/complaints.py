"""What people do with complaints (R6)."""

from sqlalchemy import Engine

from dashboard.actions.acting import COMMENT_MOST, RefusedError, change, demand, note, step
from dashboard.facts.complaints import NEEDS_REASON, NEXT_STATES
from dashboard.roles import Account
from dashboard.text import N_
from store.records.tables import complaint_transitions, complaints


def move_complaint(engine: Engine, who: Account, complaint_id: int, seen_state: str, to_state: str, why: str, now_ms: int) -> None:
    """Takes a complaint from the state the person saw to a following one (R6).

    Raises RefusedError without the right, for a step that can't be taken, without a needed reason, or when somebody was faster.
    """
    why = why.strip()[:COMMENT_MOST]
    demand(engine, who, "move_complaint", "move_complaint", f"complaint/{complaint_id}", now_ms)
    if to_state not in NEXT_STATES.get(seen_state, ()):
        raise RefusedError(N_("This step does not follow the complaint's state."))
    if to_state in NEEDS_REASON and not why:
        raise RefusedError(N_("This step needs a reason."))
    with engine.begin() as connection:
        if not change(connection, complaints, complaint_id, seen_state, {"state": to_state}):
            raise RefusedError(N_("Somebody changed this complaint meanwhile."))
        step(connection, complaint_transitions, "complaint_id", complaint_id, seen_state, to_state, now_ms, who, why)
        before, after = {"state": seen_state}, {"state": to_state, "why": why}
        note(connection, now_ms, who, "move_complaint", f"complaint/{complaint_id}", before, after)

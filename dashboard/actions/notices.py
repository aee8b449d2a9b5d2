"""What people do with notices (R5)."""

from sqlalchemy import Engine

from dashboard.actions.acting import RefusedError, change, demand, note, step
from dashboard.roles import Account
from dashboard.text import N_
from store.records.tables import notice_transitions, notices


def confirm_notice(engine: Engine, who: Account, notice_id: int, now_ms: int) -> None:
    """Publishes a due notice that waits for a dispatcher (R5, ``publish = "review"``).

    Raises RefusedError without the right, or when the notice is not due any more.
    """
    demand(engine, who, "confirm_notice", "confirm_notice", f"notice/{notice_id}", now_ms)
    with engine.begin() as connection:
        if not change(connection, notices, notice_id, "due", {"state": "published", "published_at": now_ms}):
            raise RefusedError(N_("This notice is not waiting for confirmation any more."))
        step(connection, notice_transitions, "notice_id", notice_id, "due", "published", now_ms, who, "confirmed")
        note(connection, now_ms, who, "confirm_notice", f"notice/{notice_id}", {"state": "due"}, {"state": "published"})

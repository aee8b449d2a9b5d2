"""What people do with alarms (R3, ISA-18.2)."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Engine, select

from dashboard.actions.acting import COMMENT_MOST, change, demand, note, step
from dashboard.roles import Account
from store.records.tables import alarm_transitions, alarms

MOST_AT_ONCE: Final = 1_000
# An acknowledged alarm whose cause is gone is over (ISA-18.2).
ACKNOWLEDGED_TO: Final = {"unacknowledged": "acknowledged", "returned_unacknowledged": "normal"}


def acknowledge_alarms(engine: Engine, who: Account, alarm_ids: Sequence[int], comment: str, now_ms: int) -> int:
    """Acknowledges these alarms; returns how many were still unacknowledged.

    ``now_ms`` is the site's clock. Raises RefusedError without the right.
    """
    comment = comment.strip()[:COMMENT_MOST]
    wanted = list(dict.fromkeys(alarm_ids))[:MOST_AT_ONCE]
    demand(engine, who, "acknowledge", "acknowledge", f"alarms/{','.join(map(str, wanted))}", now_ms)
    done = 0
    with engine.begin() as connection:
        for alarm_id in wanted:
            state = connection.execute(select(alarms.c.state).where(alarms.c.id == alarm_id)).scalar()
            if state not in ACKNOWLEDGED_TO:
                continue
            following = ACKNOWLEDGED_TO[state]
            values = {"state": following, "acknowledged_at": now_ms, "acknowledged_by": who.name, "comment": comment}
            if change(connection, alarms, alarm_id, state, values):
                step(connection, alarm_transitions, "alarm_id", alarm_id, state, following, now_ms, who, comment)
                after = {"state": following, "comment": comment}
                note(connection, now_ms, who, "acknowledge", f"alarm/{alarm_id}", {"state": state}, after)
                done += 1
    return done

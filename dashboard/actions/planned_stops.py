"""What people do with planned stops (计划停热, R4, R5): register them, shorten them, call them off."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from dashboard.actions.acting import COMMENT_MOST, RefusedError, demand, note
from dashboard.roles import Account
from dashboard.text import N_
from domain.site import PlannedStop
from store.records import reading
from store.records.tables import planned_stops

AHEAD_MS: Final = 60_000  # so that nothing is suppressed that was judged before
LONGEST_MS: Final = 60 * 86_400_000
OVER: Final = N_("This planned stop is over or was called off.")


def plan_stop(engine: Engine, who: Account, stop: PlannedStop, now_ms: int) -> int:
    """Registers a planned stop that begins in a minute or later; returns its id. Who registers it is the account.

    From eight hours on (by the policy) the loop owes its users a notice at once. The very same stop registered again by the same account
    is the one that is there. Raises RefusedError without the right, for a span that is none, without a reason, or where the station has
    another one that begins at this very instant.
    """
    subject = f"station/{stop.station_id}"
    demand(engine, who, "plan_stop", "plan_stop", subject, now_ms)
    reason = stop.reason.strip()[:COMMENT_MOST]
    if stop.from_ms < now_ms + AHEAD_MS:
        raise RefusedError(N_("A planned stop begins later than now: what was not planned is an outage."))
    if not stop.from_ms < stop.to_ms <= stop.from_ms + LONGEST_MS:
        raise RefusedError(N_("A planned stop ends after it begins, within 60 days."))
    if not reason:
        raise RefusedError(N_("A planned stop has a reason, which the notice gives."))
    row = {"station_id": stop.station_id, "from_at": stop.from_ms, "to_at": stop.to_ms, "reason": reason}
    try:
        with engine.begin() as connection:
            made = connection.execute(insert(planned_stops).values(**row, who=who.name, registered_at=now_ms)).inserted_primary_key
            note(connection, now_ms, who, "plan_stop", subject, None, row)
    except IntegrityError as error:
        known = _standing(engine, row | {"who": who.name})
        if known is not None:
            return known
        raise RefusedError(N_("This station has a planned stop that begins at this very instant.")) from error
    assert made is not None
    return int(made[0])


def _standing(engine: Engine, row: Mapping[str, object]) -> int | None:
    """The stop with these very values that was not called off."""
    same = and_(*(planned_stops.c[name] == value for name, value in row.items()), planned_stops.c.cancelled_at.is_(None))
    with reading(engine).connect() as connection:
        return connection.execute(select(planned_stops.c.id).where(same)).scalar()


def shorten_stop(engine: Engine, who: Account, stop_id: int, to_ms: int, now_ms: int) -> None:
    """Ends a planned stop earlier than it was registered, a minute from now at the soonest. What lasts beyond is an outage from then.

    Raises RefusedError without the right, for an end that is none or not earlier, and for a stop that is over or called off.
    """
    demand(engine, who, "plan_stop", "shorten_stop", f"planned_stop/{stop_id}", now_ms)
    with engine.begin() as connection:
        standing = (planned_stops.c.id == stop_id) & planned_stops.c.cancelled_at.is_(None) & (planned_stops.c.to_at > now_ms)
        row = connection.execute(select(planned_stops).where(standing)).first()
        if row is None:
            raise RefusedError(OVER)
        if not max(now_ms + AHEAD_MS, row.from_at + 1) <= to_ms < row.to_at:
            raise RefusedError(N_("A planned stop is shortened to an end after now and its begin, before the end it has."))
        changed = update(planned_stops).where(standing, planned_stops.c.to_at == row.to_at)
        if connection.execute(changed.values(to_at=to_ms, changes=planned_stops.c.changes + 1)).rowcount != 1:
            raise RefusedError(OVER)
        note(connection, now_ms, who, "shorten_stop", f"station/{row.station_id}", {"to_at": row.to_at}, {"to_at": to_ms})


def call_off(engine: Engine, who: Account, stop_id: int, now_ms: int) -> None:
    """Calls a planned stop off: as a whole before it begins, else from now on. What lasts beyond is an outage from then.

    Raises RefusedError without the right, and for a stop that is over or called off.
    """
    demand(engine, who, "plan_stop", "call_off", f"planned_stop/{stop_id}", now_ms)
    with engine.begin() as connection:
        standing = (planned_stops.c.id == stop_id) & planned_stops.c.cancelled_at.is_(None) & (planned_stops.c.to_at > now_ms)
        row = connection.execute(select(planned_stops.c.station_id, planned_stops.c.from_at).where(standing)).first()
        values = {"cancelled_at": now_ms + AHEAD_MS, "cancelled_by": who.name, "changes": planned_stops.c.changes + 1}
        if row is None or connection.execute(update(planned_stops).where(standing).values(values)).rowcount != 1:
            raise RefusedError(OVER)
        note(connection, now_ms, who, "call_off", f"station/{row.station_id}", {"from_at": row.from_at}, {"cancelled_at": now_ms})

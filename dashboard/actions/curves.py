"""What people do with supply curves (R9): file them."""

from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from dashboard.actions.acting import COMMENT_MOST, RefusedError, demand, note
from dashboard.roles import Account
from dashboard.text import N_
from domain.curve import FiledCurve, curve_faults
from store.records.filed_curves import file_curve

AHEAD_MS: Final = 60_000  # so that nothing is judged by it that was judged before


def file(engine: Engine, who: Account, curve: FiledCurve, now_ms: int) -> int:
    """Files a curve that is in force from at least a minute later on; returns its id. ``filed_by`` is the account, whatever is given.

    Raises RefusedError without the right, for a curve that can't be one, without a reason, or for an instant that has one already.
    """
    subject = f"station/{curve.station_id}"
    demand(engine, who, "file_curve", "file_curve", subject, now_ms)
    reason = curve.reason.strip()[:COMMENT_MOST]
    if curve_faults(curve.outdoor_c, curve.supply_c, curve.offsets_k):
        raise RefusedError(N_("These points are no supply curve: outdoor temperatures must rise, supply must not rise with them."))
    if not reason:
        raise RefusedError(N_("A curve is filed with a reason."))
    if curve.effective_from_ms < now_ms + AHEAD_MS:
        raise RefusedError(N_("A curve is in force from a later instant on: the past keeps the curve it was judged by."))
    row = FiledCurve(curve.station_id, curve.effective_from_ms, curve.outdoor_c, curve.supply_c, who.name, reason, curve.offsets_k)
    try:
        with engine.begin() as connection:
            curve_id = file_curve(connection, row, now_ms)
            after = {"from_ms": row.effective_from_ms, "outdoor_c": row.outdoor_c, "supply_c": row.supply_c, "offsets_k": row.offsets_k}
            note(connection, now_ms, who, "file_curve", subject, None, {**after, "reason": reason})
    except IntegrityError as error:
        raise RefusedError(N_("A curve is in force from this very instant already.")) from error
    return curve_id

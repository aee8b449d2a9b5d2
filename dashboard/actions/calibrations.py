"""The register of measuring instruments (R8): a calibration is added when an instrument comes back from it, and never changed."""

from datetime import date

from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from dashboard.actions.acting import RefusedError, demand, note
from dashboard.actions.visits import NAME_MOST
from dashboard.roles import Account
from dashboard.text import N_
from store.records.tables import calibrations


def register_calibration(
    engine: Engine, who: Account, instrument: str, calibrated_on: date, calibrated_until: date, certificate: str, now_ms: int
) -> None:
    """Enters a calibration of an instrument, from its first to its last day. Raises RefusedError without the right or for a wrong one."""
    instrument, certificate = instrument.strip(), certificate.strip()
    demand(engine, who, "file_visit", "register_calibration", f"instrument/{instrument}"[:160], now_ms)
    if not 0 < len(instrument) <= NAME_MOST or len(certificate) > NAME_MOST:
        raise RefusedError(N_("An instrument and a certificate have at most 128 characters, the instrument at least one."))
    if calibrated_until < calibrated_on:
        raise RefusedError(N_("A calibration can't end before it was made."))
    row = {
        "instrument": instrument,
        "calibrated_on": calibrated_on.isoformat(),
        "calibrated_until": calibrated_until.isoformat(),
        "certificate": certificate,
    }
    try:
        with engine.begin() as connection:
            connection.execute(insert(calibrations).values(**row, registered_at=now_ms, registered_by=who.name))
            note(connection, now_ms, who, "register_calibration", f"instrument/{instrument}"[:160], None, row)
    except IntegrityError as error:
        raise RefusedError(N_("This calibration is registered already.")) from error

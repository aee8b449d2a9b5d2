"""The instruments that visits are made with, and which calibration held on a day (R8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from dashboard.facts.town import Town
from store.records.tables import calibrations


@dataclass(frozen=True)
class Calibration:
    """From ``since`` to ``until``, both days included."""

    instrument: str
    since: date
    until: date
    certificate: str


def register(town: Town) -> dict[str, list[Calibration]]:
    """Instrument → its calibrations, the latest first."""
    return town.shared.of("calibrations", lambda: _register(town))


def _register(town: Town) -> dict[str, list[Calibration]]:
    columns = calibrations.c
    query = select(columns.instrument, columns.calibrated_on, columns.calibrated_until, columns.certificate)
    found: dict[str, list[Calibration]] = {}
    for name, since, until, certificate in town.rows(query.order_by(columns.instrument, columns.calibrated_on.desc())):
        found.setdefault(name, []).append(Calibration(name, date.fromisoformat(since), date.fromisoformat(until), certificate))
    return found


def held_on(calibrations_of: Sequence[Calibration], day: date) -> Calibration:
    """The calibration that covers the day; where none does, the last one before it, else the earliest: the visit then does not count."""
    covering = [one for one in calibrations_of if one.since <= day <= one.until]
    before = [one for one in calibrations_of if one.since <= day]
    return (covering or before or [calibrations_of[-1]])[0]

"""Before and after a change of curve: heat by degree days, rooms beside it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compliance.curve_tuning.station_hours import StationHours, quantile_of_rooms

F64 = NDArray[np.float64]

BASE_C: Final = 18.0
LEAST_COVERED: Final = 0.75


@dataclass(frozen=True)
class Period:
    """A stretch of time at one station. ``heat_gj`` is None where the heat meter does not cover it."""

    hours: int
    degree_days: float
    heat_gj: float | None
    median_c: float
    tenth_c: float

    @property
    def gj_per_degree_day(self) -> float | None:
        """Heat by degree day (base 18 °C): what can be compared between a mild and a cold week."""
        return None if self.heat_gj is None or self.degree_days <= 0 else self.heat_gj / self.degree_days


def degree_days(outdoor_c: F64) -> float:
    """Degree days (K·d, base 18 °C) of hourly outdoor temperatures; hours not known count as the mean of those that are."""
    known = outdoor_c[np.isfinite(outdoor_c)]
    return float(np.maximum(BASE_C - known, 0.0).mean() * len(outdoor_c) / 24) if len(known) else 0.0


def period(hours: StationHours, energy_gj: F64) -> Period:
    """What happened over these hours; ``energy_gj`` (n) is the heat meter's counter, NaN where it was not read.

    A counter that falls (a new meter) leaves the heat unknown.
    """
    read = np.flatnonzero(np.isfinite(energy_gj))
    gained = np.diff(energy_gj[read])
    covers = len(read) > 1 and len(read) >= LEAST_COVERED * len(hours) and bool(np.all(gained >= 0))
    return Period(
        hours=len(hours),
        degree_days=degree_days(hours.outdoor_c),
        heat_gj=float(gained.sum()) * len(hours) / float(read[-1] - read[0]) if covers else None,
        median_c=_mean(quantile_of_rooms(hours.room_c, 0.5)),
        tenth_c=_mean(quantile_of_rooms(hours.room_c, 0.1)),
    )


def saving_per_kelvin(indoor_c: float, outdoor_c: F64) -> float:
    """The share of heat that one kelvin of mean indoor temperature is worth: 1/(tn − mean tw), 3.6 to 5 % in a northern winter."""
    return 1.0 / max(1.0, indoor_c - float(np.nanmean(outdoor_c)))


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

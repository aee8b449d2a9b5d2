"""A grey-box model of a station's typical room, fitted on stored data: two time constants and a radiator.

Everything is divided by the room's loss coefficient, so heat is in kelvin (what it holds the room above the outdoors) and a capacity
in hours::

    air_h   · dTair/dt   = radiator + gains − 0.4 (Tair − Tout) − coupling (Tair − Twalls)
    walls_h · dTwalls/dt = coupling (Tair − Twalls) − 0.6 (Twalls − Tout)
    radiator = heater · (Twater − Tair)^1.3,   Twater the mean of supply and return

Telemetry of a station that keeps to its curve says little of some of this: water and weather move together. So each parameter has a
prior from what is known of buildings (domain.md "Tuning"), the fit tells how much the data narrowed it, and every prediction carries
the uncertainty that is left.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from compliance.curve_tuning.estimate import autocorrelation
from compliance.curve_tuning.station_hours import StationHours, quantile_of_rooms
from compliance.kernel import kernel

F64 = NDArray[np.float64]
B1 = NDArray[np.bool_]

EXPONENT: Final = 1.3
DIRECT_SHARE: Final = 0.4  # of the losses that leave the air itself (windows, air change); the rest goes through the walls
LEAST_SIGMA_K: Final = 0.05  # what instruments' resolution and an hour's mean leave uncertain, however well the model fits
LEAST_HOURS: Final = 7 * 24
RUN_IN_H: Final = 24  # not compared: the walls' temperature at the start is a guess

# Of the parameters in their order: names, priors (mean and standard deviation; of the logarithm where it is one) and their grounds.
NAMES: Final = ("heater", "gains_k", "air_h", "walls_h", "coupling", "gains_cos_k", "gains_sin_k", "walls_start_k")
LOGARITHMIC: Final = (True, False, True, True, True, False, False, False)
PRIOR: Final = np.array([np.log(0.25), 3.0, np.log(20.0), np.log(150.0), np.log(19.0), 0.0, 0.0, -2.0])
PRIOR_SD: Final = np.array([
    0.7,   # radiators are sized within a factor of two
    2.0,   # "internal and solar gains act like a few kelvin of outdoor temperature"
    0.5,   # air, furniture and the walls' skin
    0.5,   # the first hours τ ≈ 100 h, later 200–300 h
    0.5,   # air to walls
    0.7, 0.7,  # gains by the hour of the day
    2.0,   # walls against air when the record begins
])  # fmt: skip
IDENTIFIED_SHARE: Final = 0.5  # a parameter whose bounds the data did not even halve rests on the prior


@dataclass(frozen=True)
class BuildingModel:
    """A fitted model: parameters in the order of ``NAMES`` (logarithms where ``LOGARITHMIC``), their covariance, and its grounds.

    ``residual_k`` is the root mean square of what it does not explain, ``hours`` how many hours it was fitted to, ``flow`` the
    radiators' flow in K of load per K of water.
    """

    parameters: F64
    covariance: F64
    residual_k: float
    hours: int
    flow: float

    @property
    def values(self) -> dict[str, float]:
        """The parameters by name, in their own unit."""
        return dict(zip(NAMES, natural(self.parameters).tolist(), strict=True))

    @property
    def deviations(self) -> dict[str, float]:
        """Standard deviations by name: relative ones of parameters that are logarithmic."""
        return dict(zip(NAMES, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def identified(self) -> dict[str, bool]:
        """Which parameters the data narrowed to less than half of what was known beforehand."""
        narrowed = np.sqrt(np.diag(self.covariance)) < IDENTIFIED_SHARE * PRIOR_SD
        return dict(zip(NAMES, narrowed.tolist(), strict=True))

    @property
    def time_constants_h(self) -> tuple[float, float]:
        """The fast and the slow time constant in hours, with radiators of constant heat."""
        return time_constants_h(natural(self.parameters))

    def samples(self, count: int, seed: int = 0) -> F64:
        """Parameter sets (count × parameters) that the data and the prior leave possible."""
        return np.random.default_rng(seed).multivariate_normal(self.parameters, self.covariance, count, method="eigh")


def natural(parameters: F64) -> F64:
    """The parameters in their own unit."""
    return np.where(LOGARITHMIC, np.exp(np.where(LOGARITHMIC, parameters, 0.0)), parameters)


def time_constants_h(values: F64) -> tuple[float, float]:
    """The fast and the slow time constant in hours of parameters in their own unit."""
    _, _, air_h, walls_h, coupling, *_ = values.tolist()
    matrix = np.array([
        [-(DIRECT_SHARE + coupling) / air_h, coupling / air_h],
        [coupling / walls_h, -(coupling + 1 - DIRECT_SHARE) / walls_h],
    ])  # fmt: skip
    fast, slow = np.sort(-1 / np.linalg.eigvals(matrix).real)
    return float(fast), float(slow)


def fit(hours: StationHours) -> BuildingModel | None:
    """The model of the station's median room; None where fewer than seven days of rooms, water and outdoor temperature are known.

    Least squares of the simulated against the measured room temperature, with the priors as further residuals. What is left over is
    correlated from hour to hour, so the data counts as that many fewer independent hours.
    """
    measured_c = quantile_of_rooms(hours.room_c, 0.5)
    water_c, outdoor_c = _filled(hours.water_c()), _filled(hours.outdoor_c)
    counted = np.isfinite(measured_c) & ~_long_gaps(hours.water_c()) & ~_long_gaps(hours.outdoor_c)
    counted[:RUN_IN_H] = False
    if np.count_nonzero(counted) < LEAST_HOURS or not np.isfinite(water_c).all() or not np.isfinite(outdoor_c).all():
        return None
    flowing = (~hours.stopped).astype(np.float64)
    angle = hours.of_day * (2 * np.pi / 24)
    start_c = float(measured_c[np.isfinite(measured_c)][0])

    def simulated(parameters: F64) -> F64:
        values = natural(parameters)
        gains_k = values[1] + values[5] * np.cos(angle) + values[6] * np.sin(angle)
        return simulate(water_c, outdoor_c, flowing, gains_k, values[0], values[2], values[3], values[4], start_c, start_c + values[7])

    sigma_k, weight, found, left = 0.2, 0.05, PRIOR, np.empty(0)
    solution = None
    for _ in range(4):  # noise and correlation of what is left over are found along the way

        def residuals(parameters: F64, scale: float = weight**0.5 / sigma_k) -> F64:
            left = (simulated(parameters) - measured_c)[counted] * scale
            return np.concatenate([left, (parameters - PRIOR) / PRIOR_SD])

        solution = least_squares(residuals, found, x_scale=PRIOR_SD, method="trf")
        found = solution.x
        left = np.where(counted, simulated(found) - measured_c, np.nan)
        sigma_k = max(LEAST_SIGMA_K, float(np.nanstd(left)))
        correlated = autocorrelation(left)
        weight = (1 - correlated) / (1 + correlated)
    assert solution is not None
    covariance = np.linalg.inv(solution.jac.T @ solution.jac)
    return BuildingModel(found, covariance, float(np.nanstd(left)), int(np.count_nonzero(counted)), _flow(hours, found))


@kernel
def simulate(
    water_c: F64, outdoor_c: F64, flowing: F64, gains_k: F64,
    heater: float, air_h: float, walls_h: float, coupling: float, air_c: float, walls_c: float,
) -> F64:  # fmt: skip
    """Room temperature (n, °C) as the mean of each hour, from hourly water and outdoor temperature; ``flowing`` is 1 or 0."""
    steps = 30  # of two minutes: with ten the fast time constant came out a tenth too long
    step_h = 1.0 / steps
    found = np.empty(len(water_c))
    for hour in range(len(water_c)):
        total = 0.0
        for _ in range(steps):
            above_k = water_c[hour] - air_c
            heat_k = heater * above_k**1.3 * flowing[hour] if above_k > 0 else 0.0
            to_walls = coupling * (air_c - walls_c)
            change_k = (heat_k + gains_k[hour] - 0.4 * (air_c - outdoor_c[hour]) - to_walls) * step_h / max(air_h, coupling * step_h)
            walls_c += (to_walls - 0.6 * (walls_c - outdoor_c[hour])) * step_h / walls_h
            air_c += change_k
            total += air_c
        found[hour] = total / steps
    return found


def radiator_k(values: F64, water_c: F64, room_c: F64) -> F64:
    """What the radiator gives, in K."""
    heat_k: F64 = values[0] * np.maximum(water_c - room_c, 0.0) ** EXPONENT
    return heat_k


def steady(values: F64, supply_c: F64, outdoor_c: F64, flow: float) -> tuple[F64, F64]:
    """Room temperature (°C) and heat (K) that days of this supply and outdoor temperature lead to.

    The water cools by its heat over the flow, so water, heat and room are found together, by Newton's method in the heat.
    """
    heat_k = np.maximum(1.0, 20.0 - values[1] - outdoor_c)
    for _ in range(30):
        room_c = outdoor_c + values[1] + heat_k
        above_k = np.maximum(supply_c - heat_k / (2 * flow) - room_c, 1e-3)
        given_k = values[0] * above_k**EXPONENT
        slope = 1 + EXPONENT * given_k / above_k * (1 + 1 / (2 * flow))
        heat_k = np.maximum(heat_k - (heat_k - given_k) / slope, 0.0)
    return outdoor_c + values[1] + heat_k, heat_k


def _flow(hours: StationHours, parameters: F64) -> float:
    """The radiators' flow, from the heat of the model and what the water cooled by meanwhile."""
    room_c = quantile_of_rooms(hours.room_c, 0.5)
    cooled_k = hours.supply_c - hours.return_c
    known = hours.supplying & np.isfinite(room_c) & (cooled_k > 1.0)
    if not known.any():
        return 42.0 / 25.0  # a load of 42 K cools the water by 25 K: the usual design
    heat_k = radiator_k(natural(parameters), hours.water_c()[known], room_c[known])
    return float(np.clip(np.sum(heat_k) / np.sum(cooled_k[known]), 0.3, 10.0))


def _filled(values: F64) -> F64:
    """Gaps bridged in a straight line."""
    known = np.isfinite(values)
    if not known.any():
        return values
    at = np.arange(len(values))
    return np.interp(at, at[known], values[known])


def _long_gaps(values: F64, most_h: int = 3) -> B1:
    """Hours in, and within a day after, a gap longer than can be bridged."""
    gap = ~np.isfinite(values)
    found = np.zeros(len(values), np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gap.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - start > most_h:
            found[start : stop + 24] = True
    return found

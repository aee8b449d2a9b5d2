"""What must hold between the instruments of one circuit: each rule as data, looked at whenever the marked instrument reports.

A value that is not known (no instrument, or its last value older than 5 min) is NaN here: then no comparison is true.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.reading import Quality
from domain.screening.surroundings import MINUTE_MS, PUMPS, PUMPS_HZ, Role

RETURN_MARGIN_K = 0.5
PRIMARY_RETURN_MARGIN_K = 1.0
RUNNING_HZ = 5.0
VALVE_OFF_PCT = 10.0
PUMP_OFF_HZ = 5.0  # 10 % of 50 Hz

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Relation(NamedTuple):
    """``breaks(own, others)`` says where the rule does not hold; once it has not for ``for_ms``, ``role``'s readings get the mark."""

    role: int
    others: Sequence[int]
    breaks: Callable[[Values, Values], Mask]  # own: n values; others: n × m
    mark: Quality
    for_ms: int = 0


def running(pumps: Values) -> Mask:
    """Whether a pump is known to run: run feedback of 4 pumps, then their frequencies."""
    feedback, frequency = pumps[:, : len(PUMPS)], pumps[:, len(PUMPS) :]
    return np.logical_or((feedback > 0).any(axis=1), (frequency >= RUNNING_HZ).any(axis=1))


def flowing(flow_and_pumps: Values) -> Mask:
    """Whether water flows, by the meter; where there is none, by the pumps; where nothing is known, it is taken to."""
    flow, pumps = flow_and_pumps[:, 0], flow_and_pumps[:, 1:]
    nothing_known = np.isnan(pumps).all(axis=1)
    found: Mask = np.where(np.isnan(flow), running(pumps) | nothing_known, flow > 0)
    return found


_FLOW = (Role.FLOW, *PUMPS, *PUMPS_HZ)

RELATIONS = (
    Relation(Role.PRIMARY_SUPPLY, (Role.SUPPLY,), lambda own, others: own < others[:, 0], Quality.BELOW_SECONDARY),
    Relation(
        Role.PRIMARY_RETURN,
        (Role.RETURN,),
        lambda own, others: own < others[:, 0] - PRIMARY_RETURN_MARGIN_K,
        Quality.BELOW_SECONDARY,
    ),
    Relation(
        Role.SUPPLY,
        (Role.RETURN, *_FLOW),
        lambda own, others: (others[:, 0] > own + RETURN_MARGIN_K) & flowing(others[:, 1:]),
        Quality.RETURN_ABOVE_SUPPLY,
        30 * MINUTE_MS,
    ),
    Relation(
        Role.RETURN,
        (Role.SUPPLY, *_FLOW),
        lambda own, others: (own > others[:, 0] + RETURN_MARGIN_K) & flowing(others[:, 1:]),
        Quality.RETURN_ABOVE_SUPPLY,
        30 * MINUTE_MS,
    ),
    Relation(
        Role.SUPPLY_PRESSURE,
        (Role.RETURN_PRESSURE, *PUMPS, *PUMPS_HZ),
        lambda own, others: (own <= others[:, 0]) & running(others[:, 1:]),
        Quality.PRESSURE,
    ),
    Relation(
        Role.RETURN_PRESSURE,
        (Role.SUPPLY_PRESSURE, *PUMPS, *PUMPS_HZ),
        lambda own, others: (own >= others[:, 0]) & running(others[:, 1:]),
        Quality.PRESSURE,
    ),
    Relation(Role.FLOW, (*PUMPS, *PUMPS_HZ), lambda own, others: (own == 0) & running(others), Quality.NO_FLOW),
    Relation(
        Role.VALVE,
        (Role.VALVE_COMMAND,),
        lambda own, others: np.abs(own - others[:, 0]) > VALVE_OFF_PCT,
        Quality.FEEDBACK,
        5 * MINUTE_MS,
    ),
    *(
        Relation(
            Role.PUMP_HZ + number,
            (Role.PUMP_COMMAND_HZ + number,),
            lambda own, others: np.abs(own - others[:, 0]) > PUMP_OFF_HZ,
            Quality.FEEDBACK,
            5 * MINUTE_MS,
        )
        for number in range(4)
    ),
)
OPERATION = _FLOW

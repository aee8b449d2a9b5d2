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
DUST = 1e-9  # of binary fractions: what is at a limit is not beyond it

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Relation(NamedTuple):
    """``breaks(own, other)`` says where a rule does not hold between ``role`` and ``other``, as long as ``only_if`` does.

    Once it has not held for ``for_ms``, the readings of ``role`` get the mark.
    """

    role: int
    other: int
    breaks: Callable[[Values, Values], Mask]
    mark: Quality
    only_if: "Condition | None" = None
    for_ms: int = 0


class Condition(NamedTuple):
    """Something about the circuit's other instruments: ``holds`` takes their values (n × m)."""

    instruments: Sequence[int]
    holds: Callable[[Values], Mask]


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


WATER_FLOWS = Condition((Role.FLOW, *PUMPS, *PUMPS_HZ), flowing)
PUMP_RUNS = Condition((*PUMPS, *PUMPS_HZ), running)

RELATIONS = (
    Relation(Role.PRIMARY_SUPPLY, Role.SUPPLY, lambda own, other: own < other - DUST, Quality.BELOW_SECONDARY),
    Relation(Role.PRIMARY_RETURN, Role.RETURN, lambda own, other: own < other - PRIMARY_RETURN_MARGIN_K - DUST, Quality.BELOW_SECONDARY),
    Relation(
        Role.SUPPLY,
        Role.RETURN,
        lambda own, other: other > own + RETURN_MARGIN_K + DUST,
        Quality.RETURN_ABOVE_SUPPLY,
        WATER_FLOWS,
        30 * MINUTE_MS,
    ),
    Relation(
        Role.RETURN,
        Role.SUPPLY,
        lambda own, other: own > other + RETURN_MARGIN_K + DUST,
        Quality.RETURN_ABOVE_SUPPLY,
        WATER_FLOWS,
        30 * MINUTE_MS,
    ),
    Relation(Role.SUPPLY_PRESSURE, Role.RETURN_PRESSURE, lambda own, other: own <= other + DUST, Quality.PRESSURE, PUMP_RUNS),
    Relation(Role.RETURN_PRESSURE, Role.SUPPLY_PRESSURE, lambda own, other: own >= other - DUST, Quality.PRESSURE, PUMP_RUNS),
    Relation(Role.FLOW, Role.FLOW, lambda own, _: own == 0, Quality.NO_FLOW, PUMP_RUNS),
    Relation(
        Role.VALVE,
        Role.VALVE_COMMAND,
        lambda own, other: np.abs(own - other) > VALVE_OFF_PCT + DUST,
        Quality.FEEDBACK,
        for_ms=5 * MINUTE_MS,
    ),
    *(
        Relation(
            Role.PUMP_HZ + number,
            Role.PUMP_COMMAND_HZ + number,
            lambda own, other: np.abs(own - other) > PUMP_OFF_HZ + DUST,
            Quality.FEEDBACK,
            for_ms=5 * MINUTE_MS,
        )
        for number in range(4)
    ),
)

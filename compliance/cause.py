"""Why heat stopped: the signature of an outage in its station's signals, with the evidence shown (R4; design: signatures).

Rules are asked in the order of ``CAUSES``; the first that finds its signs names the cause.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from compliance.heat import PUMP_FREQUENCY_HZ, PointSeries

BEFORE_MS = 15 * 60_000
AFTER_MS = 15 * 60_000
POWER_LOSS_BIT = 15
PUMP_FAULT_BITS = (8, 9, 10)

Signals = Mapping[str, PointSeries]


@dataclass(frozen=True)
class Cause:
    """A cause by name and what speaks for it: quantity, value and instant (UTC ms) of each sign."""

    name: str
    evidence: tuple[dict[str, object], ...] = ()


def outage_cause(signals: Signals, started_at: int, *, comm_lost: bool) -> Cause:
    """The cause of a station's outage that began at ``started_at`` (UTC ms); ``unknown`` when no signature fits.

    ``signals`` holds the station's good readings by quantity around that instant.
    """
    window = {name: _around(one, started_at) for name, one in signals.items()}
    for name, rule in CAUSES.items():
        evidence = rule(window, comm_lost)
        if evidence:
            return Cause(name, tuple(evidence))
    return Cause("unknown")


def _around(one: PointSeries, at: int) -> PointSeries:
    rows = slice(int(np.searchsorted(one.at, at - BEFORE_MS)), int(np.searchsorted(one.at, at + AFTER_MS, "right")))
    return PointSeries(one.at[rows], one.value[rows])


def _sign(name: str, one: PointSeries, row: int) -> dict[str, object]:
    return {"quantity": name, "value": float(one.value[row]), "at": int(one.at[row])}


def _bits(signals: Signals, bits: tuple[int, ...]) -> list[dict[str, object]]:
    word = signals.get("alarm_word")
    if word is None or not len(word.at):
        return []
    mask = sum(1 << bit for bit in bits)
    rows = np.flatnonzero(word.value.astype(np.int64) & mask)
    return [_sign("alarm_word", word, int(rows[0]))] if len(rows) else []


def _fell_to(signals: Signals, name: str, below: float) -> list[dict[str, object]]:
    one = signals.get(name)
    if one is None or len(one.at) < 2 or one.value[-1] >= below or one.value[0] < below:
        return []
    return [_sign(name, one, int(np.argmax(one.value < below)))]


def _change(signals: Signals, name: str) -> float:
    one = signals.get(name)
    return float(one.value[-1] - one.value[0]) if one is not None and len(one.at) > 1 else 0.0


def _power_loss(signals: Signals, comm_lost: bool) -> list[dict[str, object]]:
    signs = _bits(signals, (POWER_LOSS_BIT,))
    return [*signs, {"quantity": "comm", "value": "lost"}] if signs and comm_lost else signs


def _burst(signals: Signals, _: bool) -> list[dict[str, object]]:
    name = "secondary_return_pressure_mpa"
    one = signals.get(name)
    if one is None or not len(one.at) or _change(signals, name) > -0.08 or _change(signals, "makeup_flow_m3h") <= 0.5:
        return []
    makeup = signals["makeup_flow_m3h"]
    return [_sign(name, one, -1), _sign("makeup_flow_m3h", makeup, -1)]


def _pump_trip(signals: Signals, _: bool) -> list[dict[str, object]]:
    signs = _bits(signals, PUMP_FAULT_BITS)
    for name in signals:
        if name.startswith("pump") and name.endswith("_running"):
            signs += _fell_to(signals, name, 0.5)
        elif name.startswith("pump") and name.endswith("_frequency_hz"):
            signs += _fell_to(signals, name, PUMP_FREQUENCY_HZ)
    return signs


def _source_loss(signals: Signals, _: bool) -> list[dict[str, object]]:
    one = signals.get("primary_supply_temp_c")
    if one is None or not len(one.at) or _change(signals, "primary_supply_temp_c") > -10.0:
        return []
    return [_sign("primary_supply_temp_c", one, -1)]


def _valve_shut(signals: Signals, _: bool) -> list[dict[str, object]]:
    flow = signals.get("primary_flow_m3h")
    if flow is None or len(flow.at) < 2 or flow.value[-1] > 0.1 * max(1.0, float(flow.value.max())):
        return []
    valve = signals.get("valve_position_pct")
    signs = [_sign("primary_flow_m3h", flow, -1)]
    return signs + ([_sign("valve_position_pct", valve, -1)] if valve is not None and len(valve.at) else [])


CAUSES: dict[str, Callable[[Signals, bool], list[dict[str, object]]]] = {
    "power_loss": _power_loss,
    "pipe_burst": _burst,
    "pump_trip": _pump_trip,
    "source_loss": _source_loss,
    "valve_shut": _valve_shut,
}
EVIDENCE = frozenset(
    {"alarm_word", "primary_supply_temp_c", "primary_flow_m3h", "valve_position_pct", "secondary_return_pressure_mpa", "makeup_flow_m3h"}
)

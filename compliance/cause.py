"""Why heat stopped: the signature of an outage in the signals of its station and its source's others, with the evidence (R4).

Rules are asked in the order of ``CAUSES``; the first that finds its signs names the cause. Signatures: domain.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compliance.heat import PUMP_FREQUENCY_HZ, PointSeries
from compliance.outage import SourceOutage

BEFORE_MS = 45 * 60_000  # what the live pass still has when an outage opens
AFTER_MS = 15 * 60_000
SILENT_AFTER_MS = 10 * 60_000  # power is gone and nothing is heard any more: the outage opens when it speaks again
POWER_LOSS_BIT = 15
PRIMARY_COLD_BIT = 4
PUMP_FAULT_BITS = (8, 9, 10)
PRIMARY_FALL_K = 10.0
NO_FLOW_SHARE = 0.1
SHUT_PCT = 5.0
RETURN_FALL_MPA = 0.08
MAKEUP_RISE_M3H = 0.5
MANY = 3  # stations of one branch; half of a smaller source's

Signals = Mapping[str, PointSeries]
Signs = list[dict[str, object]]


@dataclass(frozen=True)
class Cause:
    """A cause by name and what speaks for it: quantity, value and instant (UTC ms) of each sign."""

    name: str
    evidence: tuple[dict[str, object], ...] = ()


class Around(NamedTuple):
    """What was measured about the beginning of the outage: at its station, and at those of its source that were heard."""

    started_at: int
    own: Signals
    others: Sequence[Signals]
    comm_lost: bool


def outage_cause(signals: Signals, started_at: int, *, others: Sequence[Signals] = (), comm_lost: bool = False) -> Cause:
    """The cause of a station's outage that began at ``started_at`` (UTC ms); ``unknown`` when no signature fits.

    ``signals`` holds the station's good readings by quantity around that instant, ``others`` those of the source's other stations.
    """
    around = Around(started_at, _window(signals, started_at), [_window(one, started_at) for one in others], comm_lost)
    for name, rule in CAUSES.items():
        evidence = rule(around)
        if evidence:
            return Cause(name, tuple(evidence))
    return Cause("unknown")


def cause_of_source(outage: SourceOutage) -> Cause:
    """An outage of a source is its loss; its parts are the evidence."""
    return Cause("source_loss", tuple({"station": part.station_id, "at": part.started_at} for part in outage.parts))


def _window(signals: Signals, at: int) -> Signals:
    """The quantities with readings around an instant, and these readings."""
    found = {}
    for name, one in signals.items():
        rows = slice(int(np.searchsorted(one.at, at - BEFORE_MS)), int(np.searchsorted(one.at, at + AFTER_MS, "right")))
        if rows.stop > rows.start:
            found[name] = PointSeries(one.at[rows], one.value[rows])
    return found


# ── signs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sign(name: str, one: PointSeries, row: int) -> dict[str, object]:
    return {"quantity": name, "value": float(one.value[row]), "at": int(one.at[row])}


def _bits(signals: Signals, bits: Sequence[int], *, new: bool = False) -> Signs:
    """Where one of these bits of the alarm word is set first; ``new``: not where it has been set all the time."""
    word = signals.get("alarm_word")
    if word is None:
        return []
    is_set = word.value.astype(np.int64) & sum(1 << bit for bit in bits) != 0
    rows = np.flatnonzero(is_set)
    return [_sign("alarm_word", word, int(rows[0]))] if len(rows) and not (new and is_set.all()) else []


def _change(signals: Signals, name: str) -> float:
    one = signals.get(name)
    return 0.0 if one is None else float(one.value[-1] - one.value[0])


def _pumps(signals: Signals) -> list[tuple[str, PointSeries, float]]:
    """What tells of circulation pumps, and the value below which a pump stands still."""
    limits = {"running": 0.5, "frequency_hz": PUMP_FREQUENCY_HZ}
    parts = ((name, one, name.partition("_")) for name, one in signals.items())
    return [(name, one, limits[what]) for name, one, (pump, _, what) in parts if pump.startswith("pump") and what in limits]


def _pumps_stopped(signals: Signals) -> Signs:
    """When each pump that stands still had come to it; none while a pump runs."""
    pumps = _pumps(signals)
    stands = {name.partition("_")[0] for name, one, limit in pumps if one.value[-1] < limit}
    if {name.partition("_")[0] for name, *_ in pumps} - stands:
        return []
    stopped = [(name, one, np.flatnonzero(one.value >= limit)) for name, one, limit in pumps if one.value[-1] < limit]
    fell = [(name, one, int(ran[-1]) + 1) for name, one, ran in stopped if len(ran)]
    return [_sign(name, one, row) for name, one, row in fell or [(name, one, 0) for name, one, _ in stopped]]


def _no_primary_flow(signals: Signals) -> Signs:
    flow = signals.get("primary_flow_m3h")
    if flow is None or flow.value[-1] > NO_FLOW_SHARE * max(1.0, float(flow.value.max())):
        return []
    return [_sign("primary_flow_m3h", flow, -1)]


def _primary_cold(signals: Signals) -> Signs:
    temp = signals.get("primary_supply_temp_c")
    if temp is not None and temp.value.max() - temp.value[-1] >= PRIMARY_FALL_K:
        return [_sign("primary_supply_temp_c", temp, -1)]
    return _bits(signals, (PRIMARY_COLD_BIT,), new=True)


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _power_loss(around: Around) -> Signs:
    """By "掉电 bit, or all currents and pumps at once, then comm lost within minutes"."""
    signs = _bits(around.own, (POWER_LOSS_BIT,))
    if not signs:
        heard_at = max((int(one.at[-1]) for one in around.own.values()), default=around.started_at)
        if heard_at >= around.started_at + SILENT_AFTER_MS:
            return []
        signs = _pumps_stopped(around.own)
        return [*signs, {"quantity": "comm", "value": "lost", "at": heard_at}] if signs else []
    return [*signs, {"quantity": "comm", "value": "lost"}] if around.comm_lost else signs


def _burst(around: Around) -> Signs:
    """By "return pressure falls fast, make-up up"."""
    name = "secondary_return_pressure_mpa"
    if _change(around.own, name) > -RETURN_FALL_MPA or _change(around.own, "makeup_flow_m3h") <= MAKEUP_RISE_M3H:
        return []
    return [_sign(one, around.own[one], -1) for one in (name, "makeup_flow_m3h")]


def _pump_trip(around: Around) -> Signs:
    """By "run feedback 0 or fault bit; frequency → 0"; a bit set long before says nothing while a pump runs."""
    stopped = _pumps_stopped(around.own)
    return _bits(around.own, PUMP_FAULT_BITS, new=bool(_pumps(around.own)) and not stopped) + stopped


def _source_loss(around: Around) -> Signs:
    """By "primary supply temp or flow falls at many stations of one branch"; where no other station is heard, a fall of temperature."""
    signs = _primary_cold(around.own) or _no_primary_flow(around.own)
    heard = [one for one in around.others if "primary_flow_m3h" in one or "primary_supply_temp_c" in one]
    if not heard:
        return _primary_cold(around.own)
    alike = sum(1 for one in heard if _primary_cold(one) or _no_primary_flow(one))
    enough = max(2, min(MANY, -(-(len(heard) + 1) // 2)))
    return signs if alike + 1 >= enough else []


def _valve_shut(around: Around) -> Signs:
    """By "primary flow ≈ 0 at this station only"; where flow is not measured the valve's own feedback says so."""
    valve = around.own.get("valve_position_pct")
    position = [] if valve is None else [_sign("valve_position_pct", valve, -1)]
    if "primary_flow_m3h" not in around.own:
        return position if valve is not None and valve.value[-1] < SHUT_PCT <= valve.value[0] else []
    flow = _no_primary_flow(around.own)
    return flow + position if flow else []


CAUSES: dict[str, Callable[[Around], Signs]] = {
    "power_loss": _power_loss,
    "pipe_burst": _burst,
    "pump_trip": _pump_trip,
    "source_loss": _source_loss,
    "valve_shut": _valve_shut,
}
EVIDENCE = frozenset(
    {"alarm_word", "primary_supply_temp_c", "primary_flow_m3h", "valve_position_pct", "secondary_return_pressure_mpa", "makeup_flow_m3h"}
)

"""What a scenario does to the town at an instant, as arrays over stations, branches and rooms."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulators.town import BRANCHES, Town

Columns = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Effects:
    """The disturbances in force. The first fields are over stations, ``source_lost`` over branches, the last over rooms."""

    pump_tripped: Flags
    power_lost: Flags
    valve_shut: Flags
    leak_share: Columns  # water lost on top of the usual, as a share of the design flow
    setback_k: Columns  # how far the supply setpoint was put below the curve
    silent: Flags  # the controller does not answer
    refusing: Flags  # the line is reset as soon as the controller is asked
    late_s: Columns  # wall seconds by which answers come late
    source_lost: Flags
    flow_share: Columns  # water through the radiator as a share of the usual
    window: Columns  # an open window's losses as a multiple of the shut room's
    sensor_dead: Flags
    sensor_stuck: Flags


Field = Literal[
    "pump_tripped", "power_lost", "valve_shut", "leak_share", "setback_k", "silent", "refusing", "late_s",
    "source_lost", "flow_share", "window", "sensor_dead", "sensor_stuck",
]  # fmt: skip


@dataclass(frozen=True)
class Span:
    """One disturbance: ``field`` is ``value`` at these places of the arrays in [from_ms, to_ms), offsets from the demo's start."""

    field: Field
    places: tuple[int, ...]
    value: float
    from_ms: int
    to_ms: int | None


class Disturbances:
    """All spans of a scenario; gives the effects at an instant, computed anew only where a span begins or ends."""

    def __init__(self, town: Town, spans: Sequence[Span], start_ms: int) -> None:
        self._town = town
        self._spans = tuple(spans)
        self._start_ms = start_ms
        edges = {span.from_ms for span in spans} | {span.to_ms for span in spans if span.to_ms is not None}
        self._edges = sorted(edges)
        self._made: dict[int, Effects] = {}

    @property
    def first_ms(self) -> int | None:
        """The instant (UTC ms) at which the first disturbance begins, None for a town left in peace."""
        return self._start_ms + min(span.from_ms for span in self._spans) if self._spans else None

    def at(self, instant_ms: int) -> Effects:
        """The effects in force at an instant (UTC ms)."""
        offset_ms = instant_ms - self._start_ms
        stretch = bisect_right(self._edges, offset_ms)
        if stretch not in self._made:
            self._made[stretch] = self._effects(offset_ms)
        return self._made[stretch]

    def _effects(self, offset_ms: int) -> Effects:
        effects = _none(self._town)
        for span in self._spans:
            if span.from_ms <= offset_ms and (span.to_ms is None or offset_ms < span.to_ms):
                getattr(effects, span.field)[list(span.places)] = span.value
        return effects


def _none(town: Town) -> Effects:
    """A town left in peace."""
    stations, branches, rooms = len(town.stations), len(BRANCHES), len(town.rooms)
    return Effects(
        pump_tripped=np.zeros(stations, np.bool_),
        power_lost=np.zeros(stations, np.bool_),
        valve_shut=np.zeros(stations, np.bool_),
        leak_share=np.zeros(stations),
        setback_k=np.zeros(stations),
        silent=np.zeros(stations, np.bool_),
        refusing=np.zeros(stations, np.bool_),
        late_s=np.zeros(stations),
        source_lost=np.zeros(branches, np.bool_),
        flow_share=np.ones(rooms),
        window=np.zeros(rooms),
        sensor_dead=np.zeros(rooms, np.bool_),
        sensor_stuck=np.zeros(rooms, np.bool_),
    )

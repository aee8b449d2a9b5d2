"""What a scenario does to the town at an instant, as arrays over stations, branches and rooms."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
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
_OVER_ROOMS = {"flow_share", "window", "sensor_dead", "sensor_stuck"}
_FLOATS = {"leak_share", "setback_k", "late_s", "flow_share", "window"}


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
        columns = {field.name: _nothing(field.name, self._town) for field in fields(Effects)}
        for span in self._spans:
            if span.from_ms <= offset_ms and (span.to_ms is None or offset_ms < span.to_ms):
                columns[span.field][list(span.places)] = span.value
        return Effects(**columns)


def _nothing(field: str, town: Town) -> NDArray[np.float64]:
    count = len(BRANCHES) if field == "source_lost" else len(town.rooms) if field in _OVER_ROOMS else len(town.stations)
    if field not in _FLOATS:
        return np.zeros(count, np.bool_)  # type: ignore[return-value]  # flags and numbers are set by the same line above
    return np.ones(count) if field == "flow_share" else np.zeros(count)

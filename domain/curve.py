"""The supply curve (供热曲线): outdoor temperature → secondary supply temperature."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

OFFSETS: Final = 12
STRETCH_H: Final = 2
MOST_OFFSET_K: Final = 20.0


@dataclass(frozen=True)
class FiledCurve:
    """A filed curve (R9): piecewise linear; outside its points the end values hold. Temperatures in °C.

    ``outdoor_c`` rises strictly, ``supply_c`` never rises; ``effective_from_ms`` is the UTC instant it is in force from. ``offsets_k``
    is empty or twelve offsets of supply, each for two local hours from midnight on.
    """

    station_id: str
    effective_from_ms: int
    outdoor_c: tuple[float, ...]
    supply_c: tuple[float, ...]
    filed_by: str = ""
    reason: str = ""
    offsets_k: tuple[float, ...] = ()

    def target_c(self, outdoor_c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Secondary supply target in °C at each outdoor temperature in °C, without the offsets by time of day."""
        return np.interp(outdoor_c, self.outdoor_c, self.supply_c)

    def offset_k(self, at_ms: NDArray[np.int64], timezone: ZoneInfo) -> NDArray[np.float64]:
        """The offset in K in force at each instant (UTC ms): 0 for a curve without offsets."""
        if not any(self.offsets_k) or not len(at_ms):
            return np.zeros(len(at_ms))
        edges = offset_edges(int(at_ms.min()), int(at_ms.max()) + 1, timezone)
        stretch = [datetime.fromtimestamp(edge / 1000, timezone).hour // STRETCH_H for edge in edges.tolist()]
        offsets_k: NDArray[np.float64] = np.array(self.offsets_k, np.float64)[np.array(stretch)][np.searchsorted(edges, at_ms, "right") - 1]
        return offsets_k


def offset_edges(from_ms: int, to_ms: int, timezone: ZoneInfo) -> NDArray[np.int64]:
    """The instants (UTC ms) at which another two-hour stretch of the local day begins, from the last one at or before ``from_ms`` on.

    On a day with a change of clock a stretch is an hour longer or shorter.
    """
    day = datetime.fromtimestamp(from_ms / 1000, timezone).date() - timedelta(days=1)
    edges: list[int] = []
    while not edges or edges[-1] < to_ms:
        edges += [
            round(datetime(day.year, day.month, day.day, hour, tzinfo=timezone).timestamp() * 1000) for hour in range(0, 24, STRETCH_H)
        ]
        day += timedelta(days=1)
    found = np.unique(np.array(edges, np.int64))
    first = int(np.searchsorted(found, from_ms, "right")) - 1
    return found[first : int(np.searchsorted(found, to_ms))]


def curve_faults(outdoor_c: tuple[float, ...], supply_c: tuple[float, ...], offsets_k: tuple[float, ...] = ()) -> list[str]:
    """What is wrong with the points of a curve, each in a sentence; empty when it can be filed (R9)."""
    faults = []
    if not 2 <= len(outdoor_c) <= 12:
        faults.append(f"a curve has 2 to 12 points, not {len(outdoor_c)}")
    if any(later <= earlier for earlier, later in pairwise(outdoor_c)):
        faults.append("outdoor temperatures must rise strictly")
    if any(later > earlier for earlier, later in pairwise(supply_c)):
        faults.append("supply temperatures must not rise with the outdoor temperature")
    if len(offsets_k) not in {0, OFFSETS}:
        faults.append(f"offsets by time of day are twelve, each for two hours from midnight, not {len(offsets_k)}")
    if any(abs(offset) > MOST_OFFSET_K for offset in offsets_k):
        faults.append(f"an offset by time of day is at most {MOST_OFFSET_K:g} K")
    return faults


def textbook_curve_c(
    outdoor_c: NDArray[np.float64],
    *,
    design_outdoor_c: float,
    design_supply_c: float = 75.0,
    design_return_c: float = 50.0,
    indoor_c: float = 18.0,
    relative_flow: float = 1.0,
    exponent_b: float = 0.3,
    gains_k: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Supply and return temperature in °C by the formulas of quality regulation (质调节).

    ``exponent_b`` is 0.3 for radiators and about 0.03 for floor heating. ``gains_k`` is what people, appliances and the sun do for
    the rooms, in kelvin of outdoor temperature. At −10 °C with design values 75/50 at −24 °C:
    58.9 and 42.2 °C.
    """
    load = np.maximum(0.0, (indoor_c - outdoor_c - gains_k) / (indoor_c - design_outdoor_c))
    mean_c = indoor_c + ((design_supply_c + design_return_c) / 2 - indoor_c) * load ** (1 / (1 + exponent_b))
    half_spread_c = (design_supply_c - design_return_c) / 2 * load / relative_flow
    return mean_c + half_spread_c, mean_c - half_spread_c

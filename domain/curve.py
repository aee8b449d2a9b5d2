"""The supply curve (供热曲线): outdoor temperature → secondary supply temperature."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FiledCurve:
    """A filed curve (R9): piecewise linear; outside its points the end values hold. Temperatures in °C.

    ``outdoor_c`` rises strictly, ``supply_c`` never rises; ``effective_from_ms`` is the UTC instant it is in force from.
    """

    station_id: str
    effective_from_ms: int
    outdoor_c: tuple[float, ...]
    supply_c: tuple[float, ...]
    filed_by: str = ""
    reason: str = ""

    def target_c(self, outdoor_c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Secondary supply target in °C at each outdoor temperature in °C."""
        return np.interp(outdoor_c, self.outdoor_c, self.supply_c)


def curve_faults(outdoor_c: tuple[float, ...], supply_c: tuple[float, ...]) -> list[str]:
    """What is wrong with the points of a curve, each in a sentence; empty when it can be filed (R9)."""
    faults = []
    if not 2 <= len(outdoor_c) <= 12:
        faults.append(f"a curve has 2 to 12 points, not {len(outdoor_c)}")
    if any(later <= earlier for earlier, later in pairwise(outdoor_c)):
        faults.append("outdoor temperatures must rise strictly")
    if any(later > earlier for earlier, later in pairwise(supply_c)):
        faults.append("supply temperatures must not rise with the outdoor temperature")
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
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Supply and return temperature in °C by the formulas of quality regulation (质调节).

    ``exponent_b`` is 0.3 for radiators and about 0.03 for floor heating. At −10 °C with design values 75/50 at −24 °C:
    58.9 and 42.2 °C.
    """
    load = np.maximum(0.0, (indoor_c - outdoor_c) / (indoor_c - design_outdoor_c))
    mean_c = indoor_c + ((design_supply_c + design_return_c) / 2 - indoor_c) * load ** (1 / (1 + exponent_b))
    half_spread_c = (design_supply_c - design_return_c) / 2 * load / relative_flow
    return mean_c + half_spread_c, mean_c - half_spread_c

"""What to do with a station's supply curve, by domain.md's tuning logic.

median of the rooms against the goal, by day ─▶ constant: shift · growing in the cold: slope · by the hour: time offset
                                              some buildings only: hydraulic imbalance, not the curve
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from compliance.curve_tuning.estimate import Estimate, line, mean
from compliance.curve_tuning.station_hours import StationHours, mean_before, quantile_of_rooms
from domain.curve import FiledCurve, textbook_curve_c

F64 = NDArray[np.float64]

LEAST_DAYS: Final = 7
LEAST_ROOMS: Final = 5
CERTAIN_K: Final = 0.2  # indoor; below that nothing is worth an engineer's time
SLOPE_WORTH_K: Final = 0.5  # indoor, over the range of outdoor temperatures seen
HOUR_WORTH_K: Final = 0.6  # indoor, of one two-hour stretch against the day
COLD_BUILDING_K: Final = -1.0
MOST_STEP_K: Final = 2.0  # of supply at once; then wait 24 to 48 h
SUPPLY_STEP_K: Final = 0.5  # curves are filed in halves of a degree

Kind = Literal["keep", "shift", "slope", "hours", "imbalance", "unknown"]


@dataclass(frozen=True)
class Goal:
    """What the rooms should have, °C: the median's goal, and the least the coldest tenth must have by day."""

    median_c: float = 20.0
    tenth_c: float = 18.5


@dataclass(frozen=True)
class Design:
    """Design values of the radiator formulas (质调节): temperatures in °C, b = 0.3 for radiators, 0.03 for floor heating.

    ``gains_k``: what people, appliances and the sun do for the rooms, in kelvin of outdoor temperature.
    """

    outdoor_c: float = -24.0
    supply_c: float = 75.0
    return_c: float = 50.0
    indoor_c: float = 18.0
    exponent_b: float = 0.3
    gains_k: float = 0.0


@dataclass(frozen=True)
class BuildingDeviation:
    """How far a building's median is from the station's other rooms, K."""

    building_id: str
    rooms: int
    deviation_k: Estimate


@dataclass(frozen=True)
class Advice:
    """What the data says. Indoor figures in K of room temperature: positive bias means too warm.

    ``why`` is the name of the reason. ``outdoor_c`` and ``supply_c`` are the recommended curve's points, empty where none is
    recommended; ``hour_offsets_k`` twelve offsets of supply for two hours each, from midnight, empty where none are.
    ``days`` and ``rooms`` are what it rests on; ``supply_per_indoor`` is how many kelvin of supply move the rooms by one.
    """

    kind: Kind
    why: str
    days: int
    rooms: int
    bias_k: Estimate | None = None
    slope: Estimate | None = None
    tenth_c: float | None = None
    supply_per_indoor: float | None = None
    cold_buildings: tuple[BuildingDeviation, ...] = ()
    outdoor_c: tuple[float, ...] = ()
    supply_c: tuple[float, ...] = ()
    hour_offsets_k: tuple[float, ...] = ()


def advise(hours: StationHours, curve: FiledCurve, goal: Goal = Goal(), design: Design = Design()) -> Advice:
    """The advice for a station from its (cleaned) hours and the curve in force over them."""
    days = _days(hours)
    if len(days) < LEAST_DAYS or hours.rooms < LEAST_ROOMS:
        return Advice("unknown", "too little data", len(days), hours.rooms)
    cold = cold_buildings(hours)
    rest = hours.of_buildings([name for name in set(hours.buildings) if name not in {one.building_id for one in cold}])
    medians = np.array([_of_day(rest, day, 0.5) for day in days])
    tenths = np.array([_of_day(rest, day, 0.1) for day in days])
    felt_c = mean_before(hours.outdoor_c, 24)[[day[-1] for day in days]]
    known = np.isfinite(medians) & np.isfinite(tenths) & np.isfinite(felt_c)
    count = int(np.count_nonzero(known))
    if count < LEAST_DAYS:
        return Advice("unknown", "too few days with rooms and outdoor temperature", count, rest.rooms)
    bias_k, slope = line(felt_c[known], medians[known] - goal.median_c)
    tenth_c = float(np.mean(tenths[known]))
    per_indoor = supply_per_indoor(float(felt_c[known].mean()), design)
    seen = Advice("keep", "rooms are where they should be", count, rest.rooms, bias_k, slope, tenth_c, per_indoor, cold)
    lacking_k = max(0.0, goal.tenth_c - tenth_c)  # the coldest tenth is a constraint, whatever the median says
    if slope.beyond(0.0) and abs(slope.value) * float(np.ptp(felt_c)) >= SLOPE_WORTH_K:
        within_c = np.clip(curve.outdoor_c, felt_c[known].min(), felt_c[known].max())  # nothing is known beyond what was seen
        wanted_k = -(bias_k.value + slope.value * (within_c - felt_c[known].mean()))
        why = "rooms are colder the colder it is" if slope.value > 0 else "rooms are warmer the colder it is"
        return replace(_with_curve(seen, curve, np.maximum(wanted_k, lacking_k or -np.inf), per_indoor), kind="slope", why=why)
    shift_k = _shift(bias_k, lacking_k, tenth_c - goal.tenth_c)
    if shift_k:
        why = "rooms are too warm at every outdoor temperature" if shift_k < 0 else "rooms are too cold at every outdoor temperature"
        return replace(_with_curve(seen, curve, np.full(len(curve.outdoor_c), shift_k), per_indoor), kind="shift", why=why)
    offsets_k = hour_offsets(rest, per_indoor)
    if any(offsets_k):
        return replace(seen, kind="hours", why="rooms differ by the hour of the day", hour_offsets_k=offsets_k)
    if cold:
        return replace(seen, kind="imbalance", why="only some buildings are cold: balance them, the curve is right")
    return seen


def _shift(bias_k: Estimate, lacking_k: float, spare_k: float) -> float:
    """By how much (K) all rooms should move; 0 for not at all. The coldest tenth lacks ``lacking_k`` or has ``spare_k`` to give."""
    if lacking_k > CERTAIN_K:
        return max(lacking_k, -bias_k.value)
    if not bias_k.beyond(CERTAIN_K):
        return 0.0
    wanted_k = max(-bias_k.value, -max(spare_k, 0.0))
    return wanted_k if abs(wanted_k) > CERTAIN_K else 0.0


def cold_buildings(hours: StationHours) -> tuple[BuildingDeviation, ...]:
    """Buildings certainly colder than the station's other buildings, by 1 K or more; coldest first.

    A building is compared with the rooms of the others; where most buildings are cold, none stands out and it is the curve's matter.
    """
    found = []
    names = sorted(set(hours.buildings))
    if len(names) < 2:
        return ()
    for name in names:
        own = hours.of_buildings([name])
        others = hours.of_buildings([other for other in names if other != name])
        gap_k = _median(own.room_c) - quantile_of_rooms(others.room_c, 0.5)
        daily = np.array([_mean_known(gap_k[day]) for day in _days(hours)])
        daily = daily[np.isfinite(daily)]
        if len(daily) >= LEAST_DAYS:
            deviation = mean(daily)
            if deviation.value <= COLD_BUILDING_K and deviation.beyond(-COLD_BUILDING_K / 2):
                found.append(BuildingDeviation(name, own.rooms, deviation))
    return tuple(sorted(found, key=lambda one: one.deviation_k.value)) if 2 * len(found) < len(names) + 1 else ()


def supply_per_indoor(outdoor_c: float, design: Design) -> float:
    """How many kelvin of supply move the rooms by one, at an outdoor temperature, by the radiator formulas.

    2.1 to 2.4 for a design outdoor temperature of −24 °C, 2.9 to 3.1 for −7 °C (75/50, 18 °C).
    """
    return _textbook(outdoor_c, design, design.indoor_c + 1.0) - _textbook(outdoor_c, design, design.indoor_c)


def hour_offsets(hours: StationHours, per_indoor: float) -> tuple[float, ...]:
    """Twelve offsets of supply (K) for two hours each, from midnight, where the rooms certainly differ from their day; else zeros.

    The curve acts on rooms some hours later: an offset is for the hours before those in which it is needed.
    """
    median_c = quantile_of_rooms(hours.room_c, 0.5)
    days = _days(hours)
    offsets = []
    for stretch in range(12):
        gaps = []
        for day in days:
            mine = day[hours.of_day[day] // 2 == (stretch + 1) % 12]
            gaps.append(_mean_known(median_c[mine]) - _mean_known(median_c[day]))
        known = np.array(gaps)[np.isfinite(gaps)]
        gap_k = mean(known) if len(known) >= LEAST_DAYS else None
        wanted = (
            -gap_k.value * per_indoor if gap_k is not None and gap_k.beyond(HOUR_WORTH_K / 2) and abs(gap_k.value) >= HOUR_WORTH_K else 0.0
        )
        offsets.append(_halves(float(np.clip(wanted, -MOST_STEP_K, MOST_STEP_K))))
    return tuple(offsets)


def _textbook(outdoor_c: float, design: Design, indoor_c: float) -> float:
    """Supply that holds ``indoor_c`` in rooms whose radiators are as designed: the load is that of the rooms' losses."""
    load = (indoor_c - outdoor_c - design.gains_k) / (design.indoor_c - design.outdoor_c)
    mean_k = (design.supply_c + design.return_c) / 2 - design.indoor_c
    spread_k = (design.supply_c - design.return_c) / 2
    return float(indoor_c + mean_k * max(load, 0.0) ** (1 / (1 + design.exponent_b)) + spread_k * load)


def textbook_points(design: Design, outdoor_c: Sequence[float]) -> tuple[float, ...]:
    """The textbook's supply temperatures (°C) at these outdoor temperatures."""
    supply_c, _ = textbook_curve_c(
        np.asarray(outdoor_c, np.float64),
        design_outdoor_c=design.outdoor_c,
        design_supply_c=design.supply_c,
        design_return_c=design.return_c,
        indoor_c=design.indoor_c,
        exponent_b=design.exponent_b,
        gains_k=design.gains_k,
    )
    return tuple(float(value) for value in supply_c)


def _with_curve(seen: Advice, curve: FiledCurve, wanted_k: F64, per_indoor: float) -> Advice:
    """The curve moved by what the rooms want (K indoor at each point): at most 2 K of supply at once, never rising, in halves."""
    step_k = np.clip(wanted_k * per_indoor, -MOST_STEP_K, MOST_STEP_K)
    supply_c = np.minimum.accumulate([_halves(float(value)) for value in np.array(curve.supply_c) + step_k])
    return replace(seen, outdoor_c=curve.outdoor_c, supply_c=tuple(float(value) for value in supply_c))


def _halves(value: float) -> float:
    return round(value / SUPPLY_STEP_K) * SUPPLY_STEP_K + 0.0


def _days(hours: StationHours) -> list[NDArray[np.intp]]:
    """The hours of each local day with at least 18 hours of supply."""
    starts = np.flatnonzero(hours.of_day == 0)
    edges = np.unique(np.concatenate([[0], starts, [len(hours)]]))
    days = [np.arange(start, stop) for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    used = [day[hours.supplying[day]] for day in days]
    return [day for day in used if len(day) >= 18]


def _of_day(hours: StationHours, day: NDArray[np.intp], share: float) -> float:
    return _mean_known(quantile_of_rooms(hours.room_c[day], share))


def _median(room_c: F64) -> F64:
    known = np.isfinite(room_c).any(axis=1)
    found = np.full(len(room_c), np.nan)
    if known.any():
        found[known] = np.nanmedian(room_c[known], axis=1)
    return found


def _mean_known(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

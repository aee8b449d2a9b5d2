"""What an engineer sees of a station's supply curve: its hours, the advice, the model, another curve's effect, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compliance.curve_tuning.advice import Advice, Design, Goal, advise, textbook_points
from compliance.curve_tuning.building_model import BuildingModel, fit
from compliance.curve_tuning.comparison import Period, period, saving_per_kelvin
from compliance.curve_tuning.prediction import Prediction, predict
from compliance.curve_tuning.station_hours import StationHours, cleaned, quantile_of_rooms
from compliance.heat import FLOW_SHARE
from dashboard.facts.stations import FLOW, OUTDOOR, RETURN, SUPPLY
from dashboard.facts.town import Town
from domain.curve import FiledCurve

F64 = NDArray[np.float64]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
ENERGY: Final = "heat_energy_gj"
LIFE_S: Final = 120.0
LEAST_PERIOD_H: Final = 48
SEEN_BY: Final = 16  # outdoor temperatures at which a prediction is drawn


@dataclass(frozen=True)
class CurveStudy:
    """A station over some days: everything as it was measured by the hour, and what follows from it."""

    station_id: str
    days: int
    hours: StationHours
    energy_gj: F64
    curve: FiledCurve | None
    advice: Advice | None
    model: BuildingModel | None
    textbook_c: tuple[float, ...]
    saving: float

    @property
    def median_c(self) -> F64:
        """The rooms' median of each hour, °C."""
        return quantile_of_rooms(self.hours.room_c, 0.5)

    @property
    def tenth_c(self) -> F64:
        """What nine rooms of ten have at least, of each hour, °C."""
        return quantile_of_rooms(self.hours.room_c, 0.1)


def curve_study(town: Town, station_id: str, days: int, goal: Goal, design: Design) -> CurveStudy:
    """The study of a station over the last so many days. Raises StoreError when the history can't be read."""
    hours, energy_gj = town.shared.of(("hours", station_id, days), lambda: station_hours(town, station_id, days), life_s=LIFE_S)
    model = town.shared.of(("model", station_id, days), lambda: fit(hours), life_s=LIFE_S)
    curve = curve_now(town, station_id)
    advice = None if curve is None else advise(hours, curve, goal, design)
    textbook_c = () if curve is None else textbook_points(design, curve.outdoor_c)
    known = hours.outdoor_c[np.isfinite(hours.outdoor_c)]
    saving = saving_per_kelvin(goal.median_c, known) if len(known) else float("nan")
    return CurveStudy(station_id, days, hours, energy_gj, curve, advice, model, textbook_c, saving)


def curve_now(town: Town, station_id: str) -> FiledCurve | None:
    """The curve in force."""
    now_ms = town.now_ms()
    return next((one for one in reversed(town.curves(station_id)) if one.effective_from_ms <= now_ms), None)


def effect(study: CurveStudy, new: FiledCurve, limit_c: float) -> Prediction | None:
    """What another curve would do; None without a model or a curve to compare with."""
    felt = study.hours.outdoor_c[np.isfinite(study.hours.outdoor_c)]
    if study.model is None or study.curve is None or not len(felt):
        return None
    coldest_c, mildest_c = np.quantile(felt, (0.02, 0.98)).tolist()
    return predict(study.model, study.hours, study.curve, new, limit_c, np.linspace(coldest_c, mildest_c, SEEN_BY))


@dataclass(frozen=True)
class BeforeAfter:
    """The time under the curve before the one in force, and since; both by degree days."""

    changed_at: int
    before: Period
    after: Period

    @property
    def heat_share(self) -> float | None:
        """Heat by degree day since over before; None where a heat meter does not tell."""
        before, after = self.before.gj_per_degree_day, self.after.gj_per_degree_day
        return None if not before or after is None else after / before


def before_after(town: Town, study: CurveStudy) -> BeforeAfter | None:
    """The comparison across the last change of curve within the study's days; None without one, or with fewer than two days on a side."""
    if study.curve is None:
        return None
    cut = int(np.searchsorted(study.hours.at_ms, study.curve.effective_from_ms))
    earlier = [one.effective_from_ms for one in town.curves(study.station_id) if one.effective_from_ms < study.curve.effective_from_ms]
    start = int(np.searchsorted(study.hours.at_ms, max(earlier))) if earlier else 0
    known = np.flatnonzero(np.isfinite(study.hours.outdoor_c))  # what was never measured is no part of what was before
    start = max(start, int(known[0])) if len(known) else start
    if not earlier or min(cut - start, len(study.hours) - cut) < LEAST_PERIOD_H:
        return None
    before, after = (period(_cut(study.hours, part), study.energy_gj[part]) for part in (slice(start, cut), slice(cut, None)))
    return BeforeAfter(study.curve.effective_from_ms, before, after)


def station_hours(town: Town, station_id: str, days: int) -> tuple[StationHours, F64]:
    """A station's hours up to now, without what says nothing of its curve, and its heat meter's counter (GJ) by the hour."""
    to_ms = town.now_ms() // HOUR_MS * HOUR_MS
    from_ms = to_ms - days * DAY_MS
    rooms = town.rooms_of_station.get(station_id, ())
    quantities = (SUPPLY, RETURN, OUTDOOR, FLOW, ENERGY)
    names = [f"station/{station_id}/{name}" for name in quantities] + [f"room/{room.room_id}/indoor_temp_c" for room in rooms]
    columns = hourly(town, names, from_ms, to_ms)
    supply_c, return_c, outdoor_c, flow_m3h, energy_gj = columns[: len(quantities)]
    room_c = np.array(columns[len(quantities) :]).reshape(len(rooms), -1).T + np.array([room.offset_k for room in rooms])
    at_ms = np.arange(from_ms, to_ms, HOUR_MS)
    flowing_m3h = town.site.stations[station_id].design_flow_m3h
    stopped = np.zeros(len(at_ms), np.bool_)
    if flowing_m3h:
        with np.errstate(invalid="ignore"):
            stopped = flow_m3h < FLOW_SHARE * flowing_m3h
    of_day = np.array([datetime.fromtimestamp(at / 1000, town.site.timezone).hour for at in at_ms.tolist()], np.int64)
    buildings = tuple(room.building_id or "" for room in rooms)
    hours = StationHours(at_ms, of_day, outdoor_c, supply_c, return_c, room_c, buildings, np.isfinite(supply_c) & ~stopped, stopped)
    return cleaned(hours), energy_gj


def hourly(town: Town, names: Sequence[str], from_ms: int, to_ms: int) -> list[F64]:
    """The mean of each point in each hour, NaN where there was no usable reading."""
    ids, rollup = town.rollup(names, from_ms, to_ms, HOUR_MS)
    columns = []
    for point in ids:
        column = np.full((to_ms - from_ms) // HOUR_MS, np.nan)
        left, right = np.searchsorted(rollup.point, [point, point + 1]) if point >= 0 else (0, 0)
        column[(rollup.at[left:right] - from_ms) // HOUR_MS] = rollup.mean[left:right]
        columns.append(column)
    return columns


def _cut(hours: StationHours, part: slice) -> StationHours:
    return StationHours(
        hours.at_ms[part], hours.of_day[part], hours.outdoor_c[part], hours.supply_c[part], hours.return_c[part], hours.room_c[part],
        hours.buildings, hours.supplying[part], hours.stopped[part],
    )  # fmt: skip

"""Stations over a period (R9), from their readings: time on and off the filed curve by day, make-up water and circulation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from compliance.adherence import TOLERANCE_K, WATER_SHARE
from compliance.heat import Heat, PointSeries, StationRules, boundaries, curve_target_c, heat_runs, in_order, inside, standing_values
from compliance.kernel import F64, I64
from compliance.series import clean_series
from compliance.verdict import AT_LIMIT_K
from domain.curve import FiledCurve
from domain.site import Site, Station
from store.history import History
from store.journal import Journal
from store.points import PointRegistry
from store.readings import FreshReadings, with_fresh

HOUR_MS = 3_600_000
AT_ONCE = 8
READINGS_AT_ONCE = 800_000  # some 100 MB; how many days that is depends on how often the stations are polled
DAYS_AT_ONCE = 16
QUANTITIES = (
    *("secondary_supply_temp_c", "secondary_return_temp_c", "outdoor_temp_c", "secondary_flow_m3h", "makeup_flow_m3h"),
    *(f"pump{number}_{sign}" for number in (1, 2, 3) for sign in ("running", "frequency_hz")),
)


Stores = tuple[History, Journal, PointRegistry]


@dataclass(frozen=True)
class StationDays:
    """One station by local day, arrays of (D,): times in ms, ``off_kms`` ∫|deviation| dt off the curve in kelvin-ms, volumes in m³."""

    station_id: str
    readings_sha256: str
    on_ms: F64
    off_ms: F64
    off_kms: F64
    makeup_m3: F64
    circulation_m3: F64
    water_known_ms: F64
    water_high_ms: F64
    season_ms: F64


def station_days(
    site: Site,
    stores: Stores,
    curves: Mapping[str, Sequence[FiledCurve]],
    days: I64,
) -> Iterator[StationDays]:
    """Every station over the days whose local midnights are ``days`` (D + 1,), UTC ms; some stations' readings at a time.

    Raises StoreError when the readings can't be read.
    """
    hold_ms = round(site.station_hold_min * 60_000)
    seasons = site.policy.seasons(site.timezone, int(days[0]), int(days[-1]))
    stations = list(site.stations.values())
    history, journal, points = stores
    every = [station.station_id for station in stations]
    fresh = FreshReadings(journal, list(_points(points, every)), int(days[0]) - hold_ms, int(days[-1]))
    span = 1  # days at once; as a rule stations are polled as often as those before them
    for first in range(0, len(stations), AT_ONCE):
        group = stations[first : first + AT_ONCE]
        hashed: dict[str, dict[str, Any]] = {station.station_id: {name: sha256() for name in QUANTITIES} for station in group}
        measured: dict[str, list[list[F64]]] = {station.station_id: [] for station in group}
        low = 0
        while low < len(days) - 1:
            some = days[low : low + span + 1]
            found = _series((history, fresh, points), group, int(some[0]) - hold_ms, int(some[-1]))
            for station in group:
                series = found[station.station_id]
                rules = StationRules(station.design_flow_m3h, curves.get(station.station_id, ()), hold_ms, site.timezone)
                measured[station.station_id].append([*_curve(series, rules, seasons, some), *_water(series, rules, seasons, some)])
                for name, one in series.items():
                    new = slice(int(np.searchsorted(one.at, some[0])) if low else 0, None)  # the others were taken with the days before
                    hashed[station.station_id][name].update(np.column_stack([one.at[new], one.value[new].view(np.int64)]).tobytes())
            low += len(some) - 1
            readings = sum(len(one.at) for series in found.values() for one in series.values())
            span = max(1, min(4 * span, DAYS_AT_ONCE, (len(some) - 1) * READINGS_AT_ONCE // max(1, readings)))
        for station_id, parts in measured.items():
            whole = (np.concatenate(column) for column in zip(*parts, strict=True))
            yield StationDays(station_id, _digest(hashed[station_id]), *whole)


def _series(
    stores: tuple[History, FreshReadings, PointRegistry], stations: Sequence[Station], from_ms: int, to_ms: int
) -> dict[str, dict[str, PointSeries]]:
    """The good readings of some stations by quantity, read together: their points lie side by side in the history's files."""
    history, fresh, points = stores
    found: dict[str, dict[str, PointSeries]] = {station.station_id: {} for station in stations}
    names = _points(points, found)
    if not names:
        return found
    ids = np.array(sorted(names), np.int32)
    readings = with_fresh(history, fresh.read(ids, from_ms, to_ms), ids, from_ms, to_ms)
    row_of = np.full(int(ids[-1]) + 1, -1, np.int64)
    row_of[ids] = np.arange(len(ids))
    clean = clean_series(row_of[readings.point], readings, np.zeros(len(ids)))
    for row, point in enumerate(ids.tolist()):
        low, high = int(clean.starts[row]), int(clean.starts[row + 1])
        station_id, name = names[point]
        found[station_id][name] = PointSeries(clean.at[low:high], clean.value[low:high])
    return found


def _points(points: PointRegistry, stations: Iterable[str]) -> dict[int, tuple[str, str]]:
    """The registered points of these stations, each with its station and quantity."""
    named = ((station_id, name) for station_id in stations for name in QUANTITIES)
    return {point: one for one in named if (point := points.find("station/{}/{}".format(*one))) is not None}


def _digest(hashed: Mapping[str, Any]) -> str:
    """The SHA-256 of a station's good readings, of those of each quantity."""
    return sha256("".join(f"{name}{one.hexdigest()}" for name, one in sorted(hashed.items())).encode()).hexdigest()


def _by_day(grid: I64, days: I64, amounts: Sequence[F64]) -> list[F64]:
    """Sums amounts of the stretches that begin at each instant of the grid into the days they lie in."""
    day = np.searchsorted(days, grid, "right") - 1
    return [np.bincount(day, one, minlength=len(days) - 1).astype(np.float64) for one in amounts]


def _curve(series: Mapping[str, PointSeries], rules: StationRules, seasons: Sequence[tuple[int, int]], days: I64) -> list[F64]:
    """On, off and ∫|deviation| off; only ``supplying`` time with standing values counts (R9)."""
    supply, outdoor = series.get("secondary_supply_temp_c"), series.get("outdoor_temp_c")
    if supply is None or outdoor is None or not rules.curves:
        return [np.zeros(len(days) - 1)] * 3
    first, last = int(days[0]), int(days[-1])
    heat = heat_runs(series, rules, seasons, first, last)
    grid = in_order([boundaries((supply, outdoor), rules, (), first, last), heat.at, days[:-1]])
    state = heat.state[np.searchsorted(heat.at, grid, "right") - 1]
    target_c, _ = curve_target_c(standing_values(outdoor, grid, rules.hold_ms), rules, grid)
    deviation_k = np.abs(standing_values(supply, grid, rules.hold_ms) - target_c)
    length = np.diff(np.append(grid, last)).astype(np.float64)
    counted = (state == Heat.SUPPLYING) & ~np.isnan(deviation_k)
    off = counted & (deviation_k > TOLERANCE_K + AT_LIMIT_K)
    return _by_day(grid, days, (length * (counted & ~off), length * off, np.where(off, deviation_k, 0.0) * length))


def _water(series: Mapping[str, PointSeries], rules: StationRules, seasons: Sequence[tuple[int, int]], days: I64) -> list[F64]:
    """Make-up and circulation in m³ over the time in season in which both stand, that time, that above 1 %, and the season's time."""
    first, last = int(days[0]), int(days[-1])
    makeup, flow = (series.get(name, PointSeries(np.empty(0, np.int64), np.empty(0))) for name in ("makeup_flow_m3h", "secondary_flow_m3h"))
    grid = in_order([boundaries((makeup, flow), rules, seasons, first, last), days[:-1]])
    lost, circulating = (standing_values(one, grid, rules.hold_ms) for one in (makeup, flow))
    length = np.diff(np.append(grid, last)).astype(np.float64)
    season = inside(grid, seasons)
    known = season & ~np.isnan(lost) & ~np.isnan(circulating)
    hours = np.where(known, length, 0.0) / HOUR_MS
    high = known & (circulating > 0) & (lost > WATER_SHARE * circulating + AT_LIMIT_K)
    volumes = np.nan_to_num(lost) * hours, np.nan_to_num(circulating) * hours
    return _by_day(grid, days, (*volumes, length * known, length * high, length * season))


def station_rows(site: Site, found: Sequence[StationDays], which: Any = slice(None)) -> list[dict[str, Any]]:
    """The figures of each station over some of its days, in the order of the site's stations."""
    rows = []
    for one in found:
        on_h, off_h = (float(array[which].sum()) / HOUR_MS for array in (one.on_ms, one.off_ms))
        makeup, circulation = float(one.makeup_m3[which].sum()), float(one.circulation_m3[which].sum())
        season_ms = float(one.season_ms[which].sum())
        rows.append(
            {
                "station_id": one.station_id,
                "name": site.stations[one.station_id].name,
                "on_curve_h": round(on_h, 2),
                "off_curve_h": round(off_h, 2),
                "off_degree_min": round(float(one.off_kms[which].sum()) / 60_000, 1),
                "adherence": round(on_h / (on_h + off_h), 6) if on_h + off_h else None,
                "curve_coverage": round((on_h + off_h) * HOUR_MS / season_ms, 6) if season_ms else None,
                "makeup_m3": round(makeup, 3),
                "circulation_m3": round(circulation, 1),
                "water_loss_rate": round(makeup / circulation, 6) if circulation else None,
                "water_coverage": round(float(one.water_known_ms[which].sum()) / season_ms, 6) if season_ms else None,
                "water_high_h": round(float(one.water_high_ms[which].sum()) / HOUR_MS, 2),
            }
        )
    return rows


def station_day_rows(found: Sequence[StationDays], days: Sequence[str]) -> list[dict[str, Any]]:
    """Minutes and degree-minutes off the curve and water lost, by station and day; days on which nothing is known are left out."""
    rows = []
    for one in found:
        for index, day in enumerate(days):
            on_ms, off_ms, circulation = float(one.on_ms[index]), float(one.off_ms[index]), float(one.circulation_m3[index])
            if on_ms + off_ms > 0 or circulation > 0:
                rows.append(
                    {
                        "day": day,
                        "station_id": one.station_id,
                        "on_curve_min": round(on_ms / 60_000, 1),
                        "off_curve_min": round(off_ms / 60_000, 1),
                        "off_degree_min": round(float(one.off_kms[index]) / 60_000, 1),
                        "makeup_m3": round(float(one.makeup_m3[index]), 3),
                        "circulation_m3": round(circulation, 1),
                    }
                )
    return rows

"""Trends: a few hundred points that look like all of them. Lowest and highest of every stretch are kept, gaps stay gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboard.facts.town import Town
from domain.curve import FiledCurve
from store.rollup import Rollup

STRETCHES = 400  # of a chart's width; at most two points each


@dataclass(frozen=True)
class Trend:
    """One line: instants (UTC ms, rising) and values; NaN where the line breaks."""

    at_ms: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at_ms)

    @classmethod
    def empty(cls) -> "Trend":
        """A line without points."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float64))


def trends(town: Town, names: Sequence[str], from_ms: int, to_ms: int, hold_ms: int, *, stretches: int = STRETCHES) -> list[Trend]:
    """One line for each point over [from_ms, to_ms), of usable readings; it breaks where none stands for ``hold_ms`` (R2).

    Raises StoreError when the history can't be read.
    """
    ids, readings = town.readings(names, from_ms, to_ms)
    usable = readings.usable()
    found = []
    for point in ids:
        left, right = np.searchsorted(usable.point, [point, point + 1]) if point >= 0 else (0, 0)
        mine = slice(left, right)
        found.append(thinned(usable.measured_at[mine], usable.value[mine], from_ms, to_ms, hold_ms, stretches=stretches))
    return found


def rolled(town: Town, names: Sequence[str], from_ms: int, to_ms: int, step_ms: int) -> tuple[list[Trend], list[Trend]]:
    """For long spans: a line for each point that touches the lowest and the highest value of each stretch, and one of the means.

    The history counts them (whole hours: ``from_ms`` and ``step_ms`` should be); a stretch without a usable reading breaks the lines.
    Raises StoreError when the history can't be read.
    """
    ids, rollup = town.rollup(names, from_ms, to_ms, step_ms)
    touched, means = [], []
    for point in ids:
        left, right = np.searchsorted(rollup.point, [point, point + 1]) if point >= 0 else (0, 0)
        mine = rollup.take(slice(left, right))
        means.append(_broken(mine.at + step_ms // 2, mine.mean, step_ms))
        touched.append(touching(mine, step_ms))
    return touched, means


def touching(stretches: Rollup, step_ms: int) -> Trend:
    """A line through the extremes of each stretch: first the lower one where the next stretch is higher, as it most likely went."""
    if not len(stretches):
        return Trend.empty()
    rising = np.append(np.diff(stretches.mean) >= 0, True)
    first, second = np.where(rising, (stretches.low, stretches.high), (stretches.high, stretches.low))
    at = np.column_stack([stretches.at + step_ms // 4, stretches.at + 3 * step_ms // 4]).ravel()
    return _broken(at, np.column_stack([first, second]).ravel(), step_ms)


def _broken(at_ms: NDArray[np.int64], value: NDArray[np.float64], step_ms: int) -> Trend:
    """A line with a NaN behind each point that no point follows within two stretches."""
    ends = np.flatnonzero(np.diff(at_ms) > step_ms)
    return Trend(np.insert(at_ms, ends + 1, at_ms[ends] + step_ms // 2), np.insert(value, ends + 1, np.nan))


def thinned(
    at_ms: NDArray[np.int64], value: NDArray[np.float64], from_ms: int, to_ms: int, hold_ms: int, *, stretches: int = STRETCHES
) -> Trend:
    """The lowest and the highest value of each stretch of [from_ms, to_ms), and a NaN behind each reading that ends a line.

    ``at_ms`` rises strictly. At most four points a stretch are left, breaks included.
    """
    if not len(at_ms):
        return Trend.empty()
    ends = np.flatnonzero(np.diff(at_ms) > hold_ms)
    if len(at_ms) > 2 * stretches:
        stretch = (at_ms - from_ms) * stretches // max(1, to_ms - from_ms)
        order = np.lexsort((value, stretch))
        first = np.flatnonzero(np.r_[True, np.diff(stretch[order]) > 0])
        last = np.r_[first[1:], len(order)] - 1
        ends = ends[np.unique(stretch[ends], return_index=True)[1]]  # one break a stretch is all that can be seen
        kept = np.unique(np.concatenate([order[first], order[last], ends, ends + 1]))
    else:
        kept = np.arange(len(at_ms))
    broken_at = at_ms[ends] + hold_ms
    at = np.concatenate([at_ms[kept], broken_at])
    values = np.concatenate([value[kept], np.full(len(broken_at), np.nan)])
    order = np.argsort(at, kind="stable")
    return Trend(at[order], values[order])


def target_trend(outdoor: Trend, curves: Sequence[FiledCurve], timezone: ZoneInfo) -> Trend:
    """The supply target along an outdoor temperature, by the filed curve in force at each instant (R9)."""
    if not curves or not len(outdoor):
        return Trend.empty()
    versions = sorted(curves, key=lambda curve: curve.effective_from_ms)
    starts = np.array([curve.effective_from_ms for curve in versions], np.int64)
    version = np.searchsorted(starts, outdoor.at_ms, side="right") - 1
    target = np.full(len(outdoor), np.nan)
    for row, curve in enumerate(versions):
        mine = version == row
        target[mine] = curve.target_c(outdoor.value[mine]) + curve.offset_k(outdoor.at_ms[mine], timezone)
    return Trend(outdoor.at_ms, target)


def limit_trend(town: Town, table: str, from_ms: int, to_ms: int) -> Trend:
    """The limit a class of premises is held to over [from_ms, to_ms), as steps; NaN where nothing is judged (R1)."""
    steps = town.site.policy.timeline(table, town.site.timezone, from_ms, to_ms)
    return Trend(np.append(steps.at, to_ms), np.append(steps.limit_c, steps.limit_c[-1:]))

"""Trends as ECharts options: the site's local time on the axis, gaps as gaps, nothing animated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from dashboard.facts.trend import Trend
from dashboard.moments import Moments

# Tones that stand on light and dark alike: heat out, heat back, what should be, the air outside.
WARM: Final = "#d2553c"
COOL: Final = "#3d86c6"
GREY: Final = "#8795a3"
AIR: Final = "#1b9aa0"

SPELT_MARKS: Final = 12
ALONE_PX: Final = 4
LEAST_SCATTER: Final = 1.0  # K; less than that between the dots is noise

Dash = Literal["solid", "dashed", "dotted"]


@dataclass(frozen=True)
class Line:
    """One line of a chart. ``axis`` 0 is on the left, 1 on the right; a ``step`` holds its value until the next point."""

    name: str
    trend: Trend
    axis: int = 0
    dash: Dash = "solid"
    step: bool = False
    color: str | None = None
    decimals: int = 1
    width: float = 1.8


@dataclass(frozen=True)
class Axis:
    """A vertical axis and the least span it shows, so that noise does not look like news."""

    least_span: float = 0.0


@dataclass(frozen=True)
class Marks:
    """What is drawn behind the lines: ``areas`` from one instant to another, and ``moments`` with a name (UTC ms)."""

    areas: Sequence[tuple[int, int]] = ()
    moments: Sequence[tuple[int, str]] = ()


def trend_chart(
    lines: Sequence[Line], axes: Sequence[Axis], span: tuple[int, int], moments: Moments, marks: Marks | None = None
) -> dict[str, Any]:
    """The option of a chart over ``span`` (UTC ms)."""
    start, stop = moments.wall_ms(np.array(span, np.int64)).tolist()
    series = [_series(line, moments) for line in lines]
    if marks is not None and (marks.areas or marks.moments):
        series.append(_marks(marks, moments, span))
    return {
        "animation": False,
        "useUTC": True,
        "grid": {"left": 8, "right": 8, "top": 30, "bottom": 4, "containLabel": True},
        "legend": {"type": "scroll", "top": 0, "left": 0, "itemWidth": 18, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "line"}, "transitionDuration": 0},
        "xAxis": {
            "type": "time",
            "min": start,
            "max": stop,
            "axisLabel": {"hideOverlap": True, "formatter": {"day": "{MM}-{dd}", "hour": "{HH}:{mm}", "minute": "{HH}:{mm}"}},
            "splitLine": {"show": False},
        },
        "yAxis": [_axis(axis, [line.trend for line in lines if line.axis == place], place) for place, axis in enumerate(axes)],
        "series": series,
    }


def _marks(marks: Marks, moments: Moments, span: tuple[int, int]) -> dict[str, Any]:
    """A series without points that bears the marks; their names stand at the top where there is room for them."""
    spelt = len(marks.moments) <= SPELT_MARKS
    at = moments.wall_ms(np.array([at for at, _ in marks.moments], np.int64)).tolist()
    room_ms = (span[1] - span[0]) // SPELT_MARKS // 4
    crowded = {late for early, late in pairwise(sorted(at)) if late - early < room_ms}
    edges = moments.wall_ms(np.array([edge for area in marks.areas for edge in area], np.int64)).tolist()
    label = {"show": spelt, "rotate": 90, "position": "insideEndTop", "color": GREY, "fontSize": 11, "distance": 2}
    return {
        "type": "line",
        "data": [],
        "silent": True,
        "markLine": {
            "symbol": "none",
            "silent": True,
            "animation": False,
            "lineStyle": {"color": GREY, "type": "dotted", "width": 1, "opacity": 0.9},
            "data": [
                {"xAxis": instant, "name": name, "label": {**label, "formatter": name, **({"show": False} if instant in crowded else {})}}
                for instant, (_, name) in zip(at, marks.moments, strict=True)
            ],
        },
        "markArea": {
            "silent": True,
            "itemStyle": {"color": WARM, "opacity": 0.13},
            "data": [[{"xAxis": start}, {"xAxis": stop}] for start, stop in zip(edges[::2], edges[1::2], strict=True)],
        },
    }


def _axis(axis: Axis, trends: Sequence[Trend], place: int) -> dict[str, Any]:
    option: dict[str, Any] = {"type": "value", "scale": True, "splitLine": {"show": place == 0}, "axisLabel": {"hideOverlap": True}}
    values = np.concatenate([trend.value for trend in trends]) if trends else np.empty(0)
    return option | _least_span(axis.least_span, values[np.isfinite(values)])


def _least_span(least: float, values: NDArray[np.float64]) -> dict[str, float]:
    """The ends of an axis whose values span less than this; nothing where they span more."""
    if not len(values) or float(np.ptp(values)) >= least:
        return {}
    middle, step = float(values.max() + values.min()) / 2, least / 10
    low, high = math.floor((middle - least / 2) / step), math.ceil((middle + least / 2) / step)
    return {"min": round(low * step, 6), "max": round(high * step, 6)}


def _series(line: Line, moments: Moments) -> dict[str, Any]:
    at = moments.wall_ms(line.trend.at_ms).tolist()
    value = [None if math.isnan(number) else round(number, line.decimals + 1) for number in line.trend.value.tolist()]
    data: list[Any] = list(zip(at, value, strict=True))
    alone = _alone(line.trend.value)
    for place in alone:  # no line leads to it: a dot, else it would not be seen
        data[place] = {"value": data[place], "symbol": "circle", "symbolSize": ALONE_PX}
    option: dict[str, Any] = {
        "type": "line",
        "name": line.name,
        "yAxisIndex": line.axis,
        "showSymbol": bool(alone),
        "symbol": "none",
        "connectNulls": False,
        "lineStyle": {"width": line.width, "type": line.dash},
        "data": data,
        "tooltip": {"valueFormatter": f"%.{line.decimals}f"},
        "emphasis": {"disabled": True},
    }
    if line.step:
        option["step"] = "end"
    if line.color:
        option["color"] = line.color
    return option


def _alone(value: NDArray[np.float64]) -> list[int]:
    """The places of values between breaks."""
    known = np.concatenate([[False], np.isfinite(value), [False]])
    return np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:]).tolist()


@dataclass(frozen=True)
class Dots:
    """A series over a number, not over time: single dots, or joined to a line in order."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    color: str
    joined: bool = False
    dash: Dash = "solid"
    width: float = 2.0
    size: int = 4


def scatter_chart(series: Sequence[Dots], x_name: str, y_name: str) -> dict[str, Any]:
    """The option of a chart of numbers over numbers; both axes show what there is."""
    axis = {"type": "value", "scale": True, "axisLabel": {"hideOverlap": True}, "nameLocation": "middle"}
    everything = np.concatenate([one.y for one in series]) if series else np.empty(0)
    spans = _least_span(LEAST_SCATTER, everything[np.isfinite(everything)])
    return {
        "animation": False,
        "grid": {"left": 34, "right": 14, "top": 30, "bottom": 26, "containLabel": True},
        "legend": {"type": "scroll", "top": 0, "left": 0, "itemWidth": 18, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "item", "confine": True, "transitionDuration": 0},
        "xAxis": {**axis, "name": x_name, "nameGap": 26, "splitLine": {"show": False}},
        "yAxis": {**axis, **spans, "name": y_name, "nameGap": 34},
        "series": [_dots(one) for one in series],
    }


def _dots(one: Dots) -> dict[str, Any]:
    known = np.isfinite(one.x) & np.isfinite(one.y)
    data = np.column_stack([one.x[known], one.y[known]]).round(2).tolist()
    option: dict[str, Any] = {"name": one.name, "data": data, "color": one.color, "emphasis": {"disabled": True}}
    if one.joined:
        return {**option, "type": "line", "showSymbol": False, "lineStyle": {"width": one.width, "type": one.dash}}
    return {**option, "type": "scatter", "symbolSize": one.size, "itemStyle": {"opacity": 0.45}}


def bar_chart(names: Sequence[str], series: Mapping[str, tuple[Sequence[float], str]]) -> dict[str, Any]:
    """The option of lying bars, the first on top; several series are stacked."""
    return {
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 28, "bottom": 4, "containLabel": True},
        "legend": {"top": 0, "left": 0, "itemWidth": 18, "itemHeight": 8, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "shadow"}, "transitionDuration": 0},
        "xAxis": {"type": "value", "minInterval": 1 if len(series) > 1 else 0},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": list(names),
            "axisLabel": {"width": 170, "overflow": "break", "lineHeight": 13},
        },
        "series": [
            {"type": "bar", "name": name, "stack": "all", "data": list(values), "color": color, "barMaxWidth": 16}
            for name, (values, color) in series.items()
        ],
    }

"""换热站: one station in full."""

from dataclasses import replace
from typing import Final

import streamlit as st

from dashboard.charts import AIR, COOL, GREY, WARM, Axis, Line, Marks, trend_chart
from dashboard.facts.building import room_grid
from dashboard.facts.events import about
from dashboard.facts.point_states import WantedPoints, wanted_points
from dashboard.facts.sources import sources_of
from dashboard.facts.station import (
    RAW_HOURS,
    StationTrends,
    all_values,
    homes,
    schematic_values,
    station_marks,
    station_trends,
    trend_life_s,
)
from dashboard.facts.stations import station_states
from dashboard.facts.subjects import subject
from dashboard.facts.trend import Trend
from dashboard.facts.wall import Change
from dashboard.panel import panel
from dashboard.running import running
from dashboard.screen import Screen, choose, go, live, screen
from dashboard.text import N_
from dashboard.words import MARK, name_of
from domain.quantity import quantity

HOURS: Final = {6: N_("6 h"), 24: N_("24 h"), 48: N_("48 h"), 168: N_("7 d"), 720: N_("30 d"), 2160: N_("90 d"), 3600: N_("150 d")}
CHART_S: Final = 10.0
LONG_CHART_S: Final = 120.0
WORST_POINTS: Final = 12
# In few words: four of them stand in one line above the chart.
PRESSURES: Final = {
    "secondary_supply_pressure_mpa": N_("MPa: secondary supply"),
    "secondary_return_pressure_mpa": N_("secondary return"),
    "primary_supply_pressure_mpa": N_("primary supply"),
    "primary_return_pressure_mpa": N_("primary return"),
}


def written(station_id: str) -> str:
    return f"{running.town.site.stations[station_id].name or station_id} · {station_id}"


def state() -> None:
    now, station_id = screen(), st.session_state["station"]
    town = now.town

    def values() -> dict[str, object]:
        return {
            "state": station_states(town)[station_id],
            "values": all_values(town, station_id),
            "flow_values": schematic_values(town, station_id),
        }

    go(panel(now.shared_html("station.html", station_id, values), key="state").open)


def trends() -> None:
    now = screen()
    hours = st.session_state["hours"]
    found = station_trends(now.town, st.session_state["station"], hours)
    left, right = st.columns([3, 2], gap="small")
    key = ("charts", now.say.language, st.session_state["station"], hours)
    charts = now.town.shared.of(key, lambda: _charts(now, found), life_s=trend_life_s(hours))
    with left:
        st.echarts_chart(charts[0], height=380, key="temperatures")
    with right:
        st.echarts_chart(charts[1], height=182, key="flows")
        st.echarts_chart(charts[2], height=182, key="pressures")


def _charts(now: Screen, found: StationTrends) -> list[dict[str, object]]:
    _ = now.say

    def line(name: str, axis: int = 0, color: str | None = None) -> Line:
        what = quantity(name)
        where = _(" (right)") if axis else ""
        label = f"{_.pick(what.zh, what.en)} {what.unit}{where}"
        return Line(label, found.lines.get(name, Trend.empty()), axis, decimals=what.decimals, color=color)

    span = (found.from_ms, found.to_ms)
    marks = station_marks(now.town, st.session_state["station"], *span)
    spelt = Marks(marks.stops, [(at, _(name_of(MARK, event))) for at, event in marks.moments])
    temperatures = [
        line("secondary_supply_temp_c", color=WARM),
        Line(_("Curve target ℃"), found.target, dash="dashed", width=1.4, color=GREY),
        line("secondary_return_temp_c", color=COOL),
        line("outdoor_temp_c", 1, AIR),
    ]
    flows = [line("secondary_flow_m3h"), line("primary_flow_m3h"), line("makeup_flow_m3h", 1)]
    pressures = [replace(line(name), name=_(label)) for name, label in PRESSURES.items()]
    return [
        trend_chart(temperatures, [Axis(10.0), Axis(10.0)], span, now.moments, spelt),
        trend_chart(flows, [Axis(5.0), Axis(1.0)], span, now.moments),
        trend_chart(pressures, [Axis(0.1)], span, now.moments),
    ]


def more() -> None:
    now, station_id = screen(), st.session_state["station"]
    town = now.town

    def values() -> dict[str, object]:
        found = homes(town, station_id)
        subjects = [f"station/{station_id}", *(f"building/{home.building.building_id}" for home in found)]
        points, ill = wanted_points(town, WantedPoints("not_good", "station", f"station/{station_id}/"))
        return {
            "homes": [(home, room_grid(town, home.building.building_id)) for home in found],
            "changes": [Change(one, subject(town, one.subject)) for one in about(town, subjects)],
            "sources": sources_of(town, station_id),
            "points": points[:WORST_POINTS],
            "ill": ill,
            "station_id": station_id,
        }

    go(panel(now.shared_html("station_more.html", station_id, values), key="more").open)


if choose("station", screen().say("Station"), list(running.town.site.stations), written):
    live(state)
    st.segmented_control(
        screen().say("Span"),
        list(HOURS),
        format_func=lambda hours: screen().say(HOURS[hours]),
        default=24,
        key="hours",
        required=True,
        label_visibility="collapsed",
    )
    live(trends, every_s=CHART_S if st.session_state["hours"] <= RAW_HOURS else LONG_CHART_S)
    live(more)

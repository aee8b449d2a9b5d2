"""换热站: one station in full."""

from typing import Final

import streamlit as st

from dashboard.charts import Axis, Line, trend_chart
from dashboard.facts.events import about
from dashboard.facts.station import StationTrends, all_values, homes, schematic_values, station_trends
from dashboard.facts.stations import station_states
from dashboard.facts.subjects import subject
from dashboard.facts.trend import Trend
from dashboard.facts.wall import Change
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, screen
from domain.quantity import quantity

HOURS: Final = {6: "6 h", 24: "24 h", 48: "48 h", 168: "7 d"}
CHART_S: Final = 10.0


def choose() -> str | None:
    now = screen()
    stations = now.town.site.stations
    return st.selectbox(
        now.say("Station"),
        list(stations),
        format_func=lambda station_id: f"{stations[station_id].name or station_id}  {station_id}",
        key="station",
        bind="query-params",
        label_visibility="collapsed",
    )


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
    charts = now.town.shared.of(
        ("charts", now.say.language, st.session_state["station"], hours), lambda: _charts(now, found), life_s=CHART_S / 2
    )
    with left:
        st.echarts_chart(charts[0], height=380, key="temperatures")
    with right:
        st.echarts_chart(charts[1], height=182, key="flows")
        st.echarts_chart(charts[2], height=182, key="pressures")


def _charts(now: Screen, found: StationTrends) -> list[dict[str, object]]:
    _ = now.say

    def line(name: str, axis: int = 0) -> Line:
        what = quantity(name)
        return Line(_.pick(what.zh, what.en), found.lines.get(name, Trend.empty()), axis, decimals=what.decimals)

    span = (found.from_ms, found.to_ms)
    temperatures = [
        line("secondary_supply_temp_c"),
        line("secondary_return_temp_c"),
        Line(_("Curve target"), found.target, dash="dashed", width=1.4),
        line("outdoor_temp_c", 1),
    ]
    flows = [line("secondary_flow_m3h"), line("primary_flow_m3h"), line("makeup_flow_m3h", 1)]
    pressures = [
        line(f"{side}_{end}_pressure_mpa") for side in ("secondary", "primary") for end in ("supply", "return")
    ]
    return [
        trend_chart(temperatures, [Axis("℃", 10.0), Axis("℃", 10.0)], span, now.moments),
        trend_chart(flows, [Axis("m³/h", 5.0), Axis("m³/h", 1.0)], span, now.moments),
        trend_chart(pressures, [Axis("MPa", 0.1)], span, now.moments),
    ]


def more() -> None:
    now, station_id = screen(), st.session_state["station"]
    town = now.town

    def values() -> dict[str, object]:
        found = homes(town, station_id)
        subjects = [f"station/{station_id}", *(f"building/{home.building.building_id}" for home in found)]
        return {"homes": found, "changes": [Change(one, subject(town, one.subject)) for one in about(town, subjects)]}

    go(panel(now.shared_html("station_more.html", station_id, values), key="more").open)


if choose():
    live(state)
    st.segmented_control(
        screen().say("Span"), list(HOURS), format_func=HOURS.__getitem__, default=24, key="hours", required=True, label_visibility="collapsed"
    )
    live(trends, every_s=CHART_S)
    live(more)

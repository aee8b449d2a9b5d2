"""楼栋: the rooms of a building as floors × flats, and one room in detail."""

import streamlit as st

from dashboard.charts import GREY, WARM, Axis, Line, trend_chart
from dashboard.facts.building import RoomTrend, room_grid, room_trend, worst_room
from dashboard.facts.rooms import room_states
from dashboard.facts.stations import station_states
from dashboard.facts.subjects import building_name, room_label
from dashboard.facts.town import Town
from dashboard.facts.values import room_is_stale
from dashboard.panel import panel
from dashboard.running import running
from dashboard.screen import Screen, choose, go, live, screen

CHART_S = 10.0
FEW_COLUMNS = 5


def written(building_id: str) -> str:
    building = running.town.site.buildings[building_id]
    return " · ".join(part for part in (building_name(building), building.street, building_id) if part)


def chosen_room(town: Town) -> str:
    building_id = st.session_state["building"]
    room = town.site.rooms.get(st.query_params.get("room", ""))
    return room.room_id if room is not None and room.building_id == building_id else worst_room(town, building_id)


def grid() -> None:
    now = screen()
    building_id, room_id = st.session_state["building"], chosen_room(now.town)
    building = now.town.site.buildings[building_id]

    def values() -> dict[str, object]:
        station = station_states(now.town).get(building.station_id or "")
        return {"building": building, "station": station, "grid": room_grid(now.town, building_id), "chosen": room_id}

    go(panel(now.shared_html("building.html", (building_id, room_id), values), key="grid").open)


def room() -> None:
    now = screen()
    room_id = chosen_room(now.town)
    if not room_id:
        return
    site_room = now.town.site.rooms[room_id]

    def values() -> dict[str, object]:
        state = room_states(now.town, [room_id])[room_id]
        return {"room": site_room, "label": room_label(site_room), "state": state, "stale": room_is_stale(now.town, state.measured_at)}

    panel(now.shared_html("room.html", room_id, values), key="room")


def trend() -> None:
    now = screen()
    room_id = chosen_room(now.town)
    if room_id:
        found = room_trend(now.town, room_id)
        spec = now.town.shared.of(("room_chart", now.say.language, room_id), lambda: chart(now, found), life_s=CHART_S / 2)
        st.echarts_chart(spec, height=300, key="room_trend")


def chart(now: Screen, found: RoomTrend) -> dict[str, object]:
    _ = now.say
    lines = [
        Line(_("Room ℃"), found.value, color=WARM),
        Line(_("Limit ℃"), found.limit, dash="dashed", step=True, width=1.4, color=GREY),
    ]
    return trend_chart(lines, [Axis(4.0)], (found.from_ms, found.to_ms), now.moments)


if choose("building", screen().say("Building"), list(running.town.site.buildings), written):
    wide = len(room_grid(running.town, st.session_state["building"]).columns) > FEW_COLUMNS
    left, right = st.columns([3, 2] if wide else [2, 3], gap="small")
    with left:
        live(grid)
    with right:
        live(room)
        live(trend, every_s=CHART_S)

"""水力平衡: buildings and risers by their distance from the station's mean, return temperatures, the exchanger's signature."""

from typing import Final

import numpy as np
import streamlit as st

from compliance.exchanger import Signature
from dashboard.charts import GREY, WARM, Dots, scatter_chart
from dashboard.facts.balance import EXCHANGER_DAYS, exchanger, station_balance, town_water
from dashboard.facts.subjects import building_name, subject
from dashboard.panel import panel
from dashboard.running import running
from dashboard.screen import Screen, choose, go, live, screen
from dashboard.text import N_

DAYS: Final = {3: N_("3 d"), 7: N_("7 d"), 14: N_("14 d"), 30: N_("30 d")}
ORDERS: Final = {"return": N_("Warmest return"), "spread": N_("Smallest ΔT"), "approach": N_("Greatest approach")}
RISERS_SHOWN: Final = 16
SLOW_S: Final = 60.0
QUICK_S: Final = 10.0


def written(station_id: str) -> str:
    return f"{running.town.site.stations[station_id].name or station_id} · {station_id}"


def shares() -> None:
    now, station_id = screen(), st.session_state["station"]
    town, days = now.town, int(st.session_state["days"])

    def values() -> dict[str, object]:
        found = station_balance(town, station_id, days)
        names = {building_id: building_name(building) for building_id, building in town.site.buildings.items()}
        risers = sorted(found.risers, key=lambda one: -abs(one.deviation_k))[:RISERS_SHOWN]
        return {"buildings": found.buildings, "risers": sorted(risers, key=lambda one: one.deviation_k), "names": names, "days": days}

    go(panel(now.shared_html("balance.html", (station_id, days), values), key="balance").open)


def heat_exchanger() -> None:
    now, station_id = screen(), st.session_state["station"]
    found = exchanger(now.town, station_id)
    panel(now.html("balance_exchanger.html", found=found, days=EXCHANGER_DAYS), key="exchanger")
    if len(found.load_gjh):
        st.echarts_chart(_chart(now, found), height=300, key="approach")


def _chart(now: Screen, found: Signature) -> dict[str, object]:
    _ = now.say
    earlier, recent = ~found.recent, found.recent
    dots = [
        Dots(_("Earlier days"), found.load_gjh[earlier], found.approach_k[earlier], GREY, size=7),
        Dots(_("Last week"), found.load_gjh[recent], found.approach_k[recent], WARM, size=9),
    ]
    if np.count_nonzero(earlier) >= 2 and np.ptp(found.load_gjh[earlier]) > 0:
        slope, offset = np.polyfit(found.load_gjh[earlier], found.approach_k[earlier], 1).tolist()
        ends = np.array([found.load_gjh[earlier].min(), found.load_gjh[earlier].max()])
        dots.append(Dots(_("As it was"), ends, offset + slope * ends, GREY, joined=True, dash="dashed"))
    return scatter_chart(dots, _("Load GJ/h"), _("Primary − secondary return K"))


def stations() -> None:
    now = screen()
    order = st.session_state["order"]

    def values() -> dict[str, object]:
        return {"rows": [{"water": row, "subject": subject(now.town, f"station/{row.station_id}")} for row in town_water(now.town, order)]}

    go(panel(now.shared_html("balance_stations.html", order, values), key="stations").open)


def choices(key: str, names: dict[int, str] | dict[str, str], begin: object) -> None:
    """A choice among a few, which is kept."""
    st.session_state.setdefault(key, begin)
    st.segmented_control(
        key, list(names), format_func=lambda one: screen().say(names[one]), key=key, required=True, label_visibility="collapsed"
    )


with st.container(horizontal=True, vertical_alignment="center", gap="small", key="balance_of"):
    station = choose("station", screen().say("Station"), list(running.town.site.stations), written)
    if station:
        choices("days", DAYS, 7)
if station:
    left, right = st.columns([3, 2], gap="small")
    with left:
        live(shares, every_s=SLOW_S)
    with right:
        live(heat_exchanger, every_s=SLOW_S)
choices("order", ORDERS, "return")
live(stations, every_s=QUICK_S)

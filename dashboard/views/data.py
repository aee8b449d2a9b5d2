"""数据质量: every source and every point with the age of its last good value, and what keeps the readings."""

from typing import Final

import streamlit as st

from dashboard.facts.keeping import disk, keeping
from dashboard.facts.point_states import PAGE, POINT_STATES, WantedPoints, point_states, wanted_points
from dashboard.facts.sources import SOURCE_STATES, SourceRow, source_rows
from dashboard.facts.subjects import subject
from dashboard.facts.unknown_sensors import unknown_sensors
from dashboard.healthz import components
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, page_of, screen
from dashboard.text import N_
from dashboard.words import POINT_STATE, SOURCE_STATE

EVERY_S: Final = 5.0

SECTIONS: Final = {"sources": N_("Sources"), "points": N_("Points"), "unknown": N_("Unknown sensors")}
KINDS: Final = {"": N_("Stations and rooms"), "station": N_("Stations"), "room": N_("Rooms")}


def overview() -> None:
    now = screen()
    town = now.town

    def values() -> dict[str, object]:
        states = [row.state for row in source_rows(town)]
        return {
            "components": [one for one in components(town) if one.name != "dashboard"],
            "sources": {state: states.count(state) for state in SOURCE_STATES},
            "points": point_states(town).counts,
            "keeping": keeping(town),
            "disk": disk(town),
            "unknown": unknown_sensors(town),
        }

    panel(now.shared_html("data.html", "", values), key="overview")


def arrive() -> None:
    """Takes what the page's address asks for, once: a link from a station names the points it means."""
    for name in ("section", "sought"):
        asked = st.query_params.get(name)
        if asked and (name != "section" or asked in SECTIONS):
            st.session_state[name] = asked
    st.query_params.clear()


def filters() -> None:
    now = screen()
    _ = now.say
    st.session_state.setdefault("section", "sources")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        section = st.segmented_control(
            _("Show"), list(SECTIONS), format_func=lambda key: _(SECTIONS[key]), required=True, key="section", label_visibility="collapsed",
        )  # fmt: skip
        if section == "unknown":
            return
        words = {state: word.message for state, word in (SOURCE_STATE if section == "sources" else POINT_STATE).items()}
        names = {"not_good": N_("All but good ones"), "": N_("All"), **words}
        st.selectbox(
            _("State"), list(names), format_func=lambda key: _(names[key]), key=f"{section}_state", label_visibility="collapsed", width=220
        )
        if section == "points":
            st.selectbox(_("Kind"), list(KINDS), format_func=lambda key: _(KINDS[key]), key="kind", label_visibility="collapsed", width=200)
        hint = _("Station, source or address") if section == "sources" else _("Station, room or quantity")
        st.text_input(_("Search"), placeholder=hint, key="sought", label_visibility="collapsed", max_chars=100, width=320)


def listing() -> None:
    show = {"sources": sources, "points": points, "unknown": unknown}
    show[st.session_state["section"]](screen())


def sources(now: Screen) -> None:
    state, text = st.session_state["sources_state"], st.session_state["sought"]
    found = [row for row in source_rows(now.town) if wanted_source(now, row, state, text.casefold())]
    page = page_of(len(found), PAGE, key=f"sources_page-{state}-{text}")

    def values() -> dict[str, object]:
        shown = found[(page - 1) * PAGE : page * PAGE]
        rows = [{"source": row, "subject": subject(now.town, f"station/{row.station_id}")} for row in shown]
        return {"rows": rows, "found": len(found), "state": state, "sought": text}

    go(panel(now.shared_html("data_sources.html", (state, text, page), values), key="sources").open)


def wanted_source(now: Screen, row: SourceRow, state: str, sought: str) -> bool:
    """Whether a source is in this state and speaks of what is sought."""
    if row.state == "good" if state == "not_good" else state and row.state != state:
        return False
    station = now.town.site.stations.get(row.station_id)
    texts = (row.source_id, row.address, row.station_id, station.name if station else "")
    return not sought or any(sought in text.casefold() for text in texts)


def points(now: Screen) -> None:
    state, kind, text = (st.session_state[key] for key in ("points_state", "kind", "sought"))
    page = page_of(wanted_points(now.town, WantedPoints(state, kind, text))[1], PAGE, key=f"points_page-{state}-{kind}-{text}")
    wanted = WantedPoints(state, kind, text, page)

    def values() -> dict[str, object]:
        found, count = wanted_points(now.town, wanted)
        rows = [{"point": row, "subject": subject(now.town, row.name.rpartition("/")[0])} for row in found]
        return {"rows": rows, "found": count, "states": POINT_STATES}

    go(panel(now.shared_html("data_points.html", wanted, values), key="points").open)


def unknown(now: Screen) -> None:
    panel(now.shared_html("data_unknown.html", "", lambda: {"unknown": unknown_sensors(now.town)}), key="unknown")


arrive()
live(overview, every_s=EVERY_S)
filters()
live(listing, every_s=EVERY_S)

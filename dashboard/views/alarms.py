"""报警: the list, one alarm with its evidence, what is out of service, and how the alarms themselves do."""

import streamlit as st

from dashboard.alarms import listed, one, system
from dashboard.screen import live, screen
from dashboard.text import N_

PARTS = {"alarms": N_("Alarms"), "out": N_("Out of service"), "system": N_("Figures by ISA-18.2")}

_ = screen().say
with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="alarms_head"):
    live(listed.head)
    part = st.segmented_control(
        _("Part"), list(PARTS), format_func=lambda key: _(PARTS[key]), default="alarms", required=True, key="part",
        label_visibility="collapsed",
    )  # fmt: skip
if part == "system":
    system.period()
    live(system.system, every_s=10.0)
elif part == "out":
    live(listed.out_of_service)
elif "alarm" in st.query_params:
    listed.filters()
    with st.container(key="alarm_split"):
        left, right = st.columns([1, 1], gap="small")
        with left:
            live(listed.table)
        with right:
            live(one.detail)
            live(one.evidence, every_s=one.CHART_S)
            live(one.journal)
else:
    listed.filters()
    live(listed.table)

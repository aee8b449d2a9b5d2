"""The alarm system by the targets of ISA-18.2: rates, floods, chattering, stale, the most frequent."""

from typing import Final

import streamlit as st

from dashboard.facts.alarm_system import alarm_system
from dashboard.facts.subjects import subject
from dashboard.panel import panel
from dashboard.screen import go, screen
from dashboard.words import ALARM_FIGURE

DAYS: Final = (1, 7, 30)


def period() -> None:
    """Over how many days."""
    _ = screen().say
    written = {days: _.plural("{n} day", "{n} days", days) for days in DAYS}
    label = _("Period")
    st.segmented_control(
        label, DAYS, format_func=written.__getitem__, default=7, required=True, key="system_days", label_visibility="collapsed"
    )


def system() -> None:
    """The figures beside their targets, and which alarms they come from."""
    now = screen()
    days = int(st.session_state["system_days"])

    def values() -> dict[str, object]:
        found = alarm_system(now.town, days)
        subjects = {one.subject for one in (*found.chattering, *found.frequent)} | {one.subject for one in found.stale}
        names = {text: subject(now.town, text) for text in subjects}
        return {"system": found, "names": names, "figure_word": ALARM_FIGURE, "highest": max(found.bars, default=0)}

    go(panel(now.shared_html("alarm_system.html", days, values), key="alarm_system").open)

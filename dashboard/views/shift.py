"""交接班: who is on duty, what is left open for the next shift, and what was noted."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard.actions.acting import COMMENT_MOST, RefusedError
from dashboard.actions.shift import hand_over, point_done, take_over, write_down
from dashboard.facts.shift import shift_log, standing
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, refuse, screen

EVERY_S: Final = 5.0
SHIFTS_SHOWN: Final = 12


def now_on_duty() -> None:
    now = screen()
    may = now.account.may("keep_shift")

    def values() -> dict[str, object]:
        return {"log": shift_log(now.town), "standing": standing(now.town), "may": may}

    done = panel(now.shared_html("shift.html", may, values), key="shift")
    go(done.open)
    if may and shift_log(now.town).open_points:
        points_done(now, [int(one) for one in done.picked if one.isdecimal()])


def points_done(now: Screen, picked: list[int]) -> None:
    """Says that the ticked points are done, with what was done about them."""
    _ = now.say
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="points_done"):
        text = st.text_input(_("What was done"), placeholder=_("What was done"), key="done_text", label_visibility="collapsed", width=320)
        label = _.plural("{n} point is done", "{n} points are done", len(picked)) if picked else _("Tick points that are done")
        if st.button(label, disabled=not picked, key="done_button"):
            town = now.town
            act(now, lambda: [point_done(town.records, now.account, one, text, now.now_ms) for one in picked])


def writing() -> None:
    """Entry, hand-over, take-over: not within what refreshes, so that nothing typed is lost."""
    now = screen()
    if not now.account.may("keep_shift"):
        return
    _, town, log = now.say, now.town, shift_log(now.town)
    left, right = st.columns([3, 2], gap="small")
    with left, st.form("entry", border=True, clear_on_submit=True):
        text = st.text_area(_("Entry"), max_chars=COMMENT_MOST, height=90, key="entry_text")
        with st.container(horizontal=True, gap="small"):
            noted = st.form_submit_button(_("Note it"), type="primary")
            left_open = st.form_submit_button(_("Leave it open for the next shift"))
    if noted or left_open:
        act(now, lambda: write_down(town.records, now.account, text, now.now_ms, stays_open=left_open))
    with right:
        if log.who == now.account.name and log.waiting is None:
            with st.form("hand_over", border=True):
                summary = st.text_area(_("Summary for the next shift"), max_chars=COMMENT_MOST, height=90, key="summary")
                if st.form_submit_button(_("Hand over the shift")):
                    act(now, lambda: hand_over(town.records, now.account, summary, standing(town), now.now_ms))
        else:
            with st.container(border=True, gap="small"):
                panel(now.html("hint.html", text=_("Entries stand under whoever is on duty.")), key="take_over_hint")
                if st.button(_("Take over, with the open points"), type="primary", key="take_over"):
                    act(now, lambda: take_over(town.records, now.account, now.now_ms))


def act(now: Screen, work: Callable[[], object]) -> None:
    """Does it and shows the log anew, or says why it is not done."""
    try:
        work()
    except RefusedError as refused:
        refuse(now.say(refused.why))
        return
    now.town.shared.forget()
    st.rerun()


def earlier() -> None:
    now = screen()

    def values() -> dict[str, object]:
        log = shift_log(now.town)
        return {"shifts": log.shifts[:SHIFTS_SHOWN], "by_id": log.by_id}

    panel(now.shared_html("shift_log.html", "", values), key="earlier")


live(now_on_duty, every_s=EVERY_S)
writing()
live(earlier, every_s=EVERY_S)

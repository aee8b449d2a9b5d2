"""The queue of complaints by the time left, and the list of those to be called back."""

from typing import Final

import streamlit as st

from dashboard.actions.complaints import record_call_back
from dashboard.desk.attempt import attempt
from dashboard.facts.desk import PAGE, QueueCounts, Wanted, areas, call_back_rows, queue_counts, queue_rows
from dashboard.facts.subjects import subject
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, page_of, screen
from dashboard.text import N_
from dashboard.words import CALL_BACK, CALL_BACK_SAYS, ORIGIN
from domain.deadlines import DUTIES

SHOW = {
    "open": N_("To do"),
    "mine": N_("Mine"),
    "overdue": N_("Overdue"),
    "call_back": N_("Call-backs"),
    "over": N_("Over"),
}
NO_DUTY = ("water_loss_handled",)  # owed to nobody who complained


def queue() -> None:
    """The whole page."""
    now = screen()
    live(counts)
    filters(now)
    if st.session_state["show"] == "call_back":
        live(call_backs)
    else:
        live(table)


def counts() -> None:
    now = screen()
    me = now.account.name
    found: QueueCounts = queue_counts(now.town, me)
    go(panel(now.html("queue_counts.html", counts=found, may=now.account.may("open_complaint")), key="counts").open)


def filters(now: Screen) -> None:
    _, stations = now.say, now.town.site.stations
    places = areas(now.town)

    def place(one: str) -> str:
        kind, _slash, name = one.partition("/")
        return name if kind == "district" else (stations[name].name or name) if name else _("All areas")

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        hidden: Final = "collapsed"
        st.segmented_control(
            _("Show"), list(SHOW), format_func=lambda key: _(SHOW[key]), default="open", required=True, key="show", label_visibility=hidden
        )
        if st.session_state["show"] == "call_back":
            return
        st.selectbox(
            _("Duty"), ["", *(duty for duty in DUTIES if duty not in NO_DUTY)],
            format_func=lambda duty: _.pick(*DUTIES[duty]) if duty else _("All duties"), key="duty", width=250, label_visibility=hidden,
        )  # fmt: skip
        st.selectbox(_("Area"), ["", *places], format_func=place, key="area", width=190, label_visibility=hidden)
        st.selectbox(
            _("Origin"), ["", *ORIGIN],
            format_func=lambda one: _(ORIGIN[one]) if one else _("All origins"), key="origin", width=150, label_visibility=hidden,
        )  # fmt: skip


def table() -> None:
    now = screen()
    state = st.session_state
    wanted = Wanted(state["show"], state["duty"], state["area"], state["origin"])
    me = now.account.name
    page = page_of(len(queue_rows(now.town, wanted, me)), PAGE, key="queue_page")

    def values() -> dict[str, object]:
        rows = queue_rows(now.town, wanted, me)[(page - 1) * PAGE : page * PAGE]
        return {"rows": [{"row": row, "subject": subject(now.town, row.complaint.subject)} for row in rows], "show": wanted.show}

    go(panel(now.shared_html("queue.html", (wanted, page, me if wanted.show == "mine" else ""), values), key="queue").open)


def call_backs() -> None:
    """Who is to be called, who was, when, and what they said; a ticked one is written down with one button."""
    now = screen()
    may = now.account.may("move_complaint")
    controls = st.container(key="calling")

    def values() -> dict[str, object]:
        rows = [{"row": row, "subject": subject(now.town, row.complaint.subject)} for row in call_back_rows(now.town)]
        return {"rows": rows, "may": may}

    done = panel(now.shared_html("call_backs.html", may, values), key="call_backs")
    if may:
        with controls:
            calling(now, done.picked)
    go(done.open)


def calling(now: Screen, picked: list[str]) -> None:
    _ = now.say
    rows = {str(row.complaint.id): row.complaint for row in call_back_rows(now.town)}
    chosen = rows.get(picked[0]) if len(picked) == 1 else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        remark = st.text_input(
            _("What was said"), placeholder=_("What was said"), key="remark", label_visibility="collapsed", max_chars=500, width=420
        )
        pressed = [key for key, label in CALL_BACK.items() if st.button(_(label), key=f"call-{key}", disabled=chosen is None)]
        if chosen is None:
            panel(now.html("hint.html", text=_("Tick the one you called.")), key="calling_hint")
    if pressed and chosen is not None:
        says = CALL_BACK_SAYS[pressed[0]]
        done = attempt(
            now,
            lambda: record_call_back(now.town.records, now.account, chosen.id, chosen.state, says, remark, now.now_ms),
            _("The call is written down."),
        )
        if done:
            st.rerun(scope="fragment")

"""The list: filters, one page of rows, and what is done with those that are ticked."""

from dataclasses import replace

import streamlit as st

from dashboard.alarms.acts import acknowledge, back_in_service, comment_field, round_of_acts, shelve, shelve_hours
from dashboard.facts.alarm_system import flood_now
from dashboard.facts.alarms import PAGE, AlarmRow, Wanted, alarm_counts, alarm_rows, alarms_found, out_of_service_rows
from dashboard.facts.subjects import subject
from dashboard.panel import panel
from dashboard.screen import Screen, go, page_of, screen
from dashboard.text import N_
from dashboard.words import ALARM_KIND, SUPPRESSED

ONLY = {"open": N_("Open"), "unacknowledged": N_("Unacknowledged"), "shelved": N_("Shelved"), "all": N_("All")}


def head() -> None:
    """How many there are; a flood is told as such."""
    now = screen()
    values = {"counts": alarm_counts(now.town), "flood": flood_now(now.town)}
    panel(now.html("alarm_counts.html", **values), key="counts")


def filters() -> None:
    """What of the alarms to show."""
    now = screen()
    _, stations = now.say, now.town.site.stations
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        st.segmented_control(
            _("Show"), list(ONLY), format_func=lambda key: _(ONLY[key]), default="open", required=True, key="only",
            label_visibility="collapsed",
        )  # fmt: skip
        st.selectbox(
            _("Kind"), ["", *ALARM_KIND], format_func=lambda kind: _(ALARM_KIND[kind]) if kind else _("All kinds"), key="kind",
            label_visibility="collapsed", width=200,
        )  # fmt: skip
        st.selectbox(
            _("Station"), ["", *stations], format_func=lambda one: stations[one].name or one if one else _("All stations"),
            key="of_station", label_visibility="collapsed", width=220,
        )  # fmt: skip
        label = _("Name, street or number")
        st.text_input(label, placeholder=label, key="named", label_visibility="collapsed", max_chars=80, width=220)


def table() -> None:
    """One page of the alarms wanted. Ticks of the rows are kept while it refreshes."""
    now = screen()
    may, chosen = now.account.may("acknowledge"), st.query_params.get("alarm", "")
    controls, body = st.container(key="acknowledge"), st.container()
    state = st.session_state
    wanted = Wanted(state["only"], state["kind"], state["of_station"], state["named"])
    wanted = replace(wanted, page=page_of(alarms_found(now.town, wanted), PAGE, key="page"))

    def values() -> dict[str, object]:
        rows = [row_of(now, alarm) for alarm in alarm_rows(now.town, wanted)]
        return {"rows": rows, "may": may, "chosen": chosen, "found": alarms_found(now.town, wanted)}

    with body:
        done = panel(now.shared_html("alarms.html", (wanted, may, chosen), values), key="alarms", forget=round_of_acts())
    picked = [int(one) for one in done.picked if one.isdecimal()]
    if may and (picked or not chosen):  # beside one alarm, with fields of its own, these would only be in the way
        with controls:
            _act_on(now, picked)
    go(done.open)


def row_of(now: Screen, alarm: AlarmRow) -> dict[str, object]:
    """What a template needs of one alarm."""
    by = (alarm.by_design or "").partition("/")[0].partition(":")[0]
    return {"alarm": alarm, "subject": subject(now.town, alarm.subject), "suppressed": now.say(SUPPRESSED.get(by, by))}


def _act_on(now: Screen, picked: list[int]) -> None:
    _ = now.say
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        comment = comment_field(now, "list", 360)
        label = _.plural("Acknowledge {n} alarm", "Acknowledge {n} alarms", len(picked)) if picked else _("Tick alarms to acknowledge them")
        if st.button(label, type="primary", disabled=not picked, key="acknowledge_button"):
            acknowledge(now, picked, comment)
        hours = shelve_hours(now, "list")
        if st.button(_("Shelve"), disabled=not picked, key="shelve_button"):
            shelve(now, picked, comment, hours)


def out_of_service() -> None:
    """What people took out of service, and its way back."""
    now = screen()
    may = now.account.may("acknowledge")
    controls = st.container(key="in_service")

    def values() -> dict[str, object]:
        rows = [{"out": out, "subject": subject(now.town, out.subject)} for out in out_of_service_rows(now.town)]
        return {"rows": rows, "may": may}

    done = panel(now.shared_html("out_of_service.html", may, values), key="out_of_service", forget=round_of_acts())
    if may:
        with controls:
            picked = [int(one) for one in done.picked if one.isdecimal()]
            if st.button(now.say("Back in service"), type="primary", disabled=not picked, key="back_button"):
                back_in_service(now, picked)
    go(done.open)

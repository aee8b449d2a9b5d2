"""报警: what is raised, acknowledged one by one or together."""

import streamlit as st

from dashboard.actions.acting import RefusedError
from dashboard.actions.alarms import acknowledge_alarms, shelve_alarm
from dashboard.facts.alarms import AlarmRow, Wanted, alarm_counts, alarm_rows
from dashboard.facts.subjects import subject
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, screen
from dashboard.text import N_
from dashboard.words import ALARM_KIND

ONLY = {"open": N_("Open"), "unacknowledged": N_("Unacknowledged"), "all": N_("All")}
HOUR_MS = 3_600_000
SHELVE_H = (1, 2, 4, 8, 12, 24)
SUPPRESSED = {
    "outage": N_("covered by an outage"),
    "shelved": N_("shelved"),
    "sensor": N_("sensor suspect"),
    "planned_stop": N_("planned stop"),
}


def filters() -> None:
    now = screen()
    _, stations = now.say, now.town.site.stations
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="filters"):
        st.segmented_control(
            _("Show"),
            list(ONLY),
            format_func=lambda key: _(ONLY[key]),
            default="open",
            required=True,
            key="only",
            label_visibility="collapsed",
        )
        st.selectbox(
            _("Kind"),
            ["", *ALARM_KIND],
            format_func=lambda kind: _(ALARM_KIND[kind]) if kind else _("All kinds"),
            key="kind",
            label_visibility="collapsed",
            width=220,
        )
        st.selectbox(
            _("Station"),
            ["", *stations],
            format_func=lambda one: stations[one].name or one if one else _("All stations"),
            key="of_station",
            label_visibility="collapsed",
            width=260,
        )


def table() -> None:
    now = screen()
    may = now.account.may("acknowledge")
    wanted = Wanted(st.session_state["only"], st.session_state["kind"], st.session_state["of_station"])
    controls = st.container(key="acknowledge")

    def values() -> dict[str, object]:
        return {"rows": [row_of(now, alarm) for alarm in alarm_rows(now.town, wanted)], "may": may}

    done = panel(now.shared_html("alarms.html", (wanted, may), values), key="alarms")
    with controls:
        acknowledge(now, done.picked) if may else None
    go(done.open)


def row_of(now: Screen, alarm: AlarmRow) -> dict[str, object]:
    by = (alarm.suppressed_by or "").partition("/")[0].partition(":")[0]
    return {"alarm": alarm, "subject": subject(now.town, alarm.subject), "suppressed": now.say(SUPPRESSED.get(by, by))}


def acknowledge(now: Screen, picked: list[str]) -> None:
    _ = now.say
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        comment = st.text_input(
            _("Comment"), placeholder=_("Comment"), key="comment", label_visibility="collapsed", max_chars=500, width=620
        )
        label = _.plural("Acknowledge {n} alarm", "Acknowledge {n} alarms", len(picked)) if picked else _("Tick alarms to acknowledge them")
        acknowledging = st.button(label, type="primary", disabled=not picked, key="acknowledge_button")
        written = {hours: _("for {n} h", n=hours) for hours in SHELVE_H}
        hours = st.selectbox(
            _("Shelve for"), SHELVE_H, format_func=written.__getitem__, key="shelve_h", label_visibility="collapsed", width=120
        )
        if st.button(_("Shelve"), disabled=not picked, key="shelve_button"):
            shelve(now, picked, comment, now.now_ms + hours * HOUR_MS)
    if not acknowledging:
        return
    try:
        count = acknowledge_alarms(now.town.records, now.account, [int(one) for one in picked if one.isdecimal()], comment, now.now_ms)
    except RefusedError as refused:
        st.error(_(refused.why))
        return
    now.town.shared.forget()
    st.toast(_.plural("{n} alarm acknowledged", "{n} alarms acknowledged", count))
    st.rerun(scope="fragment")


def shelve(now: Screen, picked: list[str], reason: str, until_ms: int) -> None:
    """Shelves the ticked alarms, each by itself: one that is over meanwhile holds up none of the others."""
    _ = now.say
    done, refusals = 0, dict[str, None]()
    for one in filter(str.isdecimal, picked):
        try:
            shelve_alarm(now.town.records, now.account, int(one), reason, until_ms, now.now_ms)
        except RefusedError as refused:
            refusals[refused.why] = None
        else:
            done += 1
    now.town.shared.forget()
    for why in refusals:
        st.toast(_(why), icon=":material/block:", duration="long")  # a toast outlives the refresh
    if done:
        st.toast(_.plural("{n} alarm shelved", "{n} alarms shelved", done))
        st.rerun(scope="fragment")


def figures() -> None:
    now = screen()
    counts = alarm_counts(now.town)
    panel(now.html("alarm_counts.html", counts=counts), key="figures")


live(figures)
filters()
live(table)

"""停热与通告: the outages with their clocks, and the notices they owe."""

from collections.abc import Callable
from datetime import datetime, time

import streamlit as st

from dashboard.actions.acting import RefusedError
from dashboard.actions.notices import confirm_notice
from dashboard.actions.planned_stops import call_off, plan_stop
from dashboard.facts.outages import NoticeRow, notice_due_ms, notice_rows, outage_rows
from dashboard.facts.planned import planned_rows
from dashboard.facts.subjects import subject
from dashboard.facts.town import Town
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, screen
from domain.site import PlannedStop

NOTICES_SHOWN = 20


def chosen() -> int | None:
    asked = st.query_params.get("outage", "")
    return int(asked) if asked.isdecimal() else None


def rows_of(town: Town) -> list[dict[str, object]]:
    notices = {notice.outage_id: notice for notice in notice_rows(town)}
    return [
        {"outage": row, "subject": subject(town, row.subject), "due_at": notice_due_ms(town, row), "notice": notices.get(row.id)}
        for row in outage_rows(town)
        if row.state != "erased"
    ]


def table() -> None:
    now, outage_id = screen(), chosen()

    def values() -> dict[str, object]:
        return {"rows": rows_of(now.town), "chosen": outage_id}

    go(panel(now.shared_html("outages.html", outage_id, values), key="outages").open)


def detail() -> None:
    now = screen()
    rows = outage_rows(now.town)
    asked = chosen()
    found = next((row for row in rows if row.id == asked), rows[0] if rows else None)
    if found is None:
        return
    values = {"outage": found, "subject": subject(now.town, found.subject), "due_at": notice_due_ms(now.town, found)}
    go(panel(now.shared_html("outage.html", found.id, lambda: values), key="outage").open)


def notices() -> None:
    now = screen()
    for notice in notice_rows(now.town)[:NOTICES_SHOWN]:
        with st.container(key=f"notice-{notice.id}", gap=None):
            values = {"notice": notice, "subject": subject(now.town, notice.subject)}
            panel(now.html("notice.html", **values), key=f"notice-text-{notice.id}")
            if notice.state == "due" and now.account.may("confirm_notice"):
                confirm(now, notice)


def confirm(now: Screen, notice: NoticeRow) -> None:
    _ = now.say
    if not st.button(_("Confirm and publish"), key=f"confirm-{notice.id}", type="primary"):
        return
    try:
        confirm_notice(now.town.records, now.account, notice.id, now.now_ms)
    except RefusedError as refused:
        st.error(_(refused.why))
        return
    now.town.shared.forget()
    st.toast(_("The notice is published."))
    st.rerun(scope="fragment")


def planned() -> None:
    """The planned stops to come and under way, with what is needed to register one and to call one off."""
    now = screen()
    rows = planned_rows(now.town)
    panel(now.html("planned.html", rows=rows), key="planned")
    if not now.account.may("plan_stop"):
        return
    _ = now.say
    standing = {row.id: row for row in rows if row.id is not None}
    if standing:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="call_off"):
            chosen_id = st.selectbox(
                _("Planned stop"), list(standing), label_visibility="collapsed", width=420,
                format_func=lambda one: f"{standing[one].name} {now.moments.day_time(standing[one].stop.from_ms, now.now_ms)}",
            )  # fmt: skip
            if st.button(_("Call off"), key="call_off_button"):
                act(
                    now,
                    lambda: call_off(now.town.records, now.account, int(chosen_id or 0), now.now_ms),
                    _("The planned stop is called off."),
                )


def plan() -> None:
    """The form of a new planned stop: not within what refreshes, so that nothing typed is lost."""
    now = screen()
    if not now.account.may("plan_stop"):
        return
    _, stations, zone = now.say, now.town.site.stations, now.town.site.timezone
    tomorrow = now.moments.local(now.now_ms + 86_400_000).date()
    with st.expander(_("Plan a stop")), st.form("plan", border=False):
        first, second, third, fourth, fifth = st.columns([2, 1, 1, 1, 1], gap="small")
        station_id = first.selectbox(_("Station"), list(stations), format_func=lambda one: stations[one].name or one)
        from_day = second.date_input(_("From"), tomorrow, key="from_day")
        from_time = third.time_input(_("From time"), time(8), key="from_time")
        to_day = fourth.date_input(_("To"), tomorrow, key="to_day")
        to_time = fifth.time_input(_("To time"), time(18), key="to_time")
        reason = st.text_input(_("Reason"), max_chars=500, key="plan_reason")
        if st.form_submit_button(_("Register"), type="primary"):
            from_ms, to_ms = (
                round(datetime.combine(day, clock, zone).timestamp() * 1000) for day, clock in ((from_day, from_time), (to_day, to_time))
            )
            stop = PlannedStop(str(station_id), from_ms, to_ms, reason)
            done = _("The planned stop is registered.")
            act(now, lambda: plan_stop(now.town.records, now.account, stop, now.now_ms), done)


def act(now: Screen, work: Callable[[], object], done: str) -> None:
    """Does it, and says that it is done, or why not."""
    try:
        work()
    except RefusedError as refused:
        st.error(now.say(refused.why))
        return
    now.town.shared.forget()
    st.toast(done)


left, right = st.columns([3, 2], gap="small")
with left:
    live(table)
    live(planned)
    plan()
with right:
    live(detail)
live(notices)

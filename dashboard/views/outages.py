"""停热与通告: the outages with their clocks, the notices they owe, and the planned stops."""

from datetime import datetime, time

import streamlit as st

from dashboard.actions.planned_stops import call_off, plan_stop, shorten_stop
from dashboard.facts.notices import NoticeRow, notice_deliveries, notice_rows, notice_steps
from dashboard.facts.outages import OutageRow, notice_due_ms, outage_rows
from dashboard.facts.planned import PlannedRow, planned_rows
from dashboard.facts.subjects import subject
from dashboard.facts.town import Town
from dashboard.moments import MINUTE_MS
from dashboard.notice_desk import act, notice_desk, outage_desk
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, page_of, screen
from domain.site import PlannedStop

PAGE = 20


def asked(name: str) -> int | None:
    found = st.query_params.get(name, "")
    return int(found) if found.isdecimal() else None


def chosen_outage(town: Town) -> OutageRow | None:
    """The one asked for; else that of the notice asked for or waiting for somebody, else the newest."""
    rows, notice = outage_rows(town), asked_notice(town)
    wanted = asked("outage") or (notice.outage_id if notice else None)
    return next((row for row in rows if row.id == wanted), rows[0] if rows and notice is None else None)


def chosen_notice(town: Town) -> NoticeRow | None:
    """The one asked for or waiting for somebody; else that of the outage shown beside it."""
    outage = None if (found := asked_notice(town)) else chosen_outage(town)
    return found or (next((row for row in notice_rows(town) if row.outage_id == outage.id), None) if outage else None)


def asked_notice(town: Town) -> NoticeRow | None:
    """The notice that the address names; where it names nothing, the one that waits for somebody."""
    wanted, named = asked("notice"), asked("outage") is not None
    return next((row for row in notice_rows(town) if (row.id == wanted if wanted or named else row.state == "due")), None)


def shown(town: Town) -> list[OutageRow]:
    return [row for row in outage_rows(town) if row.state != "erased"]


def table() -> None:
    now = screen()
    town, found = now.town, chosen_outage(now.town)
    outage_id = found.id if found else None
    panel(now.html("title.html", title=now.say("Outages & notices"), beside=""), key="outages_title")
    page = page_of(len(shown(town)), PAGE, key="outages_page")

    def values() -> dict[str, object]:
        notices = {notice.outage_id: notice for notice in notice_rows(town)}
        rows = [
            {"outage": row, "subject": subject(town, row.subject), "due_at": notice_due_ms(town, row), "notice": notices.get(row.id)}
            for row in shown(town)[(page - 1) * PAGE : page * PAGE]
        ]
        return {"rows": rows, "chosen": outage_id}

    go(panel(now.shared_html("outages.html", (outage_id, page), values), key="outages").open)


def detail() -> None:
    now = screen()
    found = chosen_outage(now.town)
    if found is None:
        return

    def values() -> dict[str, object]:
        published = next((row for row in notice_rows(now.town) if row.outage_id == found.id), None)
        due = {"due_at": notice_due_ms(now.town, found), "notice": published}
        return {"outage": found, "subject": subject(now.town, found.subject), **due}

    go(panel(now.shared_html("outage.html", found.id, values), key="outage").open)


def prepare() -> None:
    """What the notice of an open outage will say."""
    now = screen()
    found = chosen_outage(now.town)
    owed = found is not None and found.state == "open" and all(notice.outage_id != found.id for notice in notice_rows(now.town))
    if found is not None and owed and now.account.may("write_notice"):
        outage_desk(now, found)


def waiting(town: Town, row: NoticeRow) -> dict[str, object]:
    return {"overdue": row.waits_too_long(town), "confirm_by": row.due_at + round(town.site.review_min * MINUTE_MS)}


def notices() -> None:
    now = screen()
    found = chosen_notice(now.town)
    notice_id = found.id if found else None
    page = page_of(len(notice_rows(now.town)), PAGE, key="notices_page")

    def values() -> dict[str, object]:
        rows = notice_rows(now.town)[(page - 1) * PAGE : page * PAGE]
        listed = [{"notice": row, "subject": subject(now.town, row.subject), **waiting(now.town, row)} for row in rows]
        return {"rows": listed, "chosen": notice_id}

    go(panel(now.shared_html("notices.html", (notice_id, page), values), key="notices").open)


def notice() -> None:
    now = screen()
    row = chosen_notice(now.town)
    if row is None:
        return
    town = now.town

    def values() -> dict[str, object]:
        told = {"steps": notice_steps(town, row.id), "deliveries": notice_deliveries(town, row.id)}
        return {"notice": row, "subject": subject(town, row.subject), **waiting(town, row), **told}

    go(panel(now.shared_html("notice.html", (row.id, row.version), values), key="notice").open)


def desk() -> None:
    now = screen()
    row = chosen_notice(now.town)
    if row is not None and now.account.may("write_notice"):
        with st.container(key="notice_desk"):
            notice_desk(now, row)


def planned() -> None:
    """The planned stops to come and under way."""
    now = screen()
    go(panel(now.html("planned.html", rows=planned_rows(now.town)), key="planned").open)


def plan() -> None:
    """The forms of planned stops: not within what refreshes, so that nothing typed is lost."""
    now = screen()
    if not now.account.may("plan_stop"):
        return
    _, stations = now.say, now.town.site.stations
    tomorrow = now.moments.local(now.now_ms + 86_400_000).date()
    with st.expander(_("Plan a stop")), st.form("plan", border=False):
        left, right = st.columns([2, 3], gap="small")
        station_id = left.selectbox(_("Station"), list(stations), format_func=lambda one: stations[one].name or one)
        reason = right.text_input(_("Reason"), max_chars=500, key="plan_reason")
        first, second, third, fourth = st.columns([4, 3, 4, 3], gap="small")
        from_day = first.date_input(_("Begins on"), tomorrow, key="from_day")
        from_time = second.time_input(_("Begins at"), time(8), key="from_time")
        to_day = third.date_input(_("Ends on"), tomorrow, key="to_day")
        to_time = fourth.time_input(_("Ends at"), time(18), key="to_time")
        if st.form_submit_button(_("Register"), type="primary"):
            stop = PlannedStop(str(station_id), instant(now, from_day, from_time), instant(now, to_day, to_time), reason)
            done = _("The planned stop is registered.")
            act(now, lambda: plan_stop(now.town.records, now.account, stop, now.now_ms), done)
    standing = {row.id: row for row in planned_rows(now.town) if row.id is not None}
    if standing:
        with st.expander(_("Shorten or call off a planned stop")):
            change(now, standing)


def change(now: Screen, standing: dict[int, PlannedRow]) -> None:
    """An earlier end for a registered stop, or none of it."""
    _, records = now.say, now.town.records
    stop_id = st.selectbox(
        _("Planned stop"), list(standing), label_visibility="collapsed", width=420, key="stop",
        format_func=lambda one: f"{standing[one].name} {now.moments.day_time(standing[one].stop.from_ms, now.now_ms)}",
    )  # fmt: skip
    if stop_id is None:
        return
    end = now.moments.local(standing[stop_id].stop.to_ms)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        day = st.date_input(_("New end"), end.date(), key=f"end-day-{stop_id}", width=160)
        clock = st.time_input(_("New end, time"), end.time(), key=f"end-time-{stop_id}", width=140)
        if st.button(_("Shorten"), key="shorten"):
            to_ms = instant(now, day, clock)
            act(now, lambda: shorten_stop(records, now.account, stop_id, to_ms, now.now_ms), _("The planned stop is shortened."))
        with st.popover(_("Call off")):
            st.markdown(_("Users who had a notice of it are told at once."))
            if st.button(_("Call this stop off"), type="primary", key="call_off_stop"):
                act(now, lambda: call_off(records, now.account, stop_id, now.now_ms), _("The planned stop is called off."))


def instant(now: Screen, day: object, clock: time) -> int:
    return round(datetime.combine(day, clock, now.town.site.timezone).timestamp() * 1000)  # type: ignore[arg-type]


# Lists on the left, the one chosen on the right; on a phone the one asked for comes first (``dispatch.css``).
asked_for = "outages_asked" if {"outage", "notice"} & set(st.query_params) else "outages_split"
with st.container(key=asked_for):
    left, right = st.columns(2, gap="small")
with left:
    live(table)
    live(notices)
    live(planned)
    plan()
with right:
    live(detail)
    prepare()
    live(notice)
    desk()

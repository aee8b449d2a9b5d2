"""停热与通告: the outages with their clocks, and the notices they owe."""

import streamlit as st

from dashboard.actions.acting import RefusedError
from dashboard.actions.notices import confirm_notice
from dashboard.facts.outages import NoticeRow, notice_due_ms, notice_rows, outage_rows
from dashboard.facts.subjects import subject
from dashboard.facts.town import Town
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, screen

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


left, right = st.columns([3, 2], gap="small")
with left:
    live(table)
with right:
    live(detail)
live(notices)

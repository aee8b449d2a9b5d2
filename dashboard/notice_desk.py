"""What a dispatcher does with a notice on the page: words, publication, end. Not within what refreshes: nothing typed is lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import streamlit as st

from compliance.notice_text import Facts, Said, closing_word, outage_texts, reworded
from dashboard.actions.acting import RefusedError
from dashboard.actions.notices import WORDS_MOST, amend_notice, close_notice, edit_notice, endings, prepare_notice, publish_notice
from dashboard.facts.notices import NoticeRow
from dashboard.facts.outages import OutageRow
from dashboard.panel import panel
from dashboard.screen import Screen, refuse, tell
from dashboard.text import N_

PARTS = {"cause": N_("Cause"), "measures": N_("Measures"), "remark": N_("Remark")}


def act(now: Screen, work: Callable[[], object], done: str) -> None:
    """Does it, and shows the page anew with the word that it is done; says why where it is not."""
    try:
        work()
    except RefusedError as refused:
        refuse(now.say(refused.why))
        return
    now.town.shared.forget()
    tell(done)
    st.rerun()


def notice_desk(now: Screen, row: NoticeRow) -> None:
    """The buttons and forms that fit the notice's state."""
    _, records, site = now.say, now.town.records, now.town.site
    key = f"{row.id}-{row.version}"  # another version begins with fresh forms
    if row.state == "due" and st.button(_("Confirm and publish"), key=f"publish-{key}", type="primary"):
        act(now, lambda: publish_notice(records, now.account, row.id, row.version, now.now_ms), _("The notice is published."))
    if row.state == "due":
        with st.expander(_("Edit the words")):
            said = words_form(now, f"edit-{key}", Said.of(row.said), _("Save"), lambda said: _reworded(now, row, said))
            if said is not None:
                work = lambda: edit_notice(records, now.account, site, row.id, row.version, said, now.now_ms)  # noqa: E731
                act(now, work, _("The words are saved."))
    elif row.state in ("published", "amended"):
        with st.expander(_("Amend: cause, measures, expected restoration")):
            said = words_form(now, f"amend-{key}", Said.of(row.said), _("Publish the amendment"), lambda said: _reworded(now, row, said))
            if said is not None:
                work = lambda: amend_notice(records, now.account, site, row.id, row.version, said, "", now.now_ms)  # noqa: E731
                act(now, work, _("The amendment is published."))
    ways = endings(row.outage_id is not None, row.state)
    if ways:
        with st.expander(_("Withdraw") if row.state == "due" else _("Close or withdraw")):
            _closing(now, row, ways, f"close-{key}")


def _closing(now: Screen, row: NoticeRow, ways: tuple[str, ...], key: str) -> None:
    _, town = now.say, now.town
    with st.form(key, border=False):
        closing = st.radio(_("Users are told"), ways, format_func=lambda one: _.pick(*closing_word(town.site, one)), horizontal=True)
        why = st.text_input(_("Reason, for the records"), max_chars=WORDS_MOST)
        if st.form_submit_button(_("Close the notice")):
            work = lambda: close_notice(  # noqa: E731
                town.records, now.account, town.site, row.id, row.version, str(closing), why, now.now_ms
            )
            act(now, work, _("The notice is closed."))


def outage_desk(now: Screen, outage: OutageRow) -> None:
    """Of an open outage without a notice yet: what its notice will say when it falls due."""
    _, town = now.say, now.town
    seen = Said.of(outage.said)
    with st.expander(_("Prepare the notice")):
        facts = Facts(tuple(outage.stations), outage.started_at, outage.started_earliest, outage.cause)
        draft = lambda said: _draft(now, outage, outage_texts(town.site, facts, said))  # noqa: E731
        said = words_form(now, f"prepare-{outage.id}-{hash(seen)}", seen, _("Save"), draft)
        if said is not None:
            work = lambda: prepare_notice(town.records, now.account, outage.id, seen, said, now.now_ms)  # noqa: E731
            act(now, work, _("The notice will say so when it falls due."))


def words_form(now: Screen, key: str, kept: Said, submit: str, draft: Callable[[Said], NoticeRow]) -> Said | None:
    """The form of what a dispatcher says; what is to be stored once ``submit`` is pressed. ``draft`` is the notice for the preview."""
    _ = now.say
    with st.form(key, border=False):
        found: dict[str, Any] = {}
        for name, label in PARTS.items():
            left, right = st.columns(2, gap="small")
            for column, language in ((left, "zh"), (right, "en")):
                labelled = _("{part} (Chinese)", part=_(label)) if language == "zh" else _("{part} (English)", part=_(label))
                part = f"{name}_{language}"
                found[part] = column.text_input(labelled, getattr(kept, part), max_chars=WORDS_MOST, key=f"{part}-{key}").strip()
        before = None if kept.expected_at is None else now.moments.local(kept.expected_at)
        left, right = st.columns(2, gap="small")
        day = left.date_input(_("Heat expected back on"), before.date() if before else None, key=f"day-{key}")
        clock = right.time_input(_("at"), before.time() if before else None, key=f"time-{key}")
        with st.container(horizontal=True, gap="small"):
            preview, store = st.form_submit_button(_("Preview")), st.form_submit_button(submit, type="primary")
    if not preview and not store:
        return None
    if (day is None) != (clock is None):
        refuse(_("Say both the day and the time at which heat is expected back, or neither."))
        return None
    said = Said(**found, expected_at=_instant(now, day, clock))
    if store:
        return said
    panel(now.html("board_notice.html", notice=draft(said)), key=f"preview-{key}")
    return None


def _instant(now: Screen, day: Any, clock: time | None) -> int | None:
    if not isinstance(day, date) or clock is None:
        return None
    return round(datetime.combine(day, clock, now.town.site.timezone).timestamp() * 1000)


def _reworded(now: Screen, row: NoticeRow, said: Said) -> NoticeRow:
    """The notice as it would stand."""
    return replace(row, **reworded(now.town.site, row.subject, row.facts, said))


def _draft(now: Screen, outage: OutageRow, words: dict[str, Any]) -> NoticeRow:
    """The notice of an outage that owes none yet."""
    return NoticeRow(
        id=0, outage_id=outage.id, planned_stop=None, subject=outage.subject, state="due", due_at=now.now_ms, published_at=None,
        closed_at=None, closed_by=None, late=False, closing="", closing_zh="", closing_en="", version=0, changed_at=now.now_ms, facts={},
        said={}, **words,
    )  # fmt: skip

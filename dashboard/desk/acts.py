"""What is done with a complaint (R6): each transition as one button with what it needs, and the deeds beside them."""

from collections.abc import Callable, Mapping

import streamlit as st

from compliance.complaint_life import CAUSES, DEEDS, NEEDS_REASON, OVER, WORKED_ON, following
from dashboard.actions.complaints import (
    assign_complaint,
    attach_to_outage,
    merge_complaint,
    move_complaint,
    record_call_back,
    record_deed,
)
from dashboard.desk.attempt import attempt
from dashboard.facts.complaints import ComplaintRow, Dossier
from dashboard.facts.desk import Similar, similar_complaints
from dashboard.facts.outages import outage_rows
from dashboard.facts.people import people
from dashboard.facts.subjects import subject
from dashboard.panel import panel
from dashboard.screen import Screen
from dashboard.words import CALL_BACK, CALL_BACK_SAYS, COMPLAINT_CAUSE, COMPLAINT_STEP, DEED, name_of

FINDS = ("resolved", "rejected")  # steps that say what was found


def acts(now: Screen, found: Dossier) -> None:
    """The next steps of a complaint; what is typed stands until one is taken."""
    _, row = now.say, found.complaint
    mark = f"{row.id}-{len(found.steps)}-{len(found.deeds)}"
    with st.container(border=True, gap="small", key="acts"):
        panel(now.html("acts_title.html", complaint=row), key="acts_title")
        why = st.text_input(
            _("What was said, done or found"), placeholder=_("What was said, done or found"),
            key=f"why-{mark}", max_chars=500, label_visibility="collapsed",
        )  # fmt: skip
        done = steps(now, row, why, mark)
        if row.state != "merged":
            with st.expander(_("More")):
                done = more(now, row, why, mark) or done
    if done:
        st.rerun()


def steps(now: Screen, row: ComplaintRow, why: str, mark: str) -> bool:
    """The buttons that lead to a following state. Tells whether one was taken."""
    _ = now.say
    after = following(row.state, row.origin)
    to, cause = "", ""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        if "dispatched" in after:
            to = hands(now, row, f"to-{mark}")
        if any(state in FINDS for state in after):
            cause = st.selectbox(
                _("Cause found"), ["", *CAUSES], key=f"cause-{mark}", width=210,
                format_func=lambda one: _(name_of(COMPLAINT_CAUSE, one)) if one else _("not found out yet"),
            )  # fmt: skip
        pressed = ""
        for state in after:
            for key, label in choices(state, row.origin).items():
                if st.button(_(label), key=f"to-{key}", type="secondary" if state in NEEDS_REASON else "primary"):
                    pressed = key
    if not pressed:
        return False
    records, who, now_ms = now.town.records, now.account, now.now_ms
    if pressed in CALL_BACK:
        says = CALL_BACK_SAYS[pressed]
        return attempt(now, lambda: record_call_back(records, who, row.id, row.state, says, why, now_ms), _("The call is written down."))
    found = {"cause": cause if pressed in FINDS else "", "assignee": to if pressed == "dispatched" else ""}
    return attempt(now, lambda: move_complaint(records, who, row.id, row.state, pressed, why, now_ms, **found), "")


def choices(state: str, origin: str) -> Mapping[str, str]:
    """The buttons of one step: a call-back of a resident says how it went."""
    return CALL_BACK if state == "called_back" and origin == "resident" else {state: name_of(COMPLAINT_STEP, state)}


def hands(now: Screen, row: ComplaintRow, key: str) -> str:
    """Who is sent: somebody with an account, or any other name."""
    names = list(dict.fromkeys([*([row.assignee] if row.assignee else []), *people(now.town)]))
    label = now.say("Who goes")
    chosen = st.selectbox(label, names, index=0 if names else None, key=key, accept_new_options=True, width=210, placeholder=label)
    return str(chosen or "")


def more(now: Screen, row: ComplaintRow, why: str, mark: str) -> bool:
    """Deeds beside the states, merging, the outage it comes from, other hands. Tells whether one was done."""
    _, town = now.say, now.town
    records, who, now_ms = town.records, now.account, now.now_ms
    done = False
    deeds = [deed for deed in DEEDS if row.state in WORKED_ON or deed not in ("held", "resumed")]
    deed = pick(_("Deed"), {one: _(DEED[one]) for one in deeds}, _("Write down"), f"deed-{mark}")
    if deed:
        done = attempt(now, lambda: record_deed(records, who, row.id, deed, why, now_ms), _("It is written down."))
    if row.state not in WORKED_ON:
        return done
    others = {str(one.complaint.id): f"№ {one.complaint.id} {subject(town, one.complaint.subject).name}" for one in mergeable(now, row)}
    into = pick(_("Merge into"), others, _("Merge"), f"into-{mark}")
    if into:
        done = attempt(now, lambda: merge_complaint(records, who, row.id, row.state, int(into), why, now_ms), _("It is merged."))
    outages = {
        str(one.id): f"№ {one.id} {subject(town, one.subject).name} {now.moments.day_time(one.started_at, now_ms)}"
        for one in outage_rows(town)
        if row.outage_id is None and row.station_id in one.stations and one.state != "erased"
    }
    outage = pick(_("Comes from outage"), outages, _("Attach"), f"outage-{mark}")
    if outage:
        done = attempt(now, lambda: attach_to_outage(records, who, row.id, int(outage), why, now_ms), _("It is attached to the outage."))
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        to = hands(now, row, f"hands-{mark}")
        if st.button(_("Hand over"), key="hand_over"):
            done = attempt(now, lambda: assign_complaint(records, who, row.id, row.assignee, to, why, now_ms), _("It is handed over."))
    return done


def pick(label: str, options: Mapping[str, str], button: str, key: str) -> str:
    """A choice with its button; the option chosen when the button is pressed, else nothing. Without options there is neither."""
    if not options:
        return ""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        written: Callable[[str], str] = options.__getitem__
        chosen = st.selectbox(label, list(options), format_func=written, key=key, width=330)
        pressed = st.button(button, key=f"{key.partition('-')[0]}_button")
    return str(chosen) if pressed else ""


def mergeable(now: Screen, row: ComplaintRow) -> list[Similar]:
    """Similar complaints that are still open."""
    return [one for one in similar_complaints(now.town, row) if one.complaint.state not in OVER]

"""A resident's complaint while they are on the phone: two fields and two Enters; what is known of the home is shown at once.

type the home ─Enter─▶ heat, outage, notice, room, open complaints · type what is said ─Enter─▶ opened, with its first deadline
"""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from compliance.complaint_life import CATEGORIES, SOURCES
from compliance.service_duties import next_due
from dashboard.actions.complaints import ResidentReport, open_resident_complaint
from dashboard.desk.attempt import attempt
from dashboard.facts.complaints import dossier, evidence_now
from dashboard.facts.phone import known_of
from dashboard.facts.places import find_places
from dashboard.facts.town import Town
from dashboard.finder import finder
from dashboard.panel import panel
from dashboard.screen import Screen, go, screen, show_troubles
from dashboard.words import COMPLAINT_CATEGORY, COMPLAINT_SOURCE
from domain.errors import StoreError

TOLD_FIELD = ".st-key-report_form input[type=text]"


@dataclass(frozen=True)
class Chosen:
    """The home found for the call under way, and what was typed beyond it."""

    place: str
    rest: str


def report_in() -> None:
    """The whole page; what is typed is never lost to a refresh."""
    form()


@st.fragment
def form() -> None:
    now = screen()
    call = st.session_state.setdefault("call", 0)  # each call has fields of its own
    go(panel(now.html("report_head.html", opened=opened_before(now)), key="report_head").open)
    left, right = st.columns([1, 1], gap="small")
    with left:
        say = {"placeholder": now.say("Street, building, flat, or the number called from"), "none": now.say("No such home.")}
        found = finder(lambda typed: find_places(now.town, typed), say, key=f"finder-{call}", following=TOLD_FIELD)
        if found is not None:
            st.session_state["chosen"] = Chosen(f"{found.subject.kind}/{found.subject.subject_id}", found.rest)
            st.session_state[f"address-{call}"] = found.rest
        chosen: Chosen | None = st.session_state.get("chosen")
        if chosen is not None:
            try:
                go(panel(now.html("report_place.html", known=known_of(now.town, chosen.place), rest=chosen.rest), key="place").open)
            except StoreError:
                show_troubles()
    with right:
        if fields(now, chosen, call):
            st.session_state["call"] = call + 1
            del st.session_state["chosen"]
            st.rerun(scope="fragment")


def opened_before(now: Screen) -> dict[str, Any] | None:
    """The complaint opened last on this page, with its first deadline."""
    number = st.session_state.get("opened")
    found = dossier(now.town, number) if number is not None else None
    return None if found is None else {"complaint": found.complaint, "duty": next_due(found.duties)}


def fields(now: Screen, chosen: Chosen | None, call: int) -> bool:
    """The form. Tells whether a complaint was opened."""
    _ = now.say
    with st.container(key="report_form"), st.form("report", border=True):
        told = st.text_input(_("What is said"), key=f"told-{call}", max_chars=500)
        category = st.segmented_control(
            _("Kind"), CATEGORIES, default="low_temperature", required=True, key=f"category-{call}",
            format_func=lambda one: _(COMPLAINT_CATEGORY[one]),
        )  # fmt: skip
        first, second = st.columns(2, gap="small")
        reporter = first.text_input(_("Resident"), key=f"reporter-{call}", max_chars=100)
        contact = second.text_input(_("Telephone"), key=f"contact-{call}", max_chars=100)
        address = first.text_input(_("Flat, as far as the home found does not say it"), key=f"address-{call}", max_chars=200)
        external = second.text_input(_("Number of the hotline's slip"), key=f"external-{call}", max_chars=100)
        source = st.segmented_control(
            _("By"), SOURCES, default="phone", required=True, key=f"source-{call}", format_func=lambda one: _(COMPLAINT_SOURCE[one])
        )
        major = st.checkbox(_("A major burst"), key=f"major-{call}")
        pressed = st.form_submit_button(_("Open the complaint"), type="primary", key="open_it")
    if not pressed:
        return False
    if chosen is None:
        st.error(_("Find the home first."))
        return False
    report = ResidentReport(
        chosen.place, str(category), str(source), told, address, reporter, contact,
        "major" if major and category == "pipe_burst" else "ordinary", external.strip() or None,
    )  # fmt: skip

    def open_it() -> None:
        evidence = evidence_or_none(now.town, chosen.place)
        st.session_state["opened"] = open_resident_complaint(now.town.records, now.account, now.town.site, report, evidence, now.now_ms)

    return attempt(now, open_it, "")


def evidence_or_none(town: Town, place: str) -> dict[str, Any]:
    """The snapshot; nothing of it while the readings can't be read: a caller is never sent away for that."""
    try:
        return evidence_now(town, place)
    except StoreError:
        return {}

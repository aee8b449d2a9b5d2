"""The form of a measuring visit (R8): home, instrument with the calibration of that day, conditions, readings, signature.

home ─▶ instrument of the register ─▶ readings, conditions ─▶ signed? ─▶ filed in the chain: official, or kept and not counted
"""

import re
from datetime import date, datetime, timedelta
from typing import Any

import streamlit as st

from compliance.visit_violation import violated_limit_c
from dashboard.actions.calibrations import register_calibration
from dashboard.actions.signatures import signature_png
from dashboard.actions.visit_complaints import open_visit_complaint
from dashboard.actions.visits import file_visit
from dashboard.desk.attempt import attempt
from dashboard.facts.complaints import dossier, evidence_at
from dashboard.facts.instruments import Calibration, held_on, register
from dashboard.facts.places import find_places
from dashboard.facts.subjects import subject
from dashboard.facts.visits import PAGE, complained_of, listed_visits, visit_row, visits_found
from dashboard.finder import finder
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, page_of, screen
from dashboard.signing import signing
from domain.visit import Visit, visit_faults

LISTED_S = 5.0


def visits() -> None:
    """The whole page. Who may file none sees the records."""
    now = screen()
    if now.account.may("file_visit"):
        form()
        instruments()
    label = now.say("Name, street or number")
    st.text_input(label, placeholder=label, key="visits_of", label_visibility="collapsed", max_chars=80, width=320)
    live(records, every_s=LISTED_S)


@st.fragment
def form() -> None:
    now = screen()
    _, number = now.say, st.session_state.setdefault("visit_number", 0)  # each visit has fields of its own
    filed = st.session_state.get("visit_filed")
    panel(now.html("visit_head.html", filed=visit_row(now.town, filed) if filed else None), key="visit_head")
    if filed:
        complain(now, filed)
    kept = register(now.town)
    if not kept:
        st.warning(_("Register an instrument first: a visit names what it was measured with."))
        return
    left, right = st.columns([1, 1], gap="small")
    with left:
        place, complaint_id = where(now, number)
        local, today = now.moments.local(now.now_ms), st.columns(2, gap="small")
        day = today[0].date_input(_("Day"), local.date(), key=f"day-{number}")
        clock = today[1].time_input(_("Time"), local.time().replace(second=0, microsecond=0), key=f"time-{number}", step=300)
        means = st.columns(2, gap="small")
        who = means[0].text_input(_("Measured by"), now.account.name, max_chars=100, key=f"who-{number}")
        instrument = means[1].selectbox(_("Instrument"), list(kept), key=f"instrument-{number}")
        calibration = held_on(kept[str(instrument)], day)
        with st.container(key="visit_readings"):
            readings = st.text_input(_("Readings ℃, parted by blanks"), key=f"readings-{number}", max_chars=200)
        how = st.columns(3, gap="small")
        shut = how[0].number_input(_("Windows shut, min"), 0, 1_000, 30, 5, key=f"shut-{number}")
        height = how[1].number_input(_("Height, m"), 0.0, 3.0, 1.2, 0.1, key=f"height-{number}")
        corrects = how[2].number_input(_("Corrects record №"), 1, value=None, step=1, placeholder=_("none"), key=f"corrects-{number}")
        remark = st.text_input(_("Remark"), max_chars=500, key=f"remark-{number}")
        centre = st.checkbox(_("At the centre of the room"), value=True, key=f"centre-{number}")
    with right:
        picture = signing(now, f"signature-{number}")
        values = numbers(readings)
        at_ms = round(datetime.combine(day, clock, now.town.site.timezone).timestamp() * 1000)
        visit = Visit(
            place, at_ms, who.strip(), str(instrument), calibration.since, calibration.until, float(shut), centre,
            round(height, 2), values or (), b"signed" if picture else None, complaint_id, corrects, remark.strip(),
        )  # fmt: skip
        faults = visit_faults(visit, now.town.site.timezone)
        told = {"visit": visit, "faults": faults, "calibration": calibration, "readable": values is not None}
        panel(now.html("visit_check.html", **told), key="visit_check")
        if st.button(_("File the visit"), type="primary", key="file_visit", disabled=not values or not place):
            file_it(now, visit, picture, number)


def complain(now: Screen, visit_id: int) -> None:
    """Offers to open a complaint from the record filed just now, where that found the room too cold (R6)."""
    _, filed = now.say, visit_row(now.town, visit_id)
    limit_c = violated_limit_c(now.town.site, filed.visit) if filed and filed.visit.complaint_id is None else None
    if filed is None or limit_c is None or not now.account.may("open_complaint"):
        return
    st.warning(
        _(
            "Record № {n} is below the limit: {result} ℃ where {limit} ℃ is owed.",
            n=visit_id,
            result=f"{filed.visit.result_c:.2f}",
            limit=f"{limit_c:g}",
        )
    )
    if not st.button(_("Open a complaint from this visit"), key="visit_complaint"):
        return
    opened: list[int] = []

    def work() -> None:
        evidence = evidence_at(now.town, complained_of(now.town.site, filed.visit.room_id), filed.visit.measured_at)
        opened.append(open_visit_complaint(now.town.records, now.account, now.town.site, visit_id, evidence, now.now_ms))

    if attempt(now, work, ""):
        st.session_state.pop("visit_filed", None)
        go(f"complaints?complaint={opened[0]}")


def file_it(now: Screen, visit: Visit, picture: str, number: int) -> None:
    """Files the visit with its signature drawn anew, and makes room for the next one."""

    def work() -> None:
        signed = Visit(**visit.__dict__ | {"signature": signature_png(picture) if picture else None})
        st.session_state["visit_filed"] = file_visit(now.town.records, now.account, now.town.site, signed, now.now_ms).id

    if attempt(now, work, ""):
        st.session_state["visit_number"] = number + 1
        st.session_state.pop("visit_home", None)
        st.rerun(scope="fragment")


def where(now: Screen, number: int) -> tuple[str, int | None]:
    """The room visited, and the complaint it is for: from the address, or found by typing. A home without a sensor is BUILDING:FLAT."""
    _ = now.say
    asked = st.query_params.get("complaint", "")
    found = dossier(now.town, int(asked)) if asked.isascii() and asked.isdecimal() and len(asked) < 16 else None
    if found is not None:
        kind, _slash, name = found.complaint.subject.partition("/")
        home = f"{name}:{found.complaint.address}"[:128] if kind == "building" and found.complaint.address else name
        st.session_state.setdefault("visit_home", home)
    say = {"placeholder": _("The home measured: street, building, flat"), "none": _("No such home.")}
    place = finder(lambda typed: find_places(now.town, typed), say, key=f"visit-finder-{number}", following=".st-key-visit_readings input")
    if place is not None:
        name = place.subject.subject_id
        st.session_state["visit_home"] = f"{name}:{place.rest}"[:128] if place.subject.kind == "building" else name
    home = str(st.session_state.get("visit_home", ""))
    building, _colon, flat = home.partition(":")
    shown = subject(now.town, f"building/{building}" if building in now.town.site.buildings else f"room/{building}")
    go(panel(now.html("visit_place.html", home=home, subject=shown, flat=flat, found=found), key="visit_place").open)
    return home, found.complaint.id if found else None


def numbers(text: str) -> tuple[float, ...] | None:
    """The readings typed; None where one is no number."""
    try:
        return tuple(float(part.replace("，", ".")) for part in re.split(r"[\s;；、]+", text.strip()) if part)
    except ValueError:
        return None


@st.fragment
def instruments() -> None:
    """The register: who files visits also enters that an instrument came back from its calibration."""
    now = screen()
    _, today = now.say, now.moments.local(now.now_ms).date()
    kept = register(now.town)
    with st.expander(_("Register of instruments"), expanded=not kept):
        panel(now.html("instruments.html", rows=listed(kept, today)), key="instruments")
        with st.form("calibration", border=False, clear_on_submit=True):
            first, second, third, fourth = st.columns([2, 1, 1, 2], gap="small")
            name = first.text_input(_("Instrument (kind, number)"), max_chars=128)
            since = second.date_input(_("Calibrated on"), today)
            until = third.date_input(_("Valid until"), today + timedelta(days=365))
            certificate = fourth.text_input(_("Certificate"), max_chars=128)
            if st.form_submit_button(_("Register")) and attempt(
                now,
                lambda: register_calibration(now.town.records, now.account, name, since, until, certificate, now.now_ms),
                _("It is registered."),
            ):
                st.rerun()


def listed(kept: dict[str, list[Calibration]], today: date) -> list[dict[str, Any]]:
    """The latest calibration of each instrument, and whether it holds today."""
    return [{"one": rows[0], "holds": rows[0].since <= today <= rows[0].until} for rows in kept.values()]


def records() -> None:
    now = screen()
    text, may = st.session_state["visits_of"], now.account.may("file_visit")
    page = page_of(visits_found(now.town, text), PAGE, key=f"visits_page-{text}")

    def values() -> dict[str, object]:
        rows = listed_visits(now.town, text, page)
        return {"rows": [{"row": row, "subject": home_of(now, row.visit.room_id)} for row in rows], "may": may, "sought": text}

    go(panel(now.shared_html("visits.html", (may, text, page), values), key="records").open)


def home_of(now: Screen, room_id: str) -> str:
    """What people call the home that was measured."""
    building, colon, flat = room_id.partition(":")
    if colon:
        return f"{subject(now.town, f'building/{building}').name} {flat}"
    return subject(now.town, f"room/{room_id}").name

"""One complaint: its evidence frozen and since, what is around it, its duties, its time line, and what can be done next."""

from collections.abc import Sequence

import streamlit as st

from compliance.service_duties import DutyState, next_due
from dashboard.charts import GREY, Axis, Line, trend_chart
from dashboard.desk.acts import acts
from dashboard.facts.building import room_trend
from dashboard.facts.complaints import AttachedRoom, Dossier, dossier, used_up
from dashboard.facts.desk import similar_complaints, time_line
from dashboard.facts.evidence import Frozen, frozen_evidence
from dashboard.facts.outages import outage_rows
from dashboard.facts.rooms import building_counts, room_states
from dashboard.facts.stations import station_states
from dashboard.facts.subjects import room_label, subject
from dashboard.facts.town import Town
from dashboard.facts.values import room_is_stale
from dashboard.facts.visits import visit_rows
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, screen
from domain.deadlines import DUTIES

CHART_ROOMS = 6
CHART_S = 10.0
ROOMS_LISTED = 12


def one_complaint() -> None:
    """The whole page of the complaint that the address names."""
    live(head)
    with st.container(key="case_split"):  # on a phone what is to be done comes before the evidence (``dispatch.css``)
        left, right = st.columns([3, 2], gap="small")
    with right:  # drawn first: nobody waits for charts to press a button
        live(doing, every_s=CHART_S / 2)
        live(around)
    with left:
        live(frozen, every_s=CHART_S)
        live(since, every_s=CHART_S)
        live(story)


def asked(town: Town) -> Dossier | None:
    number = st.query_params.get("complaint", "")
    return dossier(town, int(number)) if number.isascii() and number.isdecimal() and len(number) < 16 else None


def head() -> None:
    now = screen()
    found = asked(now.town)
    may = now.account.may("move_complaint")

    def values() -> dict[str, object]:
        if found is None:
            return {"found": None}
        row = found.complaint
        return {
            "found": found,
            "subject": subject(now.town, row.subject),
            "duty": pressing(found),
            "share": used_up(pressing(found), now.now_ms),
            "may": may,
        }

    go(panel(now.shared_html("complaint_head.html", (found and found.complaint.id, may), values), key="head").open)


def pressing(found: Dossier) -> DutyState | None:
    """The duty that presses most, None when nothing is owed."""
    return next_due(found.duties)


def frozen() -> None:
    now = screen()
    found = asked(now.town)
    if found is None:
        return
    key = ("frozen", now.say.language, found.complaint.id, len(found.rooms))
    evidence = now.town.shared.of(key, lambda: frozen_evidence(now.town, found), life_s=600.0)
    panel(now.html("complaint_evidence.html", evidence=evidence), key="evidence")
    if evidence.rooms:
        spec = now.town.shared.of((*key, "chart"), lambda: frozen_chart(now, evidence), life_s=600.0)
        st.echarts_chart(spec, height=250, key="frozen_trend")


def frozen_chart(now: Screen, found: Frozen) -> dict[str, object]:
    """The snapshot's readings with the instant at which the complaint was opened."""
    lines = [Line(f"{name} ℃", trend, width=1.5) for name, trend in found.rooms.items()]
    lines.append(Line(now.say("Limit ℃"), found.limit, dash="dashed", step=True, width=1.6, color=GREY))
    return trend_chart(lines, [Axis(4.0)], (found.from_ms, found.to_ms), now.moments)


def since() -> None:
    """The rooms' last two days: what became of it."""
    now = screen()
    found = asked(now.town)
    rooms = rooms_drawn(now.town, found) if found else []
    if not rooms:
        return
    panel(now.html("chart_title.html", text=now.say("The last two days")), key="since_title")
    spec = now.town.shared.of(("complaint_chart", now.say.language, tuple(rooms)), lambda: chart(now, rooms), life_s=CHART_S / 2)
    st.echarts_chart(spec, height=230, key="complaint_trend")


def rooms_drawn(town: Town, found: Dossier) -> list[str]:
    kind, _, name = found.complaint.subject.partition("/")
    named = [*(room.room_id for room in found.rooms), *([name] if kind == "room" else [])]
    return [room_id for room_id in dict.fromkeys(named) if room_id in town.site.rooms][:CHART_ROOMS]


def chart(now: Screen, room_ids: Sequence[str]) -> dict[str, object]:
    found = {room_id: room_trend(now.town, room_id) for room_id in room_ids}
    lines = [Line(f"{room_label(now.town.site.rooms[room_id])} ℃", trend.value, width=1.3) for room_id, trend in found.items()]
    first = next(iter(found.values()))
    lines.append(Line(now.say("Limit ℃"), first.limit, dash="dashed", step=True, width=1.6, color=GREY))
    return trend_chart(lines, [Axis(4.0)], (first.from_ms, first.to_ms), now.moments)


def story() -> None:
    now = screen()
    found = asked(now.town)
    if found is None:
        return
    may = now.account.may("file_visit")

    def values() -> dict[str, object]:
        return {
            "found": found,
            "rooms": rooms_of(now.town, found.rooms[:ROOMS_LISTED]),
            "more": max(0, len(found.rooms) - ROOMS_LISTED),
            "happened": time_line(found),
            "duties": DUTIES,
            "visits": visit_rows(now.town, complaint_id=found.complaint.id),
            "may": may,
        }

    go(panel(now.shared_html("complaint_story.html", (found.complaint.id, may), values), key="story").open)


def rooms_of(town: Town, attached: Sequence[AttachedRoom]) -> list[dict[str, object]]:
    states = room_states(town, [room.room_id for room in attached])
    return [
        {
            "room": room,
            "subject": subject(town, f"room/{room.room_id}"),
            "state": states[room.room_id],
            "stale": room_is_stale(town, states[room.room_id].measured_at),
            "then_c": room.evidence.get("last_c"),
        }
        for room in attached
    ]


def doing() -> None:
    now = screen()
    found = asked(now.town)
    if found is not None and now.account.may("move_complaint"):
        acts(now, found)


def around() -> None:
    """The duties, and the station, the building, a known outage and similar complaints as they stand now."""
    now = screen()
    found = asked(now.town)
    if found is None:
        return
    town, row = now.town, found.complaint

    def values() -> dict[str, object]:
        building = town.site.buildings.get(row.building_id or "")
        return {
            "found": found,
            "station": station_states(town).get(row.station_id or ""),
            "building": subject(town, f"building/{building.building_id}") if building else None,
            "counts": building_counts(town).get(building.building_id) if building else None,
            "outages": [one for one in outage_rows(town) if row.station_id in one.stations and one.state == "open"],
            "attached": next((one for one in outage_rows(town) if one.id == row.outage_id), None),
            "similar": [{"one": one, "subject": subject(town, one.complaint.subject)} for one in similar_complaints(town, row)],
        }

    go(panel(now.shared_html("complaint_around.html", row.id, values), key="around").open)

"""投诉: the queue, one complaint with its evidence, and its next steps."""

from collections.abc import Mapping, Sequence

import streamlit as st

from compliance.complaint_life import NEEDS_REASON, following
from dashboard.actions.acting import RefusedError
from dashboard.actions.complaints import move_complaint, record_call_back
from dashboard.charts import GREY, Axis, Line, trend_chart
from dashboard.facts.building import room_trend
from dashboard.facts.complaints import (
    AttachedRoom,
    ComplaintRow,
    attached_rooms,
    complaint_rows,
    complaint_steps,
)
from dashboard.facts.rooms import room_states
from dashboard.facts.stations import station_states
from dashboard.facts.subjects import room_label, subject
from dashboard.facts.town import Town
from dashboard.facts.values import room_is_stale
from dashboard.panel import panel
from dashboard.screen import Screen, go, live, screen
from dashboard.words import CALL_BACK, CALL_BACK_SAYS, COMPLAINT_STEP, name_of

CHART_ROOMS = 6
CHART_S = 10.0


def chosen(town: Town) -> ComplaintRow | None:
    asked = st.query_params.get("complaint", "")
    rows = complaint_rows(town)
    return next((row for row in rows if str(row.id) == asked), rows[0] if rows else None)


def table() -> None:
    now = screen()
    found = chosen(now.town)
    complaint_id = found.id if found else None

    def values() -> dict[str, object]:
        rows = [{"complaint": row, "subject": subject(now.town, row.subject)} for row in complaint_rows(now.town)]
        return {"rows": rows, "chosen": complaint_id}

    go(panel(now.shared_html("complaints.html", complaint_id, values), key="complaints").open)


def detail() -> None:
    now = screen()
    complaint = chosen(now.town)
    if complaint is None:
        return
    town = now.town

    def values() -> dict[str, object]:
        return {
            "complaint": complaint,
            "subject": subject(town, complaint.subject),
            "station": station_states(town).get(complaint.station_id or ""),
            "rooms": rooms_of(town, attached_rooms(town, complaint.id)),
            "steps": complaint_steps(town, complaint.id),
        }

    go(panel(now.shared_html("complaint.html", (complaint.id, complaint.state), values), key="complaint").open)
    if now.account.may("move_complaint"):
        steps(now, complaint)


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


def steps(now: Screen, complaint: ComplaintRow) -> None:
    _ = now.say
    after = following(complaint.state, complaint.origin)
    if not after:
        return
    why = st.text_input(_("Why, or what was found"), key=f"why-{complaint.id}", max_chars=500)
    with st.container(horizontal=True, gap="small"):
        pressed = ""
        for state in after:
            for key, label in choices(state, complaint.origin).items():
                if st.button(_(label), key=f"to-{key}", type="secondary" if state in NEEDS_REASON else "primary"):
                    pressed = key
    if not pressed:
        return
    try:
        if pressed in CALL_BACK:
            satisfied = CALL_BACK_SAYS[pressed]
            record_call_back(now.town.records, now.account, complaint.id, complaint.state, satisfied, why, now.now_ms)
        else:
            move_complaint(now.town.records, now.account, complaint.id, complaint.state, pressed, why, now.now_ms)
    except RefusedError as refused:
        st.error(_(refused.why))
        return
    now.town.shared.forget()
    st.rerun(scope="fragment")


def choices(state: str, origin: str) -> Mapping[str, str]:
    """The buttons of one step: a call-back of a resident says how it went."""
    return CALL_BACK if state == "called_back" and origin == "resident" else {state: name_of(COMPLAINT_STEP, state)}


def evidence() -> None:
    now = screen()
    complaint = chosen(now.town)
    if complaint is None:
        return
    rooms = [room.room_id for room in attached_rooms(now.town, complaint.id) if room.room_id in now.town.site.rooms]
    rooms = list(dict.fromkeys(rooms))[:CHART_ROOMS]
    if not rooms:
        return
    spec = now.town.shared.of(("complaint_chart", now.say.language, complaint.id), lambda: chart(now, rooms), life_s=CHART_S / 2)
    st.echarts_chart(spec, height=260, key="complaint_trend")


def chart(now: Screen, room_ids: Sequence[str]) -> dict[str, object]:
    found = {room_id: room_trend(now.town, room_id) for room_id in room_ids}
    lines = [Line(room_label(now.town.site.rooms[room_id]), trend.value, width=1.3) for room_id, trend in found.items()]
    first = next(iter(found.values()))
    lines.append(Line(now.say("Limit ℃"), first.limit, dash="dashed", step=True, width=1.6, color=GREY))
    return trend_chart(lines, [Axis(4.0)], (first.from_ms, first.to_ms), now.moments)


left, right = st.columns([1, 1], gap="small")
with left:
    live(table)
    live(evidence, every_s=CHART_S)
with right:
    live(detail)

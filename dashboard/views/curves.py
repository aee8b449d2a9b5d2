"""供热曲线: what a season says of a station's curve, another curve drawn and judged beforehand, and filed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from compliance.curve_tuning.advice import Design, Goal
from compliance.curve_tuning.prediction import Prediction
from dashboard.actions.acting import RefusedError
from dashboard.actions.curves import file
from dashboard.charts import AIR, COOL, GREY, WARM, Dots, scatter_chart
from dashboard.facts.curves import CurveStudy, before_after, curve_study, effect
from dashboard.facts.off_curve import off_curve
from dashboard.facts.subjects import building_name
from dashboard.panel import panel
from dashboard.running import running
from dashboard.screen import Screen, choose, go, live, screen, show_troubles
from dashboard.text import N_
from domain.curve import FiledCurve
from domain.errors import StoreError

DAYS: Final = {14: N_("14 d"), 30: N_("30 d"), 90: N_("90 d"), 150: N_("150 d")}
DRAWN: Final = "#7a5fc2"
BOOK: Final = "#b08a3c"
MOST_K: Final = 6.0
NOON_S: Final = 43_200
PIVOT_C: Final = -10.0
POINTS_A_ROW: Final = 4
VERSIONS_SHOWN: Final = 8
OFF_EVERY_S: Final = 10.0

KINDS: Final = {
    "keep": N_("The curve is right."),
    "shift": N_("Shift the whole curve."),
    "slope": N_("Change its slope."),
    "hours": N_("Offset it by time of day."),
    "imbalance": N_("Leave the curve, balance buildings."),
    "unknown": N_("The data does not tell."),
}
WHY: Final = {
    "rooms are where they should be": N_("Rooms are where they should be."),
    "rooms are colder the colder it is": N_("Rooms are colder the colder it is."),
    "rooms are warmer the colder it is": N_("Rooms are warmer the colder it is."),
    "rooms are too warm at every outdoor temperature": N_("Rooms are too warm at every outdoor temperature."),
    "rooms are too cold at every outdoor temperature": N_("Rooms are too cold at every outdoor temperature."),
    "rooms differ by the hour of the day": N_("Rooms differ by the hour of the day."),
    "only some buildings are cold: balance them, the curve is right": N_("Only some buildings are cold."),
    "too little data": N_("Seven days of supply and five rooms are needed."),
    "too few days with rooms and outdoor temperature": N_("Seven days with rooms and outdoor temperature are needed."),
}


def written(station_id: str) -> str:
    return f"{running.town.site.stations[station_id].name or station_id} · {station_id}"


def goal() -> tuple[Goal, Design]:
    _ = screen().say
    with st.expander(_("Goal and design values")):
        left, middle, right, gains, last = st.columns(5, gap="small")
        median_c = left.number_input(_("Median room, ℃"), 16.0, 26.0, 20.0, 0.5)
        tenth_c = middle.number_input(_("Coldest tenth at least, ℃"), 16.0, 24.0, 18.5, 0.5)
        outdoor_c = right.number_input(_("Design outdoor temperature, ℃"), -40.0, 0.0, -24.0, 1.0)
        gains_k = gains.number_input(_("Gains, K of outdoor temperature"), 0.0, 8.0, 0.0, 0.5)
        floor = last.segmented_control(
            _("Heating"), ["radiators", "floor"], default="radiators", required=True,
            format_func=lambda kind: _("Radiators") if kind == "radiators" else _("Floor heating"),
        )  # fmt: skip
    radiators = Design(outdoor_c=outdoor_c, gains_k=gains_k)
    design = radiators if floor == "radiators" else replace(radiators, supply_c=45.0, return_c=35.0, exponent_b=0.03)
    return Goal(median_c, tenth_c), design


def drawn(now: Screen, study: CurveStudy) -> FiledCurve | None:
    """The curve the reader draws: one to begin with, moved by two sliders."""
    _ = now.say
    if study.curve is None:
        return None
    start = {"filed": study.curve.supply_c, "textbook": study.textbook_c}
    if study.advice is not None and study.advice.supply_c:
        start = {"recommended": study.advice.supply_c} | start
    names = {"filed": _("Filed"), "textbook": _("Textbook"), "recommended": _("Recommended")}
    chosen = st.segmented_control(_("Begin with"), list(start), default=next(iter(start)), required=True, format_func=names.__getitem__)
    left, right = st.columns(2, gap="small")
    shift_k = left.slider(_("Shift, K"), -MOST_K, MOST_K, 0.0, 0.5)
    tilt = right.slider(_("Steeper by, K for 10 K colder"), -4.0, 4.0, 0.0, 0.5)
    outdoor_c = np.array(study.curve.outdoor_c)
    moved = np.array(start[str(chosen)]) + shift_k + tilt * (PIVOT_C - outdoor_c) / 10.0 + by_point(now, study.curve)
    supply_c = np.minimum.accumulate(np.round(moved * 2) / 2)
    offsets_k = study.advice.hour_offsets_k if study.advice is not None and chosen == "recommended" else study.curve.offsets_k
    return replace(study.curve, supply_c=tuple(supply_c.tolist()), offsets_k=offsets_k)


def by_point(now: Screen, curve: FiledCurve) -> NDArray[np.float64]:
    """By how much (K) each point of the curve is moved beside the shift and the tilt of the whole."""
    _ = now.say
    moved = np.zeros(len(curve.outdoor_c))
    with st.expander(_("Each point by itself")):
        for first in range(0, len(moved), POINTS_A_ROW):
            places = range(first, min(first + POINTS_A_ROW, len(moved)))
            for column, place in zip(st.columns(POINTS_A_ROW, gap="small"), places, strict=False):
                label = _("At {n} ℃, K", n=f"{curve.outdoor_c[place]:.0f}".replace("-", "−"))
                moved[place] = column.slider(label, -MOST_K, MOST_K, 0.0, 0.5, key=f"point-{curve.station_id}-{place}")
    return moved


def charts(now: Screen, study: CurveStudy, curve: FiledCurve | None, found: Prediction | None) -> None:
    _ = now.say
    hours, used = study.hours, study.hours.supplying
    supply = [Dots(_("Supply by the hour"), hours.outdoor_c[used], hours.supply_c[used], WARM)]
    if study.curve is not None:
        at = np.array(study.curve.outdoor_c)
        supply += [
            Dots(_("Filed"), at, np.array(study.curve.supply_c), GREY, joined=True),
            Dots(_("Textbook"), at, np.array(study.textbook_c), BOOK, joined=True, dash="dotted"),
        ]
        if study.advice is not None and study.advice.supply_c:
            supply.append(Dots(_("Recommended"), at, np.array(study.advice.supply_c), AIR, joined=True, dash="dashed"))
        if curve is not None:
            supply.append(Dots(_("Drawn"), at, np.array(curve.supply_c), DRAWN, joined=True, width=2.6))
    rooms = [
        Dots(_("Median room"), hours.outdoor_c[used], study.median_c[used], WARM),
        Dots(_("Coldest tenth"), hours.outdoor_c[used], study.tenth_c[used], COOL),
    ]
    if found is not None:
        rooms += [
            Dots(_("Median then"), found.outdoor_c, found.median_c.value, DRAWN, joined=True, width=2.6),
            Dots(_("at least"), found.outdoor_c, found.median_c.low, DRAWN, joined=True, dash="dotted", width=1.2),
            Dots(_("at most"), found.outdoor_c, found.median_c.high, DRAWN, joined=True, dash="dotted", width=1.2),
            Dots(_("Coldest tenth then"), found.outdoor_c, found.tenth_c.value, COOL, joined=True),
        ]
    left, right = st.columns(2, gap="small")
    with left:
        st.echarts_chart(scatter_chart(supply, _("Outdoors ℃"), _("Supply ℃")), height=380, key="supply")
    with right:
        st.echarts_chart(scatter_chart(rooms, _("Outdoors ℃"), _("Rooms ℃")), height=380, key="rooms")


def filing(now: Screen, curve: FiledCurve) -> None:
    """The form that files the drawn curve, for those who may."""
    _ = now.say
    if not now.account.may("file_curve"):
        return
    with st.form("file", border=True):
        title = _("File the drawn curve")
        st.markdown(f"**{title}**")
        tomorrow = now.moments.local(now.now_ms) + timedelta(days=1)
        left, middle, right = st.columns([1, 1, 3], gap="small")
        day = left.date_input(_("In force from"), tomorrow.date())
        clock = middle.time_input(_("In force at"), datetime.min.time())
        reason = right.text_input(_("Reason"), max_chars=500)
        if not st.form_submit_button(_("File curve"), type="primary"):
            return
        at = datetime.combine(day, clock, now.town.site.timezone)
        try:
            new = replace(curve, effective_from_ms=round(at.timestamp() * 1000), reason=reason)
            file(now.town.records, now.account, new, now.now_ms)
        except RefusedError as refused:
            st.error(_(refused.why))
            return
    now.town.shared.forget()
    st.success(_("Filed: in force from {time}.", time=now.moments.full(new.effective_from_ms)))


def page() -> None:
    now, station_id = screen(), st.session_state["station"]
    town = now.town
    _ = now.say
    wanted, design = goal()
    study = curve_study(town, station_id, int(st.session_state["days"]), wanted, design)
    names = {building_id: building_name(building) for building_id, building in town.site.buildings.items()}
    left, right = st.columns(2, gap="small")
    with left:
        advice, model = study.advice, study.model
        values = {
            "curve": study.curve, "advice": advice, "model": model, "names": names, "saving": study.saving,
            "kind_name": KINDS[advice.kind] if advice else "", "why_name": WHY[advice.why] if advice else "",
            "unsure": model is not None and not (model.identified["heater"] and model.identified["gains_k"]),
        }  # fmt: skip
        go(panel(now.html("curve_advice.html", **values), key="advice").open)
    with right:
        curve = drawn(now, study)
        limit_c = day_limit_c(now)
        found = None if curve is None else effect(study, curve, limit_c)
        rows = [] if found is None else _rows(found)
        panel(
            now.html("curve_effect.html", effect=found, rows=rows, limit_c=limit_c, compared=before_after(town, study)),
            key="effect",
        )
    charts(now, study, curve, found)
    if curve is not None:
        filing(now, curve)
    versions = sorted(town.curves(station_id), key=lambda one: -one.effective_from_ms)[:VERSIONS_SHOWN]
    panel(now.html("curve_versions.html", versions=versions, in_force=study.curve), key="versions")


def day_limit_c(now: Screen) -> float:
    """What homes are held to by day, by the policy in force; in summer what they were held to last."""
    version = now.town.site.policy.version_at(now.moments.local(now.now_ms).date()) or now.town.site.policy.versions[0]
    return version.limit_c("residential", NOON_S) if "residential" in version.schedules else 18.0


def _rows(found: Prediction) -> list[dict[str, float]]:
    """The prediction at the coldest, a middle and the mildest outdoor temperature seen."""
    return [
        {
            "outdoor_c": float(found.outdoor_c[place]),
            "now_c": float(found.now_median_c[place]),
            "median_c": float(found.median_c.value[place]),
            "low_c": float(found.median_c.low[place]),
            "high_c": float(found.median_c.high[place]),
            "tenth_c": float(found.tenth_c.value[place]),
        }
        for place in (0, len(found.outdoor_c) // 2, -1)
    ]


def off_their_curve() -> None:
    """Where to begin: the stations that are off their curve."""
    now = screen()
    go(panel(now.shared_html("off_curve.html", "", lambda: {"rows": off_curve(now.town)}), key="off_curve").open)


def choices() -> bool:
    """Which station, over how many days; tells whether there is one."""
    _ = screen().say
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices"):
        found = choose("station", _("Station"), list(running.town.site.stations), written)
        st.segmented_control(
            _("Span"), list(DAYS), format_func=lambda one: _(DAYS[one]), default=30, key="days", required=True, label_visibility="collapsed"
        )
    return found is not None


live(off_their_curve, every_s=OFF_EVERY_S)
if choices():
    try:
        page()
    except StoreError:
        show_troubles()

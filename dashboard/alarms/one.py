"""One alarm: what it is, the readings around it, its journal, and what a dispatcher does with it."""

from typing import Final

import streamlit as st

from dashboard.actions.alarms import comment_alarm, return_to_service, take_out_of_service, unshelve_alarm
from dashboard.alarms.acts import acknowledge, attempt, comment_field, shelve, shelve_hours
from dashboard.alarms.listed import row_of
from dashboard.charts import AIR, GREY, WARM, Axis, Line, Marks, trend_chart
from dashboard.facts.alarm import AlarmDetail, AlarmReadings, alarm_detail, alarm_readings, alarm_steps
from dashboard.facts.alarms import UNACKNOWLEDGED, out_of_service_rows
from dashboard.panel import panel
from dashboard.screen import Screen, go, screen
from dashboard.text import N_

CHART_S: Final = 10.0
LINES: Final = {
    "indoor_temp_c": (N_("Room ℃"), N_("Limit ℃"), 4.0),
    "secondary_supply_temp_c": (N_("Supply ℃"), N_("Target ℃"), 8.0),
    "makeup_rate_pct": (N_("Make-up rate %"), N_("Limit %"), 1.0),
}


def chosen(now: Screen) -> AlarmDetail | None:
    """The alarm that the page's address names."""
    asked = st.query_params.get("alarm", "")
    return alarm_detail(now.town, int(asked)) if asked.isdecimal() and len(asked) < 19 else None


def detail() -> None:
    """What is known of the alarm, and what may be done with it."""
    now = screen()
    alarm = chosen(now)
    if alarm is None:
        go(panel(now.html("alarm.html", alarm=None), key="alarm").open)
        return
    values = {**row_of(now, alarm.row), "alarm": alarm}
    go(panel(now.html("alarm.html", **values), key="alarm").open)
    if now.account.may("acknowledge"):
        _acts(now, alarm)


def _acts(now: Screen, alarm: AlarmDetail) -> None:
    _, row, records = now.say, alarm.row, now.town.records
    comment = comment_field(now, f"one-{row.id}", 420)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="alarm_acts_row"):
        if row.state in UNACKNOWLEDGED and st.button(_("Acknowledge"), type="primary", key="one_acknowledge"):
            acknowledge(now, [row.id], comment)
        if st.button(_("Add the comment"), key="one_comment"):
            attempt(now, lambda: comment_alarm(records, now.account, row.id, comment, now.now_ms), _("The comment is kept."))
        if row.shelved:
            if st.button(_("Take off the shelf"), key="one_unshelve"):
                attempt(now, lambda: unshelve_alarm(records, now.account, row.id, now.now_ms), _("The alarm is off the shelf."))
        elif not row.over:
            hours = shelve_hours(now, "one")
            if st.button(_("Shelve"), key="one_shelve"):
                shelve(now, [row.id], comment, hours)
        _service(now, alarm, comment)


def _service(now: Screen, alarm: AlarmDetail, reason: str) -> None:
    _, row, records = now.say, alarm.row, now.town.records
    out = next((one.id for one in out_of_service_rows(now.town) if (one.kind, one.subject) == (row.kind, row.subject)), None)
    if out is not None:
        if st.button(_("Back in service"), key="one_back"):
            attempt(now, lambda: return_to_service(records, now.account, out, now.now_ms), _("The alarm is in service again."))
    elif st.button(_("Out of service"), key="one_out"):
        done = _("The alarm is out of service until somebody returns it.")
        attempt(now, lambda: take_out_of_service(records, now.account, row.kind, row.subject, reason, now.now_ms), done)


def evidence() -> None:
    """The readings around it as a chart."""
    now = screen()
    alarm = chosen(now)
    if alarm is None:
        return
    key = ("alarm_chart", now.say.language, alarm.row.id, alarm.row.cleared_at)
    spec = now.town.shared.of(key, lambda: chart(now, alarm, alarm_readings(now.town, alarm)), life_s=CHART_S / 2)
    st.echarts_chart(spec, height=270, key="alarm_trend")


def chart(now: Screen, alarm: AlarmDetail, found: AlarmReadings) -> dict[str, object]:
    """The chart of an alarm's evidence, with the instants at which it began and ended."""
    _ = now.say
    value, bound, span = LINES[found.name]
    lines = [Line(_(value), found.value, color=WARM), Line(_(bound), found.bound, dash="dashed", step=True, width=1.4, color=GREY)]
    axes = [Axis(span)]
    if len(found.outdoor):
        lines.append(Line(_("Outdoors ℃"), found.outdoor, axis=1, color=AIR, dash="dotted", width=1.3))
        axes.append(Axis(8.0))
    marks = [(alarm.row.raised_at, _("raised"))]
    if alarm.row.cleared_at:
        marks.append((alarm.row.cleared_at, _("cleared")))
    return trend_chart(lines, axes, (found.from_ms, found.to_ms), now.moments, Marks(moments=marks))


def journal() -> None:
    """Everything that happened to it: from, to, when, who, why."""
    now = screen()
    alarm = chosen(now)
    if alarm is not None:
        panel(now.html("alarm_steps.html", steps=alarm_steps(now.town, alarm.row.id), alarm=alarm), key="alarm_steps")

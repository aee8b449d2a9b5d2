"""报告: the figures and charts of a period and an area at once, and the same as workbook, PDF or JSON."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.charts import COOL, GREY, WARM, bar_chart
from dashboard.facts.desk import areas
from dashboard.facts.reports import duty_name, period_names, report_of
from dashboard.facts.subjects import subject
from dashboard.panel import panel
from dashboard.screen import Screen, go, screen, show_troubles
from dashboard.text import N_
from domain.errors import ConfigError, StoreError

KINDS = {"month": N_("Month"), "quarter": N_("Quarter"), "season": N_("Heating season")}
BARS = 12


def choice(now: Screen) -> tuple[str, str]:
    _, stations = now.say, now.town.site.stations
    names = period_names(now.moments.local(now.now_ms).date())

    def place(one: str) -> str:
        kind, _slash, name = one.partition("/")
        return name if kind == "district" else (stations[name].name or name) if name else _("The whole town")

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="filters"):
        kind = st.segmented_control(
            _("Period"), list(KINDS), format_func=lambda one: _(KINDS[one]), default="month", required=True, key="kind"
        )
        period = st.selectbox(_("Which"), names[str(kind)], key=f"period-{kind}", width=170)
        area = st.selectbox(_("Area"), ["", *areas(now.town)], format_func=place, key="report_area", width=230)
    return str(period), str(area or "")


def report() -> None:
    now = screen()
    _ = now.say
    panel(now.html("report_title.html"), key="report_title")
    period, area = choice(now)
    try:
        with st.spinner(_("Reading the period …")):
            document = report_of(now.town, period, area)
    except ConfigError:
        st.warning(_("This period has not begun."))
        return
    except StoreError:
        show_troubles()
        return
    query = f"?{urlencode({'area': area})}" if area else ""
    files = {form: f"/report/{period}.{form}{query}" for form in ("xlsx", "pdf", "json")}
    last_day = (datetime.fromisoformat(document["report"]["to"]) - timedelta(days=1)).date()
    go(panel(now.html("report.html", document=document, files=files, last_day=last_day), key="report").open)
    charts(now, document)
    names = {row["subject"]: subject(now.town, row["subject"]).name for row in document["outages"]}
    panel(now.html("report_tables.html", document=document, names=names), key="report_tables")


def charts(now: Screen, document: dict[str, Any]) -> None:
    _ = now.say
    duties = [row for row in document["duties"] if row["kept"] + row["missed"]][:BARS]
    worst = document["worst_buildings"][:BARS]
    if not duties and not worst:
        return
    left, right = st.columns(2, gap="small")
    if duties:
        names = [duty_name(row, _) for row in duties]
        kept, missed = _("Kept"), _("Missed")
        series = {kept: ([row["kept"] for row in duties], COOL), missed: ([row["missed"] for row in duties], WARM)}
        with left:
            panel(now.html("chart_title.html", text=_("Duties kept and missed")), key="duties_title")
            st.echarts_chart(bar_chart(names, series), height=60 + 36 * len(duties), key="duties")
    if worst:
        names = [row["name"] or row["building_id"] for row in worst]
        with right:
            panel(now.html("chart_title.html", text=_("Worst buildings: K·h below the limit a room")), key="worst_title")
            unit = _("K·h a room")
            deficit = [round(row["deficit_kh"] / row["rooms"], 2) for row in worst]
            st.echarts_chart(bar_chart(names, {unit: (deficit, GREY)}), height=60 + 30 * len(worst), key="worst")


report()

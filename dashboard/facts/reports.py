"""Reports as the page asks for them: periods that have begun, and the document, made once for all who ask within ten minutes."""

from datetime import date
from typing import Any, Final

from compliance.report.document import build_report
from compliance.report.period import parse_period
from dashboard.facts.town import Town

LIFE_S: Final = 600.0
MONTHS, QUARTERS, SEASONS = 14, 6, 4


def period_names(today: date) -> dict[str, list[str]]:
    """The names of the latest months, quarters and heating seasons that may have begun, the latest first."""
    month = today.year * 12 + today.month - 1
    quarter = month // 3
    season = today.year if today.month >= 7 else today.year - 1
    return {
        "month": [f"{one // 12}-{one % 12 + 1:02}" for one in range(month, month - MONTHS, -1)],
        "quarter": [f"{one // 4}-Q{one % 4 + 1}" for one in range(quarter, quarter - QUARTERS, -1)],
        "season": [f"{one}-{one + 1}" for one in range(season, season - SEASONS, -1)],
    }


def report_of(town: Town, period: str, area: str) -> dict[str, Any]:
    """The document of ``keepwarm report``. Raises ConfigError for a period or area there is none of, StoreError when it can't be read."""

    def build() -> dict[str, Any]:
        now_ms = town.now_ms()
        asked = parse_period(period, town.site.policy, town.site.timezone, now_ms)
        with town.asking("history"):
            return build_report(town.site, town.records, (town.history, town.journal, town.points), asked, now_ms, area)

    return town.shared.of(("report", period, area), build, life_s=LIFE_S)

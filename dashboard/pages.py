"""The pages: their addresses, files and names, the group each stands in, and the right it takes to see one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dashboard.roles import Account, Right
from dashboard.text import N_

# Who works with the pages, in the order of the bar. A page names its group by the key.
GROUPS: Final = {
    "dispatch": N_("Dispatch room"),
    "engineering": N_("Engineering"),
    "service": N_("Service"),
    "administration": N_("Administration"),
}


@dataclass(frozen=True)
class PageEntry:
    """One page. ``path`` is its address; ``file`` stands in ``views/``; without ``right`` an account neither sees nor opens it."""

    path: str
    file: str
    title: str
    group: str
    right: Right = "view"


PAGES: Final = {
    page.path: page
    for page in (
        PageEntry("", "wall.py", N_("Overview"), "dispatch"),
        PageEntry("alarms", "alarms.py", N_("Alarms"), "dispatch"),
        PageEntry("outages", "outages.py", N_("Outages & notices"), "dispatch"),
        PageEntry("shift", "shift.py", N_("Shift log"), "dispatch"),
        PageEntry("station", "station.py", N_("Station"), "dispatch"),
        PageEntry("building", "building.py", N_("Building"), "dispatch"),
        PageEntry("curves", "curves.py", N_("Supply curves"), "engineering"),
        PageEntry("balance", "balance.py", N_("Balance"), "engineering"),
        PageEntry("data", "data.py", N_("Data health"), "engineering"),
        PageEntry("complaints", "complaints.py", N_("Complaints"), "service"),
        PageEntry("report-in", "report_in.py", N_("Enter a complaint"), "service", "open_complaint"),
        PageEntry("visits", "visits.py", N_("Measuring visits"), "service"),
        PageEntry("reports", "reports.py", N_("Reports"), "service"),
        PageEntry("accounts", "accounts.py", N_("Accounts"), "administration", "keep_accounts"),
        PageEntry("audit", "audit.py", N_("Audit"), "administration", "keep_accounts"),
    )
}


def allowed(account: Account, pages: Iterable[PageEntry] = PAGES.values()) -> list[PageEntry]:
    """The pages this account may see, in the order of the bar."""
    return sorted((page for page in pages if account.may(page.right)), key=lambda page: list(GROUPS).index(page.group))


def grouped(pages: Iterable[PageEntry]) -> dict[str, list[PageEntry]]:
    """Group → its pages; a group without any is left out."""
    found: dict[str, list[PageEntry]] = {}
    for page in pages:
        found.setdefault(page.group, []).append(page)
    return found

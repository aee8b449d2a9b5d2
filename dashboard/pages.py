"""The pages: their addresses, files and names."""

from dataclasses import dataclass
from typing import Final

from dashboard.text import N_


@dataclass(frozen=True)
class PageEntry:
    """One page. ``path`` is its address; ``file`` stands in ``views/``."""

    path: str
    file: str
    title: str


PAGES: Final = {
    page.path: page
    for page in (
        PageEntry("", "wall.py", N_("Overview")),
        PageEntry("station", "station.py", N_("Station")),
        PageEntry("building", "building.py", N_("Building")),
        PageEntry("alarms", "alarms.py", N_("Alarms")),
        PageEntry("outages", "outages.py", N_("Outages & notices")),
        PageEntry("complaints", "complaints.py", N_("Complaints")),
        PageEntry("curves", "curves.py", N_("Supply curves")),
    )
}

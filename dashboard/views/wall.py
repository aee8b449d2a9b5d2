"""总览: what the dispatch room watches."""

from dashboard.facts.keeping import keeping
from dashboard.facts.sparks import sparks
from dashboard.facts.stations import station_states, worst_first
from dashboard.facts.wall import changes, headline
from dashboard.panel import panel
from dashboard.screen import go, live, screen

SHOWN_STATIONS = 60
ROOMY_STATIONS = 16  # so few have room for larger figures and their last hours


def wall() -> None:
    now = screen()
    town = now.town

    def values() -> dict[str, object]:
        states = station_states(town)
        return {
            "top": headline(town, now.moments),
            "stations": worst_first(states, SHOWN_STATIONS),
            "stations_all": len(states),
            "sparks": sparks(town) if len(states) <= ROOMY_STATIONS else {},
            "roomy": len(states) <= ROOMY_STATIONS,
            "changes": changes(town),
            "keeping": keeping(town),
        }

    go(panel(now.shared_html("wall.html", "", values), key="wall").open)


live(wall)

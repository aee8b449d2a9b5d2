"""总览: what the dispatch room watches; with ``?mode=wall`` in large type and without controls, for the screen on the wall."""

import streamlit as st

from dashboard.cards import cards
from dashboard.facts.alarm_system import flood_now
from dashboard.facts.due import due_list
from dashboard.facts.keeping import keeping
from dashboard.facts.sparks import sparks
from dashboard.facts.stations import station_states, worst_first
from dashboard.facts.town import Town
from dashboard.facts.town_map import TownMap, ground_of, town_map
from dashboard.facts.wall import changes, headline
from dashboard.fresh import Offer, show_fresh
from dashboard.markup import assets_version
from dashboard.panel import sound
from dashboard.screen import Screen, go, live, on_the_wall, screen
from dashboard.words import MAP_MARK

SHOWN_STATIONS = 60
SHOWN_DUE, WALL_DUE = 8, 4
WALL_STATIONS = 12  # as many as can be read from three metres
ROOMY_STATIONS = 16  # so few have room for larger figures and their last hours


def wall() -> None:
    now = screen()
    opened = show_fresh(now, Offer("", "wall_counts.html", "", counts), key="wall").open
    with st.container(key="wall_split"):
        left, right = st.columns([2, 1] if on_the_wall() else [7, 3], gap="small")
    with left:
        opened = stations(now) or opened
    with right:
        opened = beside(now) or opened
    go(opened)


def counts(now: Screen) -> dict[str, object]:
    """The counts that matter."""
    town = now.town
    top = headline(town, now.moments)
    return {"top": top, "stations_all": len(station_states(town)), "keeping": keeping(town), "flood": flood_now(town)}


def stations(now: Screen) -> str:
    """The worst of the stations; gives the address that was opened."""
    most = WALL_STATIONS if on_the_wall() else SHOWN_STATIONS

    def values(now: Screen) -> dict[str, object]:
        states = station_states(now.town)
        roomy = len(states) <= ROOMY_STATIONS
        lines = sparks(now.town) if roomy else {}
        shown = cards(worst_first(states, most), lines, now.moments, now.now_ms)
        return {"cards": list(shown), "stations_all": len(states), "roomy": roomy}

    return show_fresh(now, Offer("", "wall_stations.html", most, values), key="wall_stations").open


def beside(now: Screen) -> str:
    """What is due, the map where the site has coordinates, and what changed; gives the address that was opened."""
    most = WALL_DUE if on_the_wall() else SHOWN_DUE
    opened = show_fresh(now, Offer("", "wall_due.html", most, lambda now: {"due": due_list(now.town, most)}), key="wall_due").open
    if ground_of(now.town) is not None:
        drawn = Offer("", "wall_map.html", "", lambda now: {"map": map_of(now.town), "map_name": MAP_MARK}, timeless=True)
        opened = show_fresh(now, drawn, key="wall_map").open or opened
    lately = Offer("", "wall_changes.html", "", lambda now: {"changes": changes(now.town)})
    return show_fresh(now, lately, key="wall_changes").open or opened


def map_of(town: Town) -> TownMap | None:
    """The map of this moment; None where the site has no coordinates."""
    return town.shared.of("town_map", lambda: town_map(town, station_states(town)))


def alert() -> None:
    """The sound while alarms wait, and the way to wall mode and back."""
    now = screen()
    _ = now.say
    sound(
        {
            "wall": on_the_wall(),
            "version": assets_version(),
            "on": _("Sound on"),
            "off": _("Sound off"),
            "blocked": _("The browser blocks the sound: click here"),
            "enter": _("Wall mode"),
            "leave": _("Leave wall mode"),
        },
        key="sound",
    )


alert()
live(wall, every_s=None)  # what stands where never changes; each panel keeps itself fresh

"""The bar at the top of every page: name, groups of pages, clock, language, account; below it the pages of the group one is in."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.markup import html
from dashboard.now import local_ms
from dashboard.pages import GROUPS, PAGES, PageEntry, grouped
from dashboard.panel import bar
from dashboard.screen import LANGUAGE_KEY, Screen, language, on_the_wall
from dashboard.text import LANGUAGES
from dashboard.words import ROLE, name_of


def topbar(now: Screen, seen: Sequence[PageEntry], links: Mapping[str, Any], path: str) -> None:
    """Draws the bar. ``seen`` are the pages this reader may see, ``links`` Streamlit's pages by path, ``path`` the one open now."""
    if on_the_wall() and not path:
        _wall_bar(now)
        return
    groups = grouped(seen)
    here = PAGES[path].group
    with st.container(key="topbar", gap=None):
        with st.container(key="bar_row", horizontal=True, vertical_alignment="center", gap="small"):
            st.html(html("brand.html", now.say.language, site=now.town.site), width="content")
            with st.container(key="groups", horizontal=True, gap=None, width="content"):
                for group, pages in groups.items():
                    with st.container(key="group_here" if group == here else f"group_{group}", width="content"):
                        st.page_link(links[pages[0].path], label=now.say(GROUPS[group]))
            with st.container(key="side", horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
                _bar(now)
                _language(now)
        with st.container(key="pages", horizontal=True, gap=None):
            for page in groups[here]:
                with st.container(key="page_here" if page.path == path else f"page_{page.path or 'wall'}", width="content"):
                    st.page_link(links[page.path], label=now.say(page.title))


def _wall_bar(now: Screen) -> None:
    """The bar of the screen on the wall: whose town, what time, and whether what is shown is of now."""
    with st.container(key="wallmode", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(html("brand.html", now.say.language, site=now.town.site), width="content")
        _bar(now)


def _language(now: Screen) -> None:
    st.session_state.setdefault(LANGUAGE_KEY, language())
    st.segmented_control(
        now.say("Language"),
        list(LANGUAGES),
        format_func=lambda code: "中" if code == "zh" else "EN",
        key=LANGUAGE_KEY,
        required=True,
        label_visibility="collapsed",
    )


def _bar(now: Screen) -> None:
    """The clock and who reads; it asks for itself from now on (``now.py``)."""
    _ = now.say
    speed = now.town.clock.speed
    bar(
        {
            "local_ms": local_ms(now.moments, now.now_ms),
            "times": speed,
            "demo": _("Demo time"),
            "late": _("No connection since {time}, {n} s: nothing here is newer", time="{time}", n="{n}"),
            "wall": on_the_wall(),
            "light": _("Light"),
            "dark": _("Dark"),
            "language": _.language,
            "account": now.account.name,
            "role": _(name_of(ROLE, now.account.role)),
        },
        key="bar",
    )

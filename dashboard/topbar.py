"""The bar at the top of every page: name, pages, clock, language, account."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st

from dashboard.markup import html
from dashboard.panel import bar
from dashboard.screen import LANGUAGE_KEY, Screen, language, live, screen
from dashboard.text import LANGUAGES
from dashboard.words import ROLE, name_of


def topbar(now: Screen, pages: Mapping[str, Any]) -> None:
    """Draws the bar."""
    with st.container(key="topbar", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(html("brand.html", now.say.language, site=now.town.site), width="content")
        with st.container(key="pages", horizontal=True, gap=None, width="content"):
            for page in pages.values():
                st.page_link(page, label=page.title)
        with st.container(key="side", horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
            live(_bar)
            st.session_state.setdefault(LANGUAGE_KEY, language())
            st.segmented_control(
                now.say("Language"),
                list(LANGUAGES),
                format_func=lambda code: "中" if code == "zh" else "EN",
                key=LANGUAGE_KEY,
                required=True,
                label_visibility="collapsed",
            )


def _bar() -> None:
    now = screen()
    _ = now.say
    speed = now.town.clock.speed
    bar(
        {
            "local_ms": int(now.moments.wall_ms(np.array([now.now_ms]))[0]),
            "times": speed,
            "demo": _("Demo time"),
            "late": _("No connection for {n} s", n="{n}"),
            "light": _("Light"),
            "dark": _("Dark"),
            "language": _.language,
            "account": now.account.name,
            "role": _(name_of(ROLE, now.account.role)),
        },
        key="bar",
    )

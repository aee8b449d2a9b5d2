"""The script Streamlit runs for every page: who reads it, the bar at the top, then the page."""

import streamlit as st

from dashboard.pages import PAGES
from dashboard.screen import screen
from dashboard.topbar import topbar

st.set_page_config(page_title="守温 Keepwarm", layout="wide", initial_sidebar_state="collapsed")
now = screen()
entries = {
    path: st.Page(f"views/{entry.file}", title=now.say(entry.title), url_path=path, default=not path) for path, entry in PAGES.items()
}
current = st.navigation(list(entries.values()), position="hidden")
topbar(now, entries)
current.run()

"""The script Streamlit runs for every page: who reads it, the bar at the top, then the page."""

import streamlit as st

from dashboard.pages import allowed
from dashboard.screen import say_what_is_told, screen
from dashboard.topbar import topbar

st.set_page_config(page_title="守温 Keepwarm", layout="wide", initial_sidebar_state="collapsed")
now = screen()
seen = allowed(now.account)
links = {
    entry.path: st.Page(f"views/{entry.file}", title=now.say(entry.title), url_path=entry.path, default=not entry.path) for entry in seen
}
current = st.navigation(list(links.values()), position="hidden")  # what is not in the list can't be run
topbar(now, seen, links, current.url_path)
current.run()
say_what_is_told()

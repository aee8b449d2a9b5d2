"""What one run of a page needs: the town, the reader, the language, the site's time."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Final
from urllib.parse import parse_qsl

import streamlit as st

from dashboard.facts.town import Town
from dashboard.forms import LANGUAGE_COOKIE
from dashboard.markup import html
from dashboard.moments import Moments
from dashboard.pages import PAGES
from dashboard.panel import panel
from dashboard.roles import Account
from dashboard.running import running
from dashboard.text import DEFAULT_LANGUAGE, LANGUAGES, Speech, speech
from domain.errors import StoreError

REFRESH_S: Final = 2.0
TIMELESS_S: Final = 600.0
LANGUAGE_KEY: Final = "language"
TOLD_KEY: Final = "told"
_TICKS: Final = ContextVar("whether the part of a page that runs is drawn anew by itself", default=False)


@dataclass(frozen=True)
class Screen:
    """One reader's view of the town at one moment."""

    town: Town
    account: Account
    say: Speech
    moments: Moments
    now_ms: int

    def html(self, template: str, **values: object) -> str:
        """The HTML of a template, which always knows the moment and the words."""
        return html(template, self.say.language, now_ms=self.now_ms, moments=self.moments, site=self.town.site, **values)

    def shared_html(self, template: str, key: object, values: Callable[[], dict[str, object]], *, timeless: bool = False) -> str:
        """The same HTML for all who look at the same thing in the same language; a ``timeless`` one as long as its values stay."""
        shown = ("html", template, self.say.language, key)
        if timeless:
            found = values()
            return self.town.shared.of(shown, lambda: self.html(template, **found), life_s=TIMELESS_S, mark=found)
        return self.town.shared.of(shown, lambda: self.html(template, **values()))


def screen() -> Screen:
    """The screen of this run; ends the run when the reader's session is over."""
    account = running.sessions.account(st.context.cookies)
    say = speech(language())
    if account is None:
        panel(html("signed_out.html", say.language), key="signed_out")  # leads to the login by itself
        st.stop()
    return screen_of(running.town, account, say.language)


def screen_of(town: Town, account: Account, language: str) -> Screen:
    """One reader's view of the town now."""
    say = speech(language)
    return Screen(town, account, say, Moments(town.site.timezone, say), town.now_ms())


def language() -> str:
    """The language chosen on this page, else the one chosen before, else Chinese."""
    chosen = st.session_state.get(LANGUAGE_KEY) or st.context.cookies.to_dict().get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else DEFAULT_LANGUAGE


def tell(text: str, *, refused: bool = False) -> None:
    """Says something in a toast as soon as the page is drawn anew: what is said before ``st.rerun`` would be lost with what was drawn."""
    st.session_state.setdefault(TOLD_KEY, []).append((text, refused))


def refuse(text: str) -> None:
    """Says why something was not done: where it was tried, or in a toast where that part is drawn anew before it could be read."""
    if _TICKS.get():
        _toast(text, refused=True)
    else:
        st.error(text)


def say_what_is_told() -> None:
    """Shows the toasts that wait."""
    for text, refused in st.session_state.pop(TOLD_KEY, ()):
        _toast(text, refused=refused)


def _toast(text: str, *, refused: bool) -> None:
    if refused:
        st.toast(text, icon=":material/block:", duration="long")
    else:
        st.toast(text, icon=":material/check:")


def on_the_wall() -> bool:
    """Whether this page is shown on the screen on the wall: large, without controls."""
    return bool(st.query_params.get("mode") == "wall")


def go(address: str) -> None:
    """Opens a page of the dashboard from an address such as ``station?station=S01``; an unknown one opens nothing."""
    path, _, query = address.partition("?")
    page = PAGES.get(path)
    if address and page is not None and screen().account.may(page.right):
        st.switch_page(f"views/{page.file}", query_params=dict(parse_qsl(query)))


def choose(key: str, label: str, options: Sequence[str], written: Callable[[str], str]) -> str | None:
    """A choice that stands in the page's address under ``key``; the first option where the address names none."""
    asked = st.query_params.get(key)
    if asked in options and st.session_state.get(key) != asked:
        st.session_state[key] = asked  # the address was opened, or a link on this page

    def keep() -> None:
        st.query_params.clear()
        st.query_params[key] = st.session_state[key]

    return st.selectbox(label, options, format_func=written, key=key, on_change=keep, label_visibility="collapsed", width=420)


def page_of(rows: int, of: int, *, key: str) -> int:
    """Which page of so many rows is chosen, where they take more than one page ``of`` so many; the last one where there are fewer now."""
    pages = -(-rows // of)
    return 1 if pages <= 1 else min(pages, int(st.pagination(pages, key=key)))


def live(show: Callable[[], None], *, every_s: float | None = REFRESH_S) -> None:
    """Runs a part of a page now and again every so often; says so when a store can't be read, and goes on trying.

    With None it runs again only when the reader does something there.
    """

    @st.fragment(run_every=every_s)
    @wraps(show)  # Streamlit tells fragments apart by name and place
    def part() -> None:
        say_what_is_told()
        before = _TICKS.set(every_s is not None)
        try:
            show()
        except StoreError:
            show_troubles()
        finally:
            _TICKS.reset(before)

    part()


def show_troubles() -> None:
    """Says which store can't be read and since when."""
    panel(troubles_html(screen()), key="troubles")


def troubles_html(now: Screen) -> str:
    """The same as HTML."""
    return now.html("troubles.html", troubles=now.town.troubles)

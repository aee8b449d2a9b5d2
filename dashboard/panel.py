"""Our own HTML on a Streamlit page: kept in place while it refreshes, with links that open pages without loading anew.

Everything in it comes escaped from a template. What a reader does comes back as ``Done``: an address opened (``data-open``), or rows
ticked (``data-pick``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.markup import ASSETS


@dataclass(frozen=True)
class Done:
    """What the reader did. ``open`` is an address such as ``station?station=S01``."""

    open: str = ""
    picked: list[str] = field(default_factory=list)


@lru_cache(maxsize=8)
def component(name: str) -> Any:
    """The component of ``assets/NAME.js``."""
    source = Path(ASSETS / f"{name}.js").read_text(encoding="utf-8")
    return st.components.v2.component(f"keepwarm_{name}", js=source, isolate_styles=False)


def panel(html: str, *, key: str, picked: Sequence[str] | None = None, forget: int = 0, fresh: str = "") -> Done:
    """Shows HTML under a key. ``picked`` sets which rows are ticked to begin with; another ``forget`` than before unticks all.

    ``fresh`` is the name under which the panel asks for the HTML of now by itself (``fresh.py``).
    """
    # What was ticked, for a panel that is built anew in the browser. Read from the component's own state before the component is shown,
    # it would keep ``st.switch_page`` from leaving the page (Streamlit 1.67, 2026-11).
    round_of, ticked = st.session_state.get(f"{key}-ticked", (forget, []))
    result = component("panel")(
        key=key,
        data={"html": html, "forget": forget, "fresh": fresh, "ticked": ticked if round_of == forget else []},
        default={"picked": list(picked or [])},
        on_open_change=_nothing,
        on_picked_change=_nothing,
    )
    done = Done(result.open or "", list(result.picked or []))
    if done.picked or ticked:
        st.session_state[f"{key}-ticked"] = (forget, done.picked)
    return done


def bar(data: dict[str, Any], *, key: str) -> Done:
    """Shows the clock and the state of the line at the top of a page; it asks for itself."""
    component("bar")(key=key, data=data)
    return Done()


def sound(data: dict[str, Any], *, key: str) -> None:
    """The switch of the sound, which goes on while a panel says that alarms wait, and the way to wall mode and back."""
    component("sound")(key=key, data=data)


def _nothing() -> None:
    """Streamlit wants a callback for each state; the value is read where the panel is shown."""

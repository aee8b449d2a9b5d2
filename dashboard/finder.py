"""A field that finds places while one types; the list comes from the server at every pause."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from dashboard.facts.places import Place
from dashboard.panel import component


def finder(find: Callable[[str], Sequence[Place]], say: dict[str, str], *, key: str, following: str) -> Place | None:
    """Shows the field; gives the place chosen in this run. ``say`` holds ``placeholder`` and ``none``; ``following`` is the CSS
    selector of the field that gets the focus then.
    """
    kept: Any = st.session_state.get(key) or {}
    typed = str(kept.get("typed") or "")[:100]
    matches = list(find(typed)) if typed.strip() else []
    shown = [
        {"place": f"{place.subject.kind}/{place.subject.subject_id}", "name": place.subject.name, "more": place.rest or place.street}
        for place in matches
    ]
    data = {"matches": shown, "typed": typed, "placeholder": say["placeholder"], "next": following}
    data["none"] = say["none"] if typed.strip() else ""
    result = component("finder")(
        key=key, data=data, default={"typed": ""}, on_typed_change=lambda: None, on_chosen_change=lambda: None
    )  # fmt: skip
    chosen = str(result.chosen or "")
    return next((place for place, row in zip(matches, shown, strict=True) if row["place"] == chosen), None)

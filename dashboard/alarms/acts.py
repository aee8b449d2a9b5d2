"""What a dispatcher does on the alarms page; each act says that it is done, or why it is not."""

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.actions.acting import RefusedError
from dashboard.actions.alarms import acknowledge_alarms, return_to_service, shelve_alarm
from dashboard.moments import HOUR_MS
from dashboard.screen import Screen, refuse, tell

SHELVE_H = (1, 2, 4, 8, 12, 24)


def attempt(now: Screen, work: Callable[[], object], done: str) -> None:
    """Does it and draws the page anew, with empty fields; what is refused is told, and nothing typed is lost."""
    try:
        work()
    except RefusedError as refused:
        refuse(now.say(refused.why))
        return
    finish(now, done)


def finish(now: Screen, done: str) -> None:
    """Says that it is done, forgets what was ticked and typed, and draws the whole page anew."""
    now.town.shared.forget()
    st.session_state["alarm_acts"] = round_of_acts() + 1
    tell(done)
    st.rerun()


def round_of_acts() -> int:
    """Changes with every act that was done: fields and ticks of the one before are forgotten."""
    return int(st.session_state.get("alarm_acts", 0))


def comment_field(now: Screen, place: str, width: int) -> str:
    """The field for a comment or reason."""
    _ = now.say
    key = f"comment-{place}-{round_of_acts()}"
    label = _("Comment or reason")
    return st.text_input(label, placeholder=label, key=key, label_visibility="collapsed", max_chars=500, width=width)


def shelve_hours(now: Screen, place: str) -> int:
    """For how many hours to shelve."""
    written = {hours: now.say("for {n} h", n=hours) for hours in SHELVE_H}
    label = now.say("Shelve for")
    return int(
        st.selectbox(label, SHELVE_H, format_func=written.__getitem__, key=f"shelve-{place}", label_visibility="collapsed", width=120)
    )


def acknowledge(now: Screen, picked: Sequence[int], comment: str) -> None:
    """Acknowledges these alarms with one comment."""
    _ = now.say
    try:
        count = acknowledge_alarms(now.town.records, now.account, picked, comment, now.now_ms)
    except RefusedError as refused:
        refuse(_(refused.why))
        return
    finish(now, _.plural("{n} alarm acknowledged", "{n} alarms acknowledged", count))


def shelve(now: Screen, picked: Sequence[int], reason: str, hours: int) -> None:
    """Shelves these alarms, each by itself: one that is over meanwhile holds up none of the others."""
    _ = now.say
    until_ms = now.now_ms + hours * HOUR_MS
    count = each(now, picked, lambda one: shelve_alarm(now.town.records, now.account, one, reason, until_ms, now.now_ms))
    if count:
        finish(now, _.plural("{n} alarm shelved", "{n} alarms shelved", count))


def back_in_service(now: Screen, picked: Sequence[int]) -> None:
    """Returns these to service."""
    _ = now.say
    count = each(now, picked, lambda one: return_to_service(now.town.records, now.account, one, now.now_ms))
    if count:
        finish(now, _.plural("{n} alarm is in service again", "{n} alarms are in service again", count))


def each(now: Screen, picked: Sequence[int], act: Callable[[int], None]) -> int:
    """Does it to each by itself; tells each reason of a refusal once, and how many were done."""
    done, refusals = 0, dict[str, None]()
    for one in picked:
        try:
            act(one)
        except RefusedError as refused:
            refusals[refused.why] = None
        else:
            done += 1
    for why in refusals:
        tell(now.say(why), refused=True)
    return done

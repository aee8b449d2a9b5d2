"""账号: who may sign in, and as what."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import streamlit as st

from dashboard.accounts import wall_ms
from dashboard.actions.accounts import NAME_MOST, invite, let_in_again, set_districts, set_role, shut_out, sign_out_everywhere
from dashboard.actions.acting import RefusedError
from dashboard.facts.accounts import AccountRow, account_rows
from dashboard.panel import panel
from dashboard.roles import ROLES
from dashboard.screen import Screen, live, refuse, screen, tell
from dashboard.words import ROLE
from domain.reach import districts_of

EVERY_S: Final = 10.0


def people() -> None:
    now = screen()
    rows = account_rows(now.town)
    beside = now.say("Tick accounts to change them; below, invite somebody new.")
    panel(now.html("title.html", title=now.say("Accounts"), beside=beside), key="accounts_title")
    done = panel(now.html("accounts.html", rows=rows, wall_ms=wall_ms()), key="accounts")
    picked = [row for row in rows if row.name in done.picked]
    acts(now, picked)


def acts(now: Screen, picked: list[AccountRow]) -> None:
    """What is done with the ticked accounts."""
    _, engine, who = now.say, now.town.records, now.account
    there, out = [row for row in picked if not row.disabled], [row for row in picked if row.disabled]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="account_acts"):
        role = st.selectbox(_("Role"), ROLES, format_func=lambda one: _(ROLE[one]), key="role_to_be", width=200)
        if st.button(_("Give this role"), disabled=not picked, key="give_role"):
            each(now, picked, lambda name: set_role(engine, who, name, role, wall_ms()))
        districts = st.multiselect(_("Districts"), districts_of(now.town.site), placeholder=_("all"), key="districts_to_be", width=260)
        if st.button(_("Limit to these districts"), disabled=not picked, key="limit"):
            each(now, picked, lambda name: set_districts(engine, who, name, districts, wall_ms()))
        if st.button(_("Sign out everywhere"), disabled=not picked, key="sign_out"):
            each(now, picked, lambda name: sign_out_everywhere(engine, who, name, wall_ms()))
        if st.button(_("Shut out"), disabled=not there, key="shut_out"):
            each(now, there, lambda name: shut_out(engine, who, name, wall_ms()))
        if st.button(_("Let in again"), disabled=not out, key="let_in"):
            each(now, out, lambda name: let_in_again(engine, who, name, wall_ms()))


def inviting() -> None:
    """A one-time link for somebody: not within what refreshes, so that nothing typed is lost."""
    now = screen()
    _ = now.say
    with st.form("invite", border=True, clear_on_submit=True), st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.text_input(_("Name"), max_chars=NAME_MOST, key="invite_name", width=260)
        role = st.selectbox(_("Role of a new account"), ROLES, format_func=lambda one: _(ROLE[one]), key="invite_role", width=220)
        asked = st.form_submit_button(_("Make a one-time link"), type="primary")
    if asked:
        try:
            token = invite(now.town.records, now.account, name, role, wall_ms())
        except RefusedError as refused:
            refuse(_(refused.why))
            return
        page = urlsplit(st.context.url or "")
        st.code(f"{page.scheme}://{page.netloc}/enter?token={token}", language=None)
        st.caption(_("Shown this once. It signs {name} in once, within seven days, to set a password.", name=name.strip()))


def each(now: Screen, rows: list[AccountRow], work: Callable[[str], None]) -> None:
    """Does it with each account and shows them anew, or says why it is not done."""
    try:
        for row in rows:
            work(row.name)
    except RefusedError as refused:
        refuse(now.say(refused.why))
        return
    tell(now.say("It is done."))
    st.rerun(scope="fragment")


live(people, every_s=EVERY_S)
inviting()

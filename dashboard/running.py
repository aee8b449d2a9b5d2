"""What the pages of this process belong to: Streamlit runs them as scripts, which can't be handed anything."""

import streamlit as st
from starlette.requests import Request

from dashboard.facts.limited_town import NOWHERE, within
from dashboard.facts.town import Town
from dashboard.roles import Account
from dashboard.session import Sessions


class Running:
    """The town and the sessions of this process, once its server has begun."""

    def __init__(self) -> None:
        self._town: Town | None = None
        self._sessions: Sessions | None = None

    def begin(self, town: Town, sessions: Sessions) -> None:
        """Sets what the pages show."""
        self._town, self._sessions = town, sessions

    @property
    def town(self) -> Town:
        """The site of this process, as far as the reader of this run of a page may see it; nothing of it for a stranger."""
        return self.town_of(self.sessions.account(st.context.cookies))

    def town_of(self, account: Account | None) -> Town:
        """The site of this process, as far as this account may see it; nothing of it for a stranger."""
        assert self._town is not None
        return within(self._town, NOWHERE if account is None else account.districts)

    def town_for(self, request: Request) -> Town:
        """The site of this process, as far as who asks for a sheet or a file may see it."""
        return self.town_of(self.sessions.account(request.cookies))

    @property
    def sessions(self) -> Sessions:
        """The sessions of this process."""
        assert self._sessions is not None
        return self._sessions


running = Running()

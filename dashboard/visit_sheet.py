"""``/visit/N``: one measuring visit as a sheet to print and sign off, for those who may file visits: it shows a signature."""

import base64
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from dashboard.desk.visit_form import home_of
from dashboard.facts.town import Town
from dashboard.facts.visits import signature_of, visit_row
from dashboard.forms import language_of, page
from dashboard.moments import Moments
from dashboard.screen import Screen
from dashboard.session import Sessions
from dashboard.text import speech
from domain.errors import StoreError


class VisitSheet:
    """The sheet of a record; ``town_for`` is the town as far as who asks may see it."""

    def __init__(self, town_for: Callable[[Request], Town], sessions: Sessions) -> None:
        self._town_for = town_for
        self._sessions = sessions

    def show(self, request: Request) -> Response:
        """The record with its signature and its link in the chain."""
        say = speech(language_of(request))
        account = self._sessions.account(request.cookies)
        if account is None or not account.may("file_visit"):
            return page(request, "message.html", 403, title=say("Measuring visits"), text=say("Your role does not show this page."))
        town = self._town_for(request)
        now_ms, number = town.now_ms(), int(request.path_params["number"])
        moments = Moments(town.site.timezone, say)
        try:
            found = visit_row(town, number) if number < 2**53 else None
            signature = signature_of(town, number) if found else None
        except StoreError:
            return page(request, "message.html", 503, title=say("Measuring visits"), text=say("The records can't be read at present."))
        if found is None:
            return page(request, "message.html", 404, title=say("There is no such record"), text="")
        home = home_of(Screen(town, account, say, moments, now_ms), found.visit.room_id)
        picture = base64.b64encode(signature).decode() if signature else ""
        return page(request, "visit_sheet.html", row=found, home=home, picture=picture, moments=moments, site=town.site, now_ms=now_ms)

"""``/notices/ID``: one notice on a sheet of its own, to be printed and put up. For those signed in: it may not be published yet."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.notices import notice
from dashboard.facts.town import Town
from dashboard.forms import language_of, page
from dashboard.moments import Moments
from dashboard.text import speech
from domain.errors import StoreError


class NoticeSheet:
    """The notices of one town, a sheet each; ``town_for`` is the town as far as who asks may see it."""

    def __init__(self, town_for: Callable[[Request], Town]) -> None:
        self._town_for = town_for

    def show(self, request: Request) -> Response:
        """The notice as it stands."""
        _, town = speech(language_of(request)), self._town_for(request)
        try:
            row = notice(town, int(request.path_params["notice_id"]))
        except StoreError:
            return page(request, "message.html", 503, title=_("The records can't be read at present."), text="")
        if row is None:
            return page(request, "message.html", 404, title=_("There is no such notice"), text=_("It may have been closed long ago."))
        return page(request, "notice_print.html", site=town.site, notice=row, moments=Moments(town.site.timezone, _))

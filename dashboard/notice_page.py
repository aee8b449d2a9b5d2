"""``/notices/ID``: one notice on a sheet of its own, to be printed and put up. For those signed in: it may not be published yet."""

from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.notices import notice
from dashboard.facts.town import Town
from dashboard.forms import language_of, page
from dashboard.moments import Moments
from dashboard.text import speech
from domain.errors import StoreError


class NoticeSheet:
    """The notices of one town, a sheet each."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def show(self, request: Request) -> Response:
        """The notice as it stands."""
        _ = speech(language_of(request))
        try:
            row = notice(self.town, int(request.path_params["notice_id"]))
        except StoreError:
            return page(request, "message.html", 503, title=_("The records can't be read at present."), text="")
        if row is None:
            return page(request, "message.html", 404, title=_("There is no such notice"), text=_("It may have been closed long ago."))
        return page(request, "notice_print.html", site=self.town.site, notice=row, moments=Moments(self.town.site.timezone, _))

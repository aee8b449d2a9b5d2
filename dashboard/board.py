"""``/board``: the public notice board. No login, nothing personal: stations, streets and buildings only."""

from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.outages import public_notices
from dashboard.facts.town import Town
from dashboard.forms import page
from dashboard.moments import Moments
from dashboard.text import speech
from domain.errors import StoreError


class Board:
    """The notices, Chinese first, English beside it."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def show(self, request: Request) -> Response:
        """The board as it stands."""
        now_ms = self.town.now_ms()
        moments = Moments(self.town.site.timezone, speech("zh"))
        try:
            notices = public_notices(self.town)
        except StoreError:
            return page(request, "board.html", 503, site=self.town.site, notices=None, moments=moments, now_ms=now_ms)
        return page(request, "board.html", site=self.town.site, notices=notices, moments=moments, now_ms=now_ms)

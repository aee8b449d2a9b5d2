"""``/shift/print``: a shift's log on paper, for the folder and the signatures. Signed in only; ``?shift=ID`` names an earlier one."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.shift import shift_log, standing
from dashboard.facts.town import Town
from dashboard.forms import language_of, page
from dashboard.moments import Moments
from dashboard.text import speech
from domain.errors import StoreError

SHIFT_PRINT: Final = "/shift/print"


class ShiftPrint:
    """The page that is printed; ``town_for`` is the town as far as who asks may see it."""

    def __init__(self, town_for: Callable[[Request], Town]) -> None:
        self._town_for = town_for

    def show(self, request: Request) -> Response:
        """The shift that goes on, or the one that is asked for."""
        say, town = speech(language_of(request)), self._town_for(request)
        try:
            log, stands = shift_log(town), standing(town)
        except StoreError:
            return page(request, "message.html", 503, title=say("The records can't be read at present."), text="")
        asked = request.query_params.get("shift", "")
        shift = next((one for one in log.shifts if str(one.id) == asked), None if asked else log.shifts[0])
        if shift is None:
            return page(request, "message.html", 404, title=say("There is no such shift"), text="")
        points = log.open_points
        if shift.handed_over is not None:
            kept = shift.handed_over.body
            stands, points = kept.get("standing", {}), [log.by_id[one] for one in kept.get("open_points", ()) if one in log.by_id]
        moments, now_ms = Moments(town.site.timezone, say), town.now_ms()
        return page(
            request, "shift_print.html", site=town.site, moments=moments, now_ms=now_ms, shift=shift, points=points, standing=stands,
            by_id=log.by_id,
        )  # fmt: skip

"""``/report/2026-01.xlsx?area=``: the report as a file, the same bytes that ``keepwarm report`` writes."""

from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dashboard.facts.reports import report_file
from dashboard.facts.town import Town
from dashboard.forms import language_of, page
from dashboard.text import speech
from domain.errors import ConfigError, StoreError

KINDS = {
    "json": "application/json",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ReportDownload:
    """The report of a period and area as workbook, PDF or JSON; ``town_for`` is the town as far as who asks may see it."""

    def __init__(self, town_for: Callable[[Request], Town]) -> None:
        self._town_for = town_for

    def show(self, request: Request) -> Response:
        """The file; whoever is signed in may have it, as they may see the page: it names no resident."""
        say, town = speech(language_of(request)), self._town_for(request)
        period, _, form = str(request.path_params["name"]).rpartition(".")
        area = request.query_params.get("area", "")[:200]
        if form not in KINDS:
            return page(request, "message.html", 404, title=say("There is no such page"), text="")
        try:
            made = report_file(town, period, area, form)
        except ConfigError:
            return page(request, "message.html", 404, title=say("There is no such report"), text="")
        except StoreError:
            return page(request, "message.html", 503, title=say("Reports"), text=say("The records can't be read at present."))
        name = quote("-".join(part for part in (town.site.name, period, area.replace("/", "-")) if part) + f".{form}")
        return FileResponse(made, media_type=KINDS[form], headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"})

"""The API as an ASGI app of its own, mounted under ``/api/v1``; its description is ``/api/v1/openapi.json``."""

import re
from typing import Any, Final

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from dashboard.api import alarm_routes, complaint_routes, notice_routes, reading_routes, record_routes, stop_routes, town_routes
from dashboard.api.answers import PROBLEM, ProblemError
from dashboard.api.asked import BURST, PER_MINUTE, SCHEME, Asked, Reader, unavailable
from dashboard.api.shapes import SHAPES, named
from domain.errors import StoreError

_log = structlog.get_logger()

BASE: Final = "/api/v1"
ABOUT: Final = f"""Every request carries a key: `Authorization: Bearer KEY`, made by `keepwarm accounts key`. Reading needs its scope
`read`; what an act needs is said with it. A key may ask {PER_MINUTE} times a minute, {BURST} of them at once; then 429 with `Retry-After`.

Lists are pages: `limit`, `after` (the `next` of the page before, null on the last one). Answers carry an `ETag`: sent back in
`If-None-Match` it gets a 304 where nothing changed, in `If-Match` an act is refused (412) where the row is another by now. Errors are
problem documents (RFC 9457).

Instants are ISO 8601 with the site's offset, and are taken as the site's time where they have none; columns of readings, and what is kept
as JSON (`evidence`, `facts`, `said`), have UTC milliseconds. Temperatures are in ℃, differences in K (`…_c`, `…_k`): a name ends in its
unit. Points are named `station/ID/QUANTITY` and `room/ID/QUANTITY`, such as `station/S01/secondary_supply_temp_c`; `/latest` without
`point` lists them. The rules R1 to R9 stand in `docs/rules.md`."""


_PROBLEMS: Final = {
    400: "the body can't be read",
    401: "no key, or one that is not in force",
    403: "the key lacks the scope",
    404: "there is no such thing",
    405: "nothing is done that way here",
    409: "refused for what it is by now",
    412: "changed since it was read (If-Match)",
    413: "the body is too large",
    422: "the request is not understood",
    428: "the request has to say what was read (If-Match)",
    429: "too many requests",
    500: "this failed here",
    503: "a store can't be read now",
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "what the caller has already (If-None-Match)"},
    **{code: {"description": text, "content": {PROBLEM: {"schema": named("Problem")}}} for code, text in _PROBLEMS.items()},
}


def make_api(asked: Asked) -> FastAPI:
    """The API over one town."""
    api = _routes()
    api.state.asked = asked

    @api.get("/openapi.json", include_in_schema=False)
    def description(_: Reader) -> dict[str, Any]:
        return api.openapi()

    api.add_exception_handler(ProblemError, _problem)
    api.add_exception_handler(StoreError, _store)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, http_problem)
    api.add_exception_handler(Exception, _fault)
    return api


def description_of_api() -> dict[str, Any]:
    """What ``/api/v1/openapi.json`` says; it is the same for every town."""
    return _routes().openapi()


class _Api(FastAPI):
    """Its description names the shapes of all answers."""

    def openapi(self) -> dict[str, Any]:
        """The description."""
        described = super().openapi()
        described["components"]["schemas"].update(SHAPES)
        return described


def _routes() -> FastAPI:
    api = _Api(
        title="Keepwarm 守温",
        version="1",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        servers=[{"url": BASE}],
        dependencies=[Depends(SCHEME)],
        responses=_RESPONSES,
        generate_unique_id_function=_called,
    )
    for routes in (town_routes, reading_routes, record_routes, complaint_routes, alarm_routes, notice_routes, stop_routes):
        api.include_router(routes.router)
    return api


def _called(route: APIRoute) -> str:
    """What clients made from the description call an operation: ``get_stations``, ``post_notices_row_id_publish``."""
    return "_".join([*sorted(route.methods or ()), *re.findall(r"\w+", route.path)]).lower()


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _store(_: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    return unavailable(error).response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return ProblemError(422, "the request is not understood", f"{where}: {first['msg']}").response()


async def http_problem(_: Request, error: Exception) -> Response:
    """What the router refuses (404, 405), as a problem."""
    assert isinstance(error, HTTPException)
    return ProblemError(error.status_code, str(error.detail).lower(), headers=error.headers).response()


async def _fault(_: Request, error: Exception) -> Response:
    _log.error("the API failed", exc_info=error)
    return ProblemError(500, "this failed here; the log says why").response()

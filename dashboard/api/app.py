"""The API as an ASGI app of its own, mounted under ``/api/v1``; its description is ``/api/v1/openapi.json``."""

from typing import Any, Final

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from dashboard.api import alarm_routes, complaint_routes, notice_routes, reading_routes, record_routes, stop_routes, town_routes
from dashboard.api.answers import PROBLEM, PROBLEM_SCHEMA, ProblemError
from dashboard.api.asked import SCHEME, Asked, Reader, unavailable
from domain.errors import StoreError

_log = structlog.get_logger()

ABOUT = """Every request carries a key: `Authorization: Bearer KEY`, made by `keepwarm accounts key`.
Lists are pages: `limit`, `after` (the `next` of the page before). Answers carry an ETag. Errors are problem documents (RFC 9457).
Instants are ISO 8601 with the site's offset; columns of readings are in UTC milliseconds."""


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
    **{code: {"description": text, "content": {PROBLEM: {"schema": PROBLEM_SCHEMA}}} for code, text in _PROBLEMS.items()},
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


def _routes() -> FastAPI:
    api = FastAPI(
        title="Keepwarm 守温",
        version="1",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(SCHEME)],
        responses=_RESPONSES,
    )
    for routes in (town_routes, reading_routes, record_routes, complaint_routes, alarm_routes, notice_routes, stop_routes):
        api.include_router(routes.router)
    return api


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

"""The API as an ASGI app of its own, mounted under ``/api/v1``; its description is ``/api/v1/openapi.json``."""

from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from dashboard.api import record_routes, town_routes
from dashboard.api.answers import ProblemError
from dashboard.api.asked import Asked, Reader, unavailable
from domain.errors import StoreError

_log = structlog.get_logger()

ABOUT = """Every request carries a key: `Authorization: Bearer KEY`, made by `keepwarm accounts key` or on the page *Accounts*.
Lists are pages: `limit`, `after` (the `next` of the page before). Answers carry an ETag. Errors are problem documents (RFC 9457).
Instants are ISO 8601 with the site's offset; columns of readings are in UTC milliseconds."""


def make_api(asked: Asked) -> FastAPI:
    """The API over one town."""
    problem: dict[str, Any] = {"content": {"application/problem+json": {}}}
    api = FastAPI(
        title="Keepwarm 守温",
        version="1",
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses={code: {"description": text, **problem} for code, text in _PROBLEMS.items()},
    )
    api.state.asked = asked
    api.include_router(town_routes.router)
    api.include_router(record_routes.router)

    @api.get("/openapi.json", include_in_schema=False)
    def description(_: Reader) -> dict[str, Any]:
        return api.openapi()

    api.add_exception_handler(ProblemError, _problem)
    api.add_exception_handler(StoreError, _store)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _fault)
    return api


_PROBLEMS: dict[int | str, str] = {
    401: "no key, or one that is not in force",
    403: "the key lacks the scope",
    404: "there is no such thing",
    409: "refused for what it is by now",
    422: "the request is not understood",
    429: "too many requests",
    503: "a store can't be read now",
}


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


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return ProblemError(error.status_code, str(error.detail).lower(), headers=error.headers).response()


async def _fault(_: Request, error: Exception) -> Response:
    _log.error("the API failed", exc_info=error)
    return ProblemError(500, "this failed here; the log says why").response()

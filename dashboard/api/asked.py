"""Who asks, and for which part: the key in the Authorization header, its scope, its rate; pages and filters of lists.

Authorization ──▶ key in force? ──▶ rate ──▶ scope ──▶ ``Call``: what a route answers, and the town as far as the key may see it
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Header, Path, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select
from sqlalchemy.exc import SQLAlchemyError

from dashboard.accounts import wall_ms
from dashboard.actions.acting import RefusedError
from dashboard.api.answers import ProblemError, answer, page, shown
from dashboard.api.keys import Key, Scope, find_key
from dashboard.api.rate import Rate
from dashboard.facts.limited_town import within
from dashboard.facts.town import Town
from dashboard.lockout import Lockout, guesser_at
from domain.errors import StoreError
from store.site_folder.instants import parse_instant

PER_MINUTE: Final = 600
BURST: Final = 120
GUESSES: Final = 20
LOCKED_S: Final = 300.0
LIMIT: Final = 100
LIMIT_MOST: Final = 1_000
REPEATED: Final = frozenset({"point"})
# PostgreSQL stores no NUL, and no name of ours has a control character.
PLAIN: Final = r"^[^\x00-\x1f\x7f]*$"

Plain = Annotated[str, Field(max_length=200, pattern=PLAIN)]
Done = TypeVar("Done")


class Asked:
    """The town behind the API and what is counted of its callers."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.rate = Rate(PER_MINUTE, BURST)
        self.guesses = Lockout(GUESSES, LOCKED_S)

    async def key(self, request: Request, scope: Scope) -> Key:
        """The key that asks. Raises ProblemError: 401 without one, 403 without the scope, 429 for too many requests or guesses."""
        address = guesser_at(request.client.host if request.client else "")
        locked_s = self.guesses.locked_s(address)
        if locked_s:
            raise ProblemError(429, "too many wrong keys", headers={"retry-after": str(round(locked_s) + 1)})
        word, _, token = request.headers.get("authorization", "").partition(" ")
        if word.lower() != "bearer" or not token:
            raise ProblemError(401, "a key is needed", "Authorization: Bearer KEY", {"www-authenticate": "Bearer"})
        try:
            key = await asyncio.to_thread(find_key, self.town.records, token.strip(), wall_ms())
        except SQLAlchemyError as error:
            raise ProblemError(503, "the records can't be read", headers={"retry-after": "5"}) from error
        if key is None:
            self.guesses.failed(address)
            raise ProblemError(401, "this key is unknown or was revoked", headers={"www-authenticate": "Bearer"})
        wait_s = self.rate.wait_s(key.id)
        if wait_s:
            raise ProblemError(429, "too many requests", f"{PER_MINUTE} a minute", {"retry-after": str(int(wait_s) + 1)})
        if scope not in key.scopes:
            raise ProblemError(403, "this key may not do that", f"it needs the scope {scope}")
        return key


@dataclass(frozen=True)
class Call:
    """One request that is answered: its key, and the town as far as that may see it."""

    request: Request
    key: Key
    town: Town

    def answer(self, body: Any, status: int = 200) -> Response:
        """The body as JSON, or 304 where the caller has it already."""
        return answer(self.request, body, status)

    def shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as other systems read it."""
        return shown(row, self.town.site.timezone)

    def page(self, rows: Sequence[Mapping[str, Any]], part: "Part", cursor: str) -> Response:
        """One page of a list; ``rows`` holds one more than the limit where there are more."""
        return self.answer(page(rows, part.limit, cursor, self.town.site.timezone))

    def rows(self, query: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Rows of the records by the names of their columns."""
        names = [str(column.name) for column in query.selected_columns]  # names of columns are a kind of str of their own
        return [dict(zip(names, row, strict=True)) for row in self.town.rows(query)]

    def do(self, refused: str, deed: Callable[[], Done]) -> Done:
        """Does what changes something; what is refused is a problem (409) of this title that says why."""
        try:
            done = deed()
        except RefusedError as error:
            raise ProblemError(409, refused, error.why) from error
        self.town.shared.forget()
        return done

    def instant_ms(self, name: str, text: str | None) -> int | None:
        """UTC ms of a query's time, local where it has no offset. Raises ProblemError 422 for anything else."""
        if text is None:
            return None
        try:
            return parse_instant(text.replace(" ", "+") if "T" in text else text, self.town.site.timezone)
        except ValueError:
            raise ProblemError(422, f"{name} is no time", f"{text!r}: a time such as 2026-11-15T06:00:00+08:00") from None


def needs(scope: Scope) -> Callable[[Request], Awaitable[Call]]:
    """A dependency that lets through keys with this scope."""

    async def call(request: Request) -> Call:
        asked: Asked = request.app.state.asked
        key = await asked.key(request, scope)
        _once(request)
        return Call(request, key, within(asked.town, key.districts))

    return call


def _once(request: Request) -> None:
    """A parameter given twice is a mistake: which of the two was meant, nobody knows."""
    names = [name for name, _ in request.query_params.multi_items() if name not in REPEATED]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ProblemError(422, "the request is not understood", f"query.{twice}: given more than once")


SCHEME: Final = HTTPBearer(auto_error=False, description="A key made by `keepwarm accounts key`.")
Reader = Annotated[Call, Depends(needs("read"))]
Desk = Annotated[Call, Depends(needs("complaints"))]
CurveFiler = Annotated[Call, Depends(needs("curves"))]
NoticeWriter = Annotated[Call, Depends(needs("notices"))]
AlarmDesk = Annotated[Call, Depends(needs("alarms"))]
Planner = Annotated[Call, Depends(needs("stops"))]

RowId = Annotated[int, Path(ge=1, le=2**53)]
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Instant = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag of the row as it was read.", max_length=2_000)]


class Body(BaseModel):
    """What is sent: a name that the route does not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Asking(BaseModel):
    """The query of a route: a name that it does not know is a mistake, not silence."""

    model_config = ConfigDict(extra="forbid")


class Part(Asking):
    """Which part of a list."""

    limit: int = Field(LIMIT, ge=1, le=LIMIT_MOST, description="Rows of a page at most.")
    after: Plain = Field("", description="The cursor `next` of the page before.")


def unavailable(error: StoreError) -> ProblemError:
    """What is said while a store can't be read."""
    return ProblemError(503, "a store can't be read now", str(error).split(":", 1)[0], {"retry-after": "5"})

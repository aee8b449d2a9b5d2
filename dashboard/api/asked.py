"""Who asks: the key in the Authorization header, its scope, its rate. What every route needs of the town."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from dashboard.accounts import wall_ms
from dashboard.api.answers import ProblemError
from dashboard.api.keys import Key, Scope, find_key
from dashboard.api.rate import Rate
from dashboard.facts.town import Town
from dashboard.lockout import Lockout
from domain.errors import StoreError
from store.site_folder.instants import parse_instant

PER_MINUTE: Final = 600
BURST: Final = 120
GUESSES: Final = 20
LOCKED_S: Final = 300.0
LIMIT: Final = 100
LIMIT_MOST: Final = 1_000


class Asked:
    """The town behind the API and what is counted of its callers."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.rate = Rate(PER_MINUTE, BURST)
        self.guesses = Lockout(GUESSES, LOCKED_S)

    async def key(self, request: Request, scope: Scope) -> Key:
        """The key that asks. Raises ProblemError: 401 without one, 403 without the scope, 429 for too many requests or guesses."""
        address = request.client.host if request.client else ""
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


def town_of(request: Request) -> Town:
    """The town that the API shows."""
    asked: Asked = request.app.state.asked
    return asked.town


def needs(scope: Scope) -> Callable[[Request], Awaitable[Key]]:
    """A dependency that lets through keys with this scope."""

    async def key(request: Request) -> Key:
        asked: Asked = request.app.state.asked
        return await asked.key(request, scope)

    return key


Reader = Annotated[Key, Depends(needs("read"))]
Desk = Annotated[Key, Depends(needs("complaints"))]
CurveFiler = Annotated[Key, Depends(needs("curves"))]
TownOf = Annotated[Town, Depends(town_of)]


def instant_ms(name: str, text: str | None, town: Town) -> int | None:
    """UTC ms of a query's time, local where it has no offset. Raises ProblemError 422 for anything else."""
    if text is None:
        return None
    try:
        return parse_instant(text.replace(" ", "+") if "T" in text else text, town.site.timezone)
    except ValueError:
        raise ProblemError(422, f"{name} is no time", f"{text!r}: a time such as 2026-11-15T06:00:00+08:00") from None


def unavailable(error: StoreError) -> ProblemError:
    """What is said while a store can't be read."""
    return ProblemError(503, "a store can't be read now", str(error).split(":", 1)[0], {"retry-after": "5"})

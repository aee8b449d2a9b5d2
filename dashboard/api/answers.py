"""What the API answers: JSON with an ETag, instants as ISO 8601, one shape of a page, and problems (RFC 9457)."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from hashlib import sha256
from typing import Any, Final

import orjson
from fastapi import Request, Response

from domain.clock import iso

PROBLEM: Final = "application/problem+json"
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
# Columns that hold instants (UTC ms) under other names than ``…_at``.
INSTANTS: Final = frozenset({"at", "started_earliest", "shelved_until", "effective_from", "since", "from", "to"})

INSTANT_ENDINGS: Final = ("_at", "_since")


class ProblemError(Exception):
    """A request that is not answered: the HTTP status, a short title and, where it helps, what would be right."""

    def __init__(self, status: int, title: str, detail: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The problem as its document."""
        body = {"type": "about:blank", "title": self.title, "status": self.status}
        content = orjson.dumps(body | ({"detail": self.detail} if self.detail else {}))
        return Response(content, self.status, self.headers, PROBLEM)


def answer(request: Request, body: Any, status: int = 200) -> Response:
    """The body as JSON; 304 without one where the caller has this very body already (If-None-Match)."""
    content = _packed(body)
    tag = _tag(content)
    if request.method == "GET" and ({tag, "*"} & _tags(request.headers.get("if-none-match", ""))):
        return Response(status_code=304, headers={"etag": tag})
    return Response(content, status, {"etag": tag}, "application/json")


def check_seen(if_match: str | None, body: Any, *, needed: bool) -> None:
    """Raises ProblemError unless the caller saw what he acts on as it stands (If-Match): 412, or 428 where he has to say and does not."""
    if if_match is None:
        if needed:
            raise ProblemError(428, "say what you saw", "If-Match: the ETag of the row as you read it")
    elif not {_tag(_packed(body)), "*"} & _tags(if_match):
        raise ProblemError(412, "changed meanwhile", "read it again: its ETag is another by now")


def shown(row: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """A row for other systems: instants (``…_at``, ``…since_ms``) in ISO 8601 with the site's offset."""
    return {shown_name(name): _value(shown_name(name), value, zone) for name, value in row.items()}


def shown_name(name: str) -> str:
    """What a field is called outside: instants without the unit that they are kept in."""
    plain = str(name)  # that of a column is a kind of its own
    return plain.removesuffix("_ms") if plain.endswith(("since_ms", "effective_from_ms")) else plain


def is_instant(name: str) -> bool:
    """Whether a field is shown as an instant."""
    return name in INSTANTS or name.endswith(INSTANT_ENDINGS)


def page(rows: Sequence[Mapping[str, Any]], limit: int, cursor: str, zone: tzinfo) -> dict[str, Any]:
    """One page: at most ``limit`` rows, and the ``next`` cursor where there are more (``rows`` holds one more than the limit then)."""
    kept = rows[:limit]
    following = str(kept[-1][cursor]) if len(rows) > limit else None
    return {"items": [shown(row, zone) for row in kept], "next": following}


def _packed(body: Any) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _tag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'


def _tags(header: str) -> set[str]:
    return {one.strip().removeprefix("W/") for one in header.split(",")}


def _value(name: str, value: Any, zone: tzinfo) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and is_instant(name):
        return iso(value, zone)
    return value

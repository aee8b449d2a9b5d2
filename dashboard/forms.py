"""Our own forms: read within bounds, and only when they come from our own pages."""

import secrets

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from dashboard.markup import html
from dashboard.session import Sessions
from dashboard.text import DEFAULT_LANGUAGE, LANGUAGES, speech

FORM_COOKIE = "keepwarm_form"
LANGUAGE_COOKIE = "keepwarm_language"
FORM_COOKIE_S = 3_600


def language_of(request: Request) -> str:
    """The language asked for in the address, else the one chosen before, else Chinese."""
    wanted = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, "")
    return wanted if wanted in LANGUAGES else DEFAULT_LANGUAGE


def address_of(request: Request) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else ""


def page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """One of our own pages in the reader's language."""
    language = language_of(request)
    response = HTMLResponse(html(template, language, path=request.url.path, **values), status)
    if "lang" in request.query_params:
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=31_536_000, samesite="lax", secure=request.url.scheme == "https")
    return response


def stranger_form(request: Request, sessions: Sessions) -> tuple[str, str]:
    """For a form before sign-in: the value of its cookie and the token it must bring back."""
    seed = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
    return seed, sessions.signature("stranger", seed)


def keep_form_cookie(request: Request, response: Response, seed: str) -> None:
    """Sets the cookie that belongs to a form before sign-in."""
    secure = request.url.scheme == "https"
    response.set_cookie(FORM_COOKIE, seed, max_age=FORM_COOKIE_S, httponly=True, samesite="strict", secure=secure)


def is_ours(request: Request, sessions: Sessions, fields: dict[str, str]) -> bool:
    """Whether a form carries the token of the session it claims to come from, or of the stranger's cookie."""
    sent = fields.get("form", "")
    token = sessions.token(request.cookies)
    if token is not None and sessions.signed("form", token, sent):
        return True
    seed = request.cookies.get(FORM_COOKIE, "")
    return bool(seed) and sessions.signed("stranger", seed, sent)


async def fields_of(request: Request) -> dict[str, str] | None:
    """The text fields of a form; None when it was too long or not a form."""
    try:
        form = await request.form(max_files=0, max_fields=20)
    except (ClientDisconnect, ValueError):
        return None
    return {name: value for name, value in form.items() if isinstance(value, str)}


def forged(request: Request) -> HTMLResponse:
    """The answer to a form that is not ours, or too old."""
    _ = speech(language_of(request))
    return page(request, "message.html", 403, title=_("This form is out of date"), text=_("Open the page again and repeat what you did."))


def local_path(target: str | None) -> str:
    """A path of this site to go on to; the wall for anything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or any(ord(sign) < 32 for sign in target):
        return "/"
    return target

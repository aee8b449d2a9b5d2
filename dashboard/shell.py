"""The page around Streamlit: its own index.html with our name, style sheet and theme, and without what we don't offer."""

import re
from functools import lru_cache
from pathlib import Path

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboard.forms import language_of, page
from dashboard.markup import assets_version
from dashboard.pages import PageEntry
from dashboard.session import Sessions
from dashboard.text import speech

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
# An inline script would need a hole in the content policy; the agent API is off.
_NOT_OURS = re.compile(
    r"<!--.*?-->|<script>.*?</script>|<noscript>.*?</noscript>|<link rel=\"(?:service-desc|shortcut icon)\".*?>", re.DOTALL
)


@lru_cache(maxsize=8)
def shell(language: str) -> str:
    """The HTML that every page of the dashboard starts from."""
    _ = speech(language)
    text = _NOT_OURS.sub("", INDEX.read_text(encoding="utf-8"))
    version = assets_version()
    head = (
        f'<link rel="icon" type="image/svg+xml" href="/assets/mark.svg?v={version}">'
        f'<link rel="stylesheet" href="/assets/keepwarm.css?v={version}">'
        f'<link rel="stylesheet" href="/assets/desk.css?v={version}">'
        f'<link rel="stylesheet" href="/assets/dispatch.css?v={version}">'
        f'<script src="/assets/shell.js?v={version}"></script>'
    )
    text = re.sub(r"<title>.*?</title>", "<title>守温 Keepwarm</title>", text)
    text = text.replace('<html lang="en">', f'<html lang="{"zh-CN" if language == "zh" else "en"}">')
    without = _("This page needs JavaScript.")
    text = text.replace("<body>", f"<body><noscript>{without}</noscript>", 1)
    return text.replace("</head>", f"{head}</head>", 1)


class PageShell:
    """The address of one page: its shell for those who may see it."""

    def __init__(self, entry: PageEntry, sessions: Sessions) -> None:
        self._entry = entry
        self._sessions = sessions

    def show(self, request: Request) -> HTMLResponse:
        """The shell; refused to a role that may not see this page. Strangers never come this far."""
        account = self._sessions.account(request.cookies)
        language = language_of(request)
        if account is None or not account.may(self._entry.right):
            _ = speech(language)
            text = _("Your role does not show this page.")
            return page(request, "message.html", 403, title=_(self._entry.title), text=text)
        return HTMLResponse(shell(language))

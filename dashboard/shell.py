"""The page around Streamlit: its own index.html with our name, style sheet and theme, and without what we don't offer."""

import re
from functools import lru_cache
from pathlib import Path

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboard.forms import language_of
from dashboard.markup import assets_version
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
        f'<script src="/assets/shell.js?v={version}"></script>'
    )
    text = re.sub(r"<title>.*?</title>", "<title>守温 Keepwarm</title>", text)
    text = text.replace('<html lang="en">', f'<html lang="{"zh-CN" if language == "zh" else "en"}">')
    without = _("This page needs JavaScript.")
    text = text.replace("<body>", f"<body><noscript>{without}</noscript>", 1)
    return text.replace("</head>", f"{head}</head>", 1)


def show(request: Request) -> HTMLResponse:
    """Any page of the dashboard: which one it is, the browser tells Streamlit."""
    return HTMLResponse(shell(language_of(request)))

"""``/board``, and ``/board.rss`` for readers of news: the public notices. No login, nothing personal: stations and buildings only."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.notices import NoticeRow, public_notices
from dashboard.facts.town import Town
from dashboard.forms import page
from dashboard.moments import Moments
from dashboard.text import speech
from domain.errors import StoreError

NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # one of them, and no reader reads the feed


class Board:
    """The notices, Chinese first, English beside it."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def show(self, request: Request) -> Response:
        """The board as it stands."""
        now_ms = self.town.now_ms()
        moments = Moments(self.town.site.timezone, speech("zh"))
        try:
            notices = public_notices(self.town)
        except StoreError:
            return page(request, "board.html", 503, site=self.town.site, notices=None, moments=moments, now_ms=now_ms)
        return page(request, "board.html", site=self.town.site, notices=notices, moments=moments, now_ms=now_ms)

    def feed(self, request: Request) -> Response:
        """The notices as RSS 2.0, the newest first."""
        try:
            notices = public_notices(self.town)
        except StoreError:
            return Response(status_code=503, headers={"retry-after": "60"})
        return Response(
            _rss(self.town.site.name, str(request.url.replace(path="/board", query="")), notices), media_type="application/rss+xml"
        )


def _rss(name: str, link: str, notices: Sequence[NoticeRow]) -> bytes:
    rss = Element("rss", version="2.0")
    channel = SubElement(rss, "channel")
    for tag, text in (("title", f"{name} 停热通告 Heating notices"), ("link", link), ("description", name), ("language", "zh-cn")):
        SubElement(channel, tag).text = text
    for notice in sorted(notices, key=lambda one: one.changed_at, reverse=True):
        item = SubElement(channel, "item")
        over = f"{notice.over_zh} · " if notice.state == "closed" else "更新 · " if notice.state == "amended" else ""
        SubElement(item, "title").text = f"{over}{notice.title_zh} · {notice.title_en}"
        said = (f"{notice.closing_zh}\n{notice.text_zh}".strip(), f"{notice.closing_en}\n{notice.text_en}".strip())
        SubElement(item, "description").text = "\n\n".join(said)
        SubElement(item, "pubDate").text = format_datetime(datetime.fromtimestamp(notice.changed_at / 1000, UTC))
        SubElement(item, "guid", isPermaLink="false").text = f"notice-{notice.id}-{notice.version}"
    for element in rss.iter():
        element.text = element.text and NO_XML.sub("", element.text)
    return bytes(tostring(rss, encoding="utf-8", xml_declaration=True))

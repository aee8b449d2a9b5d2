"""Panels that keep themselves fresh: all who look at the same thing get the same bytes, made and packed once, without a run of a script.

a page's script ──▶ show_fresh: HTML + its address ──▶ panel.js ── every 2 s ──▶ that address ──▶ may see the page? ──▶ the HTML of
this moment (facts/shared.py) ──▶ gzip, once
"""

import asyncio
import gzip
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from dashboard.pages import PAGES
from dashboard.panel import Done, panel
from dashboard.running import Running, running
from dashboard.screen import Screen, screen_of, troubles_html
from dashboard.text import DEFAULT_LANGUAGE, LANGUAGES
from domain.errors import StoreError

OFFERS_MOST: Final = 256
PACKED_KEPT: Final = 16
PACKING_LEVEL: Final = 4  # 0.8 of level 9's gain for a quarter of its time
FOLDER: Final = "/fresh/"


@dataclass(frozen=True)
class Offer:
    """What a panel shows: as ``Screen.shared_html`` has it. ``page`` is the path of the page it stands on.

    ``values`` know no town but the one they are asked with, which ends where the districts of the reader who asks do.
    """

    page: str
    template: str
    key: object
    values: Callable[[Screen], dict[str, object]]

    def html(self, now: Screen) -> str:
        """The HTML of this moment, or what can't be read."""
        try:
            return now.shared_html(self.template, self.key, lambda: self.values(now))
        except StoreError:
            return troubles_html(now)


class Fresh:
    """What was shown lately, to be asked for again by its address, which only those are told who were shown it."""

    def __init__(self, of: Running) -> None:
        self._of = of
        self._offers: OrderedDict[str, Offer] = OrderedDict()
        self._packed: deque[tuple[str, bytes]] = deque(maxlen=PACKED_KEPT)
        self._lock = threading.Lock()

    def offer(self, offer: Offer) -> str:
        """Keeps an offer; gives its address, the same for the same thing, also after a restart."""
        name = self._of.sessions.signature("fresh", repr((offer.page, offer.template, offer.key)))[:32]
        with self._lock:
            self._offers[name] = offer
            self._offers.move_to_end(name)
            while len(self._offers) > OFFERS_MOST:
                self._offers.popitem(last=False)
        return f"{FOLDER}{name}"

    async def answer(self, request: Request) -> Response:
        """The HTML; 403 to a role that may not see its page, 404 for what nobody was shown lately. Strangers never come this far."""
        account = self._of.sessions.account(request.cookies)
        offer = self._offers.get(request.path_params["name"])
        if offer is None:
            return Response(status_code=404)
        if account is None or not account.may(PAGES[offer.page].right):
            return Response(status_code=403)
        asked = request.query_params.get("language", "")
        now = screen_of(self._of.town_of(account), account, asked if asked in LANGUAGES else DEFAULT_LANGUAGE)
        packs = "gzip" in request.headers.get("accept-encoding", "")
        content = await asyncio.to_thread(self._content, offer, now, packs=packs)
        headers = {"vary": "accept-encoding", **({"content-encoding": "gzip"} if packs else {})}
        return Response(content, headers=headers, media_type="text/html")

    def _content(self, offer: Offer, now: Screen, *, packs: bool) -> bytes:
        text = offer.html(now)
        if not packs:
            return text.encode()
        with self._lock:
            for known, packed in self._packed:
                if known is text:  # the very text that all share at this moment
                    return packed
            packed = gzip.compress(text.encode(), PACKING_LEVEL)
            self._packed.append((text, packed))
            return packed


fresh = Fresh(running)


def show_fresh(now: Screen, offer: Offer, *, key: str) -> Done:
    """Shows a panel that keeps itself fresh; where a store can't be read it says so, and goes on trying."""
    return panel(offer.html(now), key=key, fresh=f"{fresh.offer(offer)}?language={now.say.language}")

"""Panels that keep themselves fresh: all who look at the same thing get the same bytes, made and packed once, without a run of a script.

a page's script ──▶ show_fresh: HTML + its name ──▶ panel.js ── every 2 s, for all panels of the page ──▶ /fresh?panel=… ──▶ may see
their page? ──▶ the HTML of this moment (facts/shared.py) ──▶ JSON, gzip, once
"""

import asyncio
import gzip
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from dashboard.facts.town import Town
from dashboard.pages import PAGES
from dashboard.panel import Done, panel
from dashboard.roles import Account
from dashboard.running import Running, running
from dashboard.screen import Screen, screen_of, troubles_html
from domain.errors import StoreError

OFFERS_MOST: Final = 256
PANELS_MOST: Final = 16  # of one page
PACKED_KEPT: Final = 16
PACKING_LEVEL: Final = 4  # 0.8 of level 9's gain for a quarter of its time
PATH: Final = "/fresh"


@dataclass(frozen=True)
class Offer:
    """What a panel shows: as ``Screen.shared_html`` has it. ``page`` is the path of the page it stands on.

    ``values`` know no town but the one they are asked with, which ends where the districts of the reader who asks do. ``timeless`` is a
    template that shows these alone: no age, no time left.
    """

    page: str
    template: str
    key: object
    values: Callable[[Screen], dict[str, object]]
    timeless: bool = False

    def html(self, now: Screen) -> str:
        """The HTML of this moment, or what can't be read."""
        try:
            return now.shared_html(self.template, self.key, lambda: self.values(now), timeless=self.timeless)
        except StoreError:
            return troubles_html(now)


@dataclass(frozen=True)
class _Shown:
    """An offer in the language it was shown in."""

    offer: Offer
    language: str

    def html(self, town: Town, account: Account) -> str:
        return self.offer.html(screen_of(town, account, self.language))


class Fresh:
    """What was shown lately, to be asked for again by its name, which only those are told who were shown it."""

    def __init__(self, of: Running) -> None:
        self._of = of
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._packed: deque[tuple[Sequence[str | None], bytes]] = deque(maxlen=PACKED_KEPT)
        self._lock = threading.Lock()

    def offer(self, offer: Offer, language: str) -> str:
        """Keeps an offer; gives its name, the same for the same thing, also after a restart."""
        name = self._of.sessions.signature("fresh", repr((offer.page, offer.template, offer.key, language)))[:32]
        with self._lock:
            self._shown[name] = _Shown(offer, language)
            self._shown.move_to_end(name)
            while len(self._shown) > OFFERS_MOST:
                self._shown.popitem(last=False)
        return name

    async def answer(self, request: Request) -> Response:
        """A list with the HTML of each ``panel``, null for what nobody was shown lately; 403 to a role that may not see a panel's page.

        Strangers never come this far.
        """
        account = self._of.sessions.account(request.cookies)
        names = request.query_params.getlist("panel")
        if len(names) > PANELS_MOST:
            return Response(status_code=400)
        shown = [self._shown.get(name) for name in names]
        if account is None or not all(one is None or account.may(PAGES[one.offer.page].right) for one in shown):
            return Response(status_code=403)
        packs = "gzip" in request.headers.get("accept-encoding", "")
        content = await asyncio.to_thread(self._content, shown, account, packs=packs)
        headers = {"vary": "accept-encoding", **({"content-encoding": "gzip"} if packs else {})}
        return Response(content, headers=headers, media_type="application/json")

    def _content(self, shown: Sequence[_Shown | None], account: Account, *, packs: bool) -> bytes:
        town = self._of.town_of(account)
        texts = [None if one is None else one.html(town, account) for one in shown]
        if not packs:
            return orjson.dumps(texts)
        with self._lock:
            for known, packed in self._packed:
                if len(known) == len(texts) and all(one is other for one, other in zip(known, texts, strict=True)):
                    return packed  # the very texts that all share at this moment
            packed = gzip.compress(orjson.dumps(texts), PACKING_LEVEL)
            self._packed.append((texts, packed))
            return packed


fresh = Fresh(running)


def show_fresh(now: Screen, offer: Offer, *, key: str) -> Done:
    """Shows a panel that keeps itself fresh; where a store can't be read it says so, and goes on trying."""
    return panel(offer.html(now), key=key, fresh=fresh.offer(offer, now.say.language))

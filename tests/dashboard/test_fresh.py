"""Panels that keep themselves fresh: the same bytes for all, for those who may see them, in their language."""

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dashboard import fresh as module
from dashboard.accounts import make_invitation, redeem_invitation, wall_ms
from dashboard.facts.town import Town
from dashboard.forms import LANGUAGE_COOKIE
from dashboard.fresh import OFFERS_MOST, PANELS_MOST, PATH, Fresh, Offer
from dashboard.moments import HOUR_MS
from dashboard.roles import Account
from dashboard.running import Running
from dashboard.session import COOKIE, Sessions
from domain.errors import StoreError
from tests.dashboard.conftest import Server, form_token, until

STOPPED_NAME, OVERDUE_NAME = "东湖换热站", "新华换热站"  # S03 in one district, S12 in the other
Values = Callable[[], dict[str, object]]  # of any town


class Reading:
    """The routes of one town, and a reader signed in."""

    def __init__(self, town: Town) -> None:
        self.running = Running()
        self.sessions = Sessions(town.records, b"k" * 32)
        self.running.begin(town, self.sessions)
        self.fresh = Fresh(self.running)
        account = redeem_invitation(town.records, make_invitation(town.records, "fresh", "viewer", wall_ms()), wall_ms())
        assert account is not None
        self.cookie = f"{COOKIE}={self.sessions.open(account)}"

    def client(self, **headers: str) -> httpx.AsyncClient:
        app = Starlette(routes=[Route(PATH, self.fresh.answer)])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://town", headers={"cookie": self.cookie, **headers})

    def address(self, *offers: Offer, language: str = "zh") -> str:
        return address_of([self.fresh.offer(offer, language) for offer in offers])


@pytest.fixture
def reading(town: Town) -> Reading:
    return Reading(town)


def address_of(names: Sequence[str]) -> str:
    return f"{PATH}?{httpx.QueryParams([('panel', name) for name in names])}"


def troubles(values: Values, key: str = "test", page: str = "") -> Offer:
    return Offer(page, "troubles.html", key, lambda _: values())


def nothing() -> dict[str, object]:
    return {"troubles": []}


async def test_fifty_viewers_of_one_moment_cost_one_rendering_and_one_packing(
    reading: Reading, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[int] = []
    packed: list[int] = []
    compress = gzip.compress

    def values() -> dict[str, object]:
        rendered.append(1)
        return nothing()

    def packing(text: bytes, level: int) -> bytes:
        packed.append(1)
        return compress(text, level)

    monkeypatch.setattr(module.gzip, "compress", packing)  # type: ignore[attr-defined]
    town.shared.life_s = 60.0
    address = reading.address(troubles(values), troubles(values, "another"))
    async with reading.client() as client:
        answers = await asyncio.gather(*(client.get(address) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(answers[0].json()) == 2
    assert (len(rendered), len(packed)) == (2, 1)


async def test_readers_of_another_page_or_language_do_not_get_the_packed_bytes_of_this_one(reading: Reading, town: Town) -> None:
    town.shared.life_s = 60.0
    offers = troubles(lambda: {"troubles": [{"store": "x", "since_ms": 0}]}), troubles(nothing, "another")
    addresses = [
        reading.address(*offers),
        reading.address(offers[0]),
        reading.address(*offers[::-1]),
        reading.address(*offers, language="en"),
    ]
    async with reading.client() as client:
        answers = [(await client.get(address)).json() for address in (*addresses, *addresses)]
    zh, one, turned, en = answers[:4]
    assert answers[4:] == [zh, one, turned, en]
    assert (one, turned) == (zh[:1], zh[::-1])
    assert zh[0] != en[0]
    assert zh[1] != zh[0]


async def test_what_changes_is_there_at_the_next_asking_also_a_store_that_fails(reading: Reading, town: Town) -> None:
    town.shared.life_s = 0.0
    said: list[str | None] = ["history", "journal", None, "records"]

    def values() -> dict[str, object]:
        store = said.pop(0)
        if store is None:
            with town.asking("live"):
                raise StoreError("torn")
        return {"troubles": [{"store": store, "since_ms": 0}]}

    address = reading.address(troubles(values), language="en")
    async with reading.client() as client:
        for store in ("history", "journal", "live tables", "records"):
            answer = await client.get(address)
            assert answer.status_code == 200
            assert f"“{store}”" in answer.json()[0]


async def test_only_what_was_shown_is_given_and_only_to_those_who_may_see_its_page(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = reading.address(troubles(lambda: {"troubles": [{"store": "x", "since_ms": 0}]}))
    unknown = "&panel=0123456789abcdef0123456789abcdef"
    both = reading.address(troubles(nothing, "another"), troubles(nothing, page="accounts"))
    async with reading.client(cookie="") as stranger, reading.client() as client:
        assert (await stranger.get(address)).status_code == 403  # the guard before it sends strangers away already
        shown, other = (await client.get(address + unknown)).json()
        assert shown
        assert other is None
        assert (await client.get(PATH)).json() == []
        assert (await client.get(both)).status_code == 403  # accounts are the administrator's
        assert (await client.get(PATH + "?" + unknown * (PANELS_MOST + 1))).status_code == 400
        monkeypatch.setattr(Account, "may", lambda self, right: False)
        assert (await client.get(address)).status_code == 403


async def test_packed_only_for_who_can_unpack(reading: Reading) -> None:
    address = reading.address(troubles(lambda: {"troubles": [{"store": "x", "since_ms": 0}]}))
    async with reading.client() as client:
        packed = await client.get(address)
        plain = await client.get(address, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text


def test_a_name_is_that_of_the_thing_in_its_language_and_old_offers_are_forgotten(reading: Reading) -> None:
    first = reading.fresh.offer(troubles(nothing), "zh")
    assert reading.fresh.offer(troubles(dict), "zh") == first
    assert reading.fresh.offer(troubles(nothing), "en") != first
    assert Fresh(reading.running).offer(troubles(nothing), "zh") == first  # as after a restart
    others = {reading.fresh.offer(troubles(nothing, str(number)), "zh") for number in range(OFFERS_MOST)}
    assert len(others) == OFFERS_MOST
    assert first not in others
    assert len(reading.fresh._shown) == OFFERS_MOST


def test_the_wall_is_fresh_in_both_languages_without_a_run_of_its_script(server: Server) -> None:
    with server.client("viewer") as client:
        cookie = f"{COOKIE}={client.cookies[COOKIE]}"
        chinese, english = (address_of(panels_of_the_wall(server, f"{cookie}; {LANGUAGE_COOKIE}={code}")) for code in ("zh", "en"))
        assert "室温合格率" in "".join(client.get(chinese).json())
        assert "Rate of compliance" in "".join(client.get(english).json())
        assert 'data-waiting="' in client.get(chinese).json()[0]  # what the sound goes by
        with server.stranger() as stranger:
            assert {stranger.get(address).status_code for address in (chinese, "/now")} == {401}
        form = client.get("/account").text.split('name="form" value="', 1)[1].split('"', 1)[0]
        client.post("/logout", data={"form": form})
        with httpx.Client(base_url=server.address, headers={"cookie": cookie}) as late:
            until(lambda: {late.get(address).status_code for address in (chinese, "/now")} == {401})


def test_the_clock_at_the_top_asks_for_the_local_time_of_the_site(server: Server) -> None:
    with server.client("viewer") as client:
        before_ms = server.town.clock.now_ms()
        told = client.get("/now").json()
        after_ms = server.town.clock.now_ms()
    assert before_ms + 8 * HOUR_MS <= told["local_ms"] <= after_ms + 8 * HOUR_MS  # Asia/Shanghai


def panels_of_the_wall(server: Server, cookie: str) -> list[str]:
    """The names of the panels that a reader's wall tells him; nothing on it runs again by itself."""
    headers = {"Cookie": cookie, "Origin": server.address}
    url = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    names: list[str] = []
    with connect(url, additional_headers=headers, subprotocols=[Subprotocol("streamlit")], proxy=None, max_size=None) as page:
        asked = BackMsg()
        asked.rerun_script.query_string = ""
        page.send(asked.SerializeToString())
        message = ForwardMsg()
        while message.WhichOneof("type") != "script_finished":
            message = ForwardMsg.FromString(page.recv(60))
            data = message.delta.new_element.bidi_component.json
            names += [name for name in [json.loads(data or "{}").get("fresh")] if name and name not in names]
            assert message.WhichOneof("type") != "auto_rerun"
    return names


def test_every_reader_gets_the_town_as_far_as_his_own_districts_reach(server: Server) -> None:
    """Whoever looked last: a panel's address may be the same for all, what it answers is the reader's own."""
    limits = {"whole": (), "east": ("一区",), "west": ("二区",)}
    cookies = {name: cookie_within(server, f"reach-{name}", districts) for name, districts in limits.items()}
    panels = {name: panels_of_the_wall(server, cookie) for name, cookie in cookies.items()}
    every = address_of(sorted(set().union(*panels.values())))
    for _ in range(2):
        for last in (*cookies, *reversed(cookies)):
            panels_of_the_wall(server, cookies[last])
            seen = {}
            for name, cookie in cookies.items():
                with httpx.Client(base_url=server.address, headers={"cookie": cookie}, timeout=30.0) as client:
                    seen[name] = "".join(client.get(every).json())
            assert STOPPED_NAME in seen["east"]
            assert OVERDUE_NAME not in seen["east"]
            assert OVERDUE_NAME in seen["west"]
            assert STOPPED_NAME not in seen["west"]
            assert STOPPED_NAME in seen["whole"]
            assert OVERDUE_NAME in seen["whole"]


def cookie_within(server: Server, name: str, districts: tuple[str, ...]) -> str:
    token = make_invitation(server.records, name, "viewer", wall_ms(), districts)
    with server.stranger() as client:
        assert client.post("/enter", data={"token": token, "form": form_token(client, "/enter")}).status_code == 303
        return f"{COOKIE}={client.cookies[COOKIE]}"

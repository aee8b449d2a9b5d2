"""Panels that keep themselves fresh: the same bytes for all, for those who may see them, in their language."""

import asyncio
import gzip
import json
from collections.abc import Callable

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
from dashboard.fresh import OFFERS_MOST, Fresh, Offer
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
        app = Starlette(routes=[Route("/fresh/{name}", self.fresh.answer)])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://town", headers={"cookie": self.cookie, **headers})


@pytest.fixture
def reading(town: Town) -> Reading:
    return Reading(town)


def troubles(values: Values) -> Offer:
    return Offer("", "troubles.html", "test", lambda _: values())


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
    address = reading.fresh.offer(troubles(values))
    async with reading.client() as client:
        answers = await asyncio.gather(*(client.get(f"{address}?language=zh") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (len(rendered), len(packed)) == (1, 1)


async def test_what_changes_is_there_at_the_next_asking_also_a_store_that_fails(reading: Reading, town: Town) -> None:
    town.shared.life_s = 0.0
    said: list[str | None] = ["history", "journal", None, "records"]

    def values() -> dict[str, object]:
        store = said.pop(0)
        if store is None:
            with town.asking("live"):
                raise StoreError("torn")
        return {"troubles": [{"store": store, "since_ms": 0}]}

    address = reading.fresh.offer(troubles(values))
    async with reading.client() as client:
        for store in ("history", "journal", "live", "records"):
            answer = await client.get(f"{address}?language=en")
            assert answer.status_code == 200
            assert f"“{store}”" in answer.text


async def test_only_what_was_shown_is_given_and_only_to_those_who_may_see_its_page(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = reading.fresh.offer(troubles(nothing))
    async with reading.client(cookie="") as stranger, reading.client() as client:
        assert (await stranger.get(address)).status_code == 403  # the guard before it sends strangers away already
        assert (await client.get("/fresh/0123456789abcdef0123456789abcdef")).status_code == 404
        assert (await client.get(address)).status_code == 200
        monkeypatch.setattr(Account, "may", lambda self, right: False)
        assert (await client.get(address)).status_code == 403


async def test_packed_only_for_who_can_unpack(reading: Reading) -> None:
    address = reading.fresh.offer(troubles(lambda: {"troubles": [{"store": "x", "since_ms": 0}]}))
    async with reading.client() as client:
        packed = await client.get(address)
        plain = await client.get(address, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text


def test_an_address_is_that_of_the_thing_and_old_offers_are_forgotten(reading: Reading) -> None:
    first = reading.fresh.offer(troubles(nothing))
    assert reading.fresh.offer(troubles(dict)) == first
    assert Fresh(reading.running).offer(troubles(nothing)) == first  # as after a restart
    others = {reading.fresh.offer(Offer("", "troubles.html", number, lambda _: nothing())) for number in range(OFFERS_MOST)}
    assert len(others) == OFFERS_MOST
    assert first not in others
    assert len(reading.fresh._offers) == OFFERS_MOST


def test_the_wall_is_fresh_in_both_languages_without_a_run_of_its_script(server: Server) -> None:
    with server.client("viewer") as client:
        cookie = f"{COOKIE}={client.cookies[COOKIE]}"
        addresses = fresh_addresses(server, cookie)
        assert addresses
        chinese = "".join(client.get(address.replace("=en", "=zh")).text for address in addresses)
        english = "".join(client.get(address.replace("=zh", "=en")).text for address in addresses)
        assert "室温合格率" in chinese
        assert "Rate of compliance" in english
        with server.stranger() as stranger:
            assert {stranger.get(address).status_code for address in addresses} == {401}
        form = client.get("/account").text.split('name="form" value="', 1)[1].split('"', 1)[0]
        client.post("/logout", data={"form": form})
        with httpx.Client(base_url=server.address, headers={"cookie": cookie}) as late:
            until(lambda: {late.get(address).status_code for address in addresses} == {401})


def fresh_addresses(server: Server, cookie: str) -> set[str]:
    """The addresses of the panels that a reader's wall tells him."""
    headers = {"Cookie": cookie, "Origin": server.address}
    url = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    addresses: set[str] = set()
    with connect(url, additional_headers=headers, subprotocols=[Subprotocol("streamlit")], proxy=None, max_size=None) as page:
        asked = BackMsg()
        asked.rerun_script.query_string = ""
        page.send(asked.SerializeToString())
        message = ForwardMsg()
        while message.WhichOneof("type") != "script_finished":
            message = ForwardMsg.FromString(page.recv(60))
            data = message.delta.new_element.bidi_component.json
            addresses |= {address for address in [json.loads(data or "{}").get("fresh")] if address}
    return addresses


def test_every_reader_gets_the_town_as_far_as_his_own_districts_reach(server: Server) -> None:
    """Whoever looked last: a panel's address may be the same for all, what it answers is the reader's own."""
    limits = {"whole": (), "east": ("一区",), "west": ("二区",)}
    cookies = {name: cookie_within(server, f"reach-{name}", districts) for name, districts in limits.items()}
    addresses = {name: fresh_addresses(server, cookie) for name, cookie in cookies.items()}
    every = set().union(*addresses.values())
    for _ in range(2):
        for last in (*cookies, *reversed(cookies)):
            fresh_addresses(server, cookies[last])
            seen = {}
            for name, cookie in cookies.items():
                with httpx.Client(base_url=server.address, headers={"cookie": cookie}, timeout=30.0) as client:
                    seen[name] = "".join(client.get(address).text for address in sorted(every))
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

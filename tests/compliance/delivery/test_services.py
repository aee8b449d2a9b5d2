"""WeCom, DingTalk and Feishu through apprise, against a server on loopback that answers as those services do."""

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from compliance.delivery.answers import CODE_IN, REFUSING, TOO_FAST_S, Answer
from compliance.delivery.sending import send
from domain.errors import DeliveryError
from domain.site import Channel
from tests.compliance.delivery.servers import Gateway

TITLE, TEXT = "停热通告：和平路站", "和平路站停止供热。\n请谅解"
# Service: its address, the class that knows it, its path, what it is posted, what it answers when it took the message.
SERVICES: dict[str, tuple[str, str, str, dict[str, Any], str]] = {
    "wecombot": (
        "wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", "NotifyWeComBot", "/cgi-bin/webhook/send?key={key}",
        {"msgtype": "text", "text": {"content": f"{TITLE}\r\n{TEXT}"}}, '{"errcode": 0, "errmsg": "ok"}',
    ),
    "dingtalk": (
        "dingtalk://abcdefghijkl1234567890", "NotifyDingTalk", "/robot/send?access_token={token}",
        {"msgtype": "text", "at": {"atMobiles": [], "isAtAll": False}, "text": {"content": f"{TITLE}\r\n{TEXT}"}}, '{"errcode": 0}',
    ),
    "feishu": (
        "feishu://abcdefghijkl1234567890", "NotifyFeishu", "/open-apis/bot/v2/hook/{token}/",
        {"msg_type": "text", "content": {"text": f"{TITLE}\r\n{TEXT}"}}, '{"code": 0, "data": {}, "msg": "success"}',
    ),
}  # fmt: skip
HUSH = ("693a91f6", "abcdefghijkl")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    yield found
    found.close()


def channel(service: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Channel:
    address, kind, path, *_ = SERVICES[service]
    monkeypatch.setattr(getattr(import_module(f"apprise.plugins.{service}"), kind), "notify_url", f"http://127.0.0.1:{gateway.port}{path}")
    monkeypatch.setenv("ADDRESS", address)
    return Channel(service, "env:ADDRESS")


@pytest.mark.parametrize("service", SERVICES)
def test_each_gets_what_its_service_reads(service: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.body = SERVICES[service][4]
    assert send(channel(service, gateway, monkeypatch), "key", TITLE, TEXT) == "HTTP 200"
    ((_, posted),) = gateway.got
    assert posted == SERVICES[service][3]
    assert any(token in gateway.path for token in HUSH)


# What a service says under HTTP 200: for good, to be tried again, to be tried again after so many seconds.
FOR_GOOD = [
    *(("wecombot", code) for code in (40008, 40058, 44004, 93000)),
    *(("dingtalk", code) for code in (40035, 43004, 300001, 300005, 310000, 400013, 400101, 400102, 400105, 400106)),
    *(("feishu", code) for code in (19001, 19021, 19022, 19024)),
]
AGAIN = [("wecombot", -1), ("wecombot", 42), ("dingtalk", -1), ("dingtalk", 88), ("feishu", 9499), ("feishu", 11246)]
AFTER = [("wecombot", 45009, 60.0), ("dingtalk", 130101, 600.0), ("dingtalk", 410100, 600.0), ("feishu", 11232, 60.0)]


@pytest.mark.parametrize(
    ("service", "code", "permanent", "retry_after_s"),
    [(*one, True, None) for one in FOR_GOOD] + [(*one, False, None) for one in AGAIN] + [(s, c, False, wait) for s, c, wait in AFTER],
)
def test_a_no_under_http_200_is_a_no(
    service: str, code: int, permanent: bool, retry_after_s: float | None, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    gateway.body = json.dumps({CODE_IN[service]: code, "errmsg": "no", "msg": "no"})
    with pytest.raises(DeliveryError, match=f"HTTP 200, code {code}$") as refused:
        send(channel(service, gateway, monkeypatch), "key", TITLE, TEXT)
    assert (refused.value.permanent, refused.value.retry_after_s) == (permanent, retry_after_s)
    assert not any(token in str(refused.value) for token in HUSH)


def test_every_code_that_refuses_or_waits_is_asked_for_here() -> None:
    assert {(service, code) for service, codes in REFUSING.items() for code in codes} == set(FOR_GOOD)
    assert {(service, code, wait_s) for service, codes in TOO_FAST_S.items() for code, wait_s in codes.items()} == set(AFTER)
    assert not {one[:2] for one in AFTER} & set(FOR_GOOD)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "52"}, 52.0),
        ({"x-ogw-ratelimit-reset": "52"}, 52.0),
        ({"Retry-After": "999999"}, 3_600.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("service", SERVICES)
def test_who_asks_to_be_left_alone_is(
    service: str, headers: dict[str, str], wait_s: float | None, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.answers, gateway.headers = [429], headers
    with pytest.raises(DeliveryError, match="HTTP 429") as refused:
        send(channel(service, gateway, monkeypatch), "key", TITLE, TEXT)
    assert (refused.value.permanent, refused.value.retry_after_s) == (False, wait_s)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("status", "permanent"), [(404, True), (302, True), (429, False), (502, False)])
def test_statuses(service: str, status: int, permanent: bool, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.answers = [status]
    with pytest.raises(DeliveryError, match=f"HTTP {status}") as refused:
        send(channel(service, gateway, monkeypatch), "key", TITLE, TEXT)
    assert refused.value.permanent is permanent
    assert len(gateway.got) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_one_that_can_not_be_reached_is_tried_again(
    service: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = channel(service, gateway, monkeypatch)
    kind = getattr(import_module(f"apprise.plugins.{service}"), SERVICES[service][1])
    monkeypatch.setattr(kind, "notify_url", f"http://127.0.0.1:1{SERVICES[service][2]}")
    with pytest.raises(DeliveryError, match="can't be reached") as refused:
        send(found, "key", TITLE, TEXT)
    assert not refused.value.permanent
    assert not any(token in "".join(capsys.readouterr()) for token in HUSH)


def test_a_webhooks_own_codes_are_none_of_ours() -> None:
    assert Answer("HTTP", 200, {"code": 200}).fault("jsons") == ""
    assert Answer("HTTP", 200, [1]).fault("feishu") == ""
    assert Answer("HTTP", 200, {"errcode": "odd"}).fault("wecombot") == ""

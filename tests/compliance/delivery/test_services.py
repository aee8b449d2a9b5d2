"""WeCom, DingTalk and Feishu through apprise, against a server on loopback that answers as those services do."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from compliance.delivery.answers import Answer
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


@pytest.mark.parametrize(
    ("service", "body", "permanent"),
    [
        ("wecombot", '{"errcode": 93000, "errmsg": "invalid webhook url"}', True),
        ("wecombot", '{"errcode": 45009, "errmsg": "api freq out of limit"}', False),
        ("wecombot", '{"errcode": -1, "errmsg": "system error"}', False),
        ("dingtalk", '{"errcode": 310000, "errmsg": "keywords not in content"}', True),
        ("dingtalk", '{"errcode": 130101, "errmsg": "send too fast"}', False),
        ("feishu", '{"code": 19024, "msg": "Key Words Not Found"}', True),
        ("feishu", '{"code": 11232, "msg": "frequency limited"}', False),
    ],
)
def test_a_no_under_http_200_is_a_no(
    service: str, body: str, permanent: bool, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    gateway.body = body
    with pytest.raises(DeliveryError, match="HTTP 200, code") as refused:
        send(channel(service, gateway, monkeypatch), "key", TITLE, TEXT)
    assert refused.value.permanent is permanent
    assert not any(token in str(refused.value) for token in HUSH)


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

"""What a service answered while apprise talked to it, so that a refusal is told from a failure, and from a message taken.

apprise says only whether it believes that a message was taken (2.3.0, 2026-11): no reason, and WeCom and DingTalk, which refuse with
HTTP 200 and an ``errcode``, are believed. So the answers of its HTTP and mail libraries are listened to: codes only, no text, no address.
"""

import importlib
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

TRY_AGAIN: Final = frozenset({408, 425, 429})
# Where a service tells its own code in the body of an answer.
CODE_IN: Final[Mapping[str, str]] = {"wecombot": "errcode", "dingtalk": "errcode", "feishu": "code"}
# The codes after which trying again can't help. Every other one is tried again: a code that we don't know costs nothing but patience.
REFUSING: Final[Mapping[str, frozenset[int]]] = {
    # 企业微信 全局错误码: 40008 kind of message, 40058 parameter, 44004 empty text, 93000 no such robot or it was removed. Seen of robots,
    # each with its code: "markdown.content exceed max length 4096 … invalid Request Parameter", "invalid webhook url" (2022).
    "wecombot": frozenset({40008, 40058, 44004, 93000}),
    # 钉钉 自定义机器人接入: 40035 parameter missing, 43004 content type; 300001, 300005, 400101 no such token; 310000 its keyword,
    # signature or address list forbids it; 400013 the group is dissolved, 400102 the robot stopped, 400105 its kind, 400106 no robot.
    "dingtalk": frozenset({40035, 43004, 300001, 300005, 310000, 400013, 400101, 400102, 400105, 400106}),
    # 飞书 自定义机器人使用指南: 19001 no such robot, 19021 signature, 19022 address list, 19024 keyword. 9499 is said both of a body that
    # can't be read and of too many requests, so it is tried again.
    "feishu": frozenset({19001, 19021, 19022, 19024}),
}
# Sent too fast: how long a service takes nothing then, in seconds (WeCom 20, Feishu 100 a minute; DingTalk 20, then ten minutes none).
TOO_FAST_S: Final[Mapping[str, Mapping[int, float]]] = {
    "wecombot": {45009: 60.0},
    "dingtalk": {130101: 600.0, 410100: 600.0},
    "feishu": {11232: 60.0},
}
WAIT_IN: Final = ("retry-after", "x-ogw-ratelimit-reset")  # HTTP's own, and Feishu's (频控策略)
WAIT_MOST_S: Final = 3_600.0
_SMTP: Final = re.compile(r"\((\d{3}), ")
_heard: ContextVar[list["Answer"] | None] = ContextVar("heard", default=None)


@dataclass(frozen=True)
class Answer:
    """One answer: an HTTP status or a code of SMTP, and the service's own code in the body (0 or none: fine)."""

    protocol: str
    status: int
    body: Any = None
    wait_s: float | None = None  # how long the service asks to be left alone

    def own_code(self, service: str) -> int:
        """What the service says in its answer's body."""
        found = self.body.get(CODE_IN[service], 0) if service in CODE_IN and isinstance(self.body, Mapping) else 0
        return found if isinstance(found, int) else 0

    def fault(self, service: str) -> str:
        """Why this is no acknowledgement; empty when it is one."""
        if self.protocol == "SMTP":
            return f"SMTP {self.status}" if self.status >= 400 else ""
        if not 200 <= self.status < 300:
            return f"HTTP {self.status}"
        code = self.own_code(service)
        return f"HTTP {self.status}, code {code}" if code else ""

    def permanent(self, service: str) -> bool:
        """Whether trying again can't help."""
        if self.protocol == "SMTP":
            return self.status >= 500
        return refused_for_good(self.status) or self.own_code(service) in REFUSING.get(service, frozenset())

    def retry_after_s(self, service: str) -> float | None:
        """How long to wait before trying again, in seconds; None where the service says nothing of it."""
        return TOO_FAST_S.get(service, {}).get(self.own_code(service), self.wait_s)


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait, an hour at most; None without such a header, or with one that is no number."""
    for name in WAIT_IN:
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdecimal():
            return min(float(text), WAIT_MOST_S)
    return None


def refused_for_good(status: int) -> bool:
    """Whether an HTTP status says no for good."""
    return 300 <= status < 500 and status not in TRY_AGAIN


@contextmanager
def listening() -> Iterator[list[Answer]]:
    """The answers that this thread gets while the body runs."""
    _listen()
    answers: list[Answer] = []
    token = _heard.set(answers)
    try:
        yield answers
    finally:
        _heard.reset(token)


@lru_cache(maxsize=1)
def _listen() -> None:
    """Listens, once in a process, where the answers of requests pass, and where apprise writes down what a mail server said."""
    requests: Any = importlib.import_module("requests")
    send = requests.Session.send

    def sent(self: Any, request: Any, **kwargs: Any) -> Any:
        response = send(self, request, **kwargs)
        answers = _heard.get()
        if answers is not None:
            answers.append(Answer("HTTP", int(response.status_code), _json(response), asked_wait_s(response.headers)))
        return response

    requests.Session.send = sent
    log = logging.getLogger("apprise")
    log.propagate = False  # what it writes carries addresses
    log.setLevel(logging.DEBUG)
    log.addHandler(_Codes())


class _Codes(logging.Handler):
    """Takes a mail server's codes out of apprise's log and leaves the rest."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of its log."""
        answers, text = _heard.get(), record.getMessage()
        if answers is not None and text.startswith("Socket Exception"):
            answers += [Answer("SMTP", int(code)) for code in _SMTP.findall(text)]


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        return None

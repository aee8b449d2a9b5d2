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
# Where a service tells its own code, and the codes after which trying again can't help: no such robot, its rules don't allow the message.
CODE_IN: Final[Mapping[str, str]] = {"wecombot": "errcode", "dingtalk": "errcode", "feishu": "code"}
REFUSING: Final[Mapping[str, frozenset[int]]] = {
    "wecombot": frozenset({93000, 93004, 93008, 40058, 44004}),
    "dingtalk": frozenset({300001, 300005, 310000, 400101, 400102}),
    "feishu": frozenset({9499, 19001, 19022, 19024}),
}
_SMTP: Final = re.compile(r"\((\d{3}), ")
_heard: ContextVar[list["Answer"] | None] = ContextVar("heard", default=None)


@dataclass(frozen=True)
class Answer:
    """One answer: an HTTP status or a code of SMTP, and the service's own code in the body (0 or none: fine)."""

    protocol: str
    status: int
    body: Any = None

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
            answers.append(Answer("HTTP", int(response.status_code), _json(response)))
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

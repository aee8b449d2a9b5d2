"""The embedded MQTT broker (3.1.1) of the demo town; nobody enters without a password."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from amqtt.broker import Broker
from amqtt.errors import BrokerError
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

from domain.errors import ConfigError, Mistake
from simulators.ports import HOST

logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it warns at every client that leaves
logging.getLogger("transitions").setLevel(logging.WARNING)


class Passwords(BaseAuthPlugin):  # type: ignore[misc]  # amqtt has no types
    """Lets in who knows a password. The broker's own password file would hold up its loop for a third of a second at each login."""

    @dataclass
    class Config:
        """User → password."""

        users: dict[str, str] = field(default_factory=dict)

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the session's user name and password are known."""
        expected = self.config.users.get(session.username or "")
        return expected is not None and hmac.compare_digest(expected.encode(), (session.password or "").encode())


@asynccontextmanager
async def mqtt_broker(port: int, users: Mapping[str, str]) -> AsyncIterator[None]:
    """Runs the broker on loopback while entered. Raises ConfigError where the port is taken."""
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {f"{Passwords.__module__}.{Passwords.__qualname__}": {"users": dict(users)}},
    }
    broker = Broker(config)
    try:
        await broker.start()
    except BrokerError as error:
        raise ConfigError(Mistake("simulate", "this port is taken; stop what uses it", key="mqtt", value=str(port))) from error
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_but_for_who_left)
    try:
        yield
    finally:
        await broker.shutdown()
        loop.set_exception_handler(before)


def _but_for_who_left(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the loop has to say of tasks that failed, but for the broker's deliveries to a client that is gone: amqtt leaves them to it."""
    task = context.get("future")
    if isinstance(task, asyncio.Task) and getattr(task.get_coro(), "__qualname__", "").startswith("ProtocolHandler."):
        return
    loop.default_exception_handler(context)

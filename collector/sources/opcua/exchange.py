"""A request to an OPC UA server and the bytes of its answer; what goes wrong, as what a source can treat."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncua.client.client import Client
from asyncua.common.utils import NotEnoughData
from asyncua.ua.uaerrors import UaError

from domain.errors import SourceError

# The library logs every step of a lost connection with its traceback; the sources' health says it in one line.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


class NamespaceMissingError(SourceError):
    """The server has no such namespace (now): its other nodes are not concerned."""


@asynccontextmanager
async def errors(what: str) -> AsyncIterator[None]:
    """Whatever goes wrong inside, as a SourceError that says at what."""
    try:
        yield
    except TimeoutError as error:
        raise SourceError(f"{what}: no answer in time") from error
    except (UaError, NotEnoughData, OSError, ValueError) as error:
        raise SourceError(f"{what}: {str(error) or type(error).__name__}") from error


async def ask(client: Client, request: Any, timeout_s: float | None = None) -> bytes:
    """The answer's bytes, from its type on. ``timeout_s``: None is the client's own, 0 is none.

    Raises what asyncua does, also where the server answers with a fault.
    """
    protocol = client.uaclient.protocol
    if protocol is None:
        raise ConnectionError("the connection is closed")
    return bytes(await protocol.send_request(request, timeout_s))

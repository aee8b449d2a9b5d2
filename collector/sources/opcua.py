"""OPC UA on the wire: a session that reads many nodes in one request. It has no way to write, call or browse into anything."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import NotEnoughData
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError
from numpy.typing import NDArray

from collector.instants import instant_ms
from collector.sources.pki import check_trusted, own_identity
from domain.errors import SourceError
from domain.profile import OpcUaProfile
from domain.reading import Quality

NAMESPACES = ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))
MOST_NODES = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))
NODES_AT_ONCE = 1000
WATCHDOG_S = 10.0
UNSTAMPED = -(2**62)  # a value without source time

_BAD = 0x8000_0000
_UNCERTAIN = 0x4000_0000
_MISSING = frozenset({StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid, StatusCodes.BadAttributeIdInvalid})

# The library logs every step of a lost connection with its traceback; the sources' health says it in one line.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


class NamespaceMissingError(SourceError):
    """The server has no such namespace (now): its other nodes are not concerned."""


@dataclass(frozen=True)
class Login:
    """How to reach one server: its address, ``security`` as in devices.csv, user and password (empty: anonymous)."""

    address: str
    security: str = ""
    user: str = ""
    password: str = ""

    @property
    def secured(self) -> bool:
        """Whether messages are signed and encrypted.

        Raises SourceError for a security that is neither none nor Basic256Sha256 with SignAndEncrypt.
        """
        words = self.security.replace(",", " ").replace("_", " ").replace("/", " ").lower().split()
        if not words or words == ["none"]:
            return False
        if set(words) <= {"basic256sha256", "signandencrypt"}:
            return True
        raise SourceError(f"security {self.security!r} is not known; Basic256Sha256,SignAndEncrypt is, or none")


@dataclass(frozen=True, eq=False)
class Answer:
    """What came for m nodes: value, quality, source time in UTC ms (``UNSTAMPED`` where none), and which nodes the server lacks."""

    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    stamped_ms: NDArray[np.int64]
    missing: NDArray[np.bool_]


class Session:
    """One session with a server. Every method raises SourceError when the server can't give what is asked."""

    def __init__(self, client: Client, namespaces: Sequence[str], nodes_at_once: int) -> None:
        self._client = client
        self._namespaces = list(namespaces)
        self._nodes_at_once = nodes_at_once

    async def nodes(self, profile: OpcUaProfile, station_id: str) -> list[ua.NodeId]:
        """The ids of a profile's nodes on this server; the namespace's index is the one it has now."""
        if profile.namespace_uri not in self._namespaces:
            async with _errors("read namespaces"):
                found = await self._client.uaclient.read_attributes([NAMESPACES], AttributeIds.Value)
            self._namespaces = _list(found[0])
        if profile.namespace_uri not in self._namespaces:
            raise NamespaceMissingError(f"namespace {profile.namespace_uri!r} is not on the server; it has {', '.join(self._namespaces)}")
        index = self._namespaces.index(profile.namespace_uri)
        names = [f"ns={index};{node.node.replace('{station_id}', station_id)}" for node in profile.nodes]
        async with _errors("node ids"):
            return [ua.NodeId.from_string(name) for name in names]

    async def read(self, nodes: Sequence[ua.NodeId]) -> Answer:
        """The values of these nodes, in one request where the server's limits allow it."""
        found: list[ua.DataValue] = []
        async with _errors("read"):
            for at in range(0, len(nodes), self._nodes_at_once):
                found += await self._client.uaclient.read_attributes(list(nodes[at : at + self._nodes_at_once]), AttributeIds.Value)
        if len(found) != len(nodes):
            raise SourceError(f"{len(found)} values came for {len(nodes)} nodes")
        return _answer(found)

    async def close(self, wait_s: float = 0.5) -> None:
        """Takes leave of the server as far as that works in ``wait_s`` wall seconds."""
        with suppress(SourceError):
            async with _errors("close"), asyncio.timeout(wait_s):
                await self._client.disconnect()
        self._client.disconnect_socket()


@asynccontextmanager
async def _errors(what: str) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise SourceError(f"{what}: no answer in time") from error
    except (UaError, NotEnoughData, OSError, ValueError) as error:
        raise SourceError(f"{what}: {str(error) or type(error).__name__}") from error


async def open_session(login: Login, site_folder: Path, data: Path, timeout_s: float) -> Session:
    """Connects, logs in and learns the server's namespaces and limits. ``timeout_s`` is for each answer, in wall seconds.

    Raises SourceError; one that names the fingerprint when the server's certificate is not trusted.
    """
    client = Client(login.address, timeout=timeout_s, watchdog_intervall=WATCHDOG_S)
    client.name = client.description = "Keepwarm"
    try:
        async with _errors("connect"), asyncio.timeout(max(5.0, 4 * timeout_s)):
            if login.secured:
                await _secure(client, login, site_folder, data)
            if login.user:
                client.set_user(login.user)
                client.set_password(login.password)
            await client.connect()
            found = await client.uaclient.read_attributes([NAMESPACES, MOST_NODES], AttributeIds.Value)
    except BaseException:
        with suppress(SourceError):
            async with _errors("close"), asyncio.timeout(0.5):
                await client.disconnect()
        client.disconnect_socket()
        raise
    most = found[1].Value.Value if found[1].Value is not None else None
    return Session(client, _list(found[0]), min(NODES_AT_ONCE, most) if isinstance(most, int) and most > 0 else NODES_AT_ONCE)


def _list(found: ua.DataValue) -> list[str]:
    values = found.Value.Value if found.Value is not None else None
    return list(values) if isinstance(values, list) else []


async def _secure(client: Client, login: Login, site_folder: Path, data: Path) -> None:
    now = datetime.now(UTC)
    identity = await asyncio.to_thread(own_identity, data, now)  # making a key takes a second
    client.application_uri = identity.application_uri
    mode, policy = ua.MessageSecurityMode.SignAndEncrypt, SecurityPolicyBasic256Sha256
    endpoint = Client.find_endpoint(await client.connect_and_get_server_endpoints(), mode, policy.URI)
    offered = endpoint.ServerCertificate or b""
    certificate = offered[: int.from_bytes(offered[2:4], "big") + 4]  # the first of a chain
    check_trusted(certificate, site_folder, data, now, login.address)
    await client.set_security(policy, identity.certificate, identity.key, server_certificate=CertProperties(certificate, "der"), mode=mode)


def _answer(found: Sequence[ua.DataValue]) -> Answer:
    count = len(found)
    value, quality = np.full(count, np.nan), np.zeros(count, np.uint8)
    stamped, missing = np.full(count, UNSTAMPED, np.int64), np.zeros(count, np.bool_)
    for row, item in enumerate(found):
        code = item.StatusCode.value if item.StatusCode is not None else 0
        raw = item.Value.Value if item.Value is not None else None
        if type(raw) is float or type(raw) is int or type(raw) is bool:
            value[row] = raw
        elif raw is not None:
            value[row], quality[row] = _number(raw)
        if code >= _BAD:
            quality[row] = Quality.BAD
            missing[row] = code in _MISSING
        elif code >= _UNCERTAIN and quality[row] == Quality.GOOD:
            quality[row] = Quality.SUSPECT
        if item.SourceTimestamp is not None:
            stamped[row] = _stamp(item.SourceTimestamp)
    return Answer(value, quality, stamped, missing)


def _number(raw: object) -> tuple[float, int]:
    if isinstance(raw, str | int | float):
        with suppress(ValueError, OverflowError):
            return float(raw), Quality.GOOD
    return float("nan"), Quality.DECODE


def _stamp(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return UNSTAMPED if aware.year <= 1601 else instant_ms(aware)

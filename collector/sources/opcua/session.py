"""One session with an OPC UA server: it reads many nodes in one request, and opens a feed of what the server notifies."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaError

from collector.sources.opcua.exchange import NamespaceMissingError, ask, errors
from collector.sources.opcua.feed import Feed, Heard
from collector.sources.opcua.pki import check_trusted, expiry_warning, own_identity
from collector.sources.opcua.tree import NODES_BROWSED, Variable, browse
from collector.sources.opcua.values import Answer, answer_of
from collector.sources.opcua.wire import read_answer
from domain.errors import SourceError
from domain.profile import OpcUaProfile

NAMESPACES = ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))
MOST_NODES = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))
MOST_ITEMS = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall))
NODES_AT_ONCE = 1000
LISTS_KEPT = 2000
WATCHDOG_S = 10.0


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


class Session:
    """One session with a server. Every method raises SourceError when the server can't give what is asked."""

    def __init__(self, client: Client, namespaces: Sequence[str], nodes_at_once: int, items_at_once: int, warnings: Sequence[str]) -> None:
        """``warnings``: what will end this connection some day, in words."""
        self._client = client
        self._namespaces = list(namespaces)
        self._nodes_at_once, self._items_at_once = nodes_at_once, items_at_once
        self._requests: dict[int, tuple[Sequence[ua.NodeId], list[ua.ReadParameters]]] = {}
        self._feeds: list[Feed] = []
        self.warnings = list(warnings)

    @property
    def lost(self) -> bool:
        """Whether the connection is known to have ended."""
        protocol = self._client.uaclient.protocol
        return protocol is None or protocol.is_closed

    async def nodes(self, profile: OpcUaProfile, station_id: str) -> list[ua.NodeId]:
        """The ids of a profile's nodes on this server; the namespace's index is the one it has now."""
        if profile.namespace_uri not in self._namespaces:
            async with errors("read namespaces"):
                found = await self._client.uaclient.read_attributes([NAMESPACES], AttributeIds.Value)
            self._namespaces = _list(found[0])
        if profile.namespace_uri not in self._namespaces:
            raise NamespaceMissingError(f"namespace {profile.namespace_uri!r} is not on the server; it has {', '.join(self._namespaces)}")
        index = self._namespaces.index(profile.namespace_uri)
        names = [f"ns={index};{node.node.replace('{station_id}', station_id)}" for node in profile.nodes]
        async with errors("node ids"):
            return [ua.NodeId.from_string(name) for name in names]

    async def read(self, nodes: Sequence[ua.NodeId]) -> Answer:
        """The values of these nodes, in one request where the server's limits allow it."""
        async with errors("read"):
            parts = [await self._read(asked) for asked in self._asked_for(nodes)]
        answer = Answer.joined(parts)
        if len(answer.value) != len(nodes):
            raise SourceError(f"{len(answer.value)} values came for {len(nodes)} nodes")
        return answer

    async def _read(self, asked: ua.ReadParameters) -> Answer:
        body = await ask(self._client, ua.ReadRequest(Parameters=asked))
        found = read_answer(body, 0)
        if found is not None:
            return found
        response = struct_from_binary(ua.ReadResponse, Buffer(body))
        response.ResponseHeader.ServiceResult.check()
        return answer_of(response.Results)

    def _asked_for(self, nodes: Sequence[ua.NodeId]) -> list[ua.ReadParameters]:
        """The requests that read these nodes. Those of a list that is polled again and again are made once."""
        kept = self._requests.get(id(nodes))
        if kept is None or kept[0] is not nodes:
            size = self._nodes_at_once
            kept = (nodes, [_reads(nodes[at : at + size]) for at in range(0, len(nodes), size)])
            self._requests[id(nodes)] = kept
            if len(self._requests) > LISTS_KEPT:
                self._requests.pop(next(iter(self._requests)))
        return kept[1]

    async def feed(self, publishing_s: float, heard: Heard) -> Feed:
        """A subscription that hands on what the server notifies, as long as the session lives; ``publishing_s`` is in wall seconds."""
        feed = Feed(self._client, self._items_at_once, heard)
        self._feeds.append(feed)
        async with errors("subscribe"):
            await feed.open(publishing_s)
        return feed

    async def variables(self, most: int = NODES_BROWSED) -> list[Variable]:
        """The variables below Objects that are not the standard's own, in the order of the tree, up to ``most``."""
        async with errors("browse"):
            return await browse(self._client, self._namespaces, most, self._nodes_at_once)

    async def close(self, wait_s: float = 0.5) -> None:
        """Takes leave of the server as far as that works in ``wait_s`` wall seconds."""
        for feed in self._feeds:
            feed.close()
        with suppress(SourceError):
            async with errors("close"), asyncio.timeout(wait_s):
                await self._client.disconnect()
        self._client.disconnect_socket()


async def open_session(login: Login, site_folder: Path, data: Path, timeout_s: float) -> Session:
    """Connects, logs in and learns the server's namespaces and limits. ``timeout_s`` is for each answer, in wall seconds.

    Raises SourceError; one that names the fingerprint when the server's certificate is not trusted.
    """
    client = Client(login.address, timeout=timeout_s, watchdog_intervall=WATCHDOG_S)
    client.name = client.description = "Keepwarm"
    try:
        async with errors("connect"), _offered(login), asyncio.timeout(max(5.0, 4 * timeout_s)):
            warnings = await _secure(client, site_folder, data) if login.secured else []
            if login.user:
                client.set_user(login.user)
                client.set_password(login.password)
            await client.connect()
            found = await client.uaclient.read_attributes([NAMESPACES, MOST_NODES, MOST_ITEMS], AttributeIds.Value)
    except BaseException:
        with suppress(SourceError):
            async with errors("close"), asyncio.timeout(0.5):
                await client.disconnect()
        client.disconnect_socket()
        raise
    return Session(client, _list(found[0]), _limit(found[1]), _limit(found[2]), warnings)


def _reads(nodes: Sequence[ua.NodeId]) -> ua.ReadParameters:
    parameters = ua.ReadParameters()
    parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=AttributeIds.Value) for node in nodes]
    return parameters


def _limit(found: ua.DataValue) -> int:
    """What a server takes in one call; 0 or nothing means no limit of its own."""
    most = found.Value.Value if found.Value is not None else None
    return min(NODES_AT_ONCE, most) if isinstance(most, int) and most > 0 else NODES_AT_ONCE


def _list(found: ua.DataValue) -> list[str]:
    values = found.Value.Value if found.Value is not None else None
    return list(values) if isinstance(values, list) else []


@asynccontextmanager
async def _offered(login: Login) -> AsyncIterator[None]:
    """What asyncua says where the server has no endpoint of the security asked for, in the words of devices.csv."""
    try:
        yield
    except UaError as error:
        if not str(error).startswith("No matching endpoints"):
            raise
        if login.secured:
            words = "the server does not offer Basic256Sha256 with SignAndEncrypt; let it, or leave security in devices.csv empty"
        else:
            words = "the server takes nobody without security; that is Basic256Sha256,SignAndEncrypt in devices.csv"
        raise SourceError(words) from error


async def _secure(client: Client, site_folder: Path, data: Path) -> list[str]:
    now = datetime.now(UTC)
    identity = await asyncio.to_thread(own_identity, data, now)  # making a key takes a second
    client.application_uri = identity.application_uri
    own = await asyncio.to_thread(identity.certificate.read_bytes)
    mode, policy = ua.MessageSecurityMode.SignAndEncrypt, SecurityPolicyBasic256Sha256
    endpoint = Client.find_endpoint(await client.connect_and_get_server_endpoints(), mode, policy.URI)
    offered = endpoint.ServerCertificate or b""
    certificate = offered[: int.from_bytes(offered[2:4], "big") + 4]  # the first of a chain
    check_trusted(certificate, site_folder, data, now)
    await client.set_security(policy, identity.certificate, identity.key, server_certificate=CertProperties(certificate, "der"), mode=mode)
    found = (expiry_warning("the server's certificate", certificate, now), expiry_warning("our own certificate", own, now))
    return [warning for warning in found if warning]

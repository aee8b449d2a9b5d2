"""OPC UA on the wire: a session that reads many nodes in one request, a feed of what the server notifies, the tree of its nodes.

It has no way to write or call anything.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import NamedTuple

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import NotEnoughData
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError

from collector.sources.opcua_values import Answer, answer_of
from collector.sources.pki import check_trusted, expiry_warning, own_identity
from domain.errors import SourceError
from domain.profile import OpcUaProfile

NAMESPACES = ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray))
MOST_NODES = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead))
MOST_ITEMS = ua.NodeId(ua.Int32(ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall))
NODES_AT_ONCE = 1000
NODES_BROWSED = 20_000
LISTS_KEPT = 2000
WATCHDOG_S = 10.0
KEEPALIVE_S = 5.0  # how often a quiet server says that it is there, at least
LIFETIME_S = 60.0  # for how long it keeps a subscription whose client says nothing

_NO_FILTER = frozenset(
    {
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadDeadbandFilterInvalid,
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadMonitoredItemFilterUnsupported,
    }
)

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


class Session:
    """One session with a server. Every method raises SourceError when the server can't give what is asked."""

    def __init__(self, client: Client, namespaces: Sequence[str], nodes_at_once: int, items_at_once: int, warnings: Sequence[str]) -> None:
        """``warnings``: what will end this connection some day, in words."""
        self._client = client
        self._namespaces = list(namespaces)
        self._nodes_at_once, self._items_at_once = nodes_at_once, items_at_once
        self._requests: dict[int, tuple[Sequence[ua.NodeId], list[ua.ReadParameters]]] = {}
        self.warnings = list(warnings)

    @property
    def lost(self) -> bool:
        """Whether the connection is known to have ended."""
        protocol = self._client.uaclient.protocol
        return protocol is None or protocol.is_closed

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
            for part in self._asked_for(nodes):
                found += await self._client.uaclient.read(part)
        if len(found) != len(nodes):
            raise SourceError(f"{len(found)} values came for {len(nodes)} nodes")
        return answer_of(found)

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

    async def feed(self, publishing_s: float, heard: Callable[["Notified"], Awaitable[None]]) -> "Feed":
        """A subscription that hands on what the server notifies; ``publishing_s`` is in wall seconds."""
        feed = Feed(self._client, self._items_at_once, heard)
        async with _errors("subscribe"):
            await feed.open(publishing_s)
        return feed

    async def variables(self, most: int = NODES_BROWSED) -> list["Variable"]:
        """The variables below Objects that are not the standard's own, in the order of the tree, up to ``most``."""
        async with _errors("browse"):
            return await _browse(self._client, self._namespaces, most)

    async def close(self, wait_s: float = 0.5) -> None:
        """Takes leave of the server as far as that works in ``wait_s`` wall seconds."""
        with suppress(SourceError):
            async with _errors("close"), asyncio.timeout(wait_s):
                await self._client.disconnect()
        self._client.disconnect_socket()


class Notified(NamedTuple):
    """What one notification says: for each of its values, the handle the item was watched under."""

    handles: list[int]
    answer: Answer


class Wish(NamedTuple):
    """How one node is to be watched: under which handle, how often it is sampled (wall seconds), how many samples the server keeps."""

    handle: int
    node: ua.NodeId
    sampling_s: float
    queue: int
    deadband: float


class Feed:
    """One subscription. ``heard_at`` is when the server last published anything, if only that it is there (the loop's seconds);
    ``notified`` counts values; ``ended`` says why the server gives no more.
    """

    def __init__(self, client: Client, items_at_once: int, heard: Callable[[Notified], Awaitable[None]]) -> None:
        self._session = client.uaclient
        self._items_at_once = items_at_once
        self._heard = heard
        self._subscription_id: int | None = None
        self._items: dict[int, int] = {}
        self.heard_at = asyncio.get_running_loop().time()
        self.silence_s = 0.0
        self.notified = 0
        self.ended = ""

    async def open(self, publishing_s: float) -> None:
        """Creates the subscription; its silence is worrying after ``silence_s``."""
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = ua.Double(publishing_s * 1000)
        keepalives = max(1, round(KEEPALIVE_S / publishing_s))
        parameters.RequestedMaxKeepAliveCount = ua.UInt32(keepalives)
        parameters.RequestedLifetimeCount = ua.UInt32(max(3 * keepalives, ceil(LIFETIME_S / publishing_s)))
        parameters.MaxNotificationsPerPublish = ua.UInt32(NODES_AT_ONCE)
        parameters.PublishingEnabled = True
        made = await self._session.create_subscription(parameters, self._publish)
        self._subscription_id = made.SubscriptionId
        self.silence_s = max(1.0, 3 * made.RevisedMaxKeepAliveCount * made.RevisedPublishingInterval / 1000)

    async def watch(self, wishes: Sequence[Wish]) -> dict[int, str]:
        """Has the server watch these nodes; returns by handle why some are not, in words. A node that takes no deadband gets none."""
        refused: dict[int, str] = {}
        async with _errors("watch"):
            for at in range(0, len(wishes), self._items_at_once):
                refused |= await self._create(wishes[at : at + self._items_at_once])
        return refused

    async def _create(self, wishes: Sequence[Wish]) -> dict[int, str]:
        parameters = ua.CreateMonitoredItemsParameters()
        parameters.SubscriptionId = ua.IntegerId(self._subscription_id or 0)
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        parameters.ItemsToCreate = [_item(wish) for wish in wishes]
        refused: dict[int, str] = {}
        again = []
        for wish, result in zip(wishes, await self._session.create_monitored_items(parameters), strict=True):
            if result.StatusCode.is_good():
                self._items[wish.handle] = result.MonitoredItemId
            elif wish.deadband and result.StatusCode.value in _NO_FILTER:
                again.append(wish._replace(deadband=0.0))
            else:
                refused[wish.handle] = result.StatusCode.name
        return refused | await self._create(again) if again else refused

    async def forget(self, handles: Sequence[int]) -> None:
        """Has the server watch these no longer; one it does not know is no error."""
        items = [item for handle in handles if (item := self._items.pop(handle, None)) is not None]
        if not items:
            return
        parameters = ua.DeleteMonitoredItemsParameters()
        parameters.SubscriptionId = ua.IntegerId(self._subscription_id or 0)
        async with _errors("watch no longer"):
            for at in range(0, len(items), self._items_at_once):
                parameters.MonitoredItemIds = [ua.IntegerId(item) for item in items[at : at + self._items_at_once]]
                await self._session.delete_monitored_items(parameters)

    async def _publish(self, result: ua.PublishResult) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        for part in result.NotificationMessage.NotificationData or ():
            if isinstance(part, ua.DataChangeNotification):
                self.notified += len(part.MonitoredItems)
                answer = answer_of([item.Value for item in part.MonitoredItems])
                await self._heard(Notified([item.ClientHandle for item in part.MonitoredItems], answer))
            elif isinstance(part, ua.StatusChangeNotification) and part.Status is not None:
                self.ended = part.Status.name
        # Holding back the next publish request, where the intake is full, must not look like a silent server.
        self.heard_at = asyncio.get_running_loop().time()


def _item(wish: Wish) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters()
    parameters.ClientHandle = ua.IntegerId(wish.handle)
    parameters.SamplingInterval = ua.Duration(wish.sampling_s * 1000)
    parameters.QueueSize = ua.Counter(wish.queue)
    parameters.DiscardOldest = True
    if wish.deadband:
        parameters.Filter = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue,
            DeadbandType=ua.UInt32(ua.DeadbandType.Absolute),
            DeadbandValue=ua.Double(wish.deadband),
        )
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = wish.node
    request.ItemToMonitor.AttributeId = AttributeIds.Value
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters = parameters
    return request


class Variable(NamedTuple):
    """A variable of a server: its namespace, its id without the namespace (as profiles write it), its name, its value now."""

    namespace_uri: str
    node: str
    name: str
    value: object


async def _browse(client: Client, namespaces: Sequence[str], most: int) -> list[Variable]:
    """Breadth first through hierarchical references; the standard's own namespace is left out."""
    waiting, seen = [client.nodes.objects.nodeid], {client.nodes.objects.nodeid}
    found: list[tuple[ua.NodeId, str]] = []
    while waiting and len(found) < most:
        batch, waiting = waiting[:100], waiting[100:]
        descriptions = [ua.BrowseDescription(NodeId=node, **_FORWARD) for node in batch]
        parameters = ua.BrowseParameters(NodesToBrowse=descriptions)
        results = await client.uaclient.browse(parameters)
        while results:
            for reference in (reference for result in results for reference in result.References or ()):
                node = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex, reference.NodeId.NodeIdType)
                if node in seen or not node.NamespaceIndex:
                    continue
                seen.add(node)
                waiting.append(node)
                if reference.NodeClass == ua.NodeClass.Variable:
                    found.append((node, reference.DisplayName.Text or reference.BrowseName.Name or ""))
            points = [result.ContinuationPoint for result in results if result.ContinuationPoint]
            following = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=points)
            results = await client.uaclient.browse_next(following) if points else []
    found = found[:most]
    values: list[ua.DataValue] = []
    for at in range(0, len(found), NODES_AT_ONCE):
        values += await client.uaclient.read_attributes([node for node, _ in found[at : at + NODES_AT_ONCE]], AttributeIds.Value)
    return [_variable(node, name, value, namespaces) for (node, name), value in zip(found, values, strict=True)]


_FORWARD = {
    "BrowseDirection": ua.BrowseDirection.Forward,
    "ReferenceTypeId": ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences)),
    "IncludeSubtypes": True,
    "NodeClassMask": ua.UInt32(ua.NodeClass.Object | ua.NodeClass.Variable),
    "ResultMask": ua.UInt32(ua.BrowseResultMask.All),
}


def _variable(node: ua.NodeId, name: str, value: ua.DataValue, namespaces: Sequence[str]) -> Variable:
    uri = namespaces[node.NamespaceIndex] if node.NamespaceIndex < len(namespaces) else f"namespace {node.NamespaceIndex}"
    return Variable(uri, node.to_string().partition(";")[2], name, value.Value.Value if value.Value is not None else None)


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
            warnings = await _secure(client, login, site_folder, data) if login.secured else []
            if login.user:
                client.set_user(login.user)
                client.set_password(login.password)
            await client.connect()
            found = await client.uaclient.read_attributes([NAMESPACES, MOST_NODES, MOST_ITEMS], AttributeIds.Value)
    except BaseException:
        with suppress(SourceError):
            async with _errors("close"), asyncio.timeout(0.5):
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


async def _secure(client: Client, login: Login, site_folder: Path, data: Path) -> list[str]:
    now = datetime.now(UTC)
    identity = await asyncio.to_thread(own_identity, data, now)  # making a key takes a second
    client.application_uri = identity.application_uri
    own = await asyncio.to_thread(identity.certificate.read_bytes)
    mode, policy = ua.MessageSecurityMode.SignAndEncrypt, SecurityPolicyBasic256Sha256
    endpoint = Client.find_endpoint(await client.connect_and_get_server_endpoints(), mode, policy.URI)
    offered = endpoint.ServerCertificate or b""
    certificate = offered[: int.from_bytes(offered[2:4], "big") + 4]  # the first of a chain
    check_trusted(certificate, site_folder, data, now, login.address)
    await client.set_security(policy, identity.certificate, identity.key, server_certificate=CertProperties(certificate, "der"), mode=mode)
    found = (expiry_warning("the server's certificate", certificate, now), expiry_warning("our own certificate", own, now))
    return [warning for warning in found if warning]

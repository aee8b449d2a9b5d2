"""The stations behind OPC UA: one open server with two stations, one secured (Basic256Sha256, user and password) with one.

A station whose line is lost has Bad status at its items, as behind a real server whose controller went silent. Late answers and
resets are Modbus faults; here a reset counts as silence.
"""

import asyncio
import gc
import hmac
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from asyncua import ua
from asyncua.common.callback import CallbackType, ServerItemCallback
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, AttributeValue, NodeData, NodeManagementService
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.server import Server
from asyncua.server.standard_address_space import standard_address_space
from asyncua.server.user_managers import UserManager
from asyncua.ua.status_codes import StatusCodes

from domain.errors import ConfigError, Mistake
from simulators.certificate import APPLICATION_URI, ServerIdentity
from simulators.ports import Ports, opcua_url
from simulators.present import Present
from simulators.profiles import NodeItem, node_items

PROFILE = "xd100n_opcua"

# Every client that goes away is a traceback in this log; what clients got is counted.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


_BAD_NO_COMMUNICATION = ua.StatusCode(ua.UInt32(StatusCodes.BadNoCommunication))


@dataclass(frozen=True)
class OpcUaLogin:
    """Who may enter the secured server."""

    user: str
    password: str


class OpcUaStations:
    """The running servers; ``show`` puts the town's present values into their items."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._items: list[tuple[InternalServer, int, ua.NodeId, NodeItem]] = []

    async def add(self, server: Server, places: Sequence[int], answered: Counter[str]) -> None:
        """Puts the items of the stations at these places into a server, and counts the reads of each."""
        station_of: dict[ua.NodeId, str] = {}
        for place in places:
            station_id = self._present.town.stations[place].station_id
            namespace_uri, items = node_items(PROFILE, station_id)
            index = await server.register_namespace(namespace_uri)
            folder = await server.nodes.objects.add_folder(_node_id(f"HRZ.{station_id}", index), f"{index}:{station_id}")
            for item in items:
                name = item.node.removeprefix("s=")
                node_id = _node_id(name, index)
                await folder.add_variable(node_id, f"{index}:{name.rpartition('.')[2]}", self._value(place, item))
                self._items.append((server.iserver, place, node_id, item))
                station_of[node_id] = station_id
        server.subscribe_server_callback(CallbackType.PostRead, _counts_reads(station_of, answered))

    async def show(self) -> None:
        """Writes the town's present values, with the town's time."""
        at = ua.DateTime.fromtimestamp(self._present.at_ms / 1000, UTC)
        effects = self._present.effects
        lost = effects.silent | effects.refusing
        for server, place, node_id, item in self._items:
            if lost[place]:
                value = ua.DataValue(StatusCode=_BAD_NO_COMMUNICATION, SourceTimestamp=at)
            else:
                value = ua.DataValue(ua.Variant(self._value(place, item)), SourceTimestamp=at)
            await server.write_attribute_value(node_id, value)

    def _value(self, place: int, item: NodeItem) -> float | bool:
        return item.raw(self._present.values(place)[item.quantity])


@asynccontextmanager
async def opcua_servers(
    present: Present, ports: Ports, login: OpcUaLogin, identity: ServerIdentity, answered: Counter[str]
) -> AsyncIterator[OpcUaStations]:
    """Serves the town's OPC UA stations while entered; counts the reads answered by station id.

    Raises ConfigError where a port is taken.
    """
    InternalSubscription.republish = _republish  # type: ignore[assignment,method-assign]  # a plain function is as good
    standard = await asyncio.to_thread(_standard_nodes)
    stations = OpcUaStations(present)
    running: list[Server] = []
    try:
        for number, port in enumerate(ports.opcua):
            access = present.town.access
            places = [place for place, one in enumerate(access) if one.protocol == "opcua" and one.server == number]
            secure = any(access[place].secure for place in places)
            server = await (_secured_server(standard, login, identity) if secure else _open_server(standard))
            server.set_endpoint(opcua_url(port))
            await stations.add(server, places, answered)
            await stations.show()
            try:
                await server.start()
            except OSError as error:
                raise ConfigError(Mistake("simulate", "this port is taken; stop what uses it", key="opcua", value=str(port))) from error
            running.append(server)
        yield stations
    finally:
        await asyncio.gather(*(server.stop() for server in running))


async def _open_server(standard: dict[ua.NodeId, NodeData]) -> Server:
    server = Server(_InternalServer(standard, None))
    await server.init()
    server.set_server_name("Keepwarm simulated stations")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    server.set_identity_tokens([ua.AnonymousIdentityToken])
    return server


async def _secured_server(standard: dict[ua.NodeId, NodeData], login: OpcUaLogin, identity: ServerIdentity) -> Server:
    server = Server(_InternalServer(standard, _OnlyUser(login)))
    await server.init()
    await server.set_application_uri(APPLICATION_URI)
    server.set_server_name("Keepwarm simulated secured station")
    await server.load_certificate(identity.certificate)
    await server.load_private_key(identity.key)
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
    server.set_identity_tokens([ua.UserNameIdentityToken])
    return server


def _node_id(name: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(index))


class _OnlyUser(UserManager):
    """Lets in the one user who knows the password."""

    def __init__(self, login: OpcUaLogin) -> None:
        self._login = login

    def get_user(
        self, iserver: InternalServer, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        known = username == self._login.user and hmac.compare_digest(str(password).encode(), self._login.password.encode())
        return User(role=UserRole.User, name=username) if known else None


class _InternalServer(InternalServer):
    """An internal server that copies the standard's 6 000 nodes instead of making them anew, which takes seconds."""

    def __init__(self, standard: dict[ua.NodeId, NodeData], users: UserManager | None) -> None:
        super().__init__(users)
        self._standard = standard

    async def load_standard_address_space(self, shelf_file: Any = None) -> None:
        self.aspace._nodes = {node_id: _copy(node) for node_id, node in self._standard.items()}  # noqa: SLF001  as its own load() does


def _standard_nodes() -> dict[ua.NodeId, NodeData]:
    space = AddressSpace()
    collecting = gc.isenabled()
    gc.disable()  # half the time goes into looking through nodes that all stay
    try:
        standard_address_space.fill_address_space(NodeManagementService(space))  # type: ignore[no-untyped-call]  # generated code
    finally:
        if collecting:
            gc.enable()
    return space._nodes  # noqa: SLF001  there is no other way to them


def _copy(node: NodeData) -> NodeData:
    copied = NodeData(node.nodeid)
    copied.attributes = {
        name: AttributeValue(attribute.value) for name, attribute in node.attributes.items() if attribute.value is not None
    }
    copied.references = list(node.references)
    copied.call = node.call
    return copied


def _counts_reads(station_of: dict[ua.NodeId, str], answered: Counter[str]) -> Any:
    def count(event: ServerItemCallback, _: Any) -> None:
        if event.is_external:
            stations = {station_of.get(read.NodeId) for read in event.request_params.NodesToRead}
            answered.update(station_id for station_id in stations if station_id is not None)

    return count


def _republish(subscription: InternalSubscription, sequence: int) -> ua.NotificationMessage:
    """As Part 4, 5.13.5 says. asyncua 2.1.0 answers an unknown sequence with an empty message, and its client then asks for ever."""
    kept: Any = subscription._not_acknowledged_results.pop(sequence, None)  # noqa: SLF001  the method stands in for the class's own
    if kept is None:
        raise ServiceError(StatusCodes.BadMessageNotAvailable)
    message: ua.NotificationMessage = kept.NotificationMessage
    return message

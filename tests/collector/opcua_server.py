"""A real OPC UA server in a thread of its own: its start takes seconds, so one serves all tests."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.status_codes import StatusCodes

from collector.sources.opcua.pki import Identity, own_identity
from domain.profile import Node, OpcUaProfile

T = TypeVar("T")

URI = "urn:keepwarm:heat-station"
PROFILE = OpcUaProfile(
    "zlz",
    "station",
    URI,
    (
        Node("secondary_supply_temp_c", "s=HRZ.{station_id}.二次供水温度"),
        Node("secondary_return_temp_c", "s=HRZ.{station_id}.二次回水温度"),
        Node("secondary_supply_pressure_mpa", "s=HRZ.{station_id}.PT201", scale=0.001),
        Node("pump1_running", "s=HRZ.{station_id}.1号循环泵运行"),
    ),
)
NAMES = [node.node.replace("s=", "") for node in PROFILE.nodes]
SUPPLY, RETURN, PRESSURE, PUMP = (f"station/S1/{node.quantity}" for node in PROFILE.nodes)

USER, PASSWORD = "keepwarm", "secret-of-the-test"


class _Users(UserManager):
    def get_user(self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None) -> User | None:
        """Anonymous without security; the one account otherwise."""
        if username is None:
            return User(role=UserRole.User)
        return User(role=UserRole.User) if (username, password) == (USER, PASSWORD) else None


class OpcUaTestServer:
    """``url``, ``identity`` (its certificate) and what a test does to it."""

    def __init__(self, folder: Path, port: int, certified_at: datetime | None = None) -> None:
        """``certified_at``: when its certificate was made."""
        self.url = f"opc.tcp://127.0.0.1:{port}/town"
        self.identity: Identity = own_identity(folder, certified_at or datetime.now(UTC))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = Server(user_manager=_Users())
        self.do(self._prepare())

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        """Runs a step in the server's thread."""
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(60)

    async def _prepare(self) -> None:
        await self._server.init()
        self._server.set_endpoint(self.url)
        self._server.set_security_policy([ua.SecurityPolicyType.NoSecurity, ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await self._server.set_application_uri(self.identity.application_uri)
        await self._server.load_certificate(str(self.identity.certificate))
        await self._server.load_private_key(str(self.identity.key))
        await self._server.start()

    def stop(self) -> None:
        self.do(self._server.stop())

    def start(self) -> None:
        self.do(self._server.start())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def namespaces(self, *uris: str) -> None:
        """Sets the namespaces after the two that every server has."""
        node = self._server.nodes.namespace_array

        async def write() -> None:
            await node.write_value(["http://opcfoundation.org/UA/", self.identity.application_uri, *uris])

        self.do(write())

    def put(self, index: int, name: str, value: ua.DataValue) -> None:
        """Gives a node (made when missing) this value, with its status and times as they are."""
        node_id = ua.NodeId(ua.String(name), ua.Int16(index))

        raw = value.Value.Value if value.Value is not None else None

        async def write() -> None:
            node = self._server.get_node(node_id)
            found = await node.read_data_value(raise_on_bad_status=False)
            held = found.Value.Value if found.Value is not None else None
            there = node_id in self._server.iserver.aspace
            if not there or (held is not None and raw is not None and type(held) is not type(raw)):
                # The server takes values of the first one's type only.
                await self._server.delete_nodes([node])
                await self._server.nodes.objects.add_variable(node_id, name, 0.0 if raw is None else raw)
            await self._server.write_attribute_value(node_id, value)

        self.do(write())

    def add(self, index: int, names: Sequence[str]) -> None:
        """Adds nodes with the value 1.0, those that are missing."""

        async def put_all() -> None:
            for name in names:
                node_id = ua.NodeId(ua.String(name), ua.Int16(index))
                if node_id not in self._server.iserver.aspace:
                    await self._server.nodes.objects.add_variable(node_id, name, 1.0)

        self.do(put_all())

    def delete(self, index: int, name: str) -> None:
        async def remove() -> None:
            await self._server.delete_nodes([self._server.get_node(ua.NodeId(ua.String(name), ua.Int16(index)))])

        self.do(remove())

    @property
    def subscriptions(self) -> list[Any]:
        """Its subscriptions as it holds them."""
        return list(self._server.iserver.subscription_service.subscriptions.values())

    def limit(self, node: int, most: int) -> None:
        """Sets one of the limits that it tells of."""
        self.do(self._server.get_node(ua.NodeId(ua.Int32(node))).write_value(ua.Variant(most, ua.VariantType.UInt32)))

    @contextmanager
    def offering(self, *modes: ua.MessageSecurityMode) -> Iterator[None]:
        """Has it offer endpoints of these securities only while the body runs."""
        endpoints = self._server.iserver.endpoints
        every = list(endpoints)
        endpoints[:] = [endpoint for endpoint in every if endpoint.SecurityMode in modes]
        try:
            yield
        finally:
            endpoints[:] = every

    def close_sessions(self) -> None:
        """Ends the sessions of its clients, as it does when they time out."""

        async def close() -> None:
            for session in list(self._server.iserver._external_sessions.values()):
                await session.close_session(delete_subs=True)

        self.do(close())


def data(value: object, *, status: int = StatusCodes.Good, at: datetime | None = None) -> ua.DataValue:
    variant = ua.Variant(value) if value is not None else ua.Variant(None, ua.VariantType.Null)
    return ua.DataValue(variant, ua.StatusCode(ua.UInt32(status)), SourceTimestamp=at or datetime.now(UTC))  # type: ignore[arg-type]


def fill(server: OpcUaTestServer, index: int = 2, station_id: str = "S1") -> None:
    for name, value in zip(NAMES, (55.5, 41.25, 450.0, True), strict=True):
        server.put(index, name.format(station_id=station_id), data(value))

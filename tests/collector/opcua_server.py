"""A real OPC UA server in a thread of its own: its start takes seconds, so one serves all tests."""

import asyncio
import threading
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.uaerrors import UaError

from collector.sources.pki import Identity, own_identity

T = TypeVar("T")

USER, PASSWORD = "keepwarm", "secret-of-the-test"


class _Users(UserManager):
    def get_user(self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None) -> User | None:
        """Anonymous without security; the one account otherwise."""
        if username is None:
            return User(role=UserRole.User)
        return User(role=UserRole.User) if (username, password) == (USER, PASSWORD) else None


class OpcUaTestServer:
    """``url``, ``identity`` (its certificate) and what a test does to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}/town"
        self.identity: Identity = own_identity(folder, datetime.now(UTC))
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
            try:
                held = await node.read_value()
            except UaError:
                held = None
            if held is None or (raw is not None and type(held) is not type(raw)):
                # The server takes values of the first one's type only.
                await self._server.delete_nodes([node])
                await self._server.nodes.objects.add_variable(node_id, name, 0.0 if raw is None else raw)
            await self._server.write_attribute_value(node_id, value)

        self.do(write())

    def delete(self, index: int, name: str) -> None:
        async def remove() -> None:
            await self._server.delete_nodes([self._server.get_node(ua.NodeId(ua.String(name), ua.Int16(index)))])

        self.do(remove())

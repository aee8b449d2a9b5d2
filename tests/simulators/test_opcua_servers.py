"""The OPC UA stations, read by a real client; the servers are started once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.subscription import DataChangeEvent
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.uaerrors import BadMessageNotAvailable, BadUserAccessDenied, UaError

from simulators.certificate import APPLICATION_URI, ServerIdentity, server_identity
from simulators.opcua_servers import OpcUaLogin, OpcUaStations, opcua_servers
from simulators.ports import Ports, opcua_url, pick_ports
from simulators.present import Present
from simulators.scenario import load_scenario
from simulators.simulate import DEMO_START_MS
from simulators.town import build_town
from simulators.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMESPACE = "urn:keepwarm:heat-station"
LOGIN = OpcUaLogin("keepwarm", "a good password")


@dataclass
class Running:
    present: Present
    ports: Ports
    identity: ServerIdentity
    stations: OpcUaStations
    answered: Counter[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    town = build_town()
    present = Present(World(town, load_scenario("normal", town), DEMO_START_MS, hours=0.1))
    ports, identity, answered = pick_ports(), server_identity(tmp_path_factory.mktemp("site")), Counter[str]()
    async with opcua_servers(present, ports, LOGIN, identity, answered) as stations:
        yield Running(present, ports, identity, stations, answered)


@asynccontextmanager
async def secured(running: Running, user: str = "", password: str = "") -> AsyncIterator[Client]:
    client = Client(opcua_url(running.ports.opcua[1]))
    client.application_uri = APPLICATION_URI  # any client certificate will do, so the test borrows the server's
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        certificate=str(running.identity.certificate),
        private_key=str(running.identity.key),
        server_certificate=str(running.identity.certificate),
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    if user:
        client.set_user(user)
        client.set_password(password)
    async with client:
        yield client


async def read(client: Client, item: str) -> ua.DataValue:
    index = await client.get_namespace_index(NAMESPACE)
    return await client.get_node(f"ns={index};s=HRZ.{item}").read_data_value(raise_on_bad_status=False)


async def value(client: Client, item: str) -> object:
    variant = (await read(client, item)).Value
    assert variant is not None
    return variant.Value


async def status(client: Client, item: str) -> str:
    code = (await read(client, item)).StatusCode
    assert code is not None
    return code.name


async def test_two_stations_share_the_open_server(running: Running) -> None:
    running.answered.clear()
    async with Client(opcua_url(running.ports.opcua[0])) as client:
        supply = await read(client, "S10.二次供水温度")
        pump = await value(client, "S11.1号循环泵运行")
        pressure = await value(client, "S11.PT201")
    assert supply.Value is not None
    assert supply.Value.Value == pytest.approx(running.present.values(9)["secondary_supply_temp_c"])
    assert pump is True
    assert pressure == pytest.approx(1000 * running.present.values(10)["secondary_supply_pressure_mpa"])
    assert supply.SourceTimestamp == datetime.fromtimestamp(running.present.at_ms / 1000, UTC)  # the town's time, not life's
    assert running.answered == {"S10": 1, "S11": 2}


async def test_the_secured_server_lets_in_its_user_only(running: Running) -> None:
    async with secured(running, LOGIN.user, LOGIN.password) as client:
        assert await value(client, "S12.FT201") == pytest.approx(running.present.values(11)["secondary_flow_m3h"] / 3600)
    with pytest.raises(BadUserAccessDenied):
        async with secured(running, LOGIN.user, "a guess"):
            pass
    with pytest.raises(UaError):
        async with secured(running):
            pass
    with pytest.raises(UaError, match="No matching endpoints"):
        async with Client(opcua_url(running.ports.opcua[1])):
            pass


async def test_items_cannot_be_written(running: Running) -> None:
    async with Client(opcua_url(running.ports.opcua[0])) as client:
        index = await client.get_namespace_index(NAMESPACE)
        with pytest.raises(BadUserAccessDenied):
            await client.get_node(f"ns={index};s=HRZ.S10.二次供温设定").write_value(20.0)


async def test_a_lost_line_is_a_bad_status_until_it_is_back(running: Running) -> None:
    effects = running.present.effects
    silent = effects.silent.copy()
    silent[9] = True
    running.present._effects = replace(effects, silent=silent)
    async with Client(opcua_url(running.ports.opcua[0])) as client:
        await running.stations.show()
        assert await status(client, "S10.二次供水温度") == "BadNoCommunication"
        assert await status(client, "S11.二次供水温度") == "Good"
        running.present._effects = effects
        await running.stations.show()
        assert await status(client, "S10.二次供水温度") == "Good"
        back = await value(client, "S10.二次供水温度")
    assert back == pytest.approx(running.present.values(9)["secondary_supply_temp_c"])


async def test_a_subscription_sees_the_next_values(running: Running) -> None:
    async with Client(opcua_url(running.ports.opcua[0])) as client:
        index = await client.get_namespace_index(NAMESPACE)
        async with await client.create_subscription(50) as subscription:
            await subscription.subscribe_data_change(client.get_node(f"ns={index};s=HRZ.S11.FT201"), queuesize=10)
            first = await subscription.next_event(5)
            running.present.step()
            await running.stations.show()
            second = await subscription.next_event(5)
    assert isinstance(first, DataChangeEvent)
    assert isinstance(second, DataChangeEvent)
    assert first.value != second.value == pytest.approx(running.present.values(10)["secondary_flow_m3h"] / 3600)


async def test_republish_of_an_unknown_sequence_is_refused(running: Running) -> None:
    """Else a reconnecting client asks for ever."""
    async with Client(opcua_url(running.ports.opcua[0])) as client:
        subscription = await client.create_subscription(100)
        assert subscription.subscription_id is not None
        with pytest.raises(BadMessageNotAvailable):
            await asyncio.wait_for(client.uaclient.session.republish(subscription.subscription_id, 4711), 5)
        await subscription.delete()

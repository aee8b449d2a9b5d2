"""``collect`` by subscription to a real OPC UA server."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from domain.profile import Node, OpcUaProfile
from domain.reading import Quality
from domain.site import Device, Site
from tests.collector.conftest import Collected, Collecting, MakeSite
from tests.collector.opcua_server import (
    NAMES,
    PASSWORD,
    PRESSURE,
    PROFILE,
    PUMP,
    RETURN,
    SUPPLY,
    URI,
    USER,
    OpcUaTestServer,
    data,
    fill,
)

QUIET = replace(PROFILE, mode="subscribe", reread_s=3600.0)  # nothing is re-read: what comes was notified
WATCHED = replace(PROFILE, mode="subscribe", reread_s=0.4)
SUPPLY_NODE, RETURN_NODE, PRESSURE_NODE, PUMP_NODE = (name.format(station_id="S1") for name in NAMES)


def site_of(make_site: MakeSite, server: OpcUaTestServer, profile: OpcUaProfile = QUIET, **more: Any) -> Site:
    device = Device("D-S1", "S1", "opcua", server.url, "zlz", **{"interval_s": 0.1, "timeout_s": 2.0, **more})
    return make_site(devices=[device], profiles=[profile])


def count(collected: Collected, what: str) -> int:
    return int(collected.health("D-S1").get("counts", {}).get(what, 0))


async def first_values(collected: Collected) -> None:
    await collected.until(lambda: all(collected.rows(name) for name in (SUPPLY, RETURN, PRESSURE, PUMP)))


async def test_the_server_tells_of_changes_with_their_own_times_and_nothing_is_polled(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        stamps = [datetime.now(UTC).replace(microsecond=1000 * n) - timedelta(seconds=9 - n) for n in range(5)]
        for n, stamp in enumerate(stamps):
            server.put(2, SUPPLY_NODE, data(60.0 + n, at=stamp))
        await collected.until(lambda: 64.0 in collected.values(SUPPLY))
        rows = collected.by_name()
    assert [row.value for row in rows[SUPPLY]] == [55.5, 60.0, 61.0, 62.0, 63.0, 64.0], "the server keeps a queue of samples"
    assert [row.measured_at for row in rows[SUPPLY][1:]] == [round(stamp.timestamp() * 1000) for stamp in stamps]
    assert [row.value for name in (RETURN, PRESSURE, PUMP) for row in rows[name]] == [41.25, 0.45, 1.0]
    assert {row.quality for name in (SUPPLY, RETURN, PRESSURE, PUMP) for row in rows[name]} == {Quality.GOOD}
    assert {row.value for row in rows["source/D-S1/exchange_ok"]} == {1.0}


async def test_the_deadband_leaves_out_small_changes_and_one_node_may_have_its_own(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    nodes = (QUIET.nodes[0], replace(QUIET.nodes[1], deadband=0.0), *QUIET.nodes[2:])
    async with collecting(site_of(make_site, server, replace(QUIET, deadband=0.5, nodes=nodes))) as collected:
        await first_values(collected)
        for value in (55.6, 55.4, 57.0):
            server.put(2, SUPPLY_NODE, data(value))
            server.put(2, RETURN_NODE, data(value))
        await collected.until(lambda: 57.0 in collected.values(SUPPLY))
        assert collected.values(SUPPLY) == [55.5, 57.0]
        assert collected.values(RETURN) == [41.25, 55.6, 55.4, 57.0]


async def test_a_node_that_takes_no_deadband_is_watched_without(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MonitoredItemService._create_data_change_monitored_item

    async def strict(self: MonitoredItemService, item: ua.MonitoredItemCreateRequest) -> ua.MonitoredItemCreateResult:
        if isinstance(item.RequestedParameters.Filter, ua.DataChangeFilter) and "循环泵" in str(item.ItemToMonitor.NodeId):
            return ua.MonitoredItemCreateResult(ua.StatusCode(ua.UInt32(StatusCodes.BadFilterNotAllowed)))
        return await create(self, item)

    monkeypatch.setattr(MonitoredItemService, "_create_data_change_monitored_item", strict)
    async with collecting(site_of(make_site, server, replace(QUIET, deadband=0.5))) as collected:
        await first_values(collected)
        server.put(2, PUMP_NODE, data(False))
        await collected.until(lambda: collected.values(PUMP) == [1.0, 0.0])
        assert count(collected, "nodes not watched") == 0


async def test_a_node_that_the_server_will_not_watch_is_polled(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = MonitoredItemService._create_data_change_monitored_item

    async def full(self: MonitoredItemService, item: ua.MonitoredItemCreateRequest) -> ua.MonitoredItemCreateResult:
        if len(self._monitored_items) >= 3:
            return ua.MonitoredItemCreateResult(ua.StatusCode(ua.UInt32(StatusCodes.BadTooManyMonitoredItems)))
        return await create(self, item)

    monkeypatch.setattr(MonitoredItemService, "_create_data_change_monitored_item", full)
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        assert count(collected, "nodes not watched") == 1
        server.put(2, PUMP_NODE, data(False))
        await collected.until(lambda: 0.0 in collected.values(PUMP))
        assert collected.values(SUPPLY) == [55.5]


async def test_a_change_of_status_alone_is_told(server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting) -> None:
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        server.put(2, SUPPLY_NODE, data(55.5, status=StatusCodes.UncertainLastUsableValue))
        await collected.until(lambda: len(collected.rows(SUPPLY)) == 2)
        server.put(2, SUPPLY_NODE, data(55.5, status=StatusCodes.BadSensorFailure))
        await collected.until(lambda: len(collected.rows(SUPPLY)) == 3)
        server.put(2, SUPPLY_NODE, data(55.5))
        await collected.until(lambda: len(collected.rows(SUPPLY)) == 4)
        assert [row.quality for row in collected.rows(SUPPLY)] == [0, Quality.SUSPECT, Quality.BAD, 0]
        assert [row.value for row in collected.rows(SUPPLY)][:2] == [55.5, 55.5]


async def test_a_skewed_source_time_gives_way_to_receipt_and_is_marked(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        server.put(2, SUPPLY_NODE, data(50.0, at=datetime.now(UTC) + timedelta(hours=1)))
        await collected.until(lambda: 50.0 in collected.values(SUPPLY))
        row = collected.rows(SUPPLY)[-1]
    assert (row.measured_at, row.quality) == (row.received_at, Quality.CLOCK)


async def test_a_value_that_does_not_change_is_vouched_for_by_a_read(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    server.put(2, SUPPLY_NODE, data(50.0, at=datetime.now(UTC) - timedelta(minutes=4)))
    async with collecting(site_of(make_site, server, WATCHED)) as collected:
        await collected.until(lambda: len(collected.rows(SUPPLY)) >= 3)
        first, *later = collected.rows(SUPPLY)
        await collected.until(lambda: collected.rows("source/D-S1/latency_ms"))
    assert first.received_at - first.measured_at > 230_000
    assert all(row.measured_at == row.received_at and row.quality == Quality.GOOD and row.value == 50.0 for row in later)


async def test_a_missing_node_harms_no_other_is_named_and_watched_when_it_is_there(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, capsys: pytest.CaptureFixture[str]
) -> None:
    server.delete(2, RETURN_NODE)
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: collected.rows(PUMP))
        await collected.until(lambda: count(collected, "nodes missing") == 1)
        assert collected.values(SUPPLY) == [55.5]
        assert {row.quality for row in collected.rows(RETURN)} <= {Quality.BAD}
        server.put(2, RETURN_NODE, data(42.0))
        await collected.until(lambda: 42.0 in collected.values(RETURN))
        await collected.until(lambda: count(collected, "items watched anew") == 1)
        server.put(2, RETURN_NODE, data(43.0))
        await collected.until(lambda: 43.0 in collected.values(RETURN))
    printed = capsys.readouterr().out
    assert printed.count("nodes missing on the server") == 1
    assert printed.count("二次回水温度") == 2
    assert printed.count("nodes back") == 1


# asyncua's server forgets to await a callback of a deleted node.
@pytest.mark.filterwarnings("ignore:.*datachange_callback.*:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.*datachange_callback.*:RuntimeWarning")
async def test_a_node_deleted_while_watched_is_named_and_watched_again_when_it_is_back(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    async with collecting(site_of(make_site, server, WATCHED)) as collected:
        await first_values(collected)
        server.delete(2, RETURN_NODE)
        await collected.until(lambda: count(collected, "nodes missing") == 1)
        await collected.until(lambda: collected.rows(RETURN)[-1].quality == Quality.BAD)
        server.put(2, RETURN_NODE, data(42.0))
        await collected.until(lambda: 42.0 in collected.values(RETURN))
        server.put(2, SUPPLY_NODE, data(61.0))
        await collected.until(lambda: 61.0 in collected.values(SUPPLY))
        assert count(collected, "nodes missing") == 0


async def test_a_subscription_whose_publishing_has_died_is_built_anew(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.sources.opcua.feed.KEEPALIVE_S", 0.2)
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        (subscription,) = server.subscriptions
        server.do(_stop_publishing(subscription))
        await collected.until(lambda: count(collected, "subscription rebuilt: silent") == 1)
        server.put(2, SUPPLY_NODE, data(62.0))
        await collected.until(lambda: 62.0 in collected.values(SUPPLY))
        assert 0.0 in collected.values("source/D-S1/exchange_ok")
        await collected.until(lambda: collected.health("D-S1")["state"] == "good")


async def _stop_publishing(subscription: Any) -> None:
    subscription._task.cancel()


async def test_a_subscription_that_lives_and_tells_nothing_is_built_anew(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    """The server goes on saying that it is there, but has lost what it was to watch."""
    async with collecting(site_of(make_site, server, replace(WATCHED, reread_s=1.0))) as collected:
        await first_values(collected)
        (subscription,) = server.subscriptions
        server.do(_lose_items(subscription))
        server.put(2, SUPPLY_NODE, data(62.0))
        await collected.until(lambda: count(collected, "subscription rebuilt: changes not notified") == 1)
        assert 62.0 in collected.values(SUPPLY), "the re-read has it in any case"
        await collected.until(lambda: server.subscriptions and server.subscriptions[-1] is not subscription)
        server.put(2, SUPPLY_NODE, data(63.0))
        await collected.until(lambda: 63.0 in collected.values(SUPPLY))


async def _lose_items(subscription: Any) -> None:
    subscription.monitored_item_srv.delete_all_monitored_items()


async def test_one_item_gone_deaf_among_others_is_watched_anew(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    async with collecting(site_of(make_site, server, replace(WATCHED, reread_s=1.0))) as collected:
        await first_values(collected)
        (subscription,) = server.subscriptions
        items = subscription.monitored_item_srv._monitored_items
        deaf = next(id_ for id_, item in items.items() if item.read_value_id.NodeId.Identifier == SUPPLY_NODE)
        server.do(_lose(subscription, deaf))
        server.put(2, SUPPLY_NODE, data(62.0))
        tick = 0

        def told() -> bool:
            nonlocal tick
            tick += 1
            server.put(2, RETURN_NODE, data(40.0 + tick / 100))
            return count(collected, "items watched anew") == 1

        await collected.until(told)
        assert server.subscriptions == [subscription]


async def _lose(subscription: Any, item: int) -> None:
    subscription.monitored_item_srv.delete_monitored_items([item])


async def test_a_session_that_timed_out_is_opened_anew(server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting) -> None:
    async with collecting(site_of(make_site, server, WATCHED)) as collected:
        await first_values(collected)
        server.close_sessions()
        server.put(2, SUPPLY_NODE, data(62.0))
        await collected.until(lambda: 62.0 in collected.values(SUPPLY))
        await collected.until(lambda: collected.health("D-S1")["state"] == "good")
        assert count(collected, "nodes missing") == 0


async def test_a_restart_with_another_namespace_index_is_followed(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        server.stop()
        try:
            await collected.until(lambda: collected.health("D-S1")["state"] == "failing")
            server.namespaces("urn:new", URI)
            fill(server, index=3)
            server.put(3, SUPPLY_NODE, data(61.0))
            server.put(2, SUPPLY_NODE, data(99.0))
        finally:
            server.start()
        await collected.until(lambda: 61.0 in collected.values(SUPPLY))
        server.put(3, SUPPLY_NODE, data(62.0))
        await collected.until(lambda: 62.0 in collected.values(SUPPLY))
        assert 99.0 not in collected.values(SUPPLY)


async def test_an_overflow_of_the_servers_queue_is_counted(server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting) -> None:
    """asyncua's server overflows without saying so: the node has the status that others give then (Part 4, 7.39)."""
    async with collecting(site_of(make_site, server)) as collected:
        await first_values(collected)
        server.put(2, SUPPLY_NODE, data(62.0, status=0x0480))
        await collected.until(lambda: count(collected, "queue overflow") == 1)
        await collected.until(lambda: len(collected.rows(SUPPLY)) == 2)
        row = collected.rows(SUPPLY)[-1]
    assert (row.value, row.quality) == (62.0, Quality.GOOD)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_five_thousand_items_within_the_servers_limits(
    mode: Any, server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    stations = [f"S{n}" for n in range(100)]
    profile = OpcUaProfile("fifty", "50 nodes", URI, tuple(Node(f"pump{n}_running", f"s={{station_id}}.{n}") for n in range(50)), mode)
    sizes: list[int] = []
    _within(monkeypatch, sizes, 30)
    server.add(2, [f"{station}.{n}" for station in stations for n in range(50)])
    limits = (
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    )
    for limit in limits:
        server.limit(limit, 30)
    try:
        devices = [Device(f"D-{name}", name, "opcua", server.url, "fifty", interval_s=4.0, timeout_s=5.0) for name in stations]
        async with collecting(make_site(devices=devices, profiles=[profile])) as collected:
            await collected.until(lambda: collected.health().get("sources_good") == 100, 60)
            await collected.until(lambda: len([name for name in collected.by_name() if name.endswith("_running")]) == 5000, 60)
            assert not any(record["failures"] for record in collected.health()["sources"])
    finally:
        for limit in limits:
            server.limit(limit, 0)
    assert max(sizes) == 30


def _within(monkeypatch: pytest.MonkeyPatch, sizes: list[int], most: int) -> None:
    """Has the server refuse calls over its limit, which asyncua's does not."""
    create, read = MonitoredItemService.create_monitored_items, InternalSession.read

    async def create_within(self: MonitoredItemService, params: ua.CreateMonitoredItemsParameters) -> Any:
        sizes.append(len(params.ItemsToCreate))
        if sizes[-1] > most:
            raise ServiceError(StatusCodes.BadTooManyOperations)
        return await create(self, params)

    async def read_within(self: InternalSession, params: ua.ReadParameters) -> Any:
        if self.external:
            sizes.append(len(params.NodesToRead))
        if len(params.NodesToRead) > most:
            raise ServiceError(StatusCodes.BadTooManyOperations)
        return await read(self, params)

    monkeypatch.setattr(MonitoredItemService, "create_monitored_items", create_within)
    monkeypatch.setattr(InternalSession, "read", read_within)


@pytest.mark.parametrize(("age", "said"), [(timedelta(days=6 * 365), "is valid from"), (timedelta(days=5 * 365 - 20), "ends in")])
async def test_a_certificate_past_its_end_is_refused_and_one_near_it_warned_of(
    age: timedelta,
    said: str,
    make_site: MakeSite,
    collecting: Collecting,
    tmp_path: Path,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", PASSWORD)
    old = OpcUaTestServer(tmp_path / "server", free_port(), datetime.now(UTC) - age)
    try:
        old.namespaces(URI)
        fill(old)
        site = site_of(make_site, old, security="Basic256Sha256,SignAndEncrypt", user=USER, password="env:OPCUA_PASSWORD")
        (site.folder / "trusted").mkdir()
        (site.folder / "trusted" / "server.der").write_bytes(old.identity.certificate.read_bytes())
        async with collecting(site) as collected:
            if said == "ends in":
                await first_values(collected)
                await collected.until(lambda: any(said in key for key in collected.health("D-S1")["counts"]))
            else:
                await collected.until(lambda: said in collected.health("D-S1").get("reason", ""))
                assert not collected.rows(SUPPLY)
    finally:
        old.close()

"""``collect`` on a real OPC UA server, from session to journal."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from collector.sources.opcua.pki import fingerprint
from domain.reading import Quality
from domain.site import Device, Site
from tests.collector.conftest import Collecting, MakeSite
from tests.collector.opcua_server import NAMES, PASSWORD, PRESSURE, PROFILE, PUMP, RETURN, SUPPLY, URI, USER, OpcUaTestServer, data, fill


def site_of(make_site: MakeSite, server: OpcUaTestServer, *stations: str, **more: object) -> Site:
    devices = [
        Device(f"D-{station}", station, "opcua", server.url, "zlz", **{"interval_s": 0.3, "timeout_s": 2.0, **more})  # type: ignore[arg-type]
        for station in stations or ("S1",)
    ]
    return make_site(devices=devices, profiles=[PROFILE])


async def test_all_nodes_of_a_station_are_read_in_one_request(server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting) -> None:
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: len(collected.rows(SUPPLY)) >= 3)
        await collected.until(lambda: collected.health("D-S1").get("state") == "good")
        rows = collected.by_name()
    assert [(rows[name][0].value, rows[name][0].quality) for name in (SUPPLY, RETURN, PRESSURE, PUMP)] == [
        (55.5, 0),
        (41.25, 0),
        (0.45, 0),
        (1.0, 0),
    ]
    assert {row.value for row in rows["source/D-S1/exchange_ok"]} == {1.0}
    assert all(row.value > 0 for row in rows["source/D-S1/latency_ms"])


async def test_a_source_time_near_receipt_is_the_readings_time(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    stamp = datetime.now(UTC).replace(microsecond=123_000) - timedelta(minutes=4)
    server.put(2, NAMES[0].format(station_id="S1"), data(50.0, at=stamp))
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: collected.rows(SUPPLY))
        first = collected.rows(SUPPLY)[0]
    assert first.measured_at == round(stamp.timestamp() * 1000)
    assert first.received_at - first.measured_at > 239_000
    assert first.quality == Quality.GOOD


async def test_a_value_that_does_not_change_is_vouched_for_at_each_poll(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    server.put(2, NAMES[0].format(station_id="S1"), data(50.0, at=datetime.now(UTC) - timedelta(minutes=4)))
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: len(collected.rows(SUPPLY)) >= 7)
        rows = collected.rows(SUPPLY)
    assert rows[0].measured_at == rows[1].measured_at
    assert rows[-1].measured_at == rows[-1].received_at
    assert {row.quality for row in rows} == {Quality.GOOD}


async def test_a_skewed_source_time_gives_way_to_receipt_and_is_marked(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    server.put(2, NAMES[0].format(station_id="S1"), data(50.0, at=datetime.now(UTC) + timedelta(hours=1)))
    server.put(2, NAMES[1].format(station_id="S1"), data(50.0, at=datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)))
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: collected.rows(SUPPLY))
        for name in (SUPPLY, RETURN):
            first = collected.rows(name)[0]
            assert first.measured_at == first.received_at
            assert first.quality == Quality.CLOCK


async def test_status_is_kept_with_the_value(server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting) -> None:
    server.put(2, NAMES[0].format(station_id="S1"), data(50.0, status=StatusCodes.BadSensorFailure))
    server.put(2, NAMES[1].format(station_id="S1"), data(40.0, status=StatusCodes.UncertainLastUsableValue))
    server.put(2, NAMES[2].format(station_id="S1"), data(None, status=StatusCodes.BadNoCommunication))
    server.put(2, NAMES[3].format(station_id="S1"), data("running"))
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: collected.rows(PUMP))
        found = {name: collected.rows(name)[0] for name in (SUPPLY, RETURN, PRESSURE, PUMP)}
    assert found[RETURN].quality == Quality.SUSPECT
    assert found[RETURN].value == 40.0
    assert found[SUPPLY].quality == Quality.BAD
    assert found[PRESSURE].quality == Quality.BAD
    assert found[PUMP].quality == Quality.DECODE


async def test_a_missing_node_harms_no_other_is_named_once_and_read_when_it_is_back(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = NAMES[1].format(station_id="S1")
    server.delete(2, gone)
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: len(collected.rows(SUPPLY)) >= 3)
        assert {row.quality for row in collected.rows(SUPPLY)} == {Quality.GOOD}
        assert {row.quality for row in collected.rows(RETURN)} == {Quality.BAD}
        await collected.until(lambda: collected.health("D-S1")["counts"].get("nodes missing") == 1)
        server.put(2, gone, data(42.0))
        await collected.until(lambda: Quality.GOOD in {row.quality for row in collected.rows(RETURN)})
    printed = capsys.readouterr().out
    assert printed.count("nodes missing") == 1
    assert "二次回水温度" in printed
    assert printed.count("nodes back") == 1


async def test_one_station_without_its_namespace_leaves_the_other_alone(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    fill(server, station_id="S2")
    site = site_of(make_site, server, "S1", "S2")
    other = replace(PROFILE, name="other", namespace_uri="urn:elsewhere")
    devices = {**site.devices, "D-S2": replace(site.devices["D-S2"], profile="other")}
    site = replace(site, devices=devices, profiles={**site.profiles, "other": other})
    async with collecting(site) as collected:
        await collected.until(lambda: len(collected.rows(SUPPLY)) >= 3)
        await collected.until(lambda: "urn:elsewhere" in collected.health("D-S2").get("reason", ""))
        assert collected.health("D-S1")["state"] == "good"
        server.namespaces(URI, "urn:elsewhere")
        for name in NAMES:
            server.put(3, name.format(station_id="S2"), data(30.0))
        await collected.until(lambda: 30.0 in collected.values("station/S2/secondary_supply_temp_c"))


async def test_a_restart_with_another_namespace_index_is_followed(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    async with collecting(site_of(make_site, server)) as collected:
        await collected.until(lambda: collected.rows(SUPPLY))
        server.stop()
        try:
            await collected.until(lambda: collected.health("D-S1")["state"] == "failing")
            await collected.until(lambda: 0.0 in collected.values("source/D-S1/exchange_ok"))
            server.namespaces("urn:new", URI)
            fill(server, index=3)
            server.put(3, NAMES[0].format(station_id="S1"), data(61.0))
            server.put(2, NAMES[0].format(station_id="S1"), data(99.0))
        finally:
            server.start()
        await collected.until(lambda: 61.0 in collected.values(SUPPLY))
        assert 99.0 not in collected.values(SUPPLY)


async def test_a_secured_server_is_read_once_its_certificate_is_trusted(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", PASSWORD)
    site = site_of(make_site, server, security="Basic256Sha256,SignAndEncrypt", user=USER, password="env:OPCUA_PASSWORD")
    certificate = server.identity.certificate.read_bytes()
    async with collecting(site) as collected:
        await collected.until(lambda: "not trusted" in collected.health("D-S1").get("reason", ""))
        assert fingerprint(certificate) in collected.health("D-S1")["reason"]
        assert not collected.rows(SUPPLY)
        (refused,) = (site.data / "pki" / "refused").iterdir()
        (site.folder / "trusted").mkdir()
        (site.folder / "trusted" / "server.der").write_bytes(refused.read_bytes())
        await collected.until(lambda: collected.rows(SUPPLY))
        assert collected.rows(SUPPLY)[0].value == 55.5
    assert (site.data / "pki" / "own.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("security", "offered", "said"),
    [
        ("", ua.MessageSecurityMode.SignAndEncrypt, "takes nobody without security; that is Basic256Sha256,SignAndEncrypt in devices.csv"),
        ("Basic256Sha256,SignAndEncrypt", ua.MessageSecurityMode.None_, "does not offer Basic256Sha256 with SignAndEncrypt; let it, or"),
    ],
)
async def test_a_security_that_the_server_does_not_offer_is_told_in_the_words_of_the_site(
    security: str, offered: ua.MessageSecurityMode, said: str, server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting
) -> None:
    with server.offering(offered):
        async with collecting(site_of(make_site, server, security=security)) as collected:
            await collected.until(lambda: f"the server {said}" in collected.health("D-S1").get("reason", ""))


async def test_a_wrong_password_is_named_and_never_shown(
    server: OpcUaTestServer, make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPCUA_PASSWORD", "wrong-password")
    site = site_of(make_site, server, security="Basic256Sha256,SignAndEncrypt", user=USER, password="env:OPCUA_PASSWORD")
    (site.folder / "trusted").mkdir()
    (site.folder / "trusted" / "server.der").write_bytes(server.identity.certificate.read_bytes())
    async with collecting(site) as collected:
        await collected.until(lambda: collected.health("D-S1").get("state") == "failing")
        assert "wrong-password" not in str(collected.health())
        assert collected.health("D-S1")["reason"]


async def test_a_server_that_is_not_there_is_named(make_site: MakeSite, collecting: Collecting, free_port: Callable[[], int]) -> None:
    device = Device("D-S1", "S1", "opcua", f"opc.tcp://127.0.0.1:{free_port()}", "zlz", interval_s=0.2, timeout_s=1.0)
    async with collecting(make_site(devices=[device], profiles=[PROFILE])) as collected:
        await collected.until(lambda: collected.health("D-S1").get("state") == "failing")
        began = time.monotonic()
    assert time.monotonic() - began < 2

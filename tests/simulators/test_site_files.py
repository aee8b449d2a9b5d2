import csv
from pathlib import Path

import pytest

from simulators.ports import Ports, opcua_url
from simulators.site_files import MQTT_PASSWORD, OPCUA_PASSWORD, write_site
from simulators.town import Town
from store.site_folder import check_site, load_site

PORTS = Ports((15021, 15022), (15031, 15032), (15041, 15042), 15051)


@pytest.fixture
def folder(tmp_path: Path, town: Town, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MQTT_PASSWORD, "one secret")
    monkeypatch.setenv(OPCUA_PASSWORD, "another secret")
    write_site(tmp_path / "site", town, PORTS, dashboard_port=9000)
    return tmp_path / "site"


def test_the_written_site_has_no_mistake(folder: Path) -> None:
    assert [str(mistake) for mistake in check_site(folder)] == []


def test_it_is_the_town(folder: Path, town: Town) -> None:
    site = load_site(folder)
    assert list(site.stations.values()) == list(town.stations)
    assert list(site.buildings.values()) == list(town.buildings)
    assert list(site.rooms.values()) == list(town.rooms)
    assert {station_id: curves[0] for station_id, curves in site.curves.items()} == {curve.station_id: curve for curve in town.curves}
    assert len(site.sources["HS1"]) == 12
    assert site.dashboard_port == 9000
    assert {room.table for room in site.rooms.values()} == {"residential", "bungalow", "office"}
    assert all("office" in version.schedules for version in site.policy.versions)


def test_devices_and_broker_are_reached_where_the_servers_listen(folder: Path) -> None:
    site = load_site(folder)
    addresses = {device.station_id: (device.protocol, device.address, device.unit, device.base) for device in site.devices.values()}
    assert addresses["S01"] == ("modbus_tcp", "127.0.0.1:15021", 1, 0)
    assert addresses["S06"] == ("modbus_tcp", "127.0.0.1:15022", 7, 100)
    assert addresses["S09"] == ("modbus_rtu_tcp", "127.0.0.1:15032", 5, 0)
    assert addresses["S10"][:2] == ("opcua", opcua_url(15041))
    secure = site.devices["S12-PLC"]
    assert (secure.security, secure.user, secure.password) == ("Basic256Sha256,SignAndEncrypt", "keepwarm", f"env:{OPCUA_PASSWORD}")
    [broker] = site.brokers
    assert broker.url == "mqtt://127.0.0.1:15051"
    assert {subscription.profile for subscription in broker.subscriptions} == {"chirpstack", "the_things_stack", "zigbee2mqtt", "edge_json"}


def test_no_secret_lies_in_the_folder(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"secret" not in path.read_bytes(), path
    key = folder / "simulated" / "opcua_server_key.pem"
    assert key.stat().st_mode & 0o077 == 0
    assert len(list((folder / "trusted").glob("*.der"))) == 1


def test_writing_again_keeps_the_servers_certificate_and_the_data(folder: Path, town: Town) -> None:
    certificate = next((folder / "trusted").glob("*.der")).read_bytes()
    (folder / "data").mkdir()
    (folder / "data" / "kept").write_text("kept", encoding="utf-8")
    write_site(folder, town, PORTS)
    assert next((folder / "trusted").glob("*.der")).read_bytes() == certificate
    assert (folder / "data" / "kept").exists()


def test_tables_open_in_a_chinese_excel(folder: Path) -> None:
    raw = (folder / "stations.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert rows[0]["name"] == "和平路站"

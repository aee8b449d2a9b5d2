"""``keepwarm check --connect``, ``trust``, ``discover`` and ``site import``, as people call them, on real servers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from openpyxl import Workbook

from collector.sources.opcua.pki import fingerprint
from keepwarm.main import exit_code
from tests.collector.broker import PASSWORD as BROKER_PASSWORD
from tests.collector.broker import USER as BROKER_USER
from tests.collector.broker import Mosquitto, publisher
from tests.collector.opcua_server import NAMES, PASSWORD, URI, USER, OpcUaTestServer, data

PROFILE = f"""kind = "opcua"
name = "zlz"
title = "station"
namespace_uri = "{URI}"
mode = "MODE"

[[node]]
quantity = "secondary_supply_temp_c"
node = "s=HRZ.{{station_id}}.二次供水温度"

[[node]]
quantity = "secondary_return_temp_c"
node = "s=HRZ.{{station_id}}.二次回水温度"

[[node]]
quantity = "pump1_running"
node = "s=HRZ.{{station_id}}.not there"
"""
DEVICES = "device_id,station_id,protocol,address,profile,interval_s,timeout_s,security,user,password\n"


class Ran(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: object) -> Ran:
        code = exit_code([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPCUA_PASSWORD", PASSWORD)
    monkeypatch.setenv("MQTT_PASSWORD", BROKER_PASSWORD)
    site = tmp_path / "site"
    (site / "profiles").mkdir(parents=True)
    (site / "site.toml").write_text('name = "阜新"\n', encoding="utf-8")
    (site / "stations.csv").write_text("station_id\nS1\nS2\n", encoding="utf-8")
    (site / "profiles" / "zlz.toml").write_text(PROFILE.replace("MODE", "poll"), encoding="utf-8")
    return site


@pytest.fixture
def broker(mosquitto: Path, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    found = Mosquitto(mosquitto, tmp_path / "broker", free_port())
    found.start()
    yield found
    found.stop()


def add_broker(site: Path, broker: Mosquitto, password: str = "env:MQTT_PASSWORD", protocol: str = "5") -> None:
    with (site / "site.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'[[mqtt]]\nname = "town"\nurl = "{broker.url}"\nusername = "{BROKER_USER}"\npassword = "{password}"\n'
            f'protocol = "{protocol}"\n'
            '[[mqtt.subscription]]\ntopic = "zigbee2mqtt/#"\nprofile = "zigbee2mqtt"\n'
        )


@pytest.mark.parametrize("mode", ["poll", "subscribe"])
def test_every_device_is_read_once_and_each_oddity_is_a_line(
    mode: str, folder: Path, server: OpcUaTestServer, broker: Mosquitto, free_port: Callable[[], int], run: Callable[..., Ran]
) -> None:
    (folder / "profiles" / "zlz.toml").write_text(PROFILE.replace("MODE", mode), encoding="utf-8")
    server.put(2, NAMES[0].format(station_id="S1"), data(400.0))
    rows = f"D1,S1,opcua,{server.url},zlz,300,2,,,\nD2,S2,modbus_tcp,127.0.0.1:{free_port()},xd100n,300,1,,,\n"
    (folder / "devices.csv").write_text(DEVICES + rows, encoding="utf-8")
    add_broker(folder, broker)
    ran = run("check", folder, "--connect", "--seconds", 20)
    lines = ran.out.splitlines()
    assert ran.code == 1
    assert "no mistakes" in lines[0]
    found = [line for line in lines if line.startswith(("ok ", "BAD"))]
    assert found[0].startswith("ok  D1: 3 values")
    assert "BAD D1: nodes missing: 1" in found
    assert "BAD station/S1/secondary_supply_temp_c: 400 ℃, range; plausible is 0 to 100" in found
    assert any(line.startswith("BAD station/S1/pump1_running: no number, bad") for line in found)
    assert any(line.startswith("BAD D2: modbus_tcp 127.0.0.1:") for line in found)
    assert found[-1] == f"ok  town: mqtt {broker.url}: connected"
    assert not (folder / "data" / "journal.db").exists()


def test_a_broker_that_refuses_is_bad_news(
    folder: Path, broker: Mosquitto, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "wrong-password")
    add_broker(folder, broker)
    ran = run("check", folder, "--connect", "--seconds", 5)
    assert ran.code == 1
    assert "BAD town" in ran.out
    assert "uthori" in ran.out
    assert "wrong-password" not in ran.out


def test_an_unknown_certificate_is_shown_accepted_and_then_the_server_is_read(
    folder: Path, server: OpcUaTestServer, run: Callable[..., Ran]
) -> None:
    row = f'D1,S1,opcua,{server.url},zlz,10,2,"Basic256Sha256,SignAndEncrypt",{USER},env:OPCUA_PASSWORD\n'
    (folder / "devices.csv").write_text(DEVICES + row, encoding="utf-8")
    mark = fingerprint(server.identity.certificate.read_bytes())
    assert run("trust", folder).out.startswith("no certificate waits")
    ran = run("check", folder, "--connect")
    assert ran.code == 1
    assert f"BAD D1: opcua {server.url}: the server's certificate is not trusted; SHA-256 {mark}" in ran.out
    assert f"keepwarm trust SITE {mark[:11]}" in ran.out
    listed = run("trust", folder).out.splitlines()
    assert listed[0].startswith(f"not trusted yet: {mark}  ")
    assert listed[1].startswith("our own: ")
    (folder / "trusted").mkdir()
    (waiting,) = (folder / "data" / "pki" / "refused").iterdir()
    (folder / "trusted" / "by hand.der").write_bytes(waiting.read_bytes())
    assert run("trust", folder).out.startswith("no certificate waits")
    (folder / "trusted" / "by hand.der").unlink()
    wrong = run("trust", folder, "00:00")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert run("trust", folder, mark[:11]).out.startswith(f"trusted: {mark}")
    ran = run("check", folder, "--connect")
    assert "ok  D1: 3 values" in ran.out
    assert run("trust", folder).out.startswith("no certificate waits")


def test_discover_lists_nodes_and_sensors_that_are_not_in_the_site(
    folder: Path, server: OpcUaTestServer, broker: Mosquitto, run: Callable[..., Ran]
) -> None:
    (folder / "devices.csv").write_text(DEVICES + f"D1,S1,opcua,{server.url},zlz,10,2,,,\n", encoding="utf-8")
    (folder / "rooms.csv").write_text("room_id,sensor_id\nR1,known\n", encoding="utf-8")
    add_broker(folder, broker)
    with (folder / "site.toml").open("a", encoding="utf-8") as file:
        file.write('[[mqtt.subscription]]\ntopic = "edge/+/points"\nprofile = "edge_json"\n')
    (folder / "data").mkdir()
    noted = {"old one": {"profile": "tasmota", "topic": "t", "first_ms": 1, "last_ms": 2, "count": 3, "values": {"indoor_temp_c": 19.5}}}
    (folder / "data" / "unknown_sensors.json").write_text(json.dumps(noted))
    with publisher(broker) as publish:
        publish.send("zigbee2mqtt/known", '{"temperature": 20}', retain=True)
        publish.send("zigbee2mqtt/new/one", '{"temperature": 20.5, "humidity": 40}', retain=True)
        for station in ("S1", "S9"):  # an edge box names points of ours
            point = {"point_id": f"station/{station}/outdoor_temp_c", "value": -5.5}
            publish.send(f"edge/{station}/points", json.dumps(point), retain=True)
    ran = run("discover", folder, "--seconds", 1.5)
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert ran.code == 0
    nodes = {line[2]: line for line in lines if line[0] == "opcua"}
    assert f"{URI} s=HRZ.S1.PT201" in nodes
    assert nodes[f"{URI} s=HRZ.S1.PT201"][3:] == ["HRZ.S1.PT201", "450.0"]
    assert f"{URI} s=HRZ.S1.二次供水温度" not in nodes
    assert [line for line in lines if line[0] == "mqtt"] == [
        ["mqtt", "town", "new/one", "zigbee2mqtt", "indoor_temp_c=20.5 indoor_humidity_pct=40"],
        ["mqtt", "town", "station/S9/outdoor_temp_c", "edge_json", "outdoor_temp_c=-5.5"],
        ["mqtt", "noted", "old one", "tasmota", "indoor_temp_c=19.5"],
    ]


def test_discover_names_what_it_can_not_reach(folder: Path, free_port: Callable[[], int], run: Callable[..., Ran]) -> None:
    row = f"D1,S1,opcua,opc.tcp://127.0.0.1:{free_port()},zlz,10,2,,,\n"
    (folder / "devices.csv").write_text(DEVICES + row, encoding="utf-8")
    ran = run("discover", folder, "--seconds", 0.5)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)


def test_discover_hears_more_sensors_than_a_broker_sends_unacknowledged(folder: Path, broker: Mosquitto, run: Callable[..., Ran]) -> None:
    add_broker(folder, broker, protocol="3.1.1")  # in which that is twenty messages
    with publisher(broker) as publish:
        for number in range(60):
            publish.send(f"zigbee2mqtt/new {number:02}", '{"temperature": 20.5}', retain=True)
    ran = run("discover", folder, "--seconds", 1.5)
    assert [line.split("\t")[2] for line in ran.out.splitlines()] == [f"new {number:02}" for number in range(60)]


def test_discover_says_what_a_broker_refuses(
    folder: Path, mosquitto: Path, tmp_path: Path, free_port: Callable[[], int], run: Callable[..., Ran]
) -> None:
    (tmp_path / "strict").mkdir()
    strict = Mosquitto(mosquitto, tmp_path / "strict", free_port())
    strict.confirm_only("zigbee2mqtt/#")
    strict.start()
    add_broker(folder, strict)
    with (folder / "site.toml").open("a", encoding="utf-8") as file:
        file.write('[[mqtt.subscription]]\ntopic = "tele/+/SENSOR"\nprofile = "tasmota"\n')
    try:
        with publisher(strict) as publish:
            publish.send("zigbee2mqtt/new", '{"temperature": 20.5}', retain=True)
        ran = run("discover", folder, "--seconds", 1.5)
    finally:
        strict.stop()
    assert (ran.code, ran.out) == (1, "mqtt\ttown\tnew\tzigbee2mqtt\tindoor_temp_c=20.5\n")
    lines = ran.err.splitlines()
    assert lines[0] == "town: listening for 1.5 s"
    assert lines[1].startswith(f"mqtt {strict.url}: it refuses tele/+/SENSOR: ")


# ── site import ───────────────────────────────────────────────────────────────────────────────────────────────────────


def workbook(path: Path, rows: list[list[object]]) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_rows_of_spreadsheets_go_into_the_sites_tables_after_a_dry_run(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    stations = workbook(tmp_path / "a.xlsx", [["station_id", "name", "design_flow_m3h"], ["S2", "二站", 80], ["S3", "三站", 90.5]])
    buildings = tmp_path / "b.csv"
    buildings.write_bytes("building_id,station_id,name\nB1,S3,一号楼\n".encode("gb18030"))
    rooms = workbook(tmp_path / "c.xlsx", [["room_id", "building_id", "sensor_id"], ["R1", "B1", "24E1"], ["R2", "B1", "24E2"]])
    before = (folder / "stations.csv").read_bytes()
    dry = run("site", "import", folder, stations, buildings, rooms, "--dry-run")
    assert dry.code == 0
    assert dry.out.splitlines() == [
        "+ stations S3: station_id=S3, name=三站, design_flow_m3h=90.5",
        "~ stations S2: name '' → '二站', design_flow_m3h '' → '80'",
        "stations: 1 new, 1 changed, 1 as before",
        "+ buildings B1: building_id=B1, station_id=S3, name=一号楼",
        "buildings: 1 new, 0 changed, 0 as before",
        "+ rooms R1: room_id=R1, building_id=B1, sensor_id=24E1",
        "+ rooms R2: room_id=R2, building_id=B1, sensor_id=24E2",
        "rooms: 2 new, 0 changed, 0 as before",
        "nothing was written (dry run)",
    ]
    assert (folder / "stations.csv").read_bytes() == before
    assert not (folder / "rooms.csv").exists()
    assert run("site", "import", folder, stations, buildings, rooms).code == 0
    assert (folder / "stations.csv").read_text(encoding="utf-8") == "station_id,name,design_flow_m3h\nS1,,\nS2,二站,80\nS3,三站,90.5\n"
    assert "3 stations, 1 building, 2 rooms" in run("check", folder).out
    again = run("site", "import", folder, rooms, "--dry-run")
    assert "rooms: 0 new, 0 changed, 2 as before" in again.out


WRONG_ROWS = [
    ([["room_id", "building_id"], ["R1", "B9"]], "2: building_id: 'B9': "),
    ([["room_id", "building_id"], ["R1", "B1"], ["", ""], ["R2", "B9"]], "4: building_id: 'B9': "),
    ([["room_id", "sensor_id"], ["R1", "a"], ["R1", "b"]], "3: room_id: 'R1': line 2 has this id already"),
    ([["room_id", "sensor_id"], ["", "a"]], "2: room_id: an id is missing"),
    ([["room_id", "sensor_id"], ["R1", "a"], ["R2", "a"]], "3: sensor_id: 'a': this sensor is in the room of line 2 already"),
    ([["room_id", "offset_k"], ["R1", "warm"]], "2: offset_k: 'warm': "),
    ([["room_id", "premises"], ["R1", "palace"]], "2: premises: 'palace': "),
    ([["room", "sensor_id"], ["R1", "a"]], "1: room: unknown column; "),
    ([["name"], ["x"]], " its columns fit no table; one of station_id, building_id, room_id, device_id must be there"),
    ([["building_id", "station_id", "lat", "lon"], ["B2", "S1", "95", "120"]], "2: lat: '95': "),
    ([["station_id", "design_flow_m3h"], ["S1", "-3"]], "2: design_flow_m3h: '-3': "),
    ([["device_id", "station_id", "protocol", "address"], ["d", "S1", "modbus", "127.0.0.1:502"]], "2: protocol: 'modbus': "),
]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize(("rows", "said"), WRONG_ROWS)
def test_a_mistake_is_told_of_the_file_that_was_given_and_nothing_is_written(
    rows: list[list[object]], said: str, form: str, folder: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    (folder / "buildings.csv").write_text("building_id,station_id\nB1,S1\n", encoding="utf-8")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    given = tmp_path / f"from the office.{form}"
    if form == "xlsx":
        workbook(given, rows)
    else:
        given.write_text("".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    for options in ((), ("--dry-run",)):
        ran = run("site", "import", folder, given, *options)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"{given}:{said}"), ran.err
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_every_mistake_of_every_file_is_told_at_once(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    (tmp_path / "a.csv").write_text("station_id,nmae\nS3,x\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("colour\nred\n", encoding="utf-8")
    (tmp_path / "c.csv").write_text("", encoding="utf-8")
    ran = run("site", "import", folder, *(tmp_path / name for name in ("a.csv", "b.csv", "c.csv", "d.csv")))
    assert ran.code == 2
    assert [line.partition(str(tmp_path))[2][:6] for line in ran.err.splitlines()] == ["/a.csv", "/b.csv", "/c.csv", "/d.csv"]


def test_a_row_that_collides_with_one_there_names_both_files(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    (folder / "rooms.csv").write_text("room_id,sensor_id\n\nR1,24E1\n", encoding="utf-8")
    (tmp_path / "new.csv").write_text("room_id,sensor_id\nR2,24E2\nR3,24E1\n", encoding="utf-8")
    ran = run("site", "import", folder, tmp_path / "new.csv")
    assert ran.code == 2
    assert f"{tmp_path / 'new.csv'}:3: sensor_id: '24E1': this sensor is in the room of line 3 of rooms.csv already" in ran.err


def test_a_cell_that_was_there_before_is_told_of_its_own_file(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    (folder / "rooms.csv").write_text("room_id,offset_k\nR1,warm\n", encoding="utf-8")
    (tmp_path / "new.csv").write_text("room_id,sensor_id\nR1,24E1\n", encoding="utf-8")
    ran = run("site", "import", folder, tmp_path / "new.csv")
    assert ran.code == 2
    assert "rooms.csv:2: offset_k: 'warm'" in ran.err
    assert "new.csv" not in ran.err


def test_an_empty_file_says_what_its_first_line_should_be(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    (tmp_path / "new.csv").write_text("", encoding="utf-8")
    ran = run("site", "import", folder, tmp_path / "new.csv", "--table", "rooms")
    assert ran.code == 2
    assert f"{tmp_path / 'new.csv'}: the file is empty; its first line names the columns: room_id," in ran.err


def test_workbooks_under_another_name_are_told_as_such(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    (tmp_path / "old.xls").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    workbook(tmp_path / "rooms.xlsx", [["room_id"], ["R1"]]).rename(tmp_path / "rooms.csv")
    ran = run("site", "import", folder, tmp_path / "old.xls", tmp_path / "rooms.csv", "--table", "rooms")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        f"{tmp_path / 'old.xls'}: the old workbook format is not read; save it as .xlsx or CSV",
        f"{tmp_path / 'rooms.csv'}: a workbook that is not called so; let its name end in .xlsx, or save it as CSV",
    ]


def test_a_table_that_is_a_workbook_is_not_written_to(folder: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    workbook(folder / "rooms.xlsx", [["room_id"], ["R1"]])
    (tmp_path / "new.csv").write_text("room_id\nR2\n", encoding="utf-8")
    ran = run("site", "import", folder, tmp_path / "new.csv", "--table", "rooms")
    assert ran.code == 2
    assert "rooms.xlsx: is a workbook" in ran.err

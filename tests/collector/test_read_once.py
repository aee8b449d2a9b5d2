"""``check --connect`` and its sisters as a newcomer meets them: what is wrong in few lines, each of which says what to look at."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.commission import read_once
from domain.clock import Clock
from domain.profile import ModbusProfile, Register
from domain.site import Device, Station
from keepwarm.main import exit_code
from store.site_folder.profiles import SHIPPED, load_profile
from tests.collector.conftest import MakeSite
from tests.collector.raw_modbus import Answer, Asked, RawModbus, Wire, exception, registers

WAIT_S = 10.0


async def findings(make_site: MakeSite, answer: Answer) -> list[str]:
    """What is said of one station of 27 values that answers like this."""
    profile = load_profile(Path(SHIPPED) / "xd100n.toml")
    assert isinstance(profile, ModbusProfile)
    async with RawModbus(answer).running() as server:
        site = make_site(devices=[Device("D1", "S1", "modbus_tcp", server.address, "xd100n", timeout_s=1.0)], profiles=[profile])
        return [str(finding) for finding in await read_once(site, Clock(), WAIT_S)]


@pytest.mark.parametrize(("code", "words"), [(2, "illegal address"), (11, "gateway target silent"), (1, "illegal function")])
async def test_a_device_that_refuses_everything_is_three_lines_and_not_one_for_each_value(
    code: int, words: str, make_site: MakeSite
) -> None:
    async def refuse(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, exception(asked, code))

    head, said, hint = await findings(make_site, refuse)
    assert head.startswith("BAD D1: 27 values in ")
    assert head.endswith(" ms, 0 of them plausible")
    assert said.startswith(f"BAD D1: answers exception {code}, {words}: ")
    assert hint == "BAD D1: 27 values: device error; are unit, base and profile those of this device?"


async def test_values_out_of_range_are_each_a_line_with_what_would_be_plausible(make_site: MakeSite) -> None:
    async def answer(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, registers(asked, 30_000))

    head, *lines = await findings(make_site, answer)
    assert head.startswith("ok  D1: 27 values in ")
    assert "BAD station/S1/secondary_supply_temp_c: 3000 ℃, range; plausible is 0 to 100" in lines
    assert len({line.split(":")[0] for line in lines}) == len(lines), "one line a value"


async def test_values_are_compared_with_the_limits_of_their_own_station(make_site: MakeSite) -> None:
    """A flow in another unit than the meter's, water too hot for a floor."""

    async def answer(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, registers(asked, 9_000, 700))

    of_floor = ModbusProfile(
        "two", "two", (Register("secondary_flow_m3h", 0, "u16", scale=0.1), Register("secondary_supply_temp_c", 1, "i16", scale=0.1))
    )
    async with RawModbus(answer).running() as server:
        site = make_site(devices=[Device("D1", "S1", "modbus_tcp", server.address, "two", timeout_s=1.0)], profiles=[of_floor])
        site = replace(site, stations={"S1": Station("S1", heating="floor", secondary_meter_m3h=100.0)})
        _, *said = [str(finding) for finding in await read_once(site, Clock(), WAIT_S)]
    assert said == [
        "BAD station/S1/secondary_flow_m3h: 900 m³/h, range; plausible is 0 to 150",
        "ok  station/S1/secondary_supply_temp_c: 70 ℃, suspect range; plausible is … to 60",
    ]


async def test_a_line_that_is_refused_says_so_in_plain_words(make_site: MakeSite, free_port: Callable[[], int]) -> None:
    address = f"127.0.0.1:{free_port()}"
    site = make_site(devices=[Device("D1", "S1", "modbus_tcp", address, "two", timeout_s=1.0)])
    assert [str(finding) for finding in await read_once(site, Clock(), WAIT_S)] == [
        f"BAD D1: modbus_tcp {address}: no connection: connection refused"
    ]


async def test_a_name_that_nobody_knows_is_named(make_site: MakeSite) -> None:
    site = make_site(devices=[Device("D1", "S1", "modbus_tcp", "plc.invalid:502", "two", timeout_s=2.0)])
    (finding,) = await read_once(site, Clock(), WAIT_S)
    assert not finding.good
    assert finding.said.startswith("modbus_tcp plc.invalid:502: no connection")


# ── the commands ──────────────────────────────────────────────────────────────────────────────────────────────────────

DEVICES = "device_id,station_id,protocol,address,profile,timeout_s,user,password\n"
BROKER = '[[mqtt]]\nname = "rooms"\nurl = "mqtt://127.0.0.1:{port}"\nusername = "k"\npassword = "env:NOT_SET_MQTT"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site as ``keepwarm init`` leaves it, with one station."""
    assert exit_code(["init", str(tmp_path / "site")]) == 0
    (tmp_path / "site" / "stations.csv").write_text("station_id\nS1\n", encoding="utf-8")
    return tmp_path / "site"


def lines_of(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err.splitlines()


def test_a_new_site_has_nothing_to_read_and_says_where_that_would_stand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert exit_code(["check", str(folder), "--connect"]) == 0
    out, err = lines_of(capsys)
    assert out[1:] == ["nothing to read: devices.csv has no device, and site.toml names no broker under [[mqtt]]"]
    assert err == []
    assert exit_code(["discover", str(folder), "--seconds", "0.5"]) == 0
    assert lines_of(capsys) == (
        [],
        [f"{folder}: nothing to look at: no device speaks OPC UA, and site.toml names no broker under [[mqtt]]"],
    )
    assert exit_code(["trust", str(folder), "AB"]) == 2
    out, (line,) = lines_of(capsys)
    assert line == "FINGERPRINT: 'AB': no certificate waits to be accepted; keepwarm check SITE --connect fetches those of the servers"


@pytest.mark.parametrize("command", [["check", "--connect"], ["discover"]])
def test_every_secret_that_is_missing_is_a_line(
    command: list[str], folder: Path, free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    devices = f"D1,S1,opcua,opc.tcp://127.0.0.1:{port},xd100n_opcua,1,me,env:NOT_SET_OPCUA\n"
    (folder / "devices.csv").write_text(DEVICES + devices, encoding="utf-8")
    with (folder / "site.toml").open("a", encoding="utf-8") as file:
        file.write(BROKER.format(port=port) + '[[mqtt.subscription]]\ntopic = "zigbee2mqtt/#"\nprofile = "zigbee2mqtt"\n')
    capsys.readouterr()
    assert exit_code([command[0], str(folder), *command[1:]]) == 2
    _, err = lines_of(capsys)
    assert err[0] == "env:NOT_SET_OPCUA: this environment variable holds a secret and is not set"
    assert command[0] == "discover" or err[1:] == ["env:NOT_SET_MQTT: this environment variable holds a secret and is not set"]


def test_what_can_not_be_reached_is_one_line_and_no_log(
    folder: Path, free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    (folder / "stations.csv").write_text("station_id\nS1\nS2\n", encoding="utf-8")
    rows = f"D1,S1,modbus_tcp,127.0.0.1:{port},xd100n,1,,\nD2,S2,opcua,opc.tcp://127.0.0.1:{port},xd100n_opcua,1,,\n"
    (folder / "devices.csv").write_text(DEVICES + rows, encoding="utf-8")
    capsys.readouterr()
    code = exit_code(["check", str(folder), "--connect", "--seconds", "8"])
    out, err = lines_of(capsys)
    assert (code, err) == (1, [])
    assert [line.split(":")[0] for line in out[1:]] == ["BAD D1", "BAD D2"]
    assert exit_code(["discover", str(folder), "--seconds", "0.5"]) == 1
    out, (line,) = lines_of(capsys)
    assert out == []
    assert line.startswith(f"opcua opc.tcp://127.0.0.1:{port}: ")


def test_importing_into_no_site_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stations.csv").write_text("station_id\nS1\n", encoding="utf-8")
    assert exit_code(["site", "import", str(tmp_path / "nowhere"), str(tmp_path / "stations.csv"), "--dry-run"]) == 2
    assert lines_of(capsys) == ([], [f"{tmp_path / 'nowhere'}: no site: a folder with site.toml in it; keepwarm init makes one"])

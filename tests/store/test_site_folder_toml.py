"""What ``check`` says about site.toml, profiles and policies, and what they become."""

from pathlib import Path

import pytest

from domain.errors import ConfigError
from domain.profile import ModbusProfile, OpcUaProfile
from domain.site import Gateway
from store.secrets import secret
from store.site_folder import check_site, load_policy, load_profiles, load_site
from tests.store.site_cases import cases, lines

FULL = """
name = "Fuxin"
timezone = "Asia/Urumqi"
policy = "law.toml"
hold_max_min = 45
station_hold_min = 2.5
room_interval_s = 300
hotline = "0418-12345"
records_url = "postgresql://db/keepwarm"
data = "../store"

[journal]
days = 14
bytes = 1_000_000

[history]
kind = "influxdb"
url = "http://10.0.0.5:8086"
token = "env:INFLUX_TOKEN"
org = "heat"
bucket = "b"
database = "d"

[dashboard]
host = "0.0.0.0"
port = 8080

[notices]
publish = "review"

[[gateway]]
address = "10.0.0.1:502"
connections = 2

[[mqtt]]
name = "rooms"
url = "mqtts://broker.example:8883"
username = "keepwarm"
password = "file:secrets/mqtt"
protocol = "3.1.1"
ca_file = "ca.pem"
[[mqtt.subscription]]
topic = "application/+/device/+/event/up"
profile = "chirpstack"
"""
LAW = """
name = "north"
[[version]]
valid_from = 2020-01-01
season = "always"
[version.schedule.residential]
"00:00-24:00" = 20.0
[version.schedule.bungalow]
"00:00-24:00" = 18.0
"""


@pytest.mark.parametrize(("file", "content", "expected"), cases("site_toml_mistakes.txt"))
def test_mistakes_in_toml_files(tmp_path: Path, file: str, content: str, expected: list[str]) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "site.toml").write_text("")
    (tmp_path / file).write_text(content, encoding="utf-8")
    assert lines(tmp_path) == expected


def test_every_key_arrives(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    devices = "device_id,station_id,protocol,address,profile,max_registers\nD1,S1,modbus_tcp,10.0.0.1:502,xd100n,20\n"
    for name, content in (("site.toml", FULL), ("law.toml", LAW), ("ca.pem", "x"), ("devices.csv", devices)):
        (folder / name).write_text(content, encoding="utf-8")
    site = load_site(folder)
    assert (site.name, site.timezone.key, site.policy.name, site.hotline) == ("Fuxin", "Asia/Urumqi", "north", "0418-12345")
    assert (site.hold_max_min, site.station_hold_min, site.room_interval_s) == (45.0, 2.5, 300.0)
    assert (site.records_url, site.data.resolve()) == ("postgresql://db/keepwarm", tmp_path / "store")
    assert (site.stores.journal_days, site.stores.journal_bytes, site.stores.history) == (14.0, 1_000_000, "influxdb")
    assert (site.stores.history_token, site.stores.history_bucket) == ("env:INFLUX_TOKEN", "b")
    assert (site.dashboard_host, site.dashboard_port, site.publish) == ("0.0.0.0", 8080, "review")
    assert site.gateways == {"10.0.0.1:502": Gateway("10.0.0.1:502", 2)}
    assert site.devices["D1"].max_registers == 20
    [broker] = site.brokers
    assert (broker.client_id, broker.protocol, broker.ca_file) == ("keepwarm-Fuxin", "3.1.1", str(folder / "ca.pem"))
    assert broker.password == f"file:{folder}/secrets/mqtt"
    assert broker.subscriptions[0].profile == "chirpstack"


def test_mistakes_of_the_policy_name_its_lines(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('policy = "law.toml"')
    (tmp_path / "law.toml").write_text(LAW.replace('"00:00-24:00" = 20.0', '"06:00-21:00" = 99').replace("always", "winter"))
    assert lines(tmp_path) == [
        'law.toml:5: version[0].season: \'winter\': { from = "11-15", to = "03-15" }, both days inside, or "always"',
        "law.toml:7: version[0].schedule.residential.\"06:00-21:00\": '99': a temperature in ℃, such as 18.0",
    ]


def test_contract_rooms_are_held_to_the_policy_of_the_site(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('policy = "law.toml"')
    (tmp_path / "law.toml").write_text(LAW + '[version.schedule.office]\n"00:00-24:00" = 15.0\n')
    (tmp_path / "rooms.csv").write_text("room_id,premises,schedule\nR1,contract,office\nR2,contract,shop\n")
    assert lines(tmp_path) == ["rooms.csv:3: schedule: 'shop': a schedule of policy 'north'; known: bungalow, office, residential"]


def test_a_schedule_may_begin_with_a_later_version_but_not_end(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('policy = "law.toml"')
    (tmp_path / "rooms.csv").write_text("room_id,premises,schedule\nR1,contract,office\n")
    office = '[version.schedule.office]\n"00:00-24:00" = 15.0\n'
    later = LAW.split("\n", 2)[2].replace("2020", "2025")
    (tmp_path / "law.toml").write_text(LAW + later + office)
    assert lines(tmp_path) == []
    (tmp_path / "law.toml").write_text(LAW + office + later)
    gap = "its version valid from 2025-01-01 has no such [version.schedule.office]"
    assert lines(tmp_path) == [f"rooms.csv:2: schedule: 'office': a schedule of policy 'north'; {gap}"]


def test_a_broken_site_toml_does_not_blame_the_rooms(tmp_path: Path) -> None:
    """Which policy it names is not known, so nobody says that it lacks a schedule; the rest is looked at all the same."""
    (tmp_path / "site.toml").write_text("name = [")
    (tmp_path / "rooms.csv").write_text("room_id,premises,schedule,floor\nR1,contract,office,x\n")
    assert lines(tmp_path) == [
        "site.toml:1: end of file: 'name = [': no valid TOML: Invalid value",
        "rooms.csv:2: floor: 'x': a whole number from -10 to 200",
    ]


def test_the_shipped_policy_and_profiles_are_sound() -> None:
    mistakes: list[object] = []
    profiles = load_profiles(None, mistakes)  # type: ignore[arg-type]
    assert mistakes == []
    assert isinstance(profiles["xd100n"], ModbusProfile)
    assert isinstance(profiles["xd100n_opcua"], OpcUaProfile)
    policy = load_policy("default")
    assert (policy.name, len(policy.sha256)) == ("default", 64)
    assert all("residential" in version.schedules for version in policy.versions)


def test_the_sites_own_profile_wins(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    (tmp_path / "profiles").mkdir()
    own = 'kind = "modbus"\ntitle = "ours"\n[[register]]\nquantity = "pump1_running"\noffset = 3\ntype = "bit"\nbit = 4\n'
    (tmp_path / "profiles" / "xd100n.toml").write_text(own)
    profile = load_site(tmp_path).profiles["xd100n"]
    assert isinstance(profile, ModbusProfile)
    assert (profile.title, profile.registers[0].bit, profile.function) == ("ours", 4, 4)


def test_a_profile_with_mistakes_is_not_also_missing(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.toml").write_text('kind = "modbus"\n')
    (tmp_path / "devices.csv").write_text("device_id,station_id,protocol,address,profile\nD1,S1,modbus_tcp,h:502,own\n")
    assert lines(tmp_path) == ["profiles/own.toml: register: a profile needs at least one [[register]]"]


def test_a_secret_in_site_toml_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[history]\ntoken = "hunter2"\n')
    assert "hunter2" not in "".join(str(mistake) for mistake in check_site(tmp_path))


def test_secrets_come_from_the_environment_or_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPWARM_TEST_SECRET", "s3cret")
    (tmp_path / "password").write_text("from a file\n")
    assert secret("") == ""
    assert secret("env:KEEPWARM_TEST_SECRET") == "s3cret"
    assert secret(f"file:{tmp_path / 'password'}") == "from a file"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("env:KEEPWARM_NOT_SET", "env:KEEPWARM_NOT_SET: this environment variable holds a secret and is not set"),
        ("file:/nowhere/x", "file:/nowhere/x: this file holds a secret and can't be read: no such file or directory"),
        ("hunter2", "secret: a secret is named env:NAME or file:PATH; it never stands there itself"),
    ],
)
def test_secrets_that_are_not_there(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        secret(name)
    assert str(error.value) == said

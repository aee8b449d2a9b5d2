"""``keepwarm init``: the folder that it writes passes the check, and names every setting with the default that the program takes."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from domain.site import Broker, Channel, Gateway, OpenId, Site, StoreSettings, Subscription
from keepwarm.init import site_file
from keepwarm.main import exit_code
from store.site_folder import load_site
from store.site_folder import settings as known
from store.site_folder.load import TABLES

KEYS = {
    "": (*known._TOP, *known._TABLES),
    "journal": known._JOURNAL,
    "history": known._HISTORY,
    "dashboard": ("host", "port", "reached_by", "session_idle_min", "session_most_h"),
    "openid": tuple(field.name for field in fields(OpenId)),
    "notices": ("publish", "review_min"),
}
LISTS = {"gateway": Gateway, "channel": Channel, "mqtt": Broker}


def _uncommented(text: str) -> str:
    """Every setting in force: what begins with # and no space."""
    return re.sub(r"(?m)^#(?=\S)", "", text)


def test_what_is_written_passes_the_check_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "阜新"
    assert exit_code(["init", str(folder)]) == 0
    assert exit_code(["check", str(folder)]) == 0
    assert "阜新: no tables yet; policy default, Asia/Shanghai; no mistakes" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == sorted(["site.toml", "notices.toml", *(f"{name}.csv" for name in TABLES)])


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.toml").write_text("name = 'mine'\n")
    assert exit_code(["init", str(tmp_path)]) == 2
    assert exit_code(["init", str(tmp_path / "site.toml")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{tmp_path}: not empty (site.toml is there); a new site begins in a folder of its own"
    assert "can't be made a folder" in second
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("site.toml", "name = 'mine'\n")]


@pytest.mark.parametrize("table", KEYS)
def test_every_setting_is_named(table: str) -> None:
    document = tomllib.loads(_uncommented(site_file("t")))
    assert set(document[table] if table else document) == set(KEYS[table])


@pytest.mark.parametrize("table", LISTS)
def test_every_setting_of_a_list_is_named(table: str) -> None:
    document = tomllib.loads(_uncommented(site_file("t")))
    expected = {field.name for field in fields(LISTS[table])} - {"subscriptions"}
    assert set(document[table][0]) - {"subscription"} == expected
    if table == "mqtt":
        assert set(document["mqtt"][0]["subscription"][0]) == {field.name for field in fields(Subscription)}


def test_the_defaults_are_those_of_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tables of lists are examples; all else, in force, changes nothing."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "site.toml").write_text('name = "t"\n')
    assert exit_code(["init", str(tmp_path / "full")]) == 0
    capsys.readouterr()
    text = _uncommented(site_file("t")).partition("[[gateway]]")[0]
    (tmp_path / "full" / "site.toml").write_text(text)
    bare, full = load_site(tmp_path / "bare"), load_site(tmp_path / "full")
    assert full.stores == bare.stores == StoreSettings()
    different = [field.name for field in fields(Site) if getattr(bare, field.name) != getattr(full, field.name)]
    assert different == ["folder", "data"]  # which are inside the two folders


def test_a_name_with_quotes_is_written_as_toml_has_it() -> None:
    assert tomllib.loads(site_file('a "b" \\ c'))["name"] == 'a "b" \\ c'


def test_the_examples_of_lists_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of the file in force: gateway, channel and broker read back as they are written."""
    assert exit_code(["init", str(tmp_path / "full")]) == 0
    capsys.readouterr()
    text = _uncommented(site_file("t"))
    (tmp_path / "full" / "site.toml").write_text(text)
    (tmp_path / "full" / "stations.csv").write_text("station_id\nS01\n")
    (tmp_path / "full" / "devices.csv").write_text("device_id,station_id,protocol,address,profile\nD1,S01,modbus_tcp,10.0.0.1:502,xd100n\n")
    site = load_site(tmp_path / "full")
    assert (site.gateways["10.0.0.1:502"].connections, site.channels[0].sends) == (1, ("notices",))
    assert (site.brokers[0].url, len(site.brokers[0].subscriptions)) == ("mqtts://broker.example:8883", 1)

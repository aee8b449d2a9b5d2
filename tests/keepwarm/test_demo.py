"""The demo's town, its folder and its ports; the whole of it as processes is in tests/e2e."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from dashboard.facts.instruments import held_on, register
from dashboard.facts.town import Town
from domain.clock import Clock
from domain.errors import ConfigError
from domain.reading import Readings
from keepwarm.demo import Plan, demo_folder, free_port, town_of
from keepwarm.demo_history import register_instruments, store_history
from keepwarm.demo_town import kept_town, new_town, on_new_ports, passwords, set_clock, stopped_at
from keepwarm.processes import dealt, listen, only_one
from simulators.sensing import ROOM_INTERVAL_S
from simulators.simulate import DEMO_START_MS
from simulators.world import STEP_S
from store.health import write_health
from store.history import open_history
from store.journal import Journal
from store.points import PointRegistry
from store.site_folder import check_site, load_site


def test_a_temporary_folder_is_gone_afterwards_and_a_given_one_is_kept(tmp_path: Path) -> None:
    with demo_folder(None) as folder:
        (folder / "data").mkdir()
    assert not folder.exists()
    with demo_folder(tmp_path / "kept") as folder:
        folder.mkdir()
    assert (tmp_path / "kept").is_dir()


def test_the_demo_has_an_instrument_that_may_measure_and_one_that_may_not(tmp_path: Path) -> None:
    town = new_town("normal", DEMO_START_MS)
    town.write(tmp_path, 8600)
    site = load_site(tmp_path)
    register_instruments(site, DEMO_START_MS)
    register_instruments(site, DEMO_START_MS)  # as after a start that was broken off
    opened = Town(site, Clock.starting_at(DEMO_START_MS, 1.0))
    try:
        today = datetime.fromtimestamp(DEMO_START_MS / 1000, site.timezone).date()
        held = {name: held_on(known, today) for name, known in register(opened).items()}
        assert [name for name, one in held.items() if one.since <= today <= one.until] == ["温度计 TH-01"]
        assert [name for name, one in held.items() if one.until < today] == ["温度计 TH-02"]
    finally:
        opened.close()


def test_a_taken_port_is_one_line_and_the_next_free_one(capsys: pytest.CaptureFixture[str]) -> None:
    with free_port(0) as first:
        taken = first.getsockname()[1]
        assert capsys.readouterr().out == ""
        with free_port(taken) as second:
            found = second.getsockname()[1]
            assert taken < found <= taken + 50
    assert capsys.readouterr().out == f"port {taken} is taken, the page is on {found}\n"


def test_a_real_sites_taken_port_is_a_mistake() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(ConfigError, match=r"in use; give another with --port"):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_address_of_another_machine_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:8600"):
        listen("192.0.2.1", 8600)


def test_only_one_process_of_a_name_on_a_site(tmp_path: Path) -> None:
    with (
        only_one(tmp_path / "run.lock", "keepwarm run"),
        pytest.raises(ConfigError, match="already runs on this site"),
        only_one(tmp_path / "run.lock", "keepwarm run", wait_s=0),
    ):
        pass
    with only_one(tmp_path / "run.lock", "keepwarm run", wait_s=0):
        pass


def test_nodes_of_one_dealing_run_beside_each_other_and_no_others(tmp_path: Path) -> None:
    lock = tmp_path / "watch.nodes"
    with dealt(lock, "keepwarm watch", 2), dealt(lock, "keepwarm watch", 2):
        with pytest.raises(ConfigError, match=r"dealt out to nodes as …/2; stop those first"), dealt(lock, "keepwarm watch", 1):
            pass
        with pytest.raises(ConfigError, match="…/3"), dealt(lock, "keepwarm watch", 3):
            pass
    with dealt(lock, "keepwarm watch", 3):
        pass


def test_the_towns_site_folder_has_no_mistake_and_is_kept_whole(tmp_path: Path) -> None:
    town = new_town("demo", DEMO_START_MS)
    town.write(tmp_path, 8600)
    assert check_site(tmp_path) == []
    assert kept_town(tmp_path / "data") == town
    moved = on_new_ports(town)
    assert moved.ports != town.ports
    moved.write(tmp_path, 8601)
    site = load_site(tmp_path)
    assert {device.address.rpartition(":")[2].partition("/")[0] for device in site.devices.values()} == {
        str(port) for port in (*moved.ports.modbus_tcp, *moved.ports.modbus_rtu_tcp, *moved.ports.opcua)
    }


def test_an_unknown_scenario_is_named_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="no such scenario; there are cold_building"):
        new_town("nonsense", DEMO_START_MS)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "A real town"')
    with pytest.raises(ConfigError, match=r"holds no demo but site\.toml; give a new folder"):
        town_of(Plan(tmp_path, None, 60.0, browser=False))
    assert (tmp_path / "site.toml").read_text() == 'name = "A real town"'


def test_a_folder_that_was_left_half_written_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path, *_: object, **__: object) -> None:
        (folder / "site.toml").write_text("")
        raise KeyboardInterrupt

    with monkeypatch.context() as at_its_first_start:
        at_its_first_start.setattr("keepwarm.demo_town.write_site", killed)
        with pytest.raises(KeyboardInterrupt):
            new_town("normal", DEMO_START_MS).write(tmp_path, 8600)
    town = town_of(Plan(tmp_path, None, 60.0, browser=False))
    assert (town.scenario, town.has_history) == ("normal", False)
    town.write(tmp_path, 8600)
    assert check_site(tmp_path) == []


def test_a_kept_town_goes_on_with_its_own_scenario(tmp_path: Path) -> None:
    town = town_of(Plan(tmp_path, "normal", 60.0, browser=False))
    town.write(tmp_path, 8600)
    assert town_of(Plan(tmp_path, None, 60.0, browser=False)).scenario == "normal"
    with pytest.raises(ConfigError, match="'demo': goes on with 'normal'; give another folder"):
        town_of(Plan(tmp_path, "demo", 60.0, browser=False))


def test_a_port_that_is_not_ours_to_take_is_a_mistake_not_a_taken_one() -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1:0"):
        free_port(0, "192.0.2.1")


def test_a_file_that_is_no_demos_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"scenario": "demo"}')
    with pytest.raises(ConfigError, match=r"demo\.json: not a demo's file"):
        kept_town(tmp_path)


def test_passwords_are_the_environments_or_new_each_time() -> None:
    first, second = passwords({}), passwords({})
    assert set(first) == {"KEEPWARM_DEMO_MQTT_PASSWORD", "KEEPWARM_DEMO_OPCUA_PASSWORD"}
    assert not set(first.values()) & set(second.values())
    assert passwords({"KEEPWARM_DEMO_MQTT_PASSWORD": "told"})["KEEPWARM_DEMO_MQTT_PASSWORD"] == "told"


def test_time_goes_on_from_the_latest_instant_anything_knows_of(tmp_path: Path) -> None:
    town = new_town("normal", DEMO_START_MS)
    assert stopped_at(town, tmp_path) == DEMO_START_MS
    write_health(tmp_path, "watch", DEMO_START_MS + 5_000, {})
    assert stopped_at(town, tmp_path) == DEMO_START_MS + 5_000
    journal = Journal(tmp_path / "journal.db")
    journal.append(Readings.of([1], [DEMO_START_MS + 7_000], [1.0]))
    journal.close()
    assert stopped_at(town, tmp_path) == DEMO_START_MS + 7_000


def test_history_is_stored_as_if_it_had_been_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepwarm.demo_history.HISTORY_H", 2.0)
    town = new_town("normal", DEMO_START_MS)
    town.write(tmp_path, 8600)
    set_clock(tmp_path, DEMO_START_MS, speed=1.0, held_s=3600.0)
    told: list[tuple[str, float | None]] = []
    stored = store_history(
        tmp_path, town, Clock.load(tmp_path / "data" / "clock.json"), lambda what, share=None: told.append((what, share))
    )
    site = load_site(tmp_path)
    points = PointRegistry(site.data / "points.db")
    history = open_history(site, points)
    names = [f"station/{name}/secondary_supply_temp_c" for name in site.stations] + [f"room/{name}/indoor_temp_c" for name in site.rooms]
    found = history.read(points.ids(names), DEMO_START_MS - 2 * 3_600_000, DEMO_START_MS + 1)
    history.close()
    points.close()
    assert stored > len(found) == 12 * 7200 // STEP_S + 400 * 7200 // ROOM_INTERVAL_S
    assert told[0][0] == "2 h of history"
    assert told[-1] == ("filing the history", 1.0)
    assert json.loads((tmp_path / "data" / "clock.json").read_text())["epoch_ms"] == DEMO_START_MS

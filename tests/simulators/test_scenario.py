import tomllib
from pathlib import Path

import pytest

from domain.errors import ConfigError
from simulators.effects import Disturbances
from simulators.scenario import load_scenario, parse_scenario, scenario_names
from simulators.town import Town

TEXTS = 'title_zh = "一"\ntitle_en = "one"\ndescription_zh = "一"\ndescription_en = "one"\n'
MINUTE_MS = 60_000


def mistakes_of(town: Town, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_scenario(tomllib.loads(TEXTS + text), town, "mine.toml")
    return [str(mistake) for mistake in caught.value.mistakes]


def test_every_promised_scenario_is_there_and_says_what_happens(town: Town) -> None:
    assert set(scenario_names()) == {
        "normal", "pump_trip", "source_loss", "power_and_comm_loss", "cold_building", "open_window", "dead_sensors", "morning_step",
        "slow_leak", "demo",
    }  # fmt: skip
    for name in scenario_names():
        scenario = load_scenario(name, town)
        assert scenario.name == name
        assert min(len(scenario.title_zh), len(scenario.title_en)) >= 3
        assert min(len(scenario.description_zh), len(scenario.description_en)) > 20
        assert (len(scenario.events) > 0) == (name != "normal")


def test_an_unknown_scenario_is_told_which_there_are(town: Town) -> None:
    with pytest.raises(ConfigError, match=r"scenario: 'pumptrip': no such scenario; there are cold_building, .*pump_trip"):
        load_scenario("pumptrip", town)


def test_a_file_that_is_no_toml_is_named(town: Town, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("title_zh = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^broken\.toml: not TOML"):
        load_scenario("broken", town, tmp_path)


def event(**keys: object) -> str:
    lines = {"at": '"00:20"', "what": '"pump_trip"', "target": '"S04"'} | {key: str(value) for key, value in keys.items()}
    return "[[event]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (event(target='"S99"'), "mine.toml: event[0].target: 'S99': no such place; a station (S04)"),
        (event(what='"pump_strip"'), "mine.toml: event[0].what: 'pump_strip': one of pump_trip, "),
        (event(at='"20 min"'), "mine.toml: event[0].at: '20 min': an offset from the start"),
        (event(at=""), "mine.toml: event[0].at: an offset from the start"),
        (event(at='"00:61"'), "mine.toml: event[0].at: '00:61': an offset"),
        (event(until='"00:10"'), "mine.toml: event[0].until: '00:10': an offset after the event's at, 00:20"),
        (event(how=3), "mine.toml: event[0].how: '3': no such key; an event has at, "),
        (event(what='"leak"', level=7), "mine.toml: event[0].level: '7': water lost as a share of the design flow, from 0 to 1"),
        (event(level=1), "mine.toml: event[0].level: '1': pump_trip has no level"),
        (event(what='"open_window"'), "mine.toml: event[0].target: 'S04': no such place; a room ("),
        (event(what='"source_loss"', target='"HS1/north"'), "no such place; a branch of the heat source (HS1/east"),
        ("speed = 3", "mine.toml: speed: '3': no such key; a scenario has title_zh, "),
        ("event = 3", "mine.toml: event: '3': [[event]] tables"),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_remedy(town: Town, text: str, message: str) -> None:
    found = mistakes_of(town, text)
    assert len(found) == 1
    assert message in found[0]


def test_every_mistake_is_found_at_once(town: Town) -> None:
    found = mistakes_of(
        town, 'x = 1\n[[event]]\nat = "x"\nwhat = "y"\ntarget = "z"\n[[event]]\nat = "0:01"\nwhat = "leak"\ntarget = ["S01", "S77"]'
    )
    assert [line.split(": ")[1] for line in found] == ["x", "event[0].what", "event[0].at", "event[1].target"]


def test_a_scenario_without_a_description_is_refused(town: Town) -> None:
    with pytest.raises(ConfigError, match="description_en: a text; every scenario says"):
        parse_scenario({"title_zh": "一", "title_en": "one", "description_zh": "一"}, town, "mine.toml")


def test_targets_may_be_a_list_a_building_a_riser_or_a_whole_source(town: Town) -> None:
    text = """
[[event]]
at = "-10:00"
what = "sensor_dead"
target = ["S07-B01", "S01-B01-101"]
[[event]]
at = "00:00:30"
what = "riser_throttled"
target = "S07-B01/02"
level = 0.25
[[event]]
at = "00:10"
what = "source_loss"
target = "HS1"
"""
    scenario = parse_scenario(tomllib.loads(TEXTS + text), town, "mine.toml")
    effects = Disturbances(town, scenario.spans, 0).at(11 * MINUTE_MS)
    assert effects.sensor_dead.sum() == 15
    assert (effects.flow_share == 0.25).sum() == 7
    assert effects.source_lost.all()


def test_effects_begin_and_end_on_the_instant(town: Town) -> None:
    scenario = load_scenario("power_and_comm_loss", town)
    disturbances = Disturbances(town, scenario.spans, start_ms=1_000_000)
    lost, line = town.station_index["S03"], town.station_index["S08"]

    def at(minute: float) -> tuple[bool, bool, bool]:
        effects = disturbances.at(1_000_000 + round(minute * MINUTE_MS))
        return bool(effects.power_lost[lost]), bool(effects.silent[lost]), bool(effects.silent[line])

    assert at(19.99) == (False, False, False)
    assert at(20) == (True, False, False)  # the battery keeps the controller talking
    assert at(32) == (True, True, False)
    assert at(40) == (True, True, True)
    assert at(100) == (True, True, False)
    assert at(200) == (False, True, False)  # power is back, the controller boots
    assert at(201) == (False, False, False)
    assert disturbances.first_ms == 1_000_000 + 20 * MINUTE_MS

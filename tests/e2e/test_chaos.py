"""The chaos run: a short one, and that its account would notice what it is there to notice."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chaos import DEEDS, FORGOTTEN_S, Account, Victim, account, chaos, write_site
from benchmarks.chaos_outside import QUANTITIES, SAID, SENSORS, TAKEN, Log, Record, device_value, sensor_id, sensor_value
from domain.reading import Readings
from store.history import open_history
from store.journal import open_journal
from store.points import PointRegistry
from store.site_folder import load_site

START = 1_768_348_800_000
SEED = 20261126


@pytest.mark.e2e
@pytest.mark.timeout(480)  # it goes on for two minutes, and then waits until nothing waits any more
def test_whatever_dies_nothing_accepted_is_lost_doubled_or_altered(tmp_path: Path, mosquitto: Path, influxd: Path) -> None:
    """Two minutes of what `python -m benchmarks.chaos` does for half an hour."""
    result = chaos(tmp_path, "influxdb", 120.0, SEED, every_s=1.5)
    assert result.sound, result
    assert result.held == result.accepted
    assert result.strikes >= 20  # a busy machine does fewer
    assert min(result.by_source.values()) > 0, result.by_source


# ── the account itself ────────────────────────────────────────────────────────────────────────────────────────────────


class Town:
    """What a run leaves behind, made by hand: what was said, accepted and held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_site(folder / "site", "parquet", [1, 2], 3, 4, 5)
        self.site = load_site(folder / "site")
        self.points = PointRegistry(self.site.data / "points.db")
        self.journal = open_journal(self.site)
        self.history = open_history(self.site, self.points)
        self.log = Log(folder / "sensors.said")
        self.broker = Victim("broker", [], folder / "log", suffered={deed: [] for deed in DEEDS})

    def accept(self, readings: Readings, *, held: bool = True) -> None:
        self.journal.append(readings)
        if held:
            self.history.write(readings)

    def account(self) -> Account:
        return account(self.folder, {"broker": self.broker})

    def reply(self, number: int, at_ms: int) -> Readings:
        """A controller's reply of this number as it is accepted."""
        names = [f"station/S0/{quantity}" for quantity in QUANTITIES]
        return Readings.of(self.points.ids(names), [at_ms] * len(names), [device_value(number, index) for index in range(len(names))])

    def message(self, number: int, at_ms: int) -> Readings:
        """A box's message of this number as it is accepted."""
        names = [f"room/{sensor_id(0, sensor)}/indoor_temp_c" for sensor in range(SENSORS)]
        return Readings.of(self.points.ids(names), [at_ms] * SENSORS, [sensor_value(0, number, sensor) for sensor in range(SENSORS)])


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A controller that replied twice, a box that spoke twice; all of it accepted and held."""
    town = Town(tmp_path)
    with closing(town.points), closing(town.journal), closing(town.history):
        devices = Log(tmp_path / "A.said")
        for number, at_ms in ((1, START), (2, START + 1_000)):
            assert devices.next(0, at_ms) == number
            assert town.log.next(0, at_ms) == number
            town.log.note(Record(TAKEN, 0, number, at_ms + 5))
            town.accept(town.reply(number, at_ms + 3))
            town.accept(town.message(number, at_ms))
        yield town


def test_a_sound_town_is_found_sound(town: Town) -> None:
    total = 2 * (len(QUANTITIES) + SENSORS)
    assert town.account() == Account(said=total, accepted=total, held=total, by_source={"Modbus": 8, "OPC UA": 0, "MQTT": 40})
    assert town.account().sound


def test_what_is_accepted_and_not_held_is_lost(town: Town) -> None:
    town.log.next(0, START + 2_000)
    town.accept(town.message(3, START + 2_000), held=False)
    found = town.account()
    assert (found.lost, found.sound) == (SENSORS, False)


def test_what_was_never_said_is_altered(town: Town) -> None:
    town.accept(town.reply(7, START + 2_000))
    assert town.account().altered == len(QUANTITIES)
    town.accept(town.message(2, START + 7_000))  # said, but not at that time
    assert town.account().altered == len(QUANTITIES) + SENSORS


def test_a_value_that_changes_on_its_way_into_the_history_is_altered(town: Town) -> None:
    late = town.message(2, START + 1_000)
    town.history.write(Readings.of(late.point[:1], late.measured_at[:1], [33.3], received_at=late.measured_at[:1] + 9))
    assert town.account().altered == 2  # neither what the journal has nor what was told


def test_a_reply_taken_for_two_is_doubled(town: Town) -> None:
    town.accept(town.reply(2, START + 9_000))
    assert town.account().doubled == len(QUANTITIES)


def test_an_item_under_another_instant_than_it_was_shown_with_is_altered(town: Town) -> None:
    shown = Log(town.folder / "opcua.said")
    shown.next(0, START)
    point = town.points.ids([f"station/U0/{QUANTITIES[0]}"])
    town.accept(Readings.of(point, [START], [device_value(1, 0)]))
    assert town.account().sound
    town.accept(Readings.of(point, [START + 1], [device_value(1, 0)]))
    assert (town.account().altered, town.account().by_source["OPC UA"]) == (1, 2)


def test_a_message_delivered_again_is_no_harm(town: Town) -> None:
    town.accept(town.message(2, START + 1_000))
    found = town.account()
    assert (found.redelivered, found.sound) == (SENSORS, True)


def test_what_the_broker_took_must_be_accepted_unless_it_was_killed_with_it(town: Town) -> None:
    at_ms = START + 2_000
    town.log.note(Record(SAID, 0, 3, at_ms))
    assert town.account().sound  # said, but the broker never had it
    town.log.note(Record(TAKEN, 0, 3, at_ms + 5))
    assert town.account().unaccepted == SENSORS
    town.broker.suffered["kill"] = [at_ms / 1000 + FORGOTTEN_S + 1, at_ms / 1000 - 1]
    assert town.account().unaccepted == SENSORS
    town.broker.suffered["kill"].append(at_ms / 1000 + 1)
    found = town.account()
    assert (found.unaccepted, found.forgotten_by_broker, found.sound) == (0, SENSORS, True)


def test_numbers_go_on_behind_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path / "said")
    assert [log.next(0, 1), log.next(0, 2), log.next(1, 3)] == [1, 2, 1]
    with (tmp_path / "said").open("ab") as file:
        file.write(b"\0" * 5)  # a record cut short
    assert Log(tmp_path / "said").last == {0: 2, 1: 1}
    values = {device_value(number, index) for number in range(1, 200) for index in range(len(QUANTITIES))}
    assert len(values) == 199 * len(QUANTITIES)
    assert not np.isin([sensor_value(0, 1, 0)], [sensor_value(0, number, 0) for number in range(2, 19_000)]).any()

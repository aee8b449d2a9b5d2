"""Sensors in no room: listed, bounded, kept over a restart."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.unknown_sensors import MOST, UnknownSensors


def saw(sensors: UnknownSensors, sensor: str, at_ms: int = 1, value: float = 20.5, quantity: str = "indoor_temp_c") -> bool:
    return sensors.saw(sensor, "tasmota", f"tele/{sensor}/SENSOR", at_ms, quantity, value)


def test_a_sensor_is_news_once_and_its_values_are_the_last_ones(tmp_path: Path) -> None:
    sensors = UnknownSensors(tmp_path / "unknown.json", ())
    assert [saw(sensors, "a", 5), saw(sensors, "a", 6, 21.5), saw(sensors, "a", 7, 40.0, "indoor_humidity_pct")] == [True, False, False]
    assert sensors.newest(5) == [
        {
            "sensor": "a",
            "profile": "tasmota",
            "topic": "tele/a/SENSOR",
            "first_ms": 5,
            "last_ms": 7,
            "count": 3,
            "values": {"indoor_temp_c": 21.5, "indoor_humidity_pct": 40.0},
        }
    ]


def test_the_list_outlives_a_restart_but_for_those_that_stand_in_a_room_now(tmp_path: Path) -> None:
    before = UnknownSensors(tmp_path / "unknown.json", ())
    saw(before, "Sensor-A")
    saw(before, "sensor-b")
    before.save()
    after = UnknownSensors(tmp_path / "unknown.json", {"sensor-a"})
    assert [one["sensor"] for one in after.newest(5)] == ["sensor-b"]
    assert not saw(after, "sensor-b"), "it was news before the restart"


def test_it_is_written_only_when_it_has_changed(tmp_path: Path) -> None:
    sensors = UnknownSensors(tmp_path / "unknown.json", ())
    sensors.save()
    assert not (tmp_path / "unknown.json").exists()
    saw(sensors, "a")
    sensors.save()
    (tmp_path / "unknown.json").unlink()
    sensors.save()
    assert not (tmp_path / "unknown.json").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"null", b'{"a": 1}', b"\xff\xfe"])
def test_a_file_that_can_not_be_used_is_an_empty_list(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "unknown.json").write_bytes(content)
    assert len(UnknownSensors(tmp_path / "unknown.json", ())) == 0


def test_beyond_its_bound_sensors_are_counted_and_those_listed_go_on(tmp_path: Path) -> None:
    sensors = UnknownSensors(tmp_path / "unknown.json", ())
    news = [saw(sensors, f"s{number}", number) for number in range(MOST + 3)]
    assert (len(sensors), sensors.beyond, sum(news)) == (MOST, 3, MOST)
    saw(sensors, "s0", MOST + 10)
    assert sensors.newest(1)[0]["sensor"] == "s0"


@given(seen=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 1000), st.floats(-50, 50)), max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_and_times_are_those_of_what_was_seen(seen: list[tuple[str, int, float]], tmp_path: Path) -> None:
    (tmp_path / "none.json").unlink(missing_ok=True)
    sensors = UnknownSensors(tmp_path / "none.json", ())
    for sensor, at_ms, value in seen:
        saw(sensors, sensor, at_ms, value)
    listed = {str(one["sensor"]): one for one in sensors.newest(10)}
    assert set(listed) == {sensor for sensor, _, _ in seen}
    for sensor, one in listed.items():
        own = [(at_ms, value) for other, at_ms, value in seen if other == sensor]
        assert (one["count"], one["first_ms"], one["last_ms"], one["values"]) == (
            len(own),
            own[0][0],
            own[-1][0],
            {"indoor_temp_c": own[-1][1]},
        )
    sensors.save()
    if seen:
        assert orjson.loads((tmp_path / "none.json").read_bytes()).keys() == listed.keys()


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_it_is_told_and_written_by_other_threads_while_sensors_come(tmp_path: Path) -> None:
    """Health is told in a thread; at the end of ``collect`` a last writing meets one that is still under way."""
    sensors, done = UnknownSensors(tmp_path / "unknown.json", ()), threading.Event()

    def tell(what: Callable[[], object]) -> int:
        what()
        times = 1
        while not done.is_set():
            what()
            times += 1
        return times

    with ThreadPoolExecutor(3) as threads:
        telling = [threads.submit(tell, what) for what in (sensors.save, sensors.save, lambda: sensors.newest(50))]
        try:
            for number in range(MOST):
                saw(sensors, f"s{number}", number)
        finally:
            done.set()
        assert all(one.result() for one in telling)
    sensors.save()
    assert len(orjson.loads((tmp_path / "unknown.json").read_bytes())) == MOST
    assert len(list(tmp_path.iterdir())) == 1


def test_two_writings_that_meet_are_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sensors, replace = UnknownSensors(tmp_path / "unknown.json", ()), Path.replace
    saw(sensors, "a")
    others = []

    def another_begins(path: Path, to: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        saw(sensors, "b")
        others.append(threading.Thread(target=sensors.save))
        others[0].start()
        others[0].join(0.2)  # it waits for us
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", another_begins)
    sensors.save()
    others[0].join()
    assert set(orjson.loads((tmp_path / "unknown.json").read_bytes())) == {"a", "b"}


def test_what_the_disk_did_not_take_is_written_the_next_time(tmp_path: Path) -> None:
    sensors = UnknownSensors(tmp_path / "later" / "unknown.json", ())
    saw(sensors, "a")
    with pytest.raises(FileNotFoundError):
        sensors.save()
    (tmp_path / "later").mkdir()
    sensors.save()
    assert (tmp_path / "later" / "unknown.json").exists()

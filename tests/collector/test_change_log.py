"""The log as the person on duty reads it: a change is a line, a hundred at once are a few."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from collector.change_log import EACH, WHILE_S, ChangeLog
from collector.health import Flip, SourceHealth
from domain.site import Device
from tests.collector.conftest import Collecting, MakeSite
from tests.collector.raw_modbus import Asked, RawModbus, Wire, registers

Line = MutableMapping[str, Any]


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    with structlog.testing.capture_logs() as found:
        yield found


def units(count: int, address: str = "10.0.0.7:502") -> list[SourceHealth]:
    return [SourceHealth(f"D{number}", "modbus_tcp", address) for number in range(count)]


def test_a_change_is_a_line_and_a_state_is_none(lines: list[Line]) -> None:
    (record,), told = units(1), ChangeLog()
    for second in range(60):
        record.failed("no reply within 2.00 s")
        told.tell([record], second)
    record.good(1)
    record.good(2)
    told.tell([record], 60)
    assert lines == [
        {
            "event": "source is silent",
            "log_level": "warning",
            "source": "D0",
            "protocol": "modbus_tcp",
            "address": "10.0.0.7:502",
            "reason": "no reply within 2.00 s",
        },
        {"event": "source is there", "log_level": "info", "source": "D0", "protocol": "modbus_tcp", "address": "10.0.0.7:502"},
    ]


def test_who_is_there_from_the_start_is_no_news(lines: list[Line]) -> None:
    records, told = units(3), ChangeLog()
    for record in records:
        record.good(1)
    told.tell(records, 0)
    told.end(records)
    assert lines == []


def test_a_moment_of_silence_between_two_looks_is_told(lines: list[Line]) -> None:
    (record,), told = units(1), ChangeLog()
    record.failed("connection lost")
    record.good(1)
    told.tell([record], 0)
    assert [line["event"] for line in lines] == ["source is silent", "source is there"]


def test_a_gateway_that_dies_is_a_few_lines_and_one_with_how_many_and_where(lines: list[Line]) -> None:
    records, told = [*units(100), *units(3, "10.0.0.8:502")], ChangeLog()
    for second in range(9):  # they fail as their turns come, a dozen a second
        for record in records[second * 12 : second * 12 + 12]:
            record.failed("no reply within 2.00 s" if second else "connection lost")
        told.tell(records, second)
    told.tell(records, 2 * WHILE_S)
    assert [line["event"] for line in lines[:EACH]] == ["source is silent"] * EACH
    (many,) = lines[EACH:]
    assert many == {
        "event": "sources are silent",
        "log_level": "warning",
        "count": "98",
        "where": "10.0.0.7:502 (95), 10.0.0.8:502 (3)",
        "who": "D5, D6, D7, D8, D9, D10, D11, D12, D13, D14, 88 more",
        "reason": "no reply within 2.00 s (91), connection lost (7)",
    }


def test_a_storm_that_goes_on_is_one_line_a_while_and_then_each_has_its_line_again(lines: list[Line]) -> None:
    records, told = units(500), ChangeLog()
    for second in range(50):
        for record in records[second * 10 : second * 10 + 10]:
            record.failed("no reply")
        told.tell(records, second)
    assert len(lines) == EACH + 4
    assert all(line["event"] == "sources are silent" for line in lines[EACH:])
    told.tell(records, 100)
    told.tell(records, 200)
    records[0].good(1)
    told.tell(records, 201)
    assert lines[-1]["event"] == "source is there"
    assert counted(lines) == 501


def counted(lines: list[Line]) -> int:
    return sum(int(line.get("count", 1)) for line in lines)


@given(st.lists(st.tuples(st.floats(0, 30), st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60)), max_size=12))
def test_no_change_is_ever_left_out(steps: list[tuple[float, list[tuple[int, bool]]]]) -> None:
    records, told, now, changes = units(41), ChangeLog(), 0.0, 0
    failing: set[int] = set()
    with structlog.testing.capture_logs() as lines:
        for later_s, exchanges in steps:
            for number, good in exchanges:
                changes += good == (number in failing)
                (records[number].good(1) if good else records[number].failed("x"))
                (failing.discard if good else failing.add)(number)
            now += later_s
            told.tell(records, now)
        told.end(records)
    assert counted(lines) == changes
    assert sum(int(line.get("count", 1)) for line in lines if "silent" in line["event"]) - len(failing) == sum(
        int(line.get("count", 1)) for line in lines if "there" in line["event"]
    )
    assert all(len(line["who"].split(", ")) <= 11 for line in lines if "who" in line)


def test_many_kinds_at_once_have_a_line_each(lines: list[Line]) -> None:
    record, told = SourceHealth("rooms", "mqtt", "mqtt://broker"), ChangeLog()
    for number in range(30):
        record.changed(Flip.SENSOR_GONE, f"s{number}", sensor=f"s{number}", source="rooms")
        record.changed(Flip.UNKNOWN_SENSOR, f"u{number}", sensor=f"u{number}", source="rooms", profile="p", topic="t")
    told.tell([record], 0)
    told.end([record])
    assert sorted(line["event"] for line in lines[EACH:]) == ["sensors have gone", "unknown sensors"]
    assert counted(lines) == 60
    assert {line["where"] for line in lines[EACH:]} == {"mqtt://broker (27)", "mqtt://broker (28)"}


# ── on real connections ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_gateway_with_forty_units_that_goes_and_comes_back_is_no_forty_lines(
    make_site: MakeSite, collecting: Collecting, capsys: pytest.CaptureFixture[str]
) -> None:
    async def sound(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, registers(asked, 500, 400))

    server = RawModbus(sound)
    async with server.running():
        devices = [
            Device(f"D{unit}", f"S{unit}", "modbus_tcp", server.address, "two", unit=unit, interval_s=0.5, timeout_s=0.5)
            for unit in range(1, 41)
        ]
        site = make_site(devices=devices)

    def states(state: str) -> Callable[[], bool]:
        return lambda: sum(record["state"] == state for record in collected.health().get("sources", [])) == 40

    async with collecting(site) as collected:
        await collected.until(states("failing"))
        async with server.running():
            await collected.until(states("good"))
    lines = [line for line in capsys.readouterr().out.splitlines() if "silent" in line or "there" in line]
    assert len(lines) <= 2 * EACH + 4, "\n".join(lines)
    assert counts_in(lines, "silent") == 40
    assert counts_in(lines, "there") == 40
    assert any(server.address in line for line in lines)


def counts_in(lines: list[str], word: str) -> int:
    found = [line for line in lines if f"source is {word}" in line or f"sources are {word}" in line]
    return sum(int(line.partition("count=")[2].split()[0]) if "sources are" in line else 1 for line in found)

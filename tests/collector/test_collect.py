"""The process as a whole: it starts, tells its health, survives faults of its own, and stops."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop

from collector import collect
from collector.collect import run_collect
from collector.health import SourceHealth
from collector.screen_memory import load_memory, save_memory
from collector.sources.gateway import Gateway
from domain.clock import Clock
from domain.errors import ConfigError
from domain.profile import ModbusProfile, Register
from domain.reading import Quality
from domain.screening import Screen
from domain.site import Broker, Device
from store.health import read_health, write_health
from tests.collector.conftest import Collected, Collecting, MakeSite
from tests.collector.raw_modbus import Asked, RawModbus, Wire, registers

SUPPLY = "station/S1/secondary_supply_temp_c"


async def sound(asked: Asked, wire: Wire) -> None:
    await wire.reply(asked, registers(asked, 500, 400))


async def silent(asked: Asked, wire: Wire) -> None:
    pass


def device(address: str, **more: object) -> Device:
    return replace(Device("D1", "S1", "modbus_tcp", address, "two", interval_s=0.2, timeout_s=2.0), **more)  # type: ignore[arg-type]


async def test_a_site_without_devices_is_collected_too(make_site: MakeSite, collecting: Collecting) -> None:
    async with collecting(make_site()) as collected:
        await collected.until(lambda: collected.health().get("sources") == [])


@pytest.mark.parametrize("answer", [sound, silent])
async def test_it_stops_within_two_seconds(answer: Callable[..., object], make_site: MakeSite) -> None:
    async with RawModbus(answer).running() as server:  # type: ignore[arg-type]
        site = make_site(devices=[device(server.address)])
        stop = asyncio.Event()
        task = asyncio.create_task(run_collect(site, Clock(), stop))
        collected = Collected(site, Clock())
        await collected.until(lambda: server.asked)
        began = time.monotonic()
        stop.set()
        await task
        assert time.monotonic() - began < 2
        left = {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]
    assert not {name for name in left if name in ("intake", "health", "stop") or name.startswith("modbus")}
    if answer is sound:
        assert collected.rows(SUPPLY)


async def test_health_tells_counts_and_every_source(make_site: MakeSite, collecting: Collecting) -> None:
    async with RawModbus(sound).running() as server:
        site = make_site(devices=[device(server.address)])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.health().get("readings_committed", 0) > 5)
            detail = collected.health()
    assert detail["sources_good"] == 1
    assert detail["commits"] >= 1
    assert detail["trouble"] == ""
    assert detail["unknown_sensors"] == {"count": 0, "beyond": 0, "newest": []}
    assert [detail[name] for name in ("readings_bad", "readings_suspect", "failures", "sensors_unknown")] == [0, 0, 0, 0]
    assert detail["received_bytes"] >= 8
    (record,) = detail["sources"]
    assert (record["name"], record["protocol"], record["address"]) == ("D1", "modbus_tcp", server.address)
    assert record["last_good_ms"] == pytest.approx(time.time() * 1000, abs=10_000)


async def test_a_fault_of_our_own_in_one_source_ends_no_other(
    make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy = Gateway._serve
    faults = 0

    async def faulty(self: Gateway, unit: object) -> None:
        nonlocal faults
        if unit.device.device_id == "D2" and faults < 2:  # type: ignore[attr-defined]
            faults += 1
            raise ZeroDivisionError("a fault of our own")
        await healthy(self, unit)  # type: ignore[arg-type]

    monkeypatch.setattr(Gateway, "_serve", faulty)
    monkeypatch.setattr(collect, "Backoff", lambda *_: collect_backoff())
    async with RawModbus(sound).running() as one, RawModbus(sound).running() as other:
        site = make_site(devices=[device(one.address), device(other.address, device_id="D2", station_id="S2")])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.rows("station/S2/secondary_supply_temp_c"))
            assert len(collected.rows(SUPPLY)) >= 1
    assert faults == 2
    assert capsys.readouterr().out.count("] failed; beginning anew") == 2


async def test_a_fault_of_our_own_in_telling_of_health_silences_it_not_for_good(
    make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = 0

    def faulty(*about: Any) -> None:
        nonlocal faults
        if faults < 2:
            faults += 1
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "a fault of our own")
        write_health(*about)

    monkeypatch.setattr(collect, "write_health", faulty)
    monkeypatch.setattr(collect, "Backoff", lambda *_: collect_backoff())
    async with RawModbus(sound).running() as one, collecting(make_site(devices=[device(one.address)])) as collected:
        await collected.until(lambda: collected.health().get("sources_good") == 1)
    assert faults == 2


def collect_backoff() -> object:
    from collector.backoff import Backoff

    return Backoff(0.05, 0.1)


class Obstinate:
    """A source that goes on when it is told to end, so many times."""

    def __init__(self, times: int) -> None:
        self.name, self.left = "obstinate", times

    def point_names(self) -> list[str]:
        return []

    def health(self) -> list[SourceHealth]:
        return []

    async def run(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.left -= 1
                if self.left < 0:
                    raise

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_source_that_does_not_hear_that_it_shall_end_is_told_again(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Obstinate(2)
    monkeypatch.setattr(collect, "SOURCES", {"obstinate": lambda *_: [source]})
    site, stop = make_site(), asyncio.Event()
    site.data.mkdir()
    running = asyncio.create_task(run_collect(site, Clock(), stop))
    await Collected(site, Clock()).until(lambda: read_health(site.data))
    stop.set()
    await asyncio.wait_for(running, 5)
    assert source.left == -1


async def test_a_fault_of_our_own_in_the_intake_ends_the_process(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("a fault of our own")

    monkeypatch.setattr("collector.intake.Intake._store", faulty)
    async with RawModbus(sound).running() as server:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(run_collect(make_site(devices=[device(server.address)]), Clock(), asyncio.Event()), 10)


async def test_a_site_that_can_not_be_collected_stops_the_start(make_site: MakeSite) -> None:
    wrong = device("127.0.0.1:1", profile="no such")
    with pytest.raises(ConfigError, match="no such"):
        await run_collect(make_site(devices=[wrong]), Clock(), asyncio.Event())
    broker = Broker("b", "mqtt://127.0.0.1:1", "id", "user", "env:NOT_SET_ANYWHERE")
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE"):
        await run_collect(make_site(brokers=[broker]), Clock(), asyncio.Event())


def test_it_runs_on_uvloop(make_site: MakeSite, collecting: Collecting) -> None:
    async def body() -> None:
        async with RawModbus(sound).running() as tcp, RawModbus(sound, rtu=True).running() as rtu:
            devices = [device(tcp.address), device(rtu.address, device_id="D2", station_id="S2", protocol="modbus_rtu_tcp")]
            async with collecting(make_site(devices=devices)) as collected:
                await collected.until(lambda: collected.rows(SUPPLY) and collected.rows("station/S2/secondary_supply_temp_c"))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(body())


# ── what the screen knows, over a restart ─────────────────────────────────────────────────────────────────────────────

VOLUME = "station/S1/secondary_volume_m3"


async def counting_down(make_site: MakeSite, collecting: Collecting, between: Callable[[Path], object]) -> list[int]:
    """The marks of a counter that stood at 500 until ``collect`` ended, and stands at 7 when it begins again."""
    counter = 500

    async def answer(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, registers(asked, counter))

    profile = ModbusProfile("two", "a counter", (Register("secondary_volume_m3", 0, "u16"),))
    async with RawModbus(answer).running() as server:
        site = make_site(devices=[device(server.address)], profiles=[profile])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.rows(VOLUME))
        between(site.data / "screen.npz")
        counter = 7
        async with collecting(site) as collected:
            await collected.until(lambda: 7.0 in collected.values(VOLUME))
            return [row.quality for row in collected.rows(VOLUME)]


async def test_a_counter_that_falls_over_a_restart_is_marked(make_site: MakeSite, collecting: Collecting) -> None:
    marks = await counting_down(make_site, collecting, lambda kept: kept.stat())
    assert marks.count(Quality.COUNTER_BACKWARDS) == 1


async def test_a_memory_of_the_screening_that_is_spoilt_is_told_and_stops_nothing(
    make_site: MakeSite, collecting: Collecting, capsys: pytest.CaptureFixture[str]
) -> None:
    marks = await counting_down(make_site, collecting, lambda kept: kept.write_bytes(kept.read_bytes()[:200]))
    assert set(marks) == {Quality.GOOD}
    assert capsys.readouterr().out.count("memory of the screening not read") == 1


async def test_the_screens_memory_is_kept_while_it_runs_too(
    make_site: MakeSite, collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MEMORY_EVERY_S", 0.05)
    async with RawModbus(sound).running() as server:
        site = make_site(devices=[device(server.address)])
        async with collecting(site) as collected:
            await collected.until(lambda: collected.rows(SUPPLY))

            def kept() -> bool:
                memory = load_memory(site.data / "screen.npz")
                return memory is not None and 50.0 in memory.value

            await collected.until(kept)


def test_no_memory_is_kept_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        save_memory(tmp_path / "nowhere" / "screen.npz", Screen().memory())
    assert load_memory(tmp_path / "nowhere" / "screen.npz") is None


def test_the_screens_memory_is_whole_also_where_two_writings_of_it_meet(tmp_path: Path) -> None:
    """The one of every ten minutes may be under way in its thread when the last one begins."""
    memory, together = Screen().memory(), threading.Barrier(2, timeout=20)

    def keep() -> None:
        for _ in range(200):
            together.wait()
            save_memory(tmp_path / "screen.npz", memory)
            assert load_memory(tmp_path / "screen.npz") is not None

    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(keep) for _ in range(2)]:
            one.result()

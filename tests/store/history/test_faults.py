"""What happens to the real servers and on the way to them, and that nothing accepted is lost, doubled or altered by it."""

import contextlib
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.clock import Clock
from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Site, StoreSettings
from store.health import read_health
from store.history import History, forward, open_history, victoriametrics
from store.history.forward import FLUSH_S, Forwarder, Forwarding
from store.history.parquet import ParquetHistory
from store.history.victoriametrics import VictoriaHistory
from store.journal import Journal, open_journal
from store.points import PointRegistry
from tests.store.history.conftest import port
from tests.store.history.proxy import Mood, Proxy, through_proxy
from tests.store.history.servers import Server, influxdb, victoria_metrics

START = 1_768_348_800_000
DAY_MS = 86_400_000
SERVERS = ["influxdb", "victoriametrics"]
Stores = Callable[[str], StoreSettings]


@pytest.fixture
def journal(site: Site) -> Iterator[Journal]:
    journal = open_journal(site)
    yield journal
    journal.close()


def batch(number: int, count: int = 20) -> Readings:
    """Readings that tell their number by instant and value."""
    at = START + number * 1_000
    return Readings.of(np.arange(count), np.full(count, at), np.full(count, number + 0.5), received_at=np.full(count, at + 3))


def numbers(history: History, count: int = 20) -> list[float]:
    """The numbers of the batches in the history, each of which must be whole."""
    found = history.read(range(count), START, START + DAY_MS)
    by_point = found.value.reshape(count, -1)
    assert (by_point == by_point[0]).all()
    assert (found.received_at == found.measured_at + 3).all()
    return [float(value) for value in by_point[0]]


@pytest.fixture(params=SERVERS)
def settings(request: pytest.FixtureRequest, stores: Stores) -> StoreSettings:
    return replace(stores(request.param), history_timeout_s=2.0)


@pytest.fixture
def proxy(settings: StoreSettings) -> Iterator[Proxy]:
    with through_proxy(settings.history_url) as proxy:
        yield proxy


@pytest.fixture
def history(site: Site, settings: StoreSettings, proxy: Proxy, registry: PointRegistry) -> Iterator[History]:
    history = open_history(replace(site, stores=replace(settings, history_url=proxy.url)), registry)
    yield history
    history.close()


@pytest.mark.parametrize("mood", ["silent", "cut_request", "cut_reply", "lose_reply", "reset"])
def test_a_bad_wire_delays_and_neither_loses_nor_doubles(journal: Journal, history: History, proxy: Proxy, mood: Mood) -> None:
    forwarder = Forwarder(journal, history)
    journal.append(batch(0))
    forwarder.step(0.0)
    for number in range(1, 4):
        journal.append(batch(number))
        proxy.mood = mood
        # Cut off behind "204", the answer to a write says all that there is to say.
        with contextlib.suppress(StoreError) if mood == "cut_reply" else pytest.raises(StoreError):
            forwarder.step(number * 100.0)
        proxy.mood = "pass"
        journal.append(batch(number + 100))
        while forwarder.step(number * 100.0 + 50):
            pass
    assert proxy.trips >= 3
    assert numbers(history) == [number + 0.5 for number in (0, 1, 2, 3, 101, 102, 103)]
    rolled = history.rollup([7], START, START + DAY_MS, DAY_MS)
    assert rolled.count.tolist() == [7]  # at the server too: nothing is there twice


@pytest.mark.parametrize("mood", ["slow", "drip"])
def test_a_slow_wire_is_borne(history: History, proxy: Proxy, mood: Mood) -> None:
    proxy.mood = mood
    history.write(batch(0))
    assert numbers(history) == [0.5]


def test_a_reply_slower_than_the_limit_is_an_error(history: History, proxy: Proxy) -> None:
    history.write(batch(0))
    proxy.mood, proxy.slow_s = "slow", 2.5
    with pytest.raises(StoreError):
        history.read([1], START, START + DAY_MS)
    proxy.mood = "pass"
    assert numbers(history) == [0.5]


def test_a_reply_cut_short_is_never_taken_for_a_whole_one(history: History, proxy: Proxy) -> None:
    history.write(Readings.of(np.zeros(5_000, np.int32), START + np.arange(5_000), np.arange(5_000) / 10))
    proxy.mood = "cut_reply"
    for ask in (
        lambda: history.read([0], START, START + DAY_MS),
        lambda: history.latest([0], START + DAY_MS),
        lambda: history.rollup([0], START, START + DAY_MS, 60_000),
        history.span,
        history.identity,
    ):
        with pytest.raises(StoreError):
            ask()


@pytest.mark.parametrize("kind", SERVERS)
def test_nobody_there_is_a_store_error_and_opening_needs_nobody(site: Site, registry: PointRegistry, kind: str) -> None:
    history = open_history(replace(site, stores=StoreSettings(history=kind, history_url=f"http://127.0.0.1:{port()}")), registry)
    for ask in (lambda: history.write(batch(0)), lambda: history.read([0], 0, 1), lambda: history.latest([0], 1), history.identity):
        with pytest.raises(StoreError):
            ask()
    history.close()


# ── the servers' own deaths ───────────────────────────────────────────────────────────────────────────────────────────


def own_server(
    kind: str, request: pytest.FixtureRequest, folder: Path, *, auth: bool = False, max_body: int = 25_000_000
) -> Iterator[Server]:
    if kind == "influxdb":
        with influxdb(request.getfixturevalue("influxd"), folder, port(), port(), auth=auth, max_body=max_body) as server:
            yield server
    else:
        with victoria_metrics(request.getfixturevalue("victoria_metrics"), folder, port()) as server:
            yield server


def influxql(server: Server, statement: str) -> None:
    query = urllib.parse.urlencode({"q": statement})
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/query?{query}", method="POST")) as reply:
        assert b"error" not in reply.read()  # the head comes before the work is done


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    yield from own_server(request.param, request, tmp_path / "server")


@pytest.fixture
def here(site: Site, server: Server) -> Site:
    kind = "influxdb" if "influxd" in server.command[0] else "victoriametrics"
    return replace(site, stores=StoreSettings(history=kind, history_url=server.url, history_timeout_s=5.0))


def test_a_killed_server_loses_nothing_that_was_accepted(here: Site, server: Server, journal: Journal, registry: PointRegistry) -> None:
    history = open_history(here, registry)
    forwarder = Forwarder(journal, history)
    at_s = 0.0
    for number in range(5):
        journal.append(batch(number))
        forwarder.step(at_s)
        at_s += 10.0
        if number in {1, 3}:
            server.kill()
            journal.append(batch(number + 100))
            with pytest.raises(StoreError):
                forwarder.step(at_s)
            server.start()
    for _ in range(3):
        forwarder.step(at_s)
        at_s += 60.0
    assert journal.backlog("history").readings == 0
    assert numbers(history) == [number + 0.5 for number in (0, 1, 2, 3, 4, 101, 103)]
    assert history.rollup([7], START, START + DAY_MS, DAY_MS).count.tolist() == [7]
    history.close()


def test_a_server_killed_and_back_unnoticed_loses_nothing(here: Site, server: Server, journal: Journal, registry: PointRegistry) -> None:
    """Between two portions: no request ever failed."""
    history = open_history(here, registry)
    forwarder = Forwarder(journal, history)
    journal.append(batch(0))
    time.sleep(1.1)  # it tells its start in whole seconds
    forwarder.step(0.0)
    server.kill()
    server.start()
    journal.append(batch(1))
    for turn in range(4):
        forwarder.step(10.0 + turn * 60)
    assert numbers(history) == [0.5, 1.5]
    assert journal.backlog("history").readings == 0
    history.close()


def test_a_server_down_for_a_day_is_drained_in_order_while_live_readings_go_on(
    here: Site, server: Server, journal: Journal, registry: PointRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "PORTION", 800)
    now_ms = Clock().now_ms()
    start = now_ms // DAY_MS * DAY_MS - DAY_MS
    step_ms = 300_000

    def accept(number: int) -> None:
        at = start + number * step_ms
        journal.append(Readings.of(np.arange(20), np.full(20, at), np.full(20, float(number)), received_at=np.full(20, at + 3)))

    history = open_history(here, registry)
    forwarding = Forwarding(here, Clock(), journal, history)
    accept(0)
    forwarding.turn(0.0)
    server.kill()
    day = DAY_MS // step_ms
    for number in range(1, day):
        accept(number)
        if number % 12 == 0:
            forwarding.turn(number * 300.0)
    detail = next(word.detail for word in read_health(here.data) if word.component == "forward")
    assert detail["failing_since_ms"] is not None
    assert detail["waiting"] >= (day - 13) * 20
    server.start()
    number, at_s = day, DAY_MS / 1000
    held: list[int] = []
    while not held or held[-1] < number - 1:
        forwarding.turn(at_s)
        found = history.read([7], start, start + 2 * DAY_MS).value.tolist()
        assert found == [float(index) for index in range(len(found))]  # in order: nothing is there before what came earlier
        held.append(len(found) - 1)
        if number < day + 20:
            accept(number)  # live
            number += 1
        at_s += FLUSH_S
    assert len(held) > 5
    assert held[1] < day - 1  # live readings were accepted while it drained
    assert journal.lost() == 0
    history.close()


def test_what_is_not_settled_is_still_the_journal_s(here: Site, journal: Journal, registry: PointRegistry) -> None:
    history = open_history(here, registry)
    forwarder = Forwarder(journal, history)
    journal.append(batch(0))
    assert forwarder.step(0.0) == 20
    assert (forwarder.waiting(), forwarder.step(history.settle_s / 2)) == (0, 0)
    assert journal.backlog("history").readings == (20 if history.settle_s else 0)
    assert forwarder.step(history.settle_s) == 0
    assert journal.backlog("history").readings == 0
    history.close()


def test_a_database_dropped_under_us_is_made_again(
    influx_server: Server, site: Site, stores: Stores, journal: Journal, registry: PointRegistry
) -> None:
    settings = stores("influxdb")
    history = open_history(replace(site, stores=settings), registry)
    forwarder = Forwarder(journal, history)
    journal.append(batch(0))
    forwarder.step()
    influxql(influx_server, f'DROP DATABASE "{settings.history_database}"')
    journal.append(batch(1))
    forwarder.step()
    assert numbers(history) == [1.5]
    # Somebody restarts us, or the server once failed: the emptied history is known as a new one, and filled from the journal.
    again = Forwarder(journal, history)
    while again.step():
        pass
    assert numbers(history) == [0.5, 1.5]
    history.close()


def test_too_large_a_request_for_the_real_server(
    request: pytest.FixtureRequest, tmp_path: Path, site: Site, registry: PointRegistry
) -> None:
    for server in own_server("influxdb", request, tmp_path / "small", max_body=3_000):
        history = open_history(replace(site, stores=StoreSettings(history="influxdb", history_url=server.url)), registry)
        many = Readings.of(np.arange(3_000) % 200, START + np.arange(3_000) * 7, np.random.default_rng(1).normal(size=3_000))
        history.write(many)
        assert len(history.read(range(200), START, START + DAY_MS)) == 3_000
        history.close()


def test_access_by_name_and_password(
    request: pytest.FixtureRequest, tmp_path: Path, site: Site, registry: PointRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InfluxDB 1.x with authentication: the token is ``user:password``."""
    for server in own_server("influxdb", request, tmp_path / "closed", auth=True):
        influxql(server, "CREATE USER keepwarm WITH PASSWORD 'warm' WITH ALL PRIVILEGES")
        monkeypatch.setenv("HISTORY_TOKEN", "keepwarm:warm")
        settings = StoreSettings(history="influxdb", history_url=server.url, history_token="env:HISTORY_TOKEN")
        history = open_history(replace(site, stores=settings), registry)
        history.write(batch(0))
        assert numbers(history) == [0.5]
        history.close()
        monkeypatch.setenv("HISTORY_TOKEN", "keepwarm:cold")
        stranger = open_history(replace(site, stores=settings), registry)
        with pytest.raises(StoreError) as write_refused:
            stranger.write(batch(1))
        with pytest.raises(StoreError) as read_refused:
            stranger.read([0], START, START + 1)
        for refused in (write_refused, read_refused):
            assert refused.value.refused
            assert "cold" not in str(refused.value)
        stranger.close()


def test_retention_of_the_real_server(site: Site, stores: Stores, registry: PointRegistry) -> None:
    settings = replace(stores("influxdb"), history_days=30.0)
    history = open_history(replace(site, stores=settings), registry)
    now = Clock().now_ms()
    history.write(Readings.of([1, 1, 1], [now - 40 * DAY_MS, now - DAY_MS, now], [1.0, 2.0, 3.0]))
    assert history.read([1], 0, now + 1).value.tolist() == [2.0, 3.0]
    assert history.counts() == {"quarantined": 0, "expired": 1}
    longer = open_history(replace(site, stores=replace(settings, history_days=60.0)), registry)
    longer.write(Readings.of([1], [now - 40 * DAY_MS], [1.0]))
    assert longer.read([1], 0, now + 1).value.tolist() == [1.0, 2.0, 3.0]
    history.close()
    longer.close()


def test_victoriametrics_says_what_it_would_have_dropped_in_silence(
    request: pytest.FixtureRequest, tmp_path: Path, site: Site, registry: PointRegistry
) -> None:
    with victoria_metrics(request.getfixturevalue("victoria_metrics"), tmp_path / "server", port(), "-retentionPeriod=60d") as server:
        history = open_history(replace(site, stores=StoreSettings(history="victoriametrics", history_url=server.url)), registry)
        now = Clock().now_ms()
        history.write(Readings.of([1] * 4, [now - 90 * DAY_MS, now - DAY_MS, now, now + 9 * DAY_MS], [1.0, 2.0, 3.0, 4.0]))
        assert history.read([1], 0, now + 99 * DAY_MS).value.tolist() == [2.0, 3.0]
        assert history.counts() == {"quarantined": 1, "expired": 1}
        history.close()


def test_victoriametrics_shows_what_was_written_though_it_does_not_flush_when_asked(
    site: Site, stores: Stores, registry: PointRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush while the server's own is under way comes back too soon, and a cluster has none: what replaces a reading must see it."""
    monkeypatch.setattr(VictoriaHistory, "_flush", lambda _: None)
    history = open_history(replace(site, stores=stores("victoriametrics")), registry)
    for number in range(3):
        history.write(batch(number))
        assert numbers(history) == [float(n) + 0.5 for n in range(number + 1)]
    history.write(Readings.of([1], [START], [7.0], received_at=[START + 9]))
    history.write(Readings.of([1], [START], [6.0], received_at=[START + 5]))
    assert history.read([1], START, START + 1).value.tolist() == [7.0]
    assert history.counts() == {"quarantined": 0, "expired": 0}
    history.close()


def test_what_victoriametrics_takes_and_never_shows_is_set_apart(
    request: pytest.FixtureRequest, tmp_path: Path, site: Site, registry: PointRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers 204 and drops the series beyond its own limit."""
    monkeypatch.setattr(victoriametrics, "_SHOWN_S", 3.0)
    flags = ("-storage.maxDailySeries=60",)
    with victoria_metrics(request.getfixturevalue("victoria_metrics"), tmp_path / "server", port(), *flags) as server:
        history = open_history(replace(site, stores=StoreSettings(history="victoriametrics", history_url=server.url)), registry)
        history.write(batch(0, 10))
        history.write(batch(0, 40))
        shown = history.read(range(40), START, START + DAY_MS)
        whole = (shown.received_at == shown.measured_at + 3) & (shown.value == 0.5)  # of some it takes a part of their fields
        kept = int(np.count_nonzero(whole))
        assert 10 <= kept < 40
        assert history.counts() == {"quarantined": 40 - kept, "expired": 0}
        history.close()
    aside = (site.data / "quarantine" / "victoriametrics.lines").read_text().splitlines()
    assert (aside[0].split(" ", 2)[2], len(aside) - 1) == ("taken, and not shown within 3 s: a limit of its own?", 40 - kept)


# ── another history ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_change_of_back_end_or_address_orphans_no_backlog(site: Site, stores: Stores, journal: Journal, registry: PointRegistry) -> None:
    """Telegraf 17414: the spool belonged to the old settings, and what was in it never arrived."""
    down = replace(site, stores=StoreSettings(history="influxdb", history_url=f"http://127.0.0.1:{port()}"))
    journal.append(batch(0))
    unreachable = open_history(down, registry)
    with pytest.raises(StoreError):
        Forwarder(journal, unreachable).step()
    unreachable.close()
    seen = [0.5]
    for number, kind in enumerate(["parquet", "influxdb", "victoriametrics", "influxdb"], 1):
        history = open_history(replace(site, stores=stores(kind)), registry)
        forwarder = Forwarder(journal, history)
        journal.append(batch(number))
        seen.append(number + 0.5)
        while forwarder.step(number * 1_000.0):
            pass
        forwarder.step(number * 1_000.0 + 100)
        assert numbers(history) == seen, kind
        assert journal.backlog("history").readings == 0
        history.close()


def test_going_back_to_the_old_history_goes_on_where_it_stopped(
    site: Site, stores: Stores, journal: Journal, registry: PointRegistry
) -> None:
    old = open_history(replace(site, stores=stores("parquet")), registry)
    new = open_history(replace(site, stores=stores("influxdb")), registry)
    for number, history in enumerate([old, new, old]):
        journal.append(batch(number))
        forwarder = Forwarder(journal, history)
        while forwarder.step():
            pass
    assert numbers(old) == [0.5, 1.5, 2.5]
    assert numbers(new) == [0.5, 1.5]
    assert set(journal.cursors()) == {"history"}  # a place left behind keeps nothing from being pruned
    new.close()


def test_another_name_for_the_same_server_sends_nothing_again(
    site: Site, stores: Stores, influx_server: Server, journal: Journal, registry: PointRegistry
) -> None:
    settings = stores("influxdb")
    journal.append(batch(0))
    history = open_history(replace(site, stores=settings), registry)
    assert Forwarder(journal, history).step() == 20
    history.close()
    with through_proxy(influx_server.url) as proxy:
        history = open_history(replace(site, stores=replace(settings, history_url=proxy.url)), registry)
        assert Forwarder(journal, history).step() == 0
        history.close()


def test_a_cursor_from_before_places_were_remembered_is_kept(tmp_path: Path, journal: Journal) -> None:
    journal.advance("history", journal.append(batch(0)))
    journal.append(batch(1))
    assert Forwarder(journal, ParquetHistory(tmp_path / "history", str)).step() == 20


def test_the_journal_says_hours_ahead_that_it_will_be_full(site: Site, registry: PointRegistry) -> None:
    here = replace(site, stores=StoreSettings(journal_bytes=3_000_000, journal_warn_h=24.0))
    journal = open_journal(here)
    history = open_history(here, registry)
    forwarding = Forwarding(here, Clock(), journal, history)
    noise = np.random.default_rng(1)

    def hour(number: int, turn: bool) -> object:
        at = START + number * 3_600_000
        journal.append(Readings.of(np.arange(4_000) % 200, at + np.arange(4_000), noise.normal(size=4_000)))
        if turn:
            forwarding.turn(number * FLUSH_S)
        forwarding._tell()
        return next(word.detail["full_in_h"] for word in read_health(here.data) if word.component == "forward")

    assert [hour(number, turn=True) for number in range(5)][-1] is None
    ahead = [hour(number, turn=False) for number in range(5, 80)]
    first = next(index for index, hours in enumerate(ahead) if hours is not None)
    assert 20 < float(str(ahead[first])) <= 24
    assert all(hours is not None for hours in ahead[first:])
    assert ahead[-1] == 0.0
    history.close()
    journal.close()

"""Every answer that a history server gives to a write, and what becomes of the readings: against a stub of InfluxDB 2's contract."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import numpy as np
import pytest

from domain.clock import Clock
from domain.errors import StoreError
from domain.reading import Readings
from domain.site import Site, StoreSettings
from store.health import read_health
from store.history import History, open_history
from store.history.endpoint import Endpoint
from store.history.forward import FLUSH_S, RETRY_S, Forwarding
from store.journal import open_journal
from store.points import PointRegistry
from tests.store.history.http_stub import TOKEN, Answer, Stub, serving

START = 1_768_348_800_000


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving(Stub()) as stub:
        yield stub


@pytest.fixture
def here(site: Site, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("HISTORY_TOKEN", TOKEN)
    stores = StoreSettings(
        history="influxdb",
        history_url=stub.url,
        history_token="env:HISTORY_TOKEN",
        history_org="heating",
        history_bucket="town",
        history_database="town",
        history_days=400.0,
        history_timeout_s=5.0,
    )
    return replace(site, stores=stores)


@pytest.fixture
def history(here: Site, registry: PointRegistry) -> Iterator[History]:
    history = open_history(here, registry)
    yield history
    history.close()


def readings(count: int = 100) -> Readings:
    return Readings.of(np.arange(count) % 200, START + np.arange(count) * 10, np.round(20 + np.arange(count) / 10, 1))


def ids_of(stub: Stub) -> list[int]:
    """When each reading taken was measured, in units of ten milliseconds: the number of its row."""
    return sorted((int(line.rsplit(" ", 1)[1]) - START) // 10 for line in set(stub.readings))


def test_a_write_speaks_the_contract_of_version_2(history: History, stub: Stub) -> None:
    history.write(readings(3))
    asked = stub.writes[-1]
    assert (asked.method, asked.query) == ("POST", {"org": "heating", "bucket": "town", "precision": "ms"})
    assert asked.headers["authorization"] == f"Token {TOKEN}"
    assert asked.headers["content-encoding"] == "gzip"
    assert asked.body.decode().splitlines() == [
        f"quantity0_c,kind=station,subject=S00 value=20,quality=0i,received={START}i {START}",
        f"quantity1_c,kind=station,subject=S00 value=20.1,quality=0i,received={START + 10}i {START + 10}",
        f"quantity2_c,kind=station,subject=S00 value=20.2,quality=0i,received={START + 20}i {START + 20}",
    ]


def test_bucket_mapping_and_retention_are_made_once(history: History, stub: Stub) -> None:
    history.write(readings())
    history.write(readings())
    rules = [{"type": "expire", "everySeconds": 400 * 86_400}]
    assert [(bucket["name"], bucket["orgID"], bucket["retentionRules"]) for bucket in stub.buckets] == [("town", "0rg", rules)]
    assert [(mapping["database"], mapping["bucketID"], mapping["default"]) for mapping in stub.mappings] == [("town", "b0", True)]


def test_an_organisation_that_there_is_not_is_named(history: History, stub: Stub) -> None:
    stub.organisations = ["Heating"]
    for _ in range(2):
        with pytest.raises(StoreError) as refused:
            history.write(readings(3))
        words = "no organisation 'heating' that the token may look after; site.toml names it, history.org"
        assert (str(refused.value), refused.value.refused) == (f"history: its database can't be made: {words}", True)
    stub.organisations.append("heating")
    history.write(readings(3))
    assert ids_of(stub) == [0, 1, 2]


def test_a_changed_retention_is_put_right(here: Site, registry: PointRegistry, history: History, stub: Stub) -> None:
    history.write(readings())
    other = open_history(replace(here, stores=replace(here.stores, history_days=30.0)), registry)
    other.write(readings())
    other.close()
    assert [bucket["retentionRules"][0]["everySeconds"] for bucket in stub.buckets] == [30 * 86_400]


def test_a_token_that_may_only_write_is_enough(history: History, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.buckets.append({"id": "b0", "orgID": "0rg", "name": "town"})
    monkeypatch.setattr(stub, "_manage", lambda _: (403, {}, {"code": "forbidden", "message": "not for you"}))
    history.write(readings())
    assert ids_of(stub) == list(range(100))


def test_poison_is_found_by_halves_set_aside_and_counted(here: Site, history: History, stub: Stub) -> None:
    poison = {7, 8, 63}
    stub.judge = lambda line: "unable to parse: bad luck" if (int(line.rsplit(" ", 1)[1]) - START) // 10 in poison else None
    history.write(readings())
    assert ids_of(stub) == sorted(set(range(100)) - poison)
    assert history.counts()["quarantined"] == 3
    kept = (here.data / "quarantine" / "influxdb.lines").read_text().splitlines()
    assert [(int(line.rsplit(" ", 1)[1]) - START) // 10 for line in kept if not line.startswith("#")] == sorted(poison)
    assert kept[1].startswith("quantity7_c,kind=station,subject=S00 value=20.7,quality=0i,received=")
    assert all("400 partial write: unable to parse" in line for line in kept if line.startswith("#"))
    assert len(stub.writes) < 50
    stub.judge = lambda _: None
    history.write(readings(2))
    assert history.counts()["quarantined"] == 3


def test_a_422_is_cut_up_like_a_400(history: History, stub: Stub) -> None:
    stub.refusal = 422
    stub.judge = lambda line: "no" if line.endswith(f" {START + 420}") else None
    history.write(readings())
    assert ids_of(stub) == [row for row in range(100) if row != 42]
    assert history.counts()["quarantined"] == 1


def test_a_single_poisonous_reading_does_not_block_the_way(history: History, stub: Stub) -> None:
    stub.judge = lambda line: None if line.startswith("keepwarm_") else "no"
    history.write(readings(1))
    assert history.counts()["quarantined"] == 1
    assert [line.split(",")[0] for line in stub.lines] == ["keepwarm_probe"]


def test_a_refusal_of_everything_is_a_setting_and_sets_nothing_aside(history: History, stub: Stub) -> None:
    stub.judge = lambda _: "precision is not what it should be"
    with pytest.raises(StoreError, match="takes nothing at all") as refused:
        history.write(readings())
    assert refused.value.refused
    assert history.counts()["quarantined"] == 0
    assert len(stub.writes) == 2
    stub.judge = lambda _: None
    history.write(readings())
    assert ids_of(stub) == list(range(100))


def test_somebody_else_s_measurement_goes_aside_whole_without_a_search(history: History, stub: Stub) -> None:
    fault = 'field type conflict: input field "value" on measurement "quantity3_c" is type float, already exists as type integer'
    stub.judge = lambda line: fault if line.startswith("quantity3_c,") else None
    history.write(readings())
    assert ids_of(stub) == [row for row in range(100) if row % 20 != 3]
    assert history.counts()["quarantined"] == 5
    assert len(stub.writes) <= 3


@pytest.mark.parametrize(
    "words", ["points beyond retention policy", "dropped 4 points outside retention policy of duration 1h0m0s - oldest point"]
)
def test_what_is_older_than_the_retention_is_counted_and_done(history: History, stub: Stub, words: str) -> None:
    stub.judge = lambda line: words if int(line.rsplit(" ", 1)[1]) < START + 40 else None
    history.write(readings())
    assert ids_of(stub) == list(range(4, 100))
    assert history.counts() == {"quarantined": 0, "expired": 4}
    assert len(stub.writes) == 1


def test_a_limit_of_the_server_keeps_the_readings_and_calls_for_a_person(history: History, stub: Stub) -> None:
    stub.judge = lambda line: "max-values-per-tag limit exceeded (100000/100000)" if "S01" in line else None
    with pytest.raises(StoreError, match="max-values-per-tag") as refused:
        history.write(readings())
    assert refused.value.refused
    assert history.counts()["quarantined"] == 0


def test_too_large_a_request_is_cut_and_the_next_ones_are_smaller(history: History, stub: Stub) -> None:
    stub.most_bytes = 2_000
    history.write(readings())
    assert ids_of(stub) == list(range(100))
    refused = sum(len(asked.body) > stub.most_bytes for asked in stub.writes)
    assert 1 <= refused <= 6
    before = len(stub.writes)
    history.write(Readings.of(np.arange(100), np.full(100, START + 5_000), np.full(100, 1.0)))
    assert all(len(asked.body) <= stub.most_bytes for asked in stub.writes[before:])
    assert history.counts()["quarantined"] == 0


def test_a_single_line_that_is_too_large_goes_to_quarantine(history: History, stub: Stub) -> None:
    stub.most_bytes = 10
    history.write(readings(2))
    assert history.counts()["quarantined"] == 2


def test_a_bucket_that_was_dropped_is_made_again(history: History, stub: Stub) -> None:
    history.write(readings(5))
    stub.buckets.clear()
    history.write(readings(10))
    assert ids_of(stub) == list(range(10))
    assert [bucket["name"] for bucket in stub.buckets] == ["town"]


def in_s(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("status", "after", "wait_s"),
    [
        (429, "17", 17.0),
        (503, "90", 90.0),
        (503, None, None),
        (500, None, None),
        (502, "nonsense", None),
        (503, "-5", 0.0),
        (429, "9e9", 3_600.0),
    ],
)
def test_a_busy_server_is_waited_for_as_it_asks(history: History, stub: Stub, status: int, after: str | None, wait_s: float | None) -> None:
    history.write(readings(1))
    stub.answers.append(Answer(status, "busy", {"Retry-After": after} if after else {}))
    with pytest.raises(StoreError, match=rf"{status} busy") as busy:
        history.write(Readings.of([1], [START + 99], [1.0]))
    assert busy.value.retry_after_s == wait_s
    assert not busy.value.refused


def test_retry_after_may_be_a_date(history: History, stub: Stub) -> None:
    history.write(readings(1))
    stub.answers.append(Answer(503, "maintenance", {"Retry-After": in_s(120)}))
    with pytest.raises(StoreError) as busy:
        history.write(Readings.of([1], [START + 99], [1.0]))
    assert busy.value.retry_after_s == pytest.approx(120, abs=5)


@pytest.fixture
def forwarding(here: Site, history: History, registry: PointRegistry) -> Iterator[tuple[Forwarding, Callable[[int], None]]]:
    journal = open_journal(here)
    at = iter(range(10**6))

    def receive(count: int) -> None:
        rows = np.array([next(at) for _ in range(count)])
        journal.append(Readings.of(rows % 200, START + rows * 10, np.ones(count)))

    yield Forwarding(here, Clock(), journal, history), receive
    journal.close()


def health(here: Site) -> dict[str, object]:
    return next(word.detail for word in read_health(here.data) if word.component == "forward")


@pytest.mark.parametrize("status", [401, 403])
def test_without_access_everything_is_kept_and_somebody_called(
    here: Site, stub: Stub, forwarding: tuple[Forwarding, Callable[[int], None]], status: int
) -> None:
    forward, receive = forwarding
    receive(10)
    forward.turn(0.0)
    receive(10)
    stub.answers.append(Answer(status, "token has expired"))
    forward.turn(FLUSH_S)
    assert health(here)["refused"] is True
    assert "token has expired" in str(health(here)["error"])
    assert TOKEN not in str(health(here))
    assert health(here)["waiting"] == 10
    forward.turn(FLUSH_S + RETRY_S)
    forward.turn(FLUSH_S + RETRY_S + 60)
    assert (health(here)["refused"], health(here)["waiting"], health(here)["error"]) == (False, 0, "")
    assert ids_of(stub) == list(range(20))


def test_the_forwarder_waits_as_the_server_asks_and_live_readings_follow_in_order(
    stub: Stub, forwarding: tuple[Forwarding, Callable[[int], None]]
) -> None:
    forward, receive = forwarding
    receive(10)
    forward.turn(0.0)
    stub.answers.append(Answer(503, "busy", {"Retry-After": "120"}))
    receive(10)
    forward.turn(20.0)
    asked = len(stub.writes)
    receive(10)
    forward.turn(139.0)
    assert len(stub.writes) == asked
    forward.turn(140.0)
    assert [(int(line.rsplit(" ", 1)[1]) - START) // 10 for line in stub.readings] == list(range(30))


@pytest.mark.parametrize(
    ("url", "timeout_s", "says"),
    [
        ("http://127.0.0.1:1", 5.0, "connection refused"),
        ("SILENT", 0.3, "no answer within 0.3 s"),
    ],
)
def test_why_there_is_no_answer_is_told_in_plain_words(url: str, timeout_s: float, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never answers
        url = url.replace("SILENT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        endpoint = Endpoint(url, timeout_s=timeout_s)
        with pytest.raises(StoreError) as failed:
            endpoint.call("GET", "/ping")
        endpoint.close()
    assert str(failed.value) == f"{url}: {says}"


def test_an_answer_lost_on_its_way_back_repeats_without_harm(history: History, stub: Stub) -> None:
    history.write(readings(3))
    stub.answers.append(Answer(500, "the answer was another", takes=True))
    more = Readings.of([5, 6], [START + 900, START + 900], [1.0, 2.0])
    with pytest.raises(StoreError):
        history.write(more)
    history.write(more)
    assert len(stub.readings) == 7  # the same lines twice: one series and instant each
    assert len(set(stub.readings)) == 5


def test_version_3_makes_its_databases_itself(here: Site, registry: PointRegistry, stub: Stub) -> None:
    stub.version = "3.0.1"
    stub.buckets.append({"id": "b0", "name": "town"})
    history = open_history(here, registry)
    history.write(readings(3))
    history.close()
    assert [asked.path for asked in stub.asked if asked.path.startswith("/api/v3")] == ["/api/v3/configure/database"]
    assert stub.writes[-1].query["bucket"] == "town"
    assert ids_of(stub) == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("influxdb", "is no InfluxDB: its /ping names no version"),
        ("victoriametrics", "404 .*: no VictoriaMetrics, or no database of it there"),
    ],
)
def test_what_is_another_server_is_named(
    here: Site, registry: PointRegistry, stub: Stub, kind: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.version = ""
    history = open_history(replace(here, stores=replace(here.stores, history=kind)), registry)
    with pytest.raises(StoreError, match=rf"^{stub.url}.*{says}$") as wrong:
        history.identity()
    assert wrong.value.refused
    assert capsys.readouterr().out == ""
    history.close()


def test_impossible_times_are_set_apart(here: Site, history: History, stub: Stub) -> None:
    history.write(Readings.of([1, 1, 1], [-5, START, 2**62], [1.0, 2.0, 3.0], received_at=[START] * 3))
    assert ids_of(stub) == [0]
    assert history.counts()["quarantined"] == 2
    assert str(2**62) in (here.data / "quarantine" / "influxdb.lines").read_text()


def test_a_full_quarantine_keeps_everything(tmp_path: Path, here: Site, history: History, stub: Stub) -> None:
    stub.judge = lambda line: "no" if line.endswith(f" {START}") else None
    here.data.mkdir(exist_ok=True)
    (here.data / "quarantine").write_text("a file where the folder belongs")
    with pytest.raises(StoreError, match="quarantine"):
        history.write(readings(3))

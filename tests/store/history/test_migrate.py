"""One history into another: every reading, counted and compared, whatever stops it half-way."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.clock import Clock
from domain.errors import StoreError
from domain.reading import Quality, Readings
from domain.site import Site, StoreSettings
from keepwarm import main as command
from store.history import History, open_history
from store.history.influxdb import InfluxHistory
from store.history.migrate import Carried, Migration, PlaceFile, compared
from store.history.parquet import ParquetHistory
from store.points import PointRegistry

START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
DAY_MS = 86_400_000
DAYS, POINTS, A_DAY = 3, 40, 24
COUNT = DAYS * POINTS * A_DAY
Stores = Callable[[str], StoreSettings]
Run = Callable[..., tuple[int, str, list[str]]]


def past() -> Readings:
    """Three days of 40 points by the hour, some of them bad or no number."""
    at = np.repeat(START + np.arange(DAYS * A_DAY) * 3_600_000, POINTS)
    value = np.round(np.sin(np.arange(COUNT)) * 20, 1)
    quality = np.where(np.arange(COUNT) % 97 == 0, Quality.RANGE, Quality.GOOD)
    value[::194], quality[::194] = np.nan, Quality.NOT_A_NUMBER
    return Readings.of(np.tile(np.arange(POINTS), DAYS * A_DAY), at, value, received_at=at + 7, quality=quality)


def everything(history: History) -> list[tuple[object, ...]]:
    found = history.read(range(200), 0, START + 99 * DAY_MS)
    columns = (found.point, found.measured_at, found.received_at, found.quality)
    return [*zip(*(column.tolist() for column in columns), map(repr, found.value.tolist()), strict=True)]


@pytest.fixture
def opened(site: Site, registry: PointRegistry, stores: Stores) -> Iterator[Callable[[str], History]]:
    """Opens a history of a kind that nobody has used; Parquet in the folder given after a slash."""
    histories: list[History] = []

    def give(kind: str) -> History:
        kind, _, folder = kind.partition("/")
        here = replace(site, stores=stores(kind), data=site.data / folder)
        histories.append(open_history(here, registry))
        histories[-1].settle_s = min(0.3, histories[-1].settle_s)
        return histories[-1]

    yield give
    for history in histories:
        history.close()


def migration(source: History, target: History, folder: Path, said: list[float | None] | None = None) -> Migration:
    def tell(_what: str, share: float | None) -> None:
        if said is not None:
            said.append(share)

    return Migration(source, target, POINTS, PlaceFile(folder, source, target), tell)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("parquet", "influxdb"),
        ("parquet", "victoriametrics"),
        ("influxdb", "victoriametrics"),
        ("victoriametrics", "parquet"),
        ("influxdb", "parquet"),
    ],
)
def test_everything_arrives_and_is_counted(opened: Callable[[str], History], tmp_path: Path, source: str, target: str) -> None:
    old, new = opened(source), opened(target)
    old.write(past())
    said: list[float | None] = []
    assert migration(old, new, tmp_path, said).run() == Carried(START // DAY_MS + DAYS - 1, COUNT, COUNT)
    assert everything(new) == everything(old)
    assert len(everything(new)) == COUNT
    shares = [share for share in said if share is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert list(tmp_path.glob("*.json")) == []  # done: the next run compares everything anew


class Tiring(ParquetHistory):
    """A history that takes so many writes, and then no more."""

    left = 10**9

    def write(self, readings: Readings) -> None:
        if self.left <= 0:
            raise StoreError("the disk is full")
        self.left -= 1
        super().write(readings)


def test_it_goes_on_with_the_day_it_had_come_to(tmp_path: Path) -> None:
    old, new = ParquetHistory(tmp_path / "old", str), Tiring(tmp_path / "new", str)
    old.write(past())
    new.left = 2
    with pytest.raises(StoreError, match="disk is full"):
        migration(old, new, tmp_path).run()
    new.left = 1  # one day is enough for what is left
    assert migration(old, new, tmp_path).run() == Carried(START // DAY_MS + DAYS - 1, COUNT, COUNT)
    assert everything(new) == everything(old)


def test_what_comes_meanwhile_or_late_comes_with_the_next_run(tmp_path: Path) -> None:
    old, new = ParquetHistory(tmp_path / "old", str), ParquetHistory(tmp_path / "new", str)
    old.write(past())
    migration(old, new, tmp_path).run()
    old.write(Readings.of([1, 2], [START + 5, START + 9 * DAY_MS], [1.0, 2.0]))
    again = migration(old, new, tmp_path).run()
    assert (again.read, again.found, again.whole) == (COUNT + 2, COUNT + 2, True)
    assert everything(new) == everything(old)


def test_what_the_target_has_newer_is_not_undone(tmp_path: Path) -> None:
    old, new = ParquetHistory(tmp_path / "old", str), ParquetHistory(tmp_path / "new", str)
    old.write(Readings.of([1], [START], [1.0], received_at=[START + 1]))
    new.write(Readings.of([1], [START], [2.0], received_at=[START + 2]))
    assert migration(old, new, tmp_path).run().whole
    assert new.read([1], START, START + 1).value.tolist() == [2.0]


class Careless(ParquetHistory):
    """A history that loses the readings of one point and changes those of another."""

    def write(self, readings: Readings) -> None:
        value = np.where(readings.point == 2, readings.value + 1, readings.value)
        super().write(replace(readings, value=value).take(readings.point != 1))


def test_what_is_missing_or_altered_is_found(tmp_path: Path) -> None:
    old, new = ParquetHistory(tmp_path / "old", str), Careless(tmp_path / "new", str)
    old.write(Readings.of([1, 2, 3], [START] * 3, [1.0, 2.0, 3.0]))
    carried = migration(old, new, tmp_path).run()
    assert (carried.read, carried.found, carried.missing, carried.altered, carried.whole) == (3, 1, 1, 1, False)


def test_what_is_older_than_the_target_keeps_is_said(tmp_path: Path) -> None:
    old, new = ParquetHistory(tmp_path / "old", str), ParquetHistory(tmp_path / "new", str, days=30)
    old.write(past())
    new.tidy()
    new.write(Readings.of([1], [START + 60 * DAY_MS], [1.0]))
    new.tidy(START + 60 * DAY_MS)  # from now on nothing older than 30 days is taken
    carried = migration(old, new, tmp_path).run()
    assert (carried.read, carried.missing, carried.set_aside, carried.whole) == (COUNT, COUNT, COUNT, True)


class Forgetful(ParquetHistory):
    """A history that is started anew once, and has lost what was written within the last moment."""

    settle_s = 0.2
    asked = 0

    def boot(self) -> str:
        self.asked += 1
        if self.asked == 5:
            for path in self._folder.rglob("part-*.parquet"):
                path.unlink()
        return "first" if self.asked < 5 else "second"


def test_a_target_started_anew_gets_again_what_it_may_have_lost(tmp_path: Path) -> None:
    old, new = ParquetHistory(tmp_path / "old", str), Forgetful(tmp_path / "new", str)
    old.write(past())
    assert migration(old, new, tmp_path).run().whole
    assert everything(new) == everything(old)


def test_of_one_instant_the_same_or_a_better_one_will_do() -> None:
    there = Readings.of([1, 1, 2], [0, 10, 0], [1.0, 2.0, 9.0], received_at=[5, 15, 5])
    wanted = Readings.of([1, 1, 2, 3], [0, 10, 0, 0], [1.0, 2.5, 8.0, 1.0], received_at=[5, 16, 4, 0])
    assert compared(wanted, there) == (1, 1)
    assert compared(there, there) == (0, 0)
    assert compared(Readings.empty(), there) == (0, 0)


# ── as a command ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def keepwarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "town").mkdir()
    (tmp_path / "town" / "site.toml").write_text('name = "t"\n', encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, list[str]]:
        code = command.exit_code(arguments)
        out, err = capsys.readouterr()
        return code, out, [line for line in err.splitlines() if not line.endswith(" …")]

    return run


def test_there_and_back_by_the_command(keepwarm: Run, stores: Stores) -> None:
    data = Path("town/data")
    points = PointRegistry(data / "points.db")
    points.ids([f"station/S01/quantity{number}_c" for number in range(POINTS)])
    now_ms = Clock().now_ms()
    readings = replace(past(), measured_at=past().measured_at - START + now_ms // DAY_MS * DAY_MS - 5 * DAY_MS)
    history = ParquetHistory(data / "history", points.name)
    history.write(readings)
    settings = stores("influxdb")
    Path("influx.toml").write_text(
        f'[history]\nkind = "influxdb"\nurl = "{settings.history_url}"\ndatabase = "{settings.history_database}"\n', encoding="utf-8"
    )
    said = f"{COUNT} readings in parquet, {COUNT} of them in influxdb: 0 missing, 0 altered\n"
    assert keepwarm("history", "migrate", "town", "--to", "influx.toml") == (0, said, [])
    before = everything(history)
    for path in (data / "history").rglob("*"):
        if path.is_file():
            path.unlink()
    back = f"{COUNT} readings in influxdb, {COUNT} of them in parquet: 0 missing, 0 altered\n"
    assert keepwarm("history", "migrate", "town", "--from", "influx.toml") == (0, back, [])
    assert everything(ParquetHistory(data / "history", points.name)) == before
    points.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "keepwarm history migrate: name the other history, with --to or --from"),
        (["--to", "parquet"], "--to: 'parquet': this is the very history it would be copied from"),
        (["--to", "none.toml"], "none.toml: no such file"),
        (["--to", "town/site.toml"], "town/site.toml: no [history] table; it says kind, url and so on, as in site.toml"),
        (["--to", "bad.toml"], "bad.toml:2: history.kind: 'influx': one of parquet, influxdb, victoriametrics"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(keepwarm: Run, arguments: list[str], says: str) -> None:
    Path("bad.toml").write_text('[history]\nkind = "influx"\n', encoding="utf-8")
    code, out, err = keepwarm("history", "migrate", "town", *arguments)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith(says[:60])


def test_nobody_there_is_one_line(keepwarm: Run) -> None:
    Path("away.toml").write_text('[history]\nkind = "influxdb"\nurl = "http://127.0.0.1:1"\n', encoding="utf-8")
    code, out, err = keepwarm("history", "migrate", "town", "--to", "away.toml")
    assert (code, out, len(err)) == (1, "", 1)
    assert err == ["keepwarm: http://127.0.0.1:1: connection refused"]


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(keepwarm: Run, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    points = PointRegistry(Path("town/data/points.db"))
    points.ids([f"station/S01/quantity{number}_c" for number in range(POINTS)])
    history = ParquetHistory(Path("town/data/history"), points.name)
    history.write(past())
    settings = stores("influxdb")
    Path("influx.toml").write_text(
        f'[history]\nkind = "influxdb"\nurl = "{settings.history_url}"\ndatabase = "{settings.history_database}"\n', encoding="utf-8"
    )
    write, days = InfluxHistory.write, []

    def until_ctrl_c(self: InfluxHistory, readings: Readings) -> None:
        days.append(int(readings.measured_at.min()) // DAY_MS)
        if len(days) == 2:
            signal.raise_signal(signal.SIGINT)
        write(self, readings)

    monkeypatch.setattr(InfluxHistory, "write", until_ctrl_c)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal; xdist ignores it
    try:
        code, out, err = keepwarm("history", "migrate", "town", "--to", "influx.toml")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out, err) == (130, "", ["stopped; the same command goes on with the day it had come to"])
    said = f"{COUNT} readings in parquet, {COUNT} of them in influxdb: 0 missing, 0 altered\n"
    assert keepwarm("history", "migrate", "town", "--to", "influx.toml") == (0, said, [])
    first = START // DAY_MS
    assert days == [first, first + 1, first + 1, first + 2]  # the first day was done
    points.close()

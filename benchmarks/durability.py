"""``keepwarm watch`` is killed at random instants, hundreds of times. Run: python -m benchmarks.durability --kills 300 --seed 7

    readings of a made-up town ─▶ journal ─▶ keepwarm watch ✝ keepwarm watch ✝ … ─▶ records
                                         └─▶ one watch that nobody kills ─────────▶ records of its own

Portion by portion the clock is set on; in each, processes are killed (SIGKILL) at seeded instants, then one is let finish. Events,
alarms, transitions and complaints must then be those of the undisturbed watch, and the events those of ``replay``. Exit code 1 unless so.
With ``--late`` stretches of readings come up to 30 h late: alarms must then be those of ``replay``, which has them in time.
On PostgreSQL (``--records postgresql://…``) a standby runs beside the watch that is killed, and takes over.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import func, select

from compliance.events import Event
from compliance.recording.alarm_rows import LATE_DATA
from compliance.replay import replay
from compliance.watch_loop import run_watch
from domain.clock import Clock
from domain.reading import Readings
from domain.site import Site
from store.journal import open_journal
from store.points import PointRegistry
from store.records import open_records, tables
from store.site_folder import load_site

ROOT: Final = Path(__file__).parents[1]
START_MS: Final = 1_768_348_800_000  # 2026-01-14 08:00 in Shanghai
HOUR_MS: Final = 3_600_000
PORTION_MS: Final = 4 * HOUR_MS
FAR: Final = 1 << 62  # a clock whose time begins then stands still
WITHIN_S: Final = 60.0
LIFE_S: Final = (0.6, 2.6)  # a watch needs about a second to begin
BUILDINGS: Final = 6
ROOMS: Final = 5

Facts = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Result:
    """What killing led to: how many kills, what was decided, what an undisturbed watch and ``replay`` decided: events, alarms."""

    kills: int
    killed: Facts
    undisturbed: Facts
    replayed: list[tuple[Any, ...]]
    replayed_alarms: list[tuple[Any, ...]]
    takeovers_s: list[float]

    def sound(self, *, late: bool) -> bool:
        """Whether killing made no difference, and all is as if every reading had been there in time."""
        in_time = self.killed["true alarms"] == self.replayed_alarms
        return self.killed == self.undisturbed and in_time and (late or self.killed["events"] == self.replayed)


def write_site(folder: Path, records_url: str = "") -> Site:
    """A town of some buildings in one station's care."""
    folder.mkdir(parents=True)
    (folder / "site.toml").write_text(f'name = "t"\nrecords_url = "{records_url}"\n')
    (folder / "stations.csv").write_text("station_id\nS1\n")
    (folder / "buildings.csv").write_text("building_id,station_id,households\n" + "".join(f"B{b},S1,40\n" for b in range(BUILDINGS)))
    rooms = "".join(f"B{b}-{r},B{b},S1\n" for b in range(BUILDINGS) for r in range(ROOMS))
    (folder / "rooms.csv").write_text(f"room_id,building_id,station_id\n{rooms}")
    site = load_site(folder)
    site.data.mkdir()
    return site


def story(site: Site, portions: int, chance: random.Random, *, late: bool = False) -> tuple[list[str], Readings]:
    """Rooms that wander around their limit; some fall silent for hours, or what they say comes ``late``. Rows in order of arrival."""
    names = [f"room/{room_id}/indoor_temp_c" for room_id in site.rooms]
    end_ms = START_MS + portions * PORTION_MS
    rows: list[tuple[int, int, int, float]] = []
    for room in range(len(names)):
        value, at, delay_ms = chance.uniform(17.6, 19.0), START_MS + 60_000 + chance.randrange(600_000), 0
        while at < end_ms:
            value = min(21.0, max(15.0, value + chance.uniform(-0.4, 0.4)))
            if late and chance.random() < 0.05:
                delay_ms = chance.choice([0, 0, 8, 20, 30]) * HOUR_MS
            rows.append((at + delay_ms, at, room, round(value, 1)))
            at += chance.choice([10] * 12 + [45, 200]) * 60_000
    rows.sort()
    received, at_ms, point, values = zip(*(row for row in rows if row[0] < end_ms), strict=True)
    return names, Readings.of(list(point), list(at_ms), np.array(values), received_at=list(received))


def run(folder: Path, portions: int, kills_each: int, seed: int, records_url: str = "", *, late: bool = False) -> Result:
    """Runs the story twice, killing and not killing, in ``folder``."""
    chance = random.Random(seed)
    site, calm = write_site(folder / "killed", records_url), write_site(folder / "calm")
    names, readings = story(site, portions, chance, late=late)
    takeovers: list[float] = []
    for number in range(1, portions + 1):
        now_ms = START_MS + number * PORTION_MS
        here = (readings.received_at > now_ms - PORTION_MS) & (readings.received_at <= now_ms)
        for one in (site, calm):
            _append(one, names, readings.take(here), now_ms)
        if records_url:
            takeovers += _with_standbys(site, now_ms, kills_each, chance)
        else:
            _one_after_another(site, now_ms, kills_each, chance)
        _undisturbed(calm, now_ms)
    end_ms = START_MS + portions * PORTION_MS
    events = replay(calm, names, readings, to_ms=end_ms).events
    expected = sorted((one.at, one.event, one.subject) for one in events)
    return Result(portions * kills_each, facts(site), facts(calm), expected, _alarms(events), takeovers)


def _alarms(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """(subject, raised, cleared or −1) of every alarm that these events tell of."""
    found: dict[tuple[str, int], int] = {}
    standing: dict[str, int] = {}
    for one in events:
        if one.event == "alarm.raised":
            standing[one.subject] = one.at
            found[one.subject, one.at] = -1
        elif one.event == "alarm.cleared":
            found[one.subject, standing.pop(one.subject)] = one.at
    return sorted((subject, raised, cleared) for (subject, raised), cleared in found.items())


def _append(site: Site, names: Sequence[str], readings: Readings, now_ms: int) -> None:
    """A portion arrives; the clock stands at its end."""
    Clock(1.0, FAR, now_ms).save(site.data / "clock.json")
    points, journal = PointRegistry(site.data / "points.db"), open_journal(site)
    ids = np.array(points.ids(names))
    for rows in np.array_split(np.arange(len(readings)), 8):
        part = readings.take(rows)
        journal.append(Readings.of(ids[part.point], part.measured_at, part.value, received_at=part.received_at))
    journal.close()


def started(site: Site) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "keepwarm", "watch", str(site.folder)], cwd=ROOT)


def _one_after_another(site: Site, now_ms: int, kills: int, chance: random.Random) -> None:
    for _ in range(kills):
        victim = started(site)
        time.sleep(chance.uniform(*LIFE_S))  # the instant of death is the seed's
        victim.kill()
        victim.wait()
    last = started(site)
    try:
        _await(lambda: _judged(site, now_ms, last.pid), last)
    finally:
        last.terminate()
        code = last.wait(WITHIN_S)
    assert code == 0


def _with_standbys(site: Site, now_ms: int, kills: int, chance: random.Random) -> list[float]:
    """One judges, the others stand by; how long each takeover took, in seconds from the death to having judged all."""
    family = [started(site) for _ in range(kills + 1)]
    took: list[float] = []
    try:
        for _ in range(kills):
            _await(lambda: _judging(site, family) is not None, family[0])
            time.sleep(chance.uniform(0.0, 0.5))
            victim = _judging(site, family)
            assert victim is not None
            victim.kill()
            victim.wait()
            family.remove(victim)
            died_s = time.monotonic()
            _await(lambda: any(_judged(site, now_ms, one.pid) for one in family), family[0])
            took.append(time.monotonic() - died_s)
    finally:
        for one in family:
            one.terminate()
        codes = [one.wait(WITHIN_S) for one in family]
    assert codes == [0] * len(family)
    return took


def _judging(site: Site, family: Sequence[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes] | None:
    """The process of the family that holds the lock."""
    lock = site.data / "health" / "watch.lock"
    holder = lock.read_text() if lock.exists() else ""
    return next((one for one in family if str(one.pid) == holder), None)


def _judged(site: Site, now_ms: int, pid: int) -> bool:
    """Whether this process has said that it has judged all there is."""
    try:
        word = json.loads((site.data / "health" / "watch.json").read_text())
    except FileNotFoundError:
        return False
    detail = word["detail"]
    return bool(word["pid"] == pid and detail["judged_at_ms"] >= now_ms and detail["behind"] == detail["late_waiting"] == 0)


def _undisturbed(site: Site, now_ms: int) -> None:
    stop = threading.Event()
    watching = threading.Thread(target=run_watch, args=(site, Clock.load(site.data / "clock.json"), stop))
    watching.start()
    try:
        _await(lambda: _judged(site, now_ms, os.getpid()))
    finally:
        stop.set()
        watching.join()


def _await(condition: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert process is None or process.poll() is None, f"watch ended by itself: {process.returncode}"
        assert time.monotonic() < deadline, "nothing was judged in time"
        time.sleep(0.05)


def facts(site: Site) -> Facts:
    """What the records hold of decisions, without numbers of rows."""
    records = open_records(site.records_url or site.data / "records.db")
    events, alarms, complaints = tables.events.c, tables.alarms.c, tables.complaints.c
    moves, steps = tables.alarm_transitions.c, tables.complaint_transitions.c
    queries = {
        "events": select(events.at, events.event, events.subject).where(events.event.not_like("comm.%")),
        "alarms": select(alarms.raised_at, alarms.subject),
        "true alarms": select(alarms.subject, alarms.raised_at, func.coalesce(alarms.cleared_at, -1)).where(
            func.coalesce(alarms.cleared_reason, "") != LATE_DATA
        ),
        "alarm transitions": select(moves.at, alarms.subject, moves.from_state, moves.to_state).where(moves.alarm_id == alarms.id),
        "complaints": select(complaints.opened_at, complaints.subject),
        "complaint transitions": select(steps.at, complaints.subject, steps.from_state, steps.to_state).where(
            steps.complaint_id == complaints.id
        ),
    }
    with records.connect() as connection:
        found = {name: sorted(tuple(row) for row in connection.execute(query)) for name, query in queries.items()}
    records.dispose()
    return found


def main() -> int:
    """Prints what was killed and whether it made a difference."""
    parser = argparse.ArgumentParser(description="kills keepwarm watch, and compares")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--late", action="store_true", help="stretches of readings come up to 30 h late")
    parser.add_argument("--records", default="", help="postgresql://…: with a standby")
    asked = parser.parse_args()
    each = 1 if asked.records else 6
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), -(-asked.kills // each), each, asked.seed, asked.records, late=asked.late)
    sound = result.sound(late=asked.late)
    print(f"{result.kills} kills;", ", ".join(f"{len(rows)} {name}" for name, rows in result.killed.items()))
    if result.takeovers_s:
        print(f"takeover: longest {max(result.takeovers_s):.1f} s")
    print("equal to an undisturbed watch and to replay" if sound else "DIFFERENT from an undisturbed watch or replay")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())

"""Everything that can die does, at random, and every reading is accounted for. Run: python -m benchmarks.chaos --minutes 30 --seed 7

    controllers (Modbus TCP) ──┐
    a server of OPC UA ────────┼──▶ keepwarm collect ──▶ journal ──▶ history server
    sensors ──▶ mosquitto ─────┘
       each of these processes is killed (SIGKILL), frozen (SIGSTOP) or restarted (SIGTERM) while the others go on

Afterwards all run undisturbed until nothing waits any more; then what the simulators wrote down is compared with what the journal
accepted and what the history holds: lost of those accepted, doubled, altered. Exit code 1 unless all three are 0.
"""

import argparse
import heapq
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.chaos_outside import (
    BOXES,
    NAMESPACE,
    PASSWORD,
    QUANTITIES,
    SAID,
    SENSORS,
    TAKEN,
    USER,
    Record,
    device_value,
    now_ms,
    records,
    sensor_id,
    sensor_value,
)
from domain.reading import Readings
from domain.site import Site
from store.duplicates import resolve
from store.history import open_history
from store.journal import Journal, open_journal
from store.points import PointRegistry
from store.readings import CURSOR
from store.site_folder import load_site

DEVICES: Final = 4  # of each of the two processes
DEEDS: Final = ("kill", "freeze", "restart")
SAVE_S: Final = 1  # so often the broker saves its sessions
FORGOTTEN_S: Final = 5.0  # a killed broker forgets what came after its last save, which may have taken a moment
OPCUA: Final = "U0"
HELLO: Final = "HELLO"  # a sensor of ours, left out of the account
QUIET_S: Final = 3.0  # so long nothing comes once the broker has delivered all
_ROOT: Final = Path(__file__).parents[1]
_EVER: Final = (0, 2**62)


@dataclass
class Victim:
    """One process, and what was done to it."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    busy: bool = False
    suffered: dict[str, list[float]] = field(default_factory=lambda: {deed: [] for deed in DEEDS})

    def start(self) -> None:
        with self.log.open("ab") as log:
            environment = {**os.environ, "KEEPWARM_CHAOS_PASSWORD": PASSWORD, "PYTHONFAULTHANDLER": "1"}
            self.process = subprocess.Popen(self.command, cwd=_ROOT, stdout=log, stderr=log, env=environment)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals, wait_s: float = 60) -> None:
        """Sends the signal and waits for its end; one that does not end is asked where it stands."""
        self.send(number)
        assert self.process is not None
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.end(signal.SIGABRT)
            words = self.log.read_text(errors="replace")[-6000:]
            raise SystemExit(f"{words}\n{self.name} does not end within {wait_s:g} s of {number.name}: see above where it stood") from None


class Chaos:
    """What is done to whom and when; all of it follows from the seed, but for how long processes take to end."""

    def __init__(self, victims: list[Victim], seed: int, busy: float) -> None:
        self._victims = victims
        self._random = random.Random(seed)
        self._busy = busy
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def run(self, seconds: float) -> None:
        """Does its deeds for so long, and mends the last of them."""
        until = time.monotonic() + seconds
        self._at(time.monotonic() + 1.0, self._strike)
        while self._due:
            at, _, act = heapq.heappop(self._due)
            if at > until and act == self._strike:
                continue
            time.sleep(max(0.0, at - time.monotonic()))
            act()

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (moment, self._order, act))

    def _strike(self) -> None:
        self._at(time.monotonic() + self._random.expovariate(1 / self._busy), self._strike)
        victim, deed = self._random.choice(self._victims), self._random.choice(DEEDS)
        lasting = self._random.uniform(0.2, 4.0)
        if victim.busy:
            return
        victim.busy = True
        victim.suffered[deed].append(time.time())
        if deed == "freeze":
            victim.send(signal.SIGSTOP)
            self._at(time.monotonic() + lasting, lambda: self._over(victim, lambda: victim.send(signal.SIGCONT)))
            return
        victim.end(signal.SIGKILL if deed == "kill" else signal.SIGTERM)
        self._at(time.monotonic() + lasting / 2, lambda: self._over(victim, victim.start))

    def _over(self, victim: Victim, mend: Callable[[], None]) -> None:
        mend()
        # A process that is killed again before it is up never does anything.
        self._at(time.monotonic() + self._random.uniform(2.0, 4.0), lambda: setattr(victim, "busy", False))


# ── the town ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise SystemExit(f"{name} is missing: see .ci/debian")
    return found


def history_server(kind: str, folder: Path, port: int, rpc: int) -> list[str]:
    """The command of the history's server; empty for the embedded one."""
    if kind == "victoriametrics":
        return [program("victoria-metrics"), f"-storageDataPath={folder}/vm", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=10y"]
    if kind != "influxdb":
        return []
    (folder / "influxdb.conf").write_text(
        f'reporting-enabled = false\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{folder}/influx/meta"\n[data]\n'
        f'dir = "{folder}/influx/data"\nwal-dir = "{folder}/influx/wal"\n[monitor]\nstore-enabled = false\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n[logging]\nlevel = "error"\n'
    )
    return [program("influxd"), "-config", str(folder / "influxdb.conf")]


def broker(folder: Path, port: int) -> list[str]:
    (folder / "mqtt").mkdir()
    passwords = folder / "passwords"
    passwords.touch(0o600)
    subprocess.run([program("mosquitto_passwd"), "-b", str(passwords), USER, PASSWORD], check=True, capture_output=True)
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\npersistence true\n"
        f"persistence_location {folder}/mqtt/\nautosave_interval {SAVE_S}\nmax_queued_messages 0\nset_tcp_nodelay true\n"
    )
    return [program("mosquitto"), "-c", str(folder / "mosquitto.conf")]


def write_site(folder: Path, kind: str, devices: list[int], opcua: int, mqtt: int, server: int) -> None:
    (folder / "profiles").mkdir(parents=True)
    registers = "".join(
        f'\n[[register]]\nquantity = "{quantity}"\noffset = {2 * index}\ntype = "u32"\n' for index, quantity in enumerate(QUANTITIES)
    )
    (folder / "profiles" / "chaos.toml").write_text(f'kind = "modbus"\nname = "chaos"\ntitle = "chaos"\nfunction = 4\n{registers}')
    nodes = "".join(f'\n[[node]]\nquantity = "{quantity}"\nnode = "s={quantity}"\n' for quantity in QUANTITIES)
    (folder / "profiles" / "chaos_opcua.toml").write_text(
        f'kind = "opcua"\nname = "chaos_opcua"\ntitle = "chaos"\nnamespace_uri = "{NAMESPACE}"\nmode = "poll"\n{nodes}'
    )
    url = f'url = "http://127.0.0.1:{server}"\ntimeout_s = 2\n' if kind != "parquet" else ""
    (folder / "site.toml").write_text(
        f'name = "chaos"\nroom_interval_s = 60\n[history]\nkind = "{kind}"\n{url}'
        f'[[mqtt]]\nname = "rooms"\nurl = "mqtt://127.0.0.1:{mqtt}"\nclient_id = "keepwarm-chaos"\nusername = "{USER}"\n'
        'password = "env:KEEPWARM_CHAOS_PASSWORD"\nprotocol = "5"\n[[mqtt.subscription]]\ntopic = "edge/+/points"\nprofile = "edge_json"\n'
    )
    stations = [f"S{number}" for number in range(len(devices))]
    (folder / "stations.csv").write_text("station_id\n" + "\n".join([*stations, OPCUA]) + "\n")
    rows = [f"{name}-PLC,{name},modbus_tcp,127.0.0.1:{port},chaos,0.5,1" for name, port in zip(stations, devices, strict=True)]
    rows.append(f"{OPCUA}-PLC,{OPCUA},opcua,opc.tcp://127.0.0.1:{opcua}/,chaos_opcua,0.5,2")
    (folder / "devices.csv").write_text("device_id,station_id,protocol,address,profile,interval_s,timeout_s\n" + "\n".join(rows) + "\n")
    rooms = [HELLO, *(sensor_id(box, sensor) for box in range(BOXES) for sensor in range(SENSORS))]
    (folder / "rooms.csv").write_text("room_id,sensor_id\n" + "".join(f"{room},{room}\n" for room in rooms))


@contextmanager
def town(folder: Path, kind: str) -> Iterator[dict[str, Victim]]:
    """All processes, running."""
    *devices, opcua, mqtt, server, rpc = free_ports(2 * DEVICES + 4)
    write_site(folder / "site", kind, devices, opcua, mqtt, server)
    outside = [sys.executable, "-m", "benchmarks.chaos_outside"]
    commands = {
        "devices A": [*outside, "devices", str(folder / "A.said"), *map(str, devices[:DEVICES])],
        "devices B": [*outside, "devices", str(folder / "B.said"), *map(str, devices[DEVICES:])],
        "opcua": [*outside, "opcua", str(folder / "opcua.said"), str(opcua)],
        "broker": broker(folder, mqtt),
        "sensors": [*outside, "sensors", str(folder / "sensors.said"), str(mqtt)],
        "history": history_server(kind, folder, server, rpc),
        "collector": [sys.executable, "-m", "keepwarm", "collect", str(folder / "site")],
    }
    victims = {name: Victim(name, command, folder / "log") for name, command in commands.items() if command}
    # A shell has what it runs in the background ignore SIGINT, and so would processes of ours that are just coming up.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for name, victim in victims.items():
            if name != "sensors":
                victim.start()
        subscribed(folder / "site" / "data", mqtt)
        saved_twice(folder / "mqtt" / "mosquitto.db")  # from now on the broker knows the session by heart
        victims["sensors"].start()
        yield victims
    finally:
        signal.signal(signal.SIGINT, before)
        for victim in victims.values():
            if victim.process is not None:
                victim.process.kill()
                victim.process.wait()


def subscribed(data: Path, mqtt: int) -> None:
    """Waits until every kind of device is read, and messages are taken: what is published before the first subscription nobody keeps."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.username_pw_set(USER, PASSWORD)
    client.connect_async("127.0.0.1", mqtt)
    client.loop_start()
    with closing(PointRegistry(data / "points.db")) as points, closing(Journal(data / "journal.db")) as journal:
        deadline, cursor, silent = time.monotonic() + 120, 0, {HELLO, "station/S", f"station/{OPCUA}"}
        while silent:
            message = {"points": [{"point_id": f"{HELLO}.temperature", "value": 20, "timestamp": now_ms()}]}
            client.publish("edge/hello/points", json.dumps(message))
            cursor, fresh = journal.read(cursor)
            names = [points.name(point) for point in np.unique(fresh.point).tolist()]
            silent = {word for word in silent if not any(word in name for name in names)}
            if time.monotonic() > deadline:
                raise SystemExit("the collector does not collect")
            time.sleep(0.1)
    client.disconnect()
    client.loop_stop()


def saved_twice(path: Path) -> None:
    """Waits until the broker has saved what it knew at this moment: the save after the next, which may be under way."""
    saves = {_saved_at_ns(path)}
    deadline = time.monotonic() + 60
    while len(saves) < 3:
        if time.monotonic() > deadline:
            raise SystemExit("the broker does not save its sessions")
        time.sleep(0.05)
        saves.add(_saved_at_ns(path))


def _saved_at_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def drained(site: Site, victims: dict[str, Victim], within_s: float) -> None:
    """Ends the simulators once the broker has all of their messages, and waits until all that arrived has been forwarded for good."""
    for name in ("sensors", "devices A", "devices B", "opcua"):
        victims[name].end(signal.SIGINT)
    deadline = time.monotonic() + within_s
    with closing(open_journal(site)) as journal, closing(PointRegistry(site.data / "points.db")) as points:
        cursor, heard_s = journal.last(), time.time()
        while True:
            cursor, fresh = journal.read(cursor)
            if rows(fresh, points):
                heard_s = time.time()
            oldest_ms = journal.backlog(CURSOR).oldest_received_at
            if time.time() - heard_s > QUIET_S and (oldest_ms is None or oldest_ms > heard_s * 1000):
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"after {within_s:g} s {journal.backlog(CURSOR).readings} readings still wait in the journal")
            time.sleep(0.1)
    victims["collector"].end(signal.SIGTERM)


# ── the account ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Account:
    """All counts of readings, but for those named otherwise."""

    said: int = 0
    accepted: int = 0
    held: int = 0
    lost: int = 0
    doubled: int = 0
    altered: int = 0
    redelivered: int = 0
    unaccepted: int = 0
    forgotten_by_broker: int = 0
    by_source: dict[str, int] = field(default_factory=dict)  # accepted, of each kind of device
    struck: dict[str, int] = field(default_factory=dict)  # how often each process was

    @property
    def strikes(self) -> int:
        """How often a process was killed, frozen or restarted."""
        return sum(self.struck.values())

    @property
    def sound(self) -> bool:
        """Whether nothing accepted is lost, doubled or altered, and nothing the broker kept went unaccepted."""
        return not (self.lost or self.doubled or self.altered or self.unaccepted)


Key = tuple[str, int]


def rows(readings: Readings, points: PointRegistry) -> dict[Key, float]:
    """Values by name of point and instant of measurement, those of controllers and sensors."""
    columns = zip(readings.point.tolist(), readings.measured_at.tolist(), readings.value.tolist(), strict=True)
    named = ((points.name(point), at, value) for point, at, value in columns)
    return {(name, at): value for name, at, value in named if not name.startswith("source/") and HELLO not in name}


def whole_journal(journal: Journal) -> Readings:
    parts: list[Readings] = []
    cursor = 0
    while True:
        cursor, found = journal.read(cursor)
        if not len(found):
            return Readings.concat(parts)
        parts.append(found)


def account(folder: Path, victims: dict[str, Victim]) -> Account:
    site = load_site(folder / "site")
    with (
        closing(PointRegistry(site.data / "points.db")) as points,
        closing(open_journal(site)) as journal,
        closing(open_history(site, points)) as history,
    ):
        everything = np.arange(len(points), dtype=np.int32)
        arrived = whole_journal(journal)
        accepted = rows(resolve(arrived), points)
        found = history.read(everything, *_EVER)
        held = rows(found, points)
        counted = int(history.rollup(everything, 0, int(time.time() * 1000) + 86_400_000, 86_400_000).count.sum())
    result = Account(accepted=len(accepted), held=len(held), redelivered=len(arrived) - len(resolve(arrived)))
    for victim in victims.values():
        result.struck |= {f"{victim.name} {deed}": len(moments) for deed, moments in victim.suffered.items() if moments}
    kinds = (("Modbus", "station/S"), ("OPC UA", "station/U"), ("MQTT", "room/"))
    result.by_source = {kind: sum(name.startswith(begin) for name, _ in accepted) for kind, begin in kinds}
    result.lost = len(accepted.keys() - held.keys())
    result.altered = sum(not same(value, accepted.get(key)) for key, value in held.items())
    result.doubled = counted - len(found.usable())  # counted where they are kept: reading puts what is there twice together
    _account_devices(folder, held, result)
    _account_opcua(folder, held, result)
    _account_sensors(folder, victims["broker"], held, accepted, result)
    return result


def same(value: float, other: float | None) -> bool:
    return other is not None and value == other


def _account_devices(folder: Path, held: dict[Key, float], result: Account) -> None:
    """Each value must be of a reply that was given, in a reading of its own, taken no earlier than the reply."""
    at = {}
    for part, name in enumerate("AB"):
        for record in records(folder / f"{name}.said"):
            for index, quantity in enumerate(QUANTITIES):
                at[f"station/S{part * DEVICES + record.who}/{quantity}", device_value(record.number, index)] = record.at_ms
    result.said += len(at)
    seen: set[tuple[str, float]] = set()
    for (name, measured_at), value in held.items():
        if name.startswith("station/S"):
            said_at = at.get((name, value))
            result.altered += said_at is None or measured_at < said_at - 1_500
            result.doubled += (name, value) in seen
            seen.add((name, value))


def _account_opcua(folder: Path, held: dict[Key, float], result: Account) -> None:
    """Each reading must be as it was shown, under the instant it was shown with."""
    shown = {
        (f"station/{OPCUA}/{quantity}", record.at_ms): device_value(record.number, index)
        for record in records(folder / "opcua.said")
        for index, quantity in enumerate(QUANTITIES)
    }
    result.said += len(shown)
    result.altered += sum(not same(value, shown.get(key)) for key, value in held.items() if key[0].startswith(f"station/{OPCUA}/"))


def _account_sensors(folder: Path, broker: Victim, held: dict[Key, float], accepted: dict[Key, float], result: Account) -> None:
    """Each reading must be as it was told, and each that the broker took must have been accepted, unless the broker forgot it."""
    said = {(record.who, record.number): record for record in records(folder / "sensors.said") if record.what == SAID}
    told: dict[Key, float] = {}
    for record in said.values():
        told |= _told(record)
    result.said += len(told)
    result.altered += sum(not same(value, told.get(key)) for key, value in held.items() if key[0].startswith("room/"))
    for taken in records(folder / "sensors.said"):
        if taken.what == TAKEN:
            missing = sum(key not in accepted for key in _told(said[taken.who, taken.number]))
            forgotten = any(0 <= kill_s - taken.at_ms / 1000 <= FORGOTTEN_S for kill_s in broker.suffered["kill"])
            result.forgotten_by_broker += missing if forgotten else 0
            result.unaccepted += 0 if forgotten else missing


def _told(record: Record) -> dict[Key, float]:
    """The readings of one message."""
    return {
        (f"room/{sensor_id(record.who, sensor)}/indoor_temp_c", record.at_ms): sensor_value(record.who, record.number, sensor)
        for sensor in range(SENSORS)
    }


# ── the run ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def chaos(folder: Path, kind: str, seconds: float, seed: int, *, every_s: float = 2.0, drain_s: float = 180.0) -> Account:
    """Runs it all in ``folder`` and gives the account; a deed about every ``every_s`` seconds."""
    with town(folder, kind) as victims:
        Chaos(list(victims.values()), seed, every_s).run(seconds)
        drained(load_site(folder / "site"), victims, drain_s)
        return account(folder, victims)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--history", choices=("influxdb", "victoriametrics", "parquet"), default="influxdb")
    options = parser.parse_args()
    print(f"{options.minutes:g} minutes, seed {options.seed}, history {options.history}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        result = chaos(Path(folder), options.history, options.minutes * 60, options.seed)
    print("strikes: " + ", ".join(f"{name} {count}" for name, count in result.struck.items()))
    print("accepted: " + ", ".join(f"{name} {count}" for name, count in result.by_source.items()))
    for name, count in vars(result).items():
        if isinstance(count, dict):
            continue
        print(f"{name.replace('_', ' '):<20}{count:>12}")
    sys.exit(0 if result.sound else 1)


if __name__ == "__main__":
    main()

"""docker-compose.yml from start to stop, on the very files of ``deploy/``, with Debian's servers in place of the images.

    controller (Modbus TCP) ──┐
    room sensor (MQTT, TLS) ──┴▶ mosquitto · collect ─▶ influxdb ─▶ watch ─▶ postgres ─▶ dashboard

Debian has no InfluxDB 2: the contract of its HTTP (token, bucket, mapping, write) is the tests' stub, behind which Debian's InfluxDB 1.6
keeps the readings and answers the questions. So ``influx ping``, the one health check not run here, stands for a ``/ping`` that is.
"""

import asyncio
import json
import os
import pwd
import re
import ssl
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from domain.clock import Clock
from tests.collector.raw_modbus import Asked, RawModbus, Wire
from tests.e2e.compose_by_hand import ROOT, Container, container, copy_of_deploy, hosts, network_of_its_own, volume
from tests.store.history.http_stub import Asked as HttpAsked
from tests.store.history.http_stub import Stub, serving
from tests.store.history.servers import influxdb

pytestmark = pytest.mark.e2e

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
PAGE = "http://127.0.0.1:8600"
ROOM = "S01-B03-502"
SENSOR = "24e124136b502001"
SUPPLY_C, ROOM_C = 45.3, 15.6
START_MS = 1_768_352_400_000  # 2026-01-14 09:00 in China: in season, residential rooms are promised 18 ℃
SPEED = 400.0  # the hour of cold that raises an alarm (R3) goes by in nine seconds
TELLS_S = 0.5
SOON_S = 60.0

TABLES = {
    "stations.csv": "station_id,name\nS01,锅炉房\n",
    "buildings.csv": "building_id,station_id,name\nB03,S01,3 号楼\n",
    "rooms.csv": f"room_id,building_id,station_id,sensor_id\n{ROOM},B03,S01,{SENSOR}\n",
    "profiles/two.toml": 'kind = "modbus"\nname = "two"\ntitle = "two"\n\n[[register]]\nquantity = "secondary_supply_temp_c"\noffset = 0\n'
    'type = "i16"\nscale = 0.1\n',
}

# What the image's entry point does at its first start, with the names of its variables.
POSTGRES = """
umask 077 && mkdir -p /run/postgresql
initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --no-sync
echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
exec postgres -D "$PGDATA" -c listen_addresses='*' -c fsync=off
"""


class Influx2(Stub):
    """InfluxDB 2 as ``DOCKER_INFLUXDB_INIT_…`` sets it up, with an InfluxDB 1.6 at ``behind`` as its storage."""

    def __init__(self, environment: dict[str, str], secrets: Path, behind: str) -> None:
        super().__init__()
        self.behind = behind
        self.token = (secrets / Path(environment["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE"]).name).read_text(encoding="utf-8")
        self.org = environment["DOCKER_INFLUXDB_INIT_ORG"]
        self.buckets = [{"id": "b0", "orgID": "0rg", "name": environment["DOCKER_INFLUXDB_INIT_BUCKET"], "retentionRules": []}]

    def answer(self, asked: HttpAsked) -> tuple[int, dict[str, str], Any]:
        status, headers, document = super().answer(asked)
        if status >= 400:
            return status, headers, document
        if asked.path == "/api/v2/write":
            assert (asked.query["org"], asked.query["precision"]) == (self.org, "ms")
            return self._behind("POST", "/write", {"db": self._database(asked.query["bucket"]), "precision": "ms"}, asked)
        if asked.path == "/query":
            return self._behind(asked.method, "/query", asked.query, asked)
        if asked.path == "/api/v2/dbrps" and asked.method == "POST":
            self._behind("POST", "/query", {"q": f'CREATE DATABASE "{json.loads(asked.body)["database"]}"'}, HttpAsked("", "", {}, {}, b""))
        return status, headers, document

    def _database(self, bucket: str) -> str:
        number = next(one["id"] for one in self.buckets if one["name"] == bucket)
        return str(next(mapping["database"] for mapping in self.mappings if mapping["bucketID"] == number))

    def _behind(self, method: str, path: str, query: dict[str, str], asked: HttpAsked) -> tuple[int, dict[str, str], bytes]:
        kept = {name: asked.headers[name] for name in ("accept", "content-type") if name in asked.headers}
        request = urllib.request.Request(f"{self.behind}{path}?{urlencode(query)}", asked.body or None, kept, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, {"Content-Type": answer.headers.get("Content-Type", "")}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {}, error.read()


@contextmanager
def controller() -> Iterator[RawModbus]:
    """A controller of one register, in a thread."""

    async def answer(asked: Asked, wire: Wire) -> None:
        await wire.reply(asked, struct.pack(">BBh", asked.function, 2, round(SUPPLY_C * 10)))

    server, up, loop = RawModbus(answer), threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with server.running():
            up.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@contextmanager
def sensor(secrets: Path, clock: Clock) -> Iterator[None]:
    """The room's sensor, which tells how cold it is, over TLS with the account that the broker knows."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set("keepwarm", (secrets / "mqtt_password").read_text(encoding="utf-8"))
    client.tls_set_context(ssl.create_default_context(cafile=str(secrets / "mqtt_ca")))
    client.connect("localhost", 8883)
    client.loop_start()
    end = threading.Event()

    def tell() -> None:
        while not end.wait(TELLS_S):
            body = {"time": clock.now().isoformat(), "deviceInfo": {"devEui": SENSOR}, "object": {"temperature": ROOM_C}}
            client.publish(f"application/1/device/{SENSOR}/event/up", json.dumps(body), qos=1)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        client.disconnect()
        client.loop_stop()


class Stack:
    """The services of the compose file, each started when those are healthy that it depends on."""

    def __init__(self, folder: Path, programs: dict[str, Path]) -> None:
        self.folder = folder
        self.deploy = copy_of_deploy(folder)
        self.secrets = self.deploy / "secrets"
        self.containers: dict[str, Container] = {}
        self.influx: Influx2 | None = None
        self._programs = programs
        self._held = ExitStack()
        hosts(folder, list(COMPOSE["services"]))

    def up(self, *names: str) -> None:
        """``docker compose up -d NAMES``."""
        for name in names:
            if name in self.containers or (name == "influxdb" and self.influx):
                continue
            needed = COMPOSE["services"][name].get("depends_on", {})
            assert {one["condition"] for one in needed.values()} <= {"service_healthy"}
            self.up(*needed)
            for one in needed:
                if one != "influxdb":
                    self.containers[one].until_healthy()
            if name == "influxdb":
                self._influxdb()
                continue
            self.containers[name] = self._container(name)
            self.containers[name].start()

    def _container(self, name: str) -> Container:
        if name != "postgres":
            user, group = map(int, COMPOSE["services"][name]["user"].split(":"))
            return container(name, COMPOSE, self.deploy, self.folder, (user, group))
        account = pwd.getpwnam("postgres")
        found = container(name, COMPOSE, self.deploy, self.folder, (account.pw_uid, account.pw_gid), self._programs["postgres"])
        found.environment["PGDATA"] = next(target for _, target, writable in found.mounts if writable)
        found.command = ["sh", "-euc", POSTGRES]
        return found

    def _influxdb(self) -> None:
        server = self._held.enter_context(influxdb(self._programs["influxdb"], self.folder / "influx", 18086, 18088))
        environment = COMPOSE["services"]["influxdb"]["environment"]
        self.influx = Influx2(environment, self.secrets, server.url)
        self._held.enter_context(serving(self.influx, 8086))

    def down(self) -> None:
        for one in self.containers.values():
            one.kill()
        self._held.close()


def until(condition: Any, stack: Stack) -> Any:
    deadline = time.monotonic() + SOON_S
    while not (met := condition()):
        logs = "\n".join(f"{name}: {one.said()[-2000:]}" for name, one in stack.containers.items())
        assert time.monotonic() < deadline, logs
        time.sleep(0.1)
    return met


@pytest.fixture
def stack(tmp_path: Path, influxd: Path, mosquitto: Path, mosquitto_sub: Path, postgresql_programs: Path) -> Iterator[Stack]:
    assert mosquitto.exists()
    assert mosquitto_sub.exists()
    if os.geteuid() != 0:
        reason = "services by hand take root: namespaces, mounts, other users"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with network_of_its_own():
        stack = Stack(tmp_path, {"influxdb": influxd, "postgres": postgresql_programs})
        try:
            yield stack
        finally:
            stack.down()


def write_tables(site: Path, device_port: int) -> None:
    """The operator's own tables; the site's file stays as it is."""
    (site / "profiles").mkdir()
    for name, text in TABLES.items():
        (site / name).write_text(text, encoding="utf-8")
    devices = f"device_id,station_id,protocol,address,profile,interval_s\nS01-PLC,S01,modbus_tcp,127.0.0.1:{device_port},two,60\n"
    (site / "devices.csv").write_text(devices, encoding="utf-8")


def sql(stack: Stack, question: str) -> list[str]:
    """Rows of PostgreSQL, asked inside its container."""
    asked = stack.containers["postgres"].run(["psql", "-U", "keepwarm", "-At", "-c", question])
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.splitlines()


def held(stack: Stack, quantity: str) -> set[float]:
    """What the history's server holds of a quantity."""
    assert stack.influx
    question = urlencode({"db": "keepwarm", "q": f'SELECT "value" FROM "{quantity}"'})
    with urllib.request.urlopen(f"{stack.influx.behind}/query?{question}", timeout=10) as answer:
        series = json.load(answer)["results"][0].get("series", [])
    return {row[1] for one in series for row in one["values"]}


def healthz() -> dict[str, Any]:
    try:
        return dict(httpx.get(f"{PAGE}/healthz", timeout=5.0, trust_env=False).json())
    except httpx.HTTPError:
        return {}


@pytest.mark.timeout(480)  # three of its waits may be as long as the compose file grants
def test_the_services_bring_a_cold_room_from_its_sensor_to_the_page(stack: Stack) -> None:
    with controller() as device:
        write_tables(stack.deploy / "site", device.port)
        clock = Clock.starting_at(START_MS, SPEED)
        stack.up("mosquitto")
        kept = volume(stack.folder / "volumes" / "data", int(COMPOSE["services"]["collect"]["user"].split(":")[0]))
        clock.save(kept / "clock.json")
        stack.up(*COMPOSE["services"])
        with sensor(stack.secrets, clock):
            for one in stack.containers.values():
                one.until_healthy()
            until(lambda: held(stack, "indoor_temp_c") == {ROOM_C} and held(stack, "secondary_supply_temp_c") == {SUPPLY_C}, stack)
            alarms = until(lambda: sql(stack, "SELECT kind, subject, state, value, limit_value FROM alarms"), stack)
            assert alarms == [f"room_low|room/{ROOM}|unacknowledged|{ROOM_C}|18"]
            assert sql(stack, "SELECT kind, subject, state FROM complaints") == [f"room|room/{ROOM}|new"]
            _pages_answer(stack)
            _is_looked_after(stack)
            _nothing_may_be_written(stack)
    ends = {name: stack.containers[name].stop() for name in ("dashboard", "watch", "collect")}
    assert ends == {"dashboard": 0, "watch": 0, "collect": 0}
    assert not [line for one in stack.containers.values() for line in one.said().splitlines() if "Traceback" in line]


def _pages_answer(stack: Stack) -> None:
    found = until(lambda: body if (body := healthz()).get("status") == "ok" else None, stack)
    assert {"collect", "forward", "watch", "dashboard"} <= found["components"].keys()
    assert all(one["fresh"] and one["age_s"] is not None for one in found["components"].values()), found
    assert found["judged_age_s"] < 60 * SPEED
    invited = stack.containers["dashboard"].run(["keepwarm", "accounts", "invite", "/site", "gao", "--role", "admin", "--page", PAGE])
    assert invited.returncode == 0, invited.stderr
    with httpx.Client(base_url=PAGE, trust_env=False, timeout=20.0) as reader:
        stranger = reader.get("/", headers={"Accept": "text/html"})
        assert (stranger.status_code, stranger.headers["location"]) == (303, "/login")
        assert "password" in reader.get("/login").text
        form = re.search(r'name="form" value="([^"]+)"', reader.get(invited.stdout.strip()).text)
        assert form
        token = invited.stdout.strip().partition("token=")[2]
        assert reader.post("/enter", data={"token": token, "form": form[1]}).status_code == 303
        assert reader.get("/", headers={"Accept": "text/html"}).status_code == 200


def _is_looked_after(stack: Stack) -> None:
    """The commands of docs/operations.md, as its operator gives them while everything runs."""
    here = stack.containers["dashboard"]
    for command in (
        "keepwarm check /site",
        "keepwarm status /site",
        "keepwarm backup /site /backup/town.tar.zst",
        "keepwarm verify-records /site",
    ):
        ran = here.run(command.split())
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
    kept = stack.folder / "volumes" / "backup" / "town.tar.zst"
    assert kept.stat().st_size > 1_000
    assert kept.stat().st_mode & 0o777 == 0o600
    key = here.run(["keepwarm", "accounts", "key", "/site", "prometheus", "--scope", "metrics"]).stdout.strip()
    told = httpx.get(f"{PAGE}/metrics", headers={"Authorization": f"Bearer {key}"}, timeout=20.0, trust_env=False)
    assert "keepwarm_alarms_open 1.0" in told.text
    assert "keepwarm_records_up 1.0" in told.text


def _nothing_may_be_written(stack: Stack) -> None:
    """Each of ours is a nobody on a root that can't be written to, and reads no secret but its own."""
    for name in ("collect", "watch", "dashboard", "mosquitto"):
        one = stack.containers[name]
        user = COMPOSE["services"][name]["user"]
        assert one.run(["sh", "-c", "echo $(id -u):$(id -g)"]).stdout.strip() == user
        for path in ("/x", "/site/x", "/opt/x", "/usr/x", "/etc/x", "/run/secrets/mqtt_ca"):
            refused = one.run(["sh", "-c", f"echo x >> {path}"])
            assert refused.returncode != 0, f"{name} may write {path}"
        seen = one.run(["ls", "/run/secrets"]).stdout.split()
        assert sorted(seen) == sorted(COMPOSE["services"][name]["secrets"])

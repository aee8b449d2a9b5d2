"""docker-compose.yml without a container engine: what it names exists, and the programs themselves accept it.

The broker runs with the very configuration and secrets of the compose file; PostgreSQL is reached through the service file.
"""

import os
import re
import socket
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from keepwarm.main import COMMANDS
from store.records import open_records
from store.site_folder import load_site
from tests.dashboard.conftest import until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("collect", "watch", "dashboard")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``deploy/make_secrets.py`` makes, in a folder of the tests."""
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    code = (
        f"import sys; sys.path.insert(0, 'deploy'); import make_secrets; from pathlib import Path; make_secrets.main(Path({str(folder)!r}))"
    )
    for _ in range(2):  # the second time changes nothing
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return folder


def test_docker_compose_takes_the_file(docker_compose: Path, tmp_path: Path) -> None:
    """Its schema, and that anchors, dependencies, secrets and volumes fit together. Debian's is older than the file's ``name``."""
    lines = (ROOT / "docker-compose.yml").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "docker-compose.yml").write_text("".join(line for line in lines if line != "name: keepwarm\n"), encoding="utf-8")
    ran = subprocess.run([docker_compose, "config", "--services"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert set(ran.stdout.split()) == set(SERVICES)


def test_every_service_is_pinned_watched_and_without_privileges() -> None:
    assert set(SERVICES) == {*OURS, "influxdb", "postgres", "mosquitto"}
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.]*", service["image"]), name
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    for name in (*OURS, "mosquitto"):
        assert SERVICES[name]["read_only"] is True
        assert not str(SERVICES[name]["user"]).startswith("0")
    assert "--uid 10001" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_secret_volume_and_path_that_is_named_exists(secrets: Path) -> None:
    made = {path.name for path in secrets.iterdir()}
    declared = {name: entry["file"] for name, entry in COMPOSE["secrets"].items()}
    assert declared == {name: f"./deploy/secrets/{name}" for name in made}
    used = {name for service in SERVICES.values() for name in service["secrets"]}
    assert used == made
    assert secrets.stat().st_mode & 0o777 == 0o700
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], f"{name}: {volume}"
        words = " ".join(map(str, [*service.get("environment", {}).values(), *service["healthcheck"]["test"], *service.get("command", [])]))
        named = set(re.findall(r"/run/secrets/(\w+)", words))
        assert named <= set(service["secrets"]), name
    copied = re.findall(r"^COPY ([^-\n].*) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((ROOT / path).exists() for line in copied for path in line.split())


def keepwarm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "keepwarm", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_command_is_one_of_the_programs() -> None:
    for name in OURS:
        for words in (SERVICES[name]["command"], SERVICES[name]["healthcheck"]["test"][2:]):
            assert words[0] in COMMANDS
            ran = keepwarm(*words, "--help")
            assert ran.returncode == 0, ran.stderr


def test_the_site_is_one_and_its_secrets_are_those_of_its_services(tmp_path: Path, secrets: Path) -> None:
    document = tomllib.loads((ROOT / "deploy" / "site" / "site.toml").read_text(encoding="utf-8"))
    assert document["data"] == "/data"
    text = (ROOT / "deploy" / "site" / "site.toml").read_text(encoding="utf-8").replace("/run/secrets", str(secrets))
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    site = load_site(tmp_path)
    hosts = {site.stores.history_url: "influxdb:8086", site.records_url: "postgres", site.brokers[0].url: "mosquitto:8883"}
    for url, host in hosts.items():
        assert host in url
        assert host.split(":")[0] in SERVICES
    for name in re.findall(r"/run/secrets/(\w+)", (ROOT / "deploy" / "site" / "site.toml").read_text(encoding="utf-8")):
        assert all(name in SERVICES[one]["secrets"] for one in OURS)
    assert str(site.dashboard_port) in SERVICES["dashboard"]["ports"][0]
    said = keepwarm("status", str(tmp_path), "--only", "watch")
    assert (said.returncode, said.stderr) == (1, "")  # nothing has run: not healthy


@pytest.fixture
def broker(mosquitto: Path, secrets: Path, tmp_path: Path) -> Iterator[int]:
    """Debian's mosquitto on the compose file's configuration; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    text = (ROOT / "deploy" / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    (tmp_path / "data").mkdir()
    text = (
        text.replace("listener 8883", f"listener {port} 127.0.0.1")
        .replace("/run/secrets", str(secrets))
        .replace("/mosquitto", str(tmp_path))
    )
    if os.geteuid() == 0:
        text = f"user root\n{text}"  # else it becomes a user who may not read this folder
    (tmp_path / "mosquitto.conf").write_text(text, encoding="utf-8")
    command = [str(mosquitto), "-c", str(tmp_path / "mosquitto.conf")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    yield port
    process.terminate()
    process.communicate()


@pytest.mark.parametrize(("password", "code"), [(None, 0), ("wrong", 135)])
def test_the_broker_takes_its_account_over_tls_and_nobody_else(broker: int, secrets: Path, password: str | None, code: int) -> None:
    answers: list[int] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set("keepwarm", (secrets / "mqtt_password").read_text(encoding="utf-8") if password is None else password)
    client.tls_set_context(ssl.create_default_context(cafile=str(secrets / "mqtt_ca")))
    client.on_connect = lambda *given: answers.append(given[3].value)
    client.connect_async("localhost", broker)
    client.loop_start()
    try:
        until(lambda: answers)
    finally:
        client.disconnect()
        client.loop_stop()
    assert answers[0] == code


def test_the_records_are_reached_through_the_service_file(postgresql: str, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(secrets / "pgservice"))
    host = postgresql.partition("host=")[2]
    engine = open_records(f"postgresql://keepwarm@/postgres?host={host}&service=keepwarm")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar() == "keepwarm"
    engine.dispose()

"""A real broker (mosquitto) on a free port, with accounts; and a publisher."""

import hashlib
import json
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion

USER, PASSWORD = "keepwarm", "secret-of-the-test"


class Mosquitto:
    """The broker's process; it keeps sessions over a restart."""

    def __init__(self, program: Path, folder: Path, port: int, *, secured: bool = False, clients: Path | None = None) -> None:
        """``secured``: with TLS, and a certificate of its own in ``certificate``; ``clients``: only those with this certificate."""
        self.port = port
        self.url = f"{'mqtts' if secured else 'mqtt'}://127.0.0.1:{port}"
        self.certificate = folder / "broker.pem"
        self._command = [str(program), "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        passwords = folder / "passwords"
        passwords.touch(0o600)
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), USER, PASSWORD], check=True, capture_output=True)
        (folder / "store").mkdir()
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nuser root\n"
            f"persistence true\npersistence_location {folder}/store/\nset_tcp_nodelay true\n"
            + (f"certfile {self.certificate}\nkeyfile {folder}/broker.key\n" if secured else "")
            + (f"cafile {clients}\nrequire_certificate true\nuse_identity_as_username true\n" if clients else "")
        )
        self._store = folder / "store"
        if secured:
            make_certificate(self.certificate, folder / "broker.key")

    def confirm_only(self, *filters: str) -> None:
        """Refuses every subscription but to these, which accounts in a file can't say. To be called before ``start``."""
        configuration = Path(self._command[-1])
        salt = b"salt of test"  # the plugin takes twelve bytes only
        mark = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 101, 64)
        account = {"username": USER, "password": b64encode(mark).decode(), "salt": b64encode(salt).decode(), "iterations": 101}
        rules = [{"acltype": "subscribePattern", "topic": one, "priority": 0, "allow": True} for one in filters]
        secured = configuration.with_name("secured.json")
        access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
        roles = [{"rolename": "reader", "acls": rules}]
        secured.write_text(
            json.dumps({"defaultACLAccess": access, "clients": [{**account, "roles": roles[:1]}], "groups": [], "roles": roles})
        )
        kept = [line for line in configuration.read_text().splitlines() if not line.startswith("password_file")]
        (plugin,) = Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
        configuration.write_text("\n".join([*kept, f"plugin {plugin}", f"plugin_opt_config_file {secured}", ""]))

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("mosquitto did not start")

    def stop(self) -> None:
        """Ends it; sessions and what waits in them go to its disk."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
            self._process = None

    def kill(self) -> None:
        """Ends it as a power cut does, and its disk with it: sessions are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
            self._process = None
        for file in self._store.iterdir():
            file.unlink()


def make_certificate(certificate: Path, key: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself, and its key, in PEM."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


class Publisher:
    """Publishes with QoS 1 and waits until the broker has it."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client

    def send(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        self._client.publish(topic, payload, qos, retain).wait_for_publish(5)


@contextmanager
def publisher(broker: Mosquitto) -> Iterator[Publisher]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    client.username_pw_set(USER, PASSWORD)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        yield Publisher(client)
    finally:
        client.disconnect()
        client.loop_stop()

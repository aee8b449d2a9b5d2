"""Makes what docker-compose.yml's services keep secret, in ``deploy/secrets``: ``python deploy/make_secrets.py``.

Passwords and a token by chance, the broker's accounts file, and a certificate authority with the broker's certificate (825 days). What
is there already stays. The folder is the owner's alone; the files in it can be read by all, since compose binds them into containers
whose users are others. (libpq's password file would have to be its user's own, so PostgreSQL's password stands in a service file.)
"""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLDER = Path(__file__).parent / "secrets"
DAYS = 825
ITERATIONS = 20_000
ACCOUNT = "keepwarm"


def main(folder: Path = FOLDER) -> None:
    """Writes the files that are not there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    password = _secret(folder / "postgres_password")
    _write(folder / "pgservice", f"[{ACCOUNT}]\nuser={ACCOUNT}\npassword={password}\n".encode())
    _secret(folder / "influxdb_password")
    _secret(folder / "influxdb_token")
    _write(folder / "mqtt_accounts", account(ACCOUNT, _secret(folder / "mqtt_password")).encode())
    if not (folder / "mqtt_certificate").exists():
        _certificates(folder)


def account(name: str, password: str) -> str:
    """A line of mosquitto's password file: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{name}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def _secret(path: Path) -> str:
    _write(path, secrets.token_urlsafe(24).encode())
    return path.read_text(encoding="utf-8")


def _write(path: Path, content: bytes) -> None:
    if not path.exists():
        path.write_bytes(content)
        path.chmod(0o644)


def _certificates(folder: Path) -> None:
    authority = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keepwarm CA")])
    ca = _builder(ca_name, ca_name, authority).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mosquitto")])
    names = x509.SubjectAlternativeName([x509.DNSName("mosquitto"), x509.DNSName("localhost")])
    broker = _builder(name, ca_name, key).add_extension(names, critical=False)
    _write(folder / "mqtt_ca", ca.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    _write(folder / "mqtt_certificate", broker.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(folder / "mqtt_key", key.private_bytes(*plain))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
    )


if __name__ == "__main__":
    main()

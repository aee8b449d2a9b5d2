"""Certificates for secured OPC UA: our own, and which servers' are trusted.

``DATA/pki/own.der`` and ``own.pem`` (the key) are made when missing. A server is trusted when its certificate lies in
``SITE/trusted/*.der``; one that is not is refused and laid into ``DATA/pki/refused/`` for a person to look at and accept
(``keepwarm trust``).
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from domain.errors import SourceError

VALID = timedelta(days=5 * 365)
WARN_BEFORE = timedelta(days=60)


@dataclass(frozen=True)
class Identity:
    """Our own certificate (DER file), its key (PEM file) and the application URI that the certificate carries."""

    certificate: Path
    key: Path
    application_uri: str


def own_identity(data: Path, now: datetime) -> Identity:
    """Our certificate in ``DATA/pki``; made when it is missing, spoilt or past its end. ``now`` is aware, of the wall.

    Never before its end, nor because the host has another name (a container made anew, a backup put back elsewhere): servers trust the
    one they know, and a new one has to be accepted there by a person. Sessions and processes that miss it at once all get the same one.
    """
    folder = data / "pki"
    certificate, key = folder / "own.der", folder / "own.pem"
    uri = _application_uri(certificate, key, now)
    if uri is None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "own.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            uri = _application_uri(certificate, key, now) or _make(certificate, key, now)
    return Identity(certificate, key, uri)


def _application_uri(certificate: Path, key: Path, now: datetime) -> str | None:
    """The URI in our certificate, whatever this host is called by now; None when certificate and key can't be used together."""
    try:
        found = x509.load_der_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    if secret.public_key() != found.public_key():  # killed between the two
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris and found.not_valid_before_utc <= now < found.not_valid_after_utc else None


def _make(certificate: Path, key: Path, now: datetime) -> str:
    """Writes both files; gives the URI in them."""
    secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    host = socket.gethostname()
    uri = f"urn:{host}:keepwarm"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keepwarm"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Keepwarm")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), x509.DNSName(host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    _replace(key, secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)
    _replace(certificate, made.public_bytes(serialization.Encoding.DER), 0o600)
    return uri


def _replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes the file whole: who reads it meanwhile, or after a loss of power, finds all of it or what was there before."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    part.unlink(missing_ok=True)  # of a process that was killed
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate in DER, as people compare it: ``AB:CD:…``."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(certificate)
    return digest.finalize().hex(":").upper()


def expiry_warning(whose: str, certificate: bytes, now: datetime) -> str:
    """That a certificate (DER) ends within 60 days, in words; empty when it does not. ``now`` is aware, of the wall."""
    left = x509.load_der_x509_certificate(certificate).not_valid_after_utc - now
    return f"{whose} ends in {left.days} days" if left < WARN_BEFORE else ""


def described(certificate: bytes) -> str:
    """A certificate (DER) in one line: fingerprint, whose, from when to when."""
    found = x509.load_der_x509_certificate(certificate)
    when = f"{found.not_valid_before_utc:%Y-%m-%d} to {found.not_valid_after_utc:%Y-%m-%d}"
    return f"{fingerprint(certificate)}  {found.subject.rfc4514_string()}, valid {when}"


def refused_folder(data: Path) -> Path:
    """Where certificates of servers wait for a person to accept them."""
    return data / "pki" / "refused"


def refused(data: Path) -> Iterator[tuple[Path, bytes]]:
    """Each certificate that waits for a person, and its file."""
    return _certificates(refused_folder(data))


def trusted(site_folder: Path) -> set[str]:
    """The fingerprints of the certificates in ``SITE/trusted``."""
    return {fingerprint(certificate) for _, certificate in _certificates(site_folder / "trusted")}


def _certificates(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.glob("*.der")):
        with suppress(FileNotFoundError):  # accepted, or taken away, since the folder was listed
            yield path, path.read_bytes()


def accept(refused: Path, certificate: bytes, site_folder: Path) -> Path:
    """Moves a refused certificate into ``SITE/trusted``; returns where it lies now."""
    accepted = site_folder / "trusted" / refused.name
    accepted.parent.mkdir(parents=True, exist_ok=True)
    _replace(accepted, certificate)
    refused.unlink(missing_ok=True)
    return accepted


def check_trusted(certificate: bytes, site_folder: Path, data: Path, now: datetime) -> None:
    """Returns when this server certificate (DER) lies in ``SITE/trusted`` and is in its time.

    Raises SourceError that names the fingerprint otherwise. ``now`` is aware, of the wall.
    """
    mark = fingerprint(certificate)
    try:
        found = x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise SourceError(f"the server's certificate can't be read; SHA-256 {mark}") from error
    if mark not in trusted(site_folder):
        waiting = refused_folder(data) / f"{mark.replace(':', '')[:16]}.der"
        waiting.parent.mkdir(parents=True, exist_ok=True)
        _replace(waiting, certificate)
        raise SourceError(f"the server's certificate is not trusted; SHA-256 {mark}; if that is right: keepwarm trust SITE {mark[:11]}")
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise SourceError(
            f"the server's certificate is valid from {found.not_valid_before_utc:%Y-%m-%d} to {found.not_valid_after_utc:%Y-%m-%d}; "
            f"SHA-256 {mark}"
        )

"""The secured OPC UA server's own key and certificate, made once per site folder."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulators.ports import HOST

APPLICATION_URI = "urn:keepwarm:simulated-heat-station"


class ServerIdentity(NamedTuple):
    """Where the server's private key (PEM) and certificate (DER) lie."""

    key: Path
    certificate: Path


def server_identity(folder: Path) -> ServerIdentity:
    """The identity of the simulated server of a site folder, made where there is none.

    The certificate lies in ``trusted/``, as a technician would put a real server's there.
    """
    identity = ServerIdentity(folder / "simulated" / "opcua_server_key.pem", folder / "trusted" / "simulated_opcua_server.der")
    if identity.key.exists() and identity.certificate.exists():
        return identity
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for path in identity:
        path.parent.mkdir(parents=True, exist_ok=True)
    identity.key.touch(mode=0o600)
    identity.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    identity.certificate.write_bytes(_certificate(key).public_bytes(serialization.Encoding.DER))
    return identity


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    """A self-signed certificate as OPC UA Part 6, 6.2.2 wants it. Its dates are life's, not the demo clock's."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keepwarm simulated station")])
    now = datetime.now(UTC)
    names = [x509.UniformResourceIdentifier(APPLICATION_URI), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
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
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=730))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )

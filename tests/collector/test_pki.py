"""Our own certificate and those of servers: what makes a new one, what does not, and what can't be read."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from collector.sources.opcua.pki import VALID, check_trusted, own_identity, refused_folder
from domain.errors import SourceError

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


def test_our_certificate_stays_when_the_host_is_called_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container made anew has another name: the servers would have to accept us again."""
    monkeypatch.setattr(socket, "gethostname", lambda: "host-1")
    first = own_identity(tmp_path, NOW)
    before = first.certificate.read_bytes(), first.key.read_bytes()
    names = x509.load_der_x509_certificate(before[0]).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [first.application_uri] == ["urn:host-1:keepwarm"]
    monkeypatch.setattr(socket, "gethostname", lambda: "host-2")
    assert own_identity(tmp_path, NOW) == first
    assert (first.certificate.read_bytes(), first.key.read_bytes()) == before


@pytest.mark.parametrize("spoilt", ["own.der", "own.pem", "pair", "end"])
def test_one_that_can_not_be_used_is_made_anew(spoilt: str, tmp_path: Path) -> None:
    first = own_identity(tmp_path, NOW)
    before = first.certificate.read_bytes()
    if spoilt == "pair":  # a process killed when it had written the key and not yet the certificate
        (tmp_path / "pki" / "own.pem").write_bytes(own_identity(tmp_path / "other", NOW).key.read_bytes())
    elif spoilt != "end":
        (tmp_path / "pki" / spoilt).write_bytes(b"\x30\x00")
    later = NOW + (VALID if spoilt == "end" else timedelta())
    made = own_identity(tmp_path, later).certificate.read_bytes()
    assert made != before
    assert own_identity(tmp_path, later).certificate.read_bytes() == made


@pytest.mark.parametrize("certificate", [b"", b"no certificate"])
def test_a_servers_certificate_that_can_not_be_read_is_named_and_waits_for_nobody(certificate: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the server's certificate can't be read; SHA-256 [0-9A-F]{2}:"):
        check_trusted(certificate, tmp_path, tmp_path / "data", NOW)
    assert not refused_folder(tmp_path / "data").exists()

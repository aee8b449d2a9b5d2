"""Our own certificate and those of servers: what makes a new one, what does not, and what can't be read."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from collector.sources.opcua.pki import VALID, accept, check_trusted, own_identity, refused, refused_folder, trusted
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


def test_all_that_miss_it_at_once_get_the_same_one(tmp_path: Path) -> None:
    """At a site's first start every secured server is connected to at once, and has to accept us once."""
    sessions = 4
    together = threading.Barrier(sessions)

    def connect() -> tuple[str, bytes, bytes]:
        together.wait()
        own = own_identity(tmp_path, NOW)
        return own.application_uri, own.certificate.read_bytes(), own.key.read_bytes()

    with ThreadPoolExecutor(sessions) as threads:
        shown = {one.result() for one in [threads.submit(connect) for _ in range(sessions)]}
    own = own_identity(tmp_path, NOW)
    assert shown == {(own.application_uri, own.certificate.read_bytes(), own.key.read_bytes())}


def test_what_a_killed_process_left_keeps_nobody_from_making_one(tmp_path: Path) -> None:
    """In a container every process has the number of its predecessor."""
    (tmp_path / "pki").mkdir()
    for name in ("own.pem", "own.der"):
        (tmp_path / "pki" / f".{name}.{os.getpid()}.tmp").write_bytes(b"cut sh")
    own = own_identity(tmp_path, NOW)
    assert own_identity(tmp_path, NOW) == own
    assert sorted(path.name for path in (tmp_path / "pki").iterdir() if path.suffix == ".tmp") == []


def test_who_lists_certificates_while_others_come_and_are_accepted_finds_whole_ones(tmp_path: Path) -> None:
    site, data = tmp_path / "site", tmp_path / "data"
    certificate = own_identity(tmp_path / "server", NOW).certificate.read_bytes()
    stop = threading.Event()

    def come_and_be_accepted() -> None:
        while not stop.is_set():
            with pytest.raises(SourceError, match="is not trusted"):
                check_trusted(certificate, site, data, NOW)
            for path, content in refused(data):
                accept(path, content, site).unlink()

    with ThreadPoolExecutor(1) as threads:
        coming = threads.submit(come_and_be_accepted)
        try:
            for _ in range(500):
                assert {content for _, content in refused(data)} <= {certificate}
                assert len(trusted(site)) <= 1
        finally:
            stop.set()
        coming.result()


@pytest.mark.parametrize("certificate", [b"", b"no certificate"])
def test_a_servers_certificate_that_can_not_be_read_is_named_and_waits_for_nobody(certificate: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the server's certificate can't be read; SHA-256 [0-9A-F]{2}:"):
        check_trusted(certificate, tmp_path, tmp_path / "data", NOW)
    assert not refused_folder(tmp_path / "data").exists()

"""The site's key for cookies and forms: one for all who ask, whole, whatever was killed before."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dashboard.accounts import KEY_BYTES, signing_key


def test_all_who_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def ask(number: int) -> bytes:
        together.wait()
        return signing_key(tmp_path / str(number))

    with ThreadPoolExecutor(4) as threads:
        for number in range(50):
            keys = {one.result() for one in [threads.submit(ask, number) for _ in range(4)]}
            assert len(keys) == 1
            assert len(keys.pop()) == KEY_BYTES


@pytest.mark.parametrize("left", ["dashboard.key.{pid}", "dashboard.tmp"])
def test_what_a_killed_process_left_keeps_no_dashboard_from_starting(left: str, tmp_path: Path) -> None:
    """In a container every process has the number of its predecessor."""
    (tmp_path / left.format(pid=os.getpid())).write_bytes(b"")
    key = signing_key(tmp_path / "dashboard.key")
    assert signing_key(tmp_path / "dashboard.key") == key
    assert (tmp_path / "dashboard.key").stat().st_mode & 0o777 == 0o600


def test_nobody_signs_with_a_key_that_a_loss_of_power_cut_short(tmp_path: Path) -> None:
    (tmp_path / "dashboard.key").write_bytes(b"")
    key = signing_key(tmp_path / "dashboard.key")
    assert len(key) == KEY_BYTES
    assert signing_key(tmp_path / "dashboard.key") == key

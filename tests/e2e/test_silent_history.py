"""A history server that takes connections and never answers keeps nobody: ``collect`` goes on, and ends when it is told to."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from store.journal import Journal

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["victoriametrics", "influxdb"])
def test_collect_ends_when_told_to_while_its_history_is_silent(kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60.0)
        port = silent.getsockname()[1]
        (tmp_path / "site.toml").write_text(f'name = "t"\n\n[history]\nkind = "{kind}"\nurl = "http://127.0.0.1:{port}"\n')
        command = [sys.executable, "-m", "keepwarm", "collect", str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as collect:
            asked, _ = silent.accept()  # the forwarder waits for an answer now
            with asked:
                collect.send_signal(signal.SIGTERM)
                _, said = collect.communicate(timeout=25)  # its own patience with the server is 30 s
    assert collect.returncode == 0, said
    assert "Traceback" not in said
    assert "history does not answer" in said
    journal = Journal(tmp_path / "data" / "journal.db")
    assert journal.cursor("history") == 0
    journal.close()

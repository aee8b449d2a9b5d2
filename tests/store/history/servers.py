"""The real servers of Debian's packages, each on a free port of loopback with a folder of its own."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_INFLUX = """
reporting-enabled = false
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
logging-enabled = false
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
index-version = "tsi1"
max-series-per-database = 0
max-values-per-tag = 0
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
auth-enabled = {auth}
max-body-size = {max_body}
[continuous_queries]
enabled = false
[logging]
level = "error"
"""


@dataclass
class Server:
    """A server's process, which can be killed and started again with what it has on its disk."""

    command: list[str]
    url: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """As the power does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def influxdb(program: Path, folder: Path, port: int, rpc: int, *, auth: bool = False, max_body: int = 25_000_000) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "influxdb.conf"
    settings.write_text(_INFLUX.format(folder=folder, port=port, rpc=rpc, auth=str(auth).lower(), max_body=max_body))
    server = Server([str(program), "-config", str(settings)], f"http://127.0.0.1:{port}", folder / "log")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def victoria_metrics(program: Path, folder: Path, port: int, *flags: str) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(program), f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y", *flags]
    server = Server(command, f"http://127.0.0.1:{port}", folder / "log")
    server.start()
    try:
        yield server
    finally:
        server.kill()

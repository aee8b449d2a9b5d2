"""A dashboard of the sample town as a process of its own, for the tests: ``python -m tests.dashboard.serve FOLDER``.

Prints the port it listens on.
"""

import socket
import sys
from pathlib import Path

from dashboard.server import run_dashboard
from domain.clock import Clock
from tests.dashboard.sample_town import sample_site

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)  # noqa: T201 - the test waits for it
    run_dashboard(sample_site(folder / "data", evil=True), Clock.load(folder / "clock.json"), "127.0.0.1", 0, listening)

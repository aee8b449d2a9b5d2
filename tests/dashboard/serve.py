"""A dashboard of the sample town as a process of its own, for the tests: ``python -m tests.dashboard.serve FOLDER``.

Prints the port it listens on. ``openid.json`` in the folder names a provider that signs people in.
"""

import json
import socket
import sys
from dataclasses import replace
from pathlib import Path

from dashboard.server import run_dashboard
from domain.clock import Clock
from domain.site import OpenId
from keepwarm.lean import without_pandas
from tests.dashboard.sample_town import sample_site

if __name__ == "__main__":
    without_pandas()  # as every process of ours
    folder = Path(sys.argv[1])
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)  # noqa: T201 - the test waits for it
    site = sample_site(folder / "data", evil=True)
    if (folder / "openid.json").exists():
        values = json.loads((folder / "openid.json").read_text(encoding="utf-8"))
        site = replace(site, openid=OpenId(**{**values, "page": f"http://127.0.0.1:{listening.getsockname()[1]}"}))
    run_dashboard(site, Clock.load(folder / "clock.json"), "127.0.0.1", 0, listening)

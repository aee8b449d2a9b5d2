"""A sample town and a server for the tests of each file, which may change it; every reader signs in with a link or account of its own."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import Engine

from dashboard.accounts import add_account, make_invitation, wall_ms
from dashboard.api.keys import make_key
from dashboard.facts.town import Town
from dashboard.healthz import EXPECTED
from domain.clock import Clock
from store.health import write_health
from store.records import open_records
from tests.dashboard.sample_town import NOW_MS, SampleTown, sample_site, write_town

ROOT = Path(__file__).parents[2]
PASSWORD = "a long enough one"
SLOW_MS = 30_000
SignIn = Callable[..., AbstractContextManager[Page]]
_NUMBER = count()


@dataclass
class Server:
    """A running dashboard: its address, its town, and the records it works on."""

    process: subprocess.Popen[str]
    port: int
    town: SampleTown
    records: Engine

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stranger(self) -> httpx.Client:
        """A client that nobody knows."""
        return httpx.Client(base_url=self.address, timeout=30.0, follow_redirects=False)

    def link(self, name: str, role: str) -> str:
        """The token of a one-time link."""
        return make_invitation(self.records, name, role, wall_ms())

    def key(self, *scopes: str) -> str:
        """The token of a fresh key to the API."""
        return make_key(self.records, f"system-{next(_NUMBER)}", scopes, "test", wall_ms())

    def api(self, *scopes: str) -> httpx.Client:
        """A client of the API with a key of its own."""
        headers = {"Authorization": f"Bearer {self.key(*scopes)}"}
        return httpx.Client(base_url=f"{self.address}/api/v1", timeout=30.0, headers=headers, follow_redirects=False)

    @contextmanager
    def client(self, role: str = "admin") -> Iterator[httpx.Client]:
        """A client signed in by a link; a fresh account and session each time."""
        with self.stranger() as client:
            token = self.link(f"{role}-{next(_NUMBER)}", role)
            answer = client.post("/enter", data={"token": token, "form": form_token(client, "/enter")})
            assert answer.status_code == 303, answer.text
            yield client


def form_token(client: httpx.Client, path: str) -> str:
    """The hidden token of the form on one of our own pages."""
    text = client.get(path).text
    return text.split('name="form" value="', 1)[1].split('"', 1)[0]


def problem(answer: httpx.Response, status: int) -> str:
    """That the API answered with a problem of this status; its title and detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    return f"{body['title']}: {body.get('detail', '')}"


def until(condition: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """Waits until a condition holds and gives its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
    return value


def start(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Starts a server of the town in this folder and waits until it answers."""
    command = [sys.executable, "-m", "tests.dashboard.serve", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    until(lambda: process.poll() is not None or _answers(port), seconds=60)
    assert process.poll() is None
    return process, port


def stop(process: subprocess.Popen[str]) -> float:
    """Tells a server to end; gives the seconds it took."""
    began = time.monotonic()
    process.terminate()
    process.wait(15)
    assert process.stdout is not None
    process.stdout.close()
    return time.monotonic() - began


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2.0).status_code in {200, 503}
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample town as it was written, with HTML in two names; nobody changes it."""
    folder = tmp_path_factory.mktemp("written")
    write_town(folder, evil=True)
    return folder


@pytest.fixture(scope="module")
def sample(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SampleTown:
    """The sample town on disk, this file's own."""
    folder = tmp_path_factory.mktemp("town")
    shutil.copytree(sample_folder, folder, dirs_exist_ok=True)
    town = SampleTown(sample_site(folder / "data", evil=True), Clock.starting_at(NOW_MS, 1.0))
    for component in EXPECTED:
        write_health(town.site.data, component, NOW_MS, {"readings": 1234})
    town.clock.save(folder / "clock.json")
    return town


@pytest.fixture(scope="module")
def server(sample: SampleTown) -> Iterator[Server]:
    """The dashboard of the sample town as a process."""
    process, port = start(sample.site.folder)
    records = open_records(sample.site.data / "records.db")
    yield Server(process, port, sample, records)
    records.dispose()
    stop(process)


@pytest.fixture
def town(sample: SampleTown) -> Iterator[Town]:
    """The town as the pages see it, at the moment the sample was made for."""
    opened = Town(sample.site, Clock.starting_at(NOW_MS, 1.0))
    yield opened
    opened.close()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Engine]:
    """Empty records."""
    engine = open_records(tmp_path / "records.db")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def dispatcher(server: Server) -> str:
    """The name of a dispatcher with the password ``PASSWORD``."""
    add_account(server.records, "王调度", "dispatcher", PASSWORD, wall_ms())
    return "王调度"


@pytest.fixture(scope="module")  # no longer: its event loop stays open meanwhile, and tests of coroutines could not run beside it
def browser(chromium: Path) -> Iterator[Browser]:
    """Debian's chromium, once for all tests of a file."""
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def sign_in(browser: Browser, server: Server) -> SignIn:
    """Opens a page for a new account of a role, by a one-time link; fails on errors in the browser's console."""

    @contextmanager
    def opened(role: str = "admin", *, width: int = 1366, quiet: bool = True) -> Iterator[Page]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="light")
        context.set_default_timeout(SLOW_MS)
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{server.address}/enter?token={server.link(f'browser-{next(_NUMBER)}', role)}")
        page.wait_for_url(f"{server.address}/")
        expect(page.locator(".kw-station").first).to_be_visible(timeout=SLOW_MS)
        yield page
        assert wrong == [] or not quiet
        assert page.evaluate("window.hurt") is None
        for one in context.pages:
            one.close()
        context.close()

    return opened

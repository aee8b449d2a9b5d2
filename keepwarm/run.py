"""``keepwarm run SITE``: collect, watch and dashboard of a site in one supervised whole."""

import socket
import time
from pathlib import Path
from threading import Event

import click

from domain.errors import ConfigError, StoreError
from domain.site import WHOLE, Share, Site
from keepwarm.accounts import invitation
from keepwarm.processes import LOCK_WAIT_S, is_taken, listen, only_one, share_option, site_argument
from keepwarm.supervise import Child, Supervisor, keepwarm_child, stop_on_signals

LISTEN_AGAIN_S = 0.1


def children_of(folder: Path, listening: int) -> list[Child]:
    """The three processes of a site; the dashboard inherits the listening socket of this number."""
    page = keepwarm_child("dashboard", str(folder), "--socket", str(listening), sockets=(listening,))
    return [*node_of(folder, WHOLE), page]


def node_of(folder: Path, share: Share) -> list[Child]:
    """The two processes of a node."""
    arguments = (str(folder), "--shard", f"{share.number}/{share.count}") if share.mark else (str(folder),)
    return [keepwarm_child(name, *arguments, mark=share.mark) for name in ("collect", "watch")]


def page_address(site: Site, port: int) -> str:
    """Where a browser on this machine finds the page."""
    host = "127.0.0.1" if site.dashboard_host in {"0.0.0.0", "::", ""} else site.dashboard_host  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def say(line: str) -> None:
    """A line for the person who watches, at once."""
    click.echo(line)


@click.command()
@site_argument
@click.option("--port", type=click.IntRange(0, 65535), help="The page's port; the site's dashboard_port where left out.")
@share_option
def run(folder: Path, *, port: int | None, share: Share) -> None:
    """Runs SITE: collects, judges and shows it, until Ctrl-C; starts again what dies.

    With --shard it is one node of several: it collects and judges its share, and `keepwarm dashboard SITE` shows them all.
    """
    from store.site_folder import load_site

    stop = stop_on_signals()
    site = load_site(folder)
    if share.mark:
        _run_node(site, folder, share, stop)
        return
    with (
        only_one(site.data / "health" / "run.lock", "keepwarm run", wait_s=0),
        _listen(site.dashboard_host, site.dashboard_port if port is None else port, stop) as listening,
    ):
        supervisor = Supervisor(site.data / "logs", say)
        supervisor.start(*children_of(folder, listening.fileno()))
        try:
            page = page_address(site, listening.getsockname()[1])
            say(f"{site.name}: {page}  (logs: {site.data / 'logs'}; Ctrl-C ends it)")
            _let_the_first_in(folder, page)
            supervisor.run(stop)
        finally:
            supervisor.stop()


def _listen(host: str, port: int, stop: Event) -> socket.socket:
    """As ``listen``; a port that is taken may be a killed predecessor's, whose dashboard takes some seconds to end."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return listen(host, port)
        except ConfigError as error:
            if not is_taken(error) or time.monotonic() > deadline:
                raise
        if stop.wait(LISTEN_AGAIN_S):
            raise click.exceptions.Exit(0)


def _run_node(site: Site, folder: Path, share: Share, stop: Event) -> None:
    with only_one(site.data / "health" / f"run{share.mark}.lock", "keepwarm run", wait_s=0):
        supervisor = Supervisor(site.data / "logs", say)
        supervisor.start(*node_of(folder, share))
        try:
            say(f"{site.name}: node {share.number} of {share.count}  (logs: {site.data / 'logs'}; Ctrl-C ends it)")
            supervisor.run(stop)
        finally:
            supervisor.stop()


def _let_the_first_in(folder: Path, page: str) -> None:
    """A link for a site where nobody has a password yet. Records that can't be reached are no reason not to collect."""
    try:
        link = invitation(folder, "admin", "admin", page, if_first=True)
    except StoreError as error:
        say(str(error))
        return
    if link:
        say(f"nobody has a password here yet; sign in once, and set one, by: {link}")

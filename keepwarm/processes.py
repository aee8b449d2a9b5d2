"""The processes of a site, each of which can run alone: ``collect``, ``watch``, ``dashboard``."""

import asyncio
import errno
import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import structlog

from domain.clock import Clock
from domain.errors import ConfigError, Mistake
from domain.share import share_of
from domain.site import WHOLE, Share, Site
from keepwarm.guard import end_with_parent
from keepwarm.logs import log_to
from keepwarm.supervise import stop_on_signals
from store.health import forget_other_shares

MOST_NODES = 999
FORWARD_ENDS_S = 1.5  # what was under way is sent again at the next start
LOCK_WAIT_S = 6.0  # a predecessor whose supervisor was killed takes some seconds to end

site_argument = click.argument("folder", metavar="SITE", type=click.Path(path_type=Path))


def _share(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Share:
    """``2/4`` as the share it names; the whole site where nothing is said."""
    if text is None:
        return WHOLE
    number, slash, count = text.partition("/")
    if not (
        slash
        and number.isascii()
        and number.isdigit()
        and count.isascii()
        and count.isdigit()
        and 1 <= int(number) <= int(count) <= MOST_NODES
    ):
        raise click.BadParameter(f"{text!r} is no share of a site: 1/4 … 4/4 would be the shares of four nodes, {MOST_NODES} at most")
    return Share(int(number), int(count))


share_option = click.option(
    "--shard", "share", metavar="I/N", callback=_share, help="This node's share of the stations: the I-th of N nodes; all by default."
)
supervised_option = click.option("--supervised", is_flag=True, hidden=True, help="Ends with stdin; logs to DATA/logs.")


@contextmanager
def site_process(
    name: str, folder: Path, *, supervised: bool, stop: threading.Event | None = None, share: Share = WHOLE
) -> Iterator[tuple[Site, Clock]]:
    """The site (this share of it) and its clock, for a process that is the only one of its name on this share while it runs.

    With ``stop``, one that may stand by waits for its predecessor's end as long as it takes: that is where the records are PostgreSQL's.
    Raises ConfigError for the site's mistakes, and when another process has it.
    """
    from store.site_folder import load_site

    if supervised:
        end_with_parent()
    site = share_of(load_site(folder), share)
    own = f"{name}{share.mark}"
    log_to(site.data / "logs" / f"{own}.log" if supervised else None)
    log = structlog.get_logger(name)
    standby = stop if site.records_url.startswith("postgresql") else None
    locks = site.data / "health"
    with (
        dealt(locks / f"{name}.nodes", f"keepwarm {name}", share.count),
        only_one(locks / f"{own}.lock", f"keepwarm {name}", standby=standby),
    ):
        forget_other_shares(site.data, name, share)
        log.info("started", site=site.name, pid=os.getpid(), **({"shard": f"{share.number}/{share.count}"} if share.mark else {}))
        yield site, Clock.load(site.data / "clock.json")
        log.info("stopped")


@contextmanager
def only_one(lock: Path, who: str, wait_s: float = LOCK_WAIT_S, standby: threading.Event | None = None) -> Iterator[None]:
    """Holds the lock file while the body runs; the kernel frees it however the process ends.

    Raises ConfigError when another process still holds it after ``wait_s`` seconds; with ``standby`` waits on until that is set, and
    ends the command then.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        deadline = time.monotonic() + wait_s
        while not _locked(file.fileno()):
            if standby is not None:
                if standby.wait(0.1):
                    raise click.exceptions.Exit(0)
                continue
            if time.monotonic() > deadline:
                file.seek(0)
                raise ConfigError(Mistake(who, "already runs on this site; stop it first", key="pid", value=file.read().strip()))
            time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def dealt(lock: Path, who: str, count: int) -> Iterator[None]:
    """Holds while the body runs that the site is dealt out to so many nodes.

    Raises ConfigError while processes run that have dealt it out to another number: some stations would be judged twice.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        if _locked(file.fileno()):  # nobody else runs: the number is ours to say
            file.truncate(0)
            file.write(str(count))
            file.flush()
        fcntl.flock(file, fcntl.LOCK_SH)
        file.seek(0)
        found = file.read().strip()
        if found != str(count):
            raise ConfigError(
                Mistake(
                    who, f"runs on this site already, dealt out to nodes as …/{found}; stop those first", key="--shard", value=f"…/{count}"
                )
            )
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def run_until_signal(body: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine on uvloop; SIGINT and SIGTERM set the event it is given."""
    import uvloop

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await body(stop)

    uvloop.run(run())


@click.command()
@site_argument
@share_option
@supervised_option
def collect(folder: Path, *, share: Share, supervised: bool) -> None:
    """Reads SITE's devices and sensors into the journal, and forwards the journal to the history."""
    with site_process("collect", folder, supervised=supervised, share=share) as (site, clock):
        _import_for(site)
        run_until_signal(lambda stop: _collect_and_forward(site, clock, stop))


def _import_for(site: Site) -> None:
    """What takes long to import. Before the loop runs, which would not hear of signals meanwhile: until then SIGTERM ends us at once."""
    from collector.sources.table import load_protocols

    import_module("collector.collect")
    import_module("store.history.forward")
    load_protocols(site)


async def _collect_and_forward(site: Site, clock: Clock, stop: asyncio.Event) -> None:
    """Collects until ``stop``, forwarding in a thread beside it; what ends one of the two ends both."""
    from collector.collect import collect_with
    from store.history.forward import run_forward
    from store.points import open_points

    with open_points(site) as points:  # one for both: the names of a large town fill a good part of the memory
        stop_forwarding = threading.Event()
        forwarding = _in_thread(lambda: run_forward(site, clock, stop_forwarding, points), "forward")
        collecting = asyncio.create_task(collect_with(points, site, clock, stop), name="collect")
        await asyncio.wait([forwarding, collecting], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.wait([collecting])
        stop_forwarding.set()
        await asyncio.wait([forwarding], timeout=FORWARD_ENDS_S)
        collecting.result()
        if forwarding.done():
            forwarding.result()
        else:
            structlog.get_logger("collect").warning("history does not answer: what is on its way there stays in the journal too")


def _in_thread(work: Callable[[], None], name: str) -> asyncio.Future[None]:
    """Runs ``work`` in a thread that need not be waited for: a server that does not answer must not keep a process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: Exception | None) -> None:
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: Exception | None = None
        try:
            work()
        except Exception as failed:
            error = failed
        with suppress(RuntimeError):  # nobody awaits it any more
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


@click.command()
@site_argument
@share_option
@supervised_option
def watch(folder: Path, *, share: Share, supervised: bool) -> None:
    """Judges SITE's readings as they come: verdicts, alarms, outages, notices, complaints."""
    stop = stop_on_signals()
    with site_process("watch", folder, supervised=supervised, stop=stop, share=share) as (site, clock):
        from compliance.watch_loop import run_watch

        run_watch(site, clock, stop)


@click.command()
@site_argument
@click.option("--host", help="Address to listen on; the site's dashboard_host where left out.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; the site's dashboard_port where left out.")
@click.option("--socket", "descriptor", type=int, hidden=True, help="A listening socket inherited from the supervisor.")
@supervised_option
def dashboard(folder: Path, *, host: str | None, port: int | None, descriptor: int | None, supervised: bool) -> None:
    """Serves SITE's pages, its public board and its API."""
    with site_process("dashboard", folder, supervised=supervised) as (site, clock):
        from dashboard.server import run_dashboard  # takes seconds: an orphan must hear of its parent's end, and free the port, meanwhile

        address = (host or site.dashboard_host, site.dashboard_port if port is None else port)
        listening = listen(*address) if descriptor is None else socket.socket(fileno=descriptor)
        run_dashboard(site, clock, *address, listening)


def is_taken(error: ConfigError) -> bool:
    """Whether ``listen`` could not have the port because somebody else listens there."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on this address.

    Raises ConfigError when the address is in use, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(Mistake("dashboard", f"{reason}; give another with --port or dashboard_port", key=f"{host}:{port}")) from error
    return listening

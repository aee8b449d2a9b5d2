"""The process that judges a site: it waits for its turn, makes passes, and keeps house between them.

lock of the data folder ─▶ turn (PostgreSQL) ─▶ Watch ─▶ step, step, … · late stations · days · desk · snapshot
                                                  ▲ a store failed: again from the last snapshot
"""

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from compliance.delivery.deliver import run_delivery
from compliance.watch import CONSUMER, Watch
from domain.clock import Clock
from domain.errors import ConfigError, Mistake, StoreError
from domain.site import Share, Site
from store.health import node_of, write_health
from store.history import open_history
from store.journal import Journal, open_journal
from store.live import forget_other_live
from store.points import PointRegistry
from store.records import open_records
from store.records.turn import Turn

PAUSE_S = 0.2
LIVE_S = 0.5
LATE_S = 1.0
DAYS_S = 10.0
DESK_S = 5.0
SNAPSHOT_S = 60.0
DESK_SHARE = 20.0  # with thousands of complaints open the desk is looked after less often, at a twentieth of the time
LATE_SHARE = 3.0  # a flood of late readings takes a quarter of the time
RETRY_S = 2.0
DELIVERY_ENDS_S = 2.0

_log = structlog.get_logger()


def run_watch(site: Site, clock: Clock, stop: threading.Event) -> None:
    """Watches one site until ``stop`` is set; on PostgreSQL, once it is its turn.

    Raises ConfigError when another watch runs on the same data.
    """
    site.data.mkdir(parents=True, exist_ok=True)
    with _only_one(site.data / f"{CONSUMER}{site.share.mark}.lock"):
        points = PointRegistry(site.data / "points.db")
        journal = open_journal(site)
        history = open_history(site, points)
        records = open_records(site.records_url or site.data / "records.db")
        forget_other_live(site.data / "live", site.share)
        _forget_other_cursors(journal, site.share)
        delivering = threading.Thread(target=run_delivery, args=(site, records, stop), name="delivery", daemon=True)
        delivering.start()
        turn = Turn(records, site.share)
        try:
            while not stop.is_set():
                try:
                    if turn.wait(stop):
                        _watch(Watch(site, journal, history, points, records, clock.now_ms()), clock, stop, turn)
                except (StoreError, SQLAlchemyError) as error:
                    _log.warning("a store failed; starting again from the last snapshot", reason=str(error).splitlines()[0])
                    stop.wait(RETRY_S)
        finally:
            turn.give_up()
            delivering.join(DELIVERY_ENDS_S)  # a message under way is sent again with the same key
            records.dispose()
            history.close()
            journal.close()


@dataclass
class Chore:
    """Something done between passes, every so many seconds of a steady clock.

    ``share``: the next time waits this many times as long as it took. A chore that reads the history is put off while that is down.
    """

    do: Callable[[], object]
    every_s: float
    put_off: str = ""
    share: float = 0.0
    due_s: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Does it where it is time."""
        began_s = time.monotonic()
        if began_s < self.due_s:
            return
        try:
            self.do()
        except StoreError as error:
            if not self.put_off:
                raise
            _log.warning(self.put_off, reason=str(error))
        self.due_s = began_s + max(self.every_s, self.share * (time.monotonic() - began_s))


def _watch(watch: Watch, clock: Clock, stop: threading.Event, turn: Turn) -> None:
    """Passes until told to stop, and what is to be done between them."""
    show = Chore(lambda: _show(watch, clock), LIVE_S)
    chores = (
        Chore(watch.judge_late, LATE_S, "late readings can't be judged while the history is down", share=LATE_SHARE),
        Chore(watch.judge_days, DAYS_S, "days can't be judged while the history is down"),
        Chore(watch.look_after_desk, DESK_S, "cured rooms can't be found while the history is down", share=DESK_SHARE),
        Chore(watch.snapshot, SNAPSHOT_S),
    )
    while not stop.is_set():
        turn.confirm()
        worked = watch.step(clock.now_ms())
        show.run()
        if not watch.behind:
            for chore in chores:
                chore.run()
        if not worked:
            stop.wait(PAUSE_S)
    watch.snapshot()


def _show(watch: Watch, clock: Clock) -> None:
    watch.write_live()
    behind = watch.journal.backlog_after(watch.cursor).batches
    detail = {**watch.counts, "late_waiting": watch.late_waiting(), "judged_at_ms": watch.judged_at, "behind": behind}
    write_health(watch.site.data, watch.consumer, clock.now_ms(), detail)


def _forget_other_cursors(journal: Journal, share: Share) -> None:
    """Nothing is kept for nodes of a time when the site was dealt out to another number of them."""
    for cursor in journal.cursors():
        name, node = node_of(cursor)
        if name == CONSUMER and node.partition("-of-")[2] != (str(share.count) if share.mark else ""):
            journal.forget(cursor)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Holds the lock of the one process that may judge this site."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(Mistake(str(path), "another watch runs on this site; one judges, stop that one first")) from error
        yield

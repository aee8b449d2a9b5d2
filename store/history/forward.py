"""From the journal into the history: one portion at a time, at least once (writing twice changes nothing)."""

import time
from threading import Event

import structlog

from domain.clock import Clock
from domain.errors import StoreError
from domain.site import Site
from store.health import write_health
from store.history import open_history
from store.history.protocol import History
from store.journal import Journal, open_journal
from store.points import PointRegistry
from store.readings import CURSOR

PORTION = 200_000
FLUSH_S = 10.0  # at most so often a portion that is not full is written: pages see the journal's end anyway
TIDY_S = 30.0
HEALTH_S = 5.0
RETRY_S = 5.0
PAUSE_S = 0.5

_log = structlog.get_logger()


class Forwarder:
    """Moves readings from the journal into the history; its place is the journal's cursor ``history``."""

    def __init__(self, journal: Journal, history: History) -> None:
        self._journal = journal
        self._history = history

    def step(self) -> int:
        """Moves one portion; returns how many readings that were, 0 when there is nothing to move.

        Raises StoreError when the history can't take it (or the journal not be read): the cursor then stays where it is.
        """
        after = self._journal.cursor(CURSOR)
        sequence, readings = self._journal.read(after, PORTION)
        if sequence == after:
            return 0
        self._history.write(readings)
        self._journal.advance(CURSOR, sequence)
        return len(readings)

    def waiting(self) -> int:
        """How many readings the history has not got yet."""
        return self._journal.backlog(CURSOR).readings


class Forwarding:
    """The forwarder's loop, a turn at a time: forwards, retries, tidies, prunes the journal and tells its health.

    Instants called ``at_s`` are wall seconds of a steady clock.
    """

    def __init__(self, site: Site, clock: Clock, journal: Journal, history: History) -> None:
        self._site = site
        self._clock = clock
        self._journal = journal
        self._history = history
        self._forwarder = Forwarder(journal, history)
        self._forwarded = 0
        self._flushed_s = self._tidied_s = self._told_s = float("-inf")
        self._retry_s = float("-inf")
        self._failing_since_ms: int | None = None
        self._error = ""

    def turn(self, at_s: float) -> bool:
        """Does what is due now; returns whether more is waiting already. Never raises StoreError: it retries."""
        more = False
        try:
            if at_s >= self._retry_s and self._due(at_s):
                more = self._flush(at_s)
            if at_s - self._tidied_s >= TIDY_S:
                self._tidied_s = at_s
                self._journal.prune(self._clock.now_ms())
                self._history.tidy()
        except StoreError as error:
            self._failed(error, at_s)
        if at_s - self._told_s >= HEALTH_S:
            self._told_s = at_s
            self._tell()
        return more

    def finish(self) -> None:
        """Forwards what one more step can; the rest waits in the journal for the next start."""
        try:
            self._forwarded += self._forwarder.step()
        except StoreError as error:
            _log.warning("history: readings stay in the journal", reason=str(error))
        self._tell()

    def _due(self, at_s: float) -> bool:
        return at_s - self._flushed_s >= FLUSH_S or self._forwarder.waiting() >= PORTION

    def _flush(self, at_s: float) -> bool:
        count = self._forwarder.step()
        self._forwarded += count
        if self._failing_since_ms is not None:
            _log.info("history takes readings again", waiting=self._forwarder.waiting())
        self._failing_since_ms, self._error = None, ""
        if count >= PORTION:
            return True
        self._flushed_s = at_s
        return False

    def _failed(self, error: StoreError, at_s: float) -> None:
        if self._failing_since_ms is None:
            self._failing_since_ms = self._clock.now_ms()
            _log.warning("history can't take readings: the journal keeps them", reason=str(error))
        self._error = str(error)
        self._retry_s = at_s + (error.retry_after_s or RETRY_S)

    def _tell(self) -> None:
        detail: dict[str, object] = {"forwarded": self._forwarded, "failing_since_ms": self._failing_since_ms, "error": self._error}
        try:
            backlog = self._journal.backlog(CURSOR)
            detail |= {
                "waiting": backlog.readings,
                "waiting_since_ms": backlog.oldest_received_at,
                "autonomy_h": self._journal.autonomy_h(),
                "journal_bytes": self._journal.used_bytes(),
                "lost": self._journal.lost(),
                "damaged_batches": self._journal.damaged,
            }
        except StoreError as error:
            detail["error"] = str(error)
        write_health(self._site.data, "forward", self._clock.now_ms(), detail)


def run_forward(site: Site, clock: Clock, stop: Event) -> None:
    """Forwards until ``stop`` is set: a plain loop, for a thread of the collecting process or a process of its own.

    Raises StoreError when the stores can't even be opened.
    """
    points = PointRegistry(site.data / "points.db")
    journal = open_journal(site)
    history = open_history(site, points)
    forwarding = Forwarding(site, clock, journal, history)
    more = False
    try:
        while not stop.wait(0.0 if more else PAUSE_S):
            try:
                more = forwarding.turn(time.monotonic())
            except Exception:
                _log.exception("forwarding failed; going on")
                more = False
        forwarding.finish()
    finally:
        history.close()
        journal.close()
        points.close()

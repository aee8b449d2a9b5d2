"""From the journal into the history: one portion at a time, at least once (writing twice changes nothing)."""

import fcntl
import time
from threading import Event

import structlog

from domain.clock import Clock
from domain.errors import StoreError
from domain.site import Site
from store.health import write_health
from store.history import open_history
from store.history.protocol import History
from store.history.settling import Settling
from store.journal import Journal, open_journal
from store.points import PointRegistry
from store.readings import CURSOR

PORTION = 200_000
FLUSH_S = 10.0  # at most so often a portion that is not full is written: pages see the journal's end anyway
TIDY_S = 30.0
HEALTH_S = 5.0
RETRY_S = 5.0
PAUSE_S = 0.5
STANDBY_S = 1.0

_log = structlog.get_logger()


class Forwarder:
    """Moves readings from the journal into the history; its place is the journal's cursor ``history``.

    The place is remembered for each history by its identity: one that is new to this journal (another back end, another address,
    or a server that lost its disk) gets everything that the journal still has. What a back end may still lose by dying
    (``settle_s``) counts as forwarded only later, and is sent again when it did die.
    """

    def __init__(self, journal: Journal, history: History) -> None:
        self._journal = journal
        self._history = history
        self._identity: str | None = None
        self._sent = 0
        self._settling = Settling[int](history.settle_s)

    def step(self, at_s: float | None = None) -> int:
        """Moves one portion; returns how many readings that were, 0 when there is nothing to move.

        ``at_s`` are wall seconds of a steady clock. Raises StoreError when the history can't take it (or the journal not be read):
        the cursor then stays where it is.
        """
        try:
            return self._step(time.monotonic() if at_s is None else at_s)
        except StoreError:
            self._identity = None  # whatever is there when it answers again may be another history
            raise

    def waiting(self) -> int:
        """How many readings have not been sent yet."""
        return self._journal.backlog_after(self._journal.cursor(CURSOR) if self._identity is None else self._sent).readings

    def _step(self, at_s: float) -> int:
        if self._identity is None:
            self._begin()
        boot = self._history.boot()
        self._settle(at_s, boot)
        sequence, readings = self._journal.read(self._sent, PORTION)
        if sequence == self._sent:
            return 0
        self._history.write(readings)
        self._sent = sequence
        self._settling.add(at_s, boot, sequence)
        self._settle(at_s, boot)
        return len(readings)

    def _begin(self) -> None:
        """Finds the place of this very history."""
        identity = self._history.identity()
        places = self._journal.places(CURSOR)
        place = places.get(identity, 0 if places else self._journal.cursor(CURSOR))
        if identity not in places or place != self._journal.cursor(CURSOR):
            if places:
                _log.warning(
                    "history is another than before: it gets what the journal still has",
                    readings=self._journal.backlog_after(place).readings,
                )
            self._journal.advance(CURSOR, place, identity)
        self._identity, self._sent = identity, place
        self._settling.clear()

    def _settle(self, at_s: float, boot: str) -> None:
        """Moves the cursor past what can't be lost any more; goes back to it when something may have been."""
        settled = self._settling.settled(at_s, boot)
        if settled is not None:
            self._journal.advance(CURSOR, settled, self._identity)
        if self._settling.broken(boot):
            _log.warning("history was started anew: what it may have lost is sent again")
            self._sent = self._journal.cursor(CURSOR)


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
        self._refused = False
        self._warned = False

    def turn(self, at_s: float) -> bool:
        """Does what is due now; returns whether more is waiting already. Never raises StoreError: it retries."""
        more = False
        try:
            if at_s >= self._retry_s and self._due(at_s):
                more = self._flush(at_s)
        except StoreError as error:
            self._failed(error, at_s)
        finally:  # whatever befalls the forwarding, the journal must not outgrow its bounds
            self._tidy(at_s)
        if at_s - self._told_s >= HEALTH_S:
            self._told_s = at_s
            self._tell()
        return more

    def broke(self, error: Exception, at_s: float) -> None:
        """Takes note of an error of our own, to be called where it is caught: told like a refusal, and tried again like one."""
        told = f"an error of our own: {error!r}"
        if self._error != told:
            _log.exception("forwarding failed; it is tried again")
        self._failed(StoreError(told), at_s)

    def finish(self) -> None:
        """Forwards what one more step can; the rest waits in the journal for the next start."""
        try:
            self._forwarded += self._forwarder.step()
        except StoreError as error:
            _log.warning("history: readings stay in the journal", reason=str(error))
        self._tell()

    def _tidy(self, at_s: float) -> None:
        if at_s - self._tidied_s < TIDY_S:
            return
        self._tidied_s = at_s
        try:
            if CURSOR not in self._journal.cursors():
                self._journal.advance(CURSOR, 0)  # a history that has never answered has read nothing, whatever others have
            self._journal.prune(self._clock.now_ms())
            self._history.tidy(self._clock.now_ms())
        except StoreError as error:
            self._failed(error, at_s)

    def _due(self, at_s: float) -> bool:
        return at_s - self._flushed_s >= FLUSH_S or self._forwarder.waiting() >= PORTION

    def _flush(self, at_s: float) -> bool:
        count = self._forwarder.step(at_s)
        self._forwarded += count
        if self._failing_since_ms is not None:
            _log.info("history takes readings again", waiting=self._forwarder.waiting())
        self._failing_since_ms, self._error, self._refused = None, "", False
        if count >= PORTION:
            return True
        self._flushed_s = at_s
        return False

    def _failed(self, error: StoreError, at_s: float) -> None:
        if self._failing_since_ms is None:
            self._failing_since_ms = self._clock.now_ms()
            _log.warning("history can't take readings: the journal keeps them", reason=str(error))
        if error.refused and not self._refused:
            _log.error("history refuses: somebody must look at its settings", reason=str(error))
        self._error, self._refused = str(error), error.refused
        self._retry_s = at_s + (error.retry_after_s or RETRY_S)

    def _tell(self) -> None:
        detail: dict[str, object] = {
            "forwarded": self._forwarded,
            "history": self._site.stores.history,
            "failing_since_ms": self._failing_since_ms,
            "error": self._error,
            "refused": self._refused,
            **self._history.counts(),
        }
        try:
            backlog, autonomy_h = self._journal.backlog(CURSOR), self._journal.autonomy_h()
            detail |= {
                "waiting": backlog.readings,
                "waiting_since_ms": backlog.oldest_received_at,
                "autonomy_h": autonomy_h,
                "full_in_h": self._warn(autonomy_h),
                "journal_bytes": self._journal.used_bytes(),
                "lost": self._journal.lost(),
                "damaged_batches": self._journal.damaged,
            }
        except StoreError as error:
            detail["error"] = str(error)
        write_health(self._site.data, "forward", self._clock.now_ms(), detail)

    def _warn(self, autonomy_h: float) -> float | None:
        """In how many hours the journal is full, told once when they have become few; None while they are not."""
        few = autonomy_h < self._site.stores.journal_warn_h
        if few and not self._warned:
            _log.warning("journal will be full soon", hours=round(autonomy_h, 1), then_keeps=self._site.stores.journal_keep)
        elif self._warned and not few:
            _log.info("journal has room again", hours=round(autonomy_h, 1))
        self._warned = few
        return autonomy_h if few else None


def run_forward(site: Site, clock: Clock, stop: Event, points: PointRegistry) -> None:
    """Forwards until ``stop`` is set: a plain loop, for a thread of the collecting process or a process of its own.

    ``points`` is the site's registry, which stays open. Of several nodes on one journal one forwards; the others stand by. Raises
    StoreError when the stores can't even be opened.
    """
    with (site.data / "forward.lock").open("w") as lock:
        while not _taken(lock.fileno()):
            if stop.wait(STANDBY_S):
                return
        _forward(site, clock, stop, points)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _forward(site: Site, clock: Clock, stop: Event, points: PointRegistry) -> None:
    journal = open_journal(site)
    history = open_history(site, points)
    forwarding = Forwarding(site, clock, journal, history)
    more = False
    try:
        while not stop.wait(0.0 if more else PAUSE_S):
            try:
                more = forwarding.turn(time.monotonic())
            except Exception as error:
                forwarding.broke(error, time.monotonic())
                more = False
        forwarding.finish()
    finally:
        history.close()
        journal.close()

"""VictoriaMetrics as the history: written as line protocol (see ``lines``), read by its export and, for sums, by MetricsQL.

Each field is a metric of its own: ``indoor_temp_c_value``, ``…_rejected``, ``…_quality``, ``…_received``, with the labels ``db``,
``kind`` and ``subject``. What it does otherwise than InfluxDB, and what is done about it:

    keeps about twelve digits of a float, fewer beside huge ones   other doubles also go as bits (``…_bits_high``, ``…_bits_low``)
    keeps every sample of an instant, in any order                 one that replaces another carries the label ``revision``
    acknowledges what is not on its disk for some seconds          ``settle_s`` and ``boot``: the forwarder sends it again
    shows fresh samples a second late                              asked to flush after each write, and to show what it took
    drops silently what is beyond its limits of series             set apart, as it is not shown (of many readings a share is looked for)
    drops silently what is older than -retentionPeriod             counted as expired, where it tells its period
    drops silently what is more than two days in the future        set apart
    hides the last 30 s from queries (-search.latencyOffset)       the last stretches are computed from an export
"""

import re
import time
import uuid
from typing import Final

import numpy as np
import structlog

from domain.errors import StoreError
from domain.reading import Readings
from store.history.delivery import Delivery, Quarantine
from store.history.endpoint import Endpoint, MissingError, NotTakenError
from store.history.metricsql import EARLIEST_MS, Metrics
from store.history.outbox import Outbox
from store.history.parts import DAY_MS, FIRST_MS, days_of
from store.history.protocol import Points, sorted_points
from store.history.series import SeriesNames
from store.rollup import Rollup, roll_up

_STAMP: Final = "keepwarm_history"
_RESTAMP_S: Final = 43_200.0
_FUTURE_MS: Final = 2 * DAY_MS - 600_000  # it takes two days; our clocks may differ
_HIDDEN_MS: Final = 60_000
_SHOWN_S: Final = 10.0  # what it takes it shows within a second or two
_PAUSE_S: Final = (0.01, 0.25)
_ALL_PROBED: Final = 2_000
_PROBE_EVERY: Final = 50  # of more: it takes lines by the 64 KB, each piece (some 300 lines) shown as a whole
_FLAG: Final = re.compile(r'^flag\{name="retentionPeriod", value="(\d+(?:\.\d+)?)([hdwy]?)"', re.MULTILINE)
_STARTED: Final = re.compile(r"^process_start_time_seconds (\S+)", re.MULTILINE)
_UNIT_MS: Final = {"h": DAY_MS // 24, "d": DAY_MS, "w": 7 * DAY_MS, "y": 365 * DAY_MS, "": 31 * DAY_MS}

_log = structlog.get_logger()


class VictoriaHistory:
    """Readings in a VictoriaMetrics, those with the label ``db`` of this name. ``ask`` answers queries (in a cluster another address).

    ``days`` is the retention wanted: the server's own is a flag of its command line, and only compared with it.
    """

    settle_s: float = 30.0

    def __init__(self, write_to: Endpoint, ask: Endpoint, db: str, names: SeriesNames, quarantine: Quarantine, days: float = 0.0) -> None:
        self._write_to = write_to
        self._metrics = Metrics(ask, db, names)
        self._db = db
        self._quarantine = quarantine
        self._days = days
        self._delivery = Delivery(self._post, quarantine, _wall_ms)
        self._outbox = Outbox(
            names, self._delivery, quarantine, self._metrics.stored, self._metrics.newest_instants, revisions=True, exact=False
        )
        self._retention_ms: int | None = None
        self._expired = 0
        self._stamped_s = float("-inf")

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, readings: Readings) -> None:
        """Keeps the readings. They can be read when this returns, and are on the server's disk ``settle_s`` later."""
        if not len(readings):
            return
        if self._retention_ms is None:
            self.boot()
        kept = readings.measured_at >= _wall_ms() - (self._retention_ms or _wall_ms())
        self._expired += len(readings) - int(np.count_nonzero(kept))
        sent = self._outbox.put(readings.take(kept), EARLIEST_MS, _wall_ms() + _FUTURE_MS)
        self._flush()
        self._await_shown(sent)

    def identity(self) -> str:
        """Which history this is: a label kept in the database itself, made up by whoever asks first."""
        try:
            found = self._metrics.label("identity", f"{_STAMP}_since")
        except MissingError as error:
            raise StoreError(f"{error}: no VictoriaMetrics, or no database of it there", refused=True) from error
        identity = min(found, default=uuid.uuid4().hex)
        if not found or time.monotonic() - self._stamped_s > _RESTAMP_S:
            self._post(f"{_STAMP},identity={identity} since={_wall_ms()} {_wall_ms()}\n".encode())
            self._flush()
            self._stamped_s = time.monotonic()
        return identity

    def boot(self) -> str:
        """When the server was started, as it says itself; empty where it does not say (a cluster)."""
        try:
            text = self._write_to.call("GET", "/metrics").body.decode("utf-8", "replace")
        except (StoreError, NotTakenError) as error:
            if isinstance(error, StoreError) and not error.refused and "404" not in str(error):
                raise
            text = ""
        self._note_retention(_FLAG.search(text))
        started = _STARTED.search(text)
        return started[1] if started else ""

    def tidy(self, now_ms: int | None = None) -> None:
        """Keeps the identity young; all else is the server's own work."""
        if time.monotonic() - self._stamped_s > _RESTAMP_S:
            self.identity()

    def counts(self) -> dict[str, int]:
        """What did not become history, and why."""
        return {"quarantined": self._quarantine.count, "expired": self._expired}

    def close(self) -> None:
        """Gives the connections back."""
        self._write_to.close()
        self._metrics.close()

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, points: Points, from_ms: int, to_ms: int) -> Readings:
        """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), bad ones included."""
        return self._metrics.stored(sorted_points(points), from_ms, to_ms)[0]

    def latest(self, points: Points, before_ms: int, *, usable: bool = False) -> Readings:
        """The newest (usable) reading of each point measured before this instant."""
        return self._metrics.latest(sorted_points(points), min(before_ms, _wall_ms() + 2 * DAY_MS), usable=usable)

    def rollup(self, points: Points, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
        """What the usable readings of [from_ms, to_ms) did in each stretch of step_ms, computed by the server where it can."""
        wanted = sorted_points(points)
        from_ms = max(from_ms, from_ms + (FIRST_MS - from_ms) // step_ms * step_ms)
        whole = max(0, (min(to_ms, _wall_ms() - _HIDDEN_MS) - from_ms) // step_ms)
        cut_ms = from_ms + whole * step_ms
        parts = [self._metrics.rollup(wanted, from_ms, cut_ms, step_ms)]
        if cut_ms < to_ms:
            parts.append(roll_up(self.read(wanted, cut_ms, to_ms), cut_ms, to_ms, step_ms))
        found = Rollup.concat(parts)
        return found.take(np.lexsort((found.at, found.point)))

    def span(self) -> tuple[int, int] | None:
        """The instants of the first and the last reading, to the day; None while there is none."""
        return self._metrics.span(FIRST_MS, _wall_ms() + 2 * DAY_MS)

    def days(self) -> range:
        """All UTC days from the first reading to the last."""
        return days_of(self.span())

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _post(self, lines: bytes) -> None:
        self._write_to.write("/write", {"db": self._db, "precision": "ms"}, lines)

    def _flush(self) -> None:
        """Makes what was written readable at once; a second later it is anyway, and a cluster has no such request."""
        try:
            self._write_to.call("POST", "/internal/force_flush")
        except (StoreError, NotTakenError) as error:
            _log.debug("history: not flushed", reason=str(error))

    def _await_shown(self, sent: Readings) -> None:
        """Returns when the server shows what it took; what it does not show for long is set apart.

        Of more than ``_ALL_PROBED`` readings every ``_PROBE_EVERY``th is looked for: a few that are dropped among them may be overlooked.
        The flush does not wait for one that is under way already: what that one carries is shown when it ends, and not before.
        """
        if self._retention_ms:  # what is about to expire need not be shown
            sent = sent.take(sent.measured_at >= _wall_ms() - self._retention_ms + _HIDDEN_MS)
        probes = sent if len(sent) <= _ALL_PROBED else sent.take(slice(None, None, _PROBE_EVERY))
        until_s, pause_s = time.monotonic() + _SHOWN_S, _PAUSE_S[0]
        while len(probes := self._outbox.missing(probes)):
            if time.monotonic() >= until_s:
                self._outbox.set_apart(self._outbox.missing(sent), f"taken, and not shown within {_SHOWN_S:g} s: a limit of its own?")
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S[1])

    def _note_retention(self, flag: re.Match[str] | None) -> None:
        if flag is None:
            self._retention_ms = 0
            return
        period_ms = round(float(flag[1]) * _UNIT_MS[flag[2]])
        if period_ms != self._retention_ms and period_ms < self._days * DAY_MS:
            _log.warning("history: VictoriaMetrics keeps less than asked for", days=self._days, retention_period=flag[1] + flag[2])
        self._retention_ms = period_ms


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000

"""InfluxDB 1.x, 2.x and 3 Core as the history. Written as line protocol (see ``lines``), read by InfluxQL as CSV.

    measurement   the quantity                secondary_supply_temp_c
    tags          kind, subject               kind=station,subject=S01
    fields        value, rejected             float: usable readings, and what bad ones said
                  quality, received           integer: see ``lines``; ms of receipt
    time          measured_at                 precision ms

Beside the readings there is one line of ``keepwarm_history``, whose tag ``identity`` says which history this is.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.reading import Readings
from store.duplicates import resolve
from store.history.delivery import Delivery, Quarantine
from store.history.endpoint import Endpoint, MissingError, NotTakenError
from store.history.influxdb_database import Database
from store.history.influxql import FIELDS, LAST, LAST_USABLE, ROLLUP, instants_of, readings_of, rollup_of, select, table_of
from store.history.outbox import Outbox
from store.history.parts import FIRST_MS, LAST_MS, days_of
from store.history.protocol import Points, sorted_points
from store.history.series import SeriesNames
from store.rollup import Rollup

_STAMP: Final = "keepwarm_history"
_RESTAMP_S: Final = 43_200.0  # the stamp must not grow older than the retention
_WHOLE_ABOVE: Final = 2_000  # subjects; so many are not named one by one where each gives one row


class InfluxHistory:
    """Readings in one database of an InfluxDB server.

    Lines that it refuses for what they are go to the quarantine's file. A write is on the server's disk when it is answered (its
    default, ``wal-fsync-delay = 0s``).
    """

    settle_s: float = 0.0

    def __init__(self, endpoint: Endpoint, database: Database, names: SeriesNames, quarantine: Quarantine) -> None:
        self._endpoint = endpoint
        self._database = database
        self._names = names
        self._quarantine = quarantine
        self._delivery = Delivery(self._post, quarantine, _wall_ms)
        self._outbox = Outbox(names, self._delivery, quarantine, self._stored, self._newest, revisions=False, exact=True)
        self._stamped_s = float("-inf")

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, readings: Readings) -> None:
        """Keeps the readings. Raises StoreError while the server does not take them."""
        if len(readings):
            self._database.prepare()
            self._outbox.put(readings)

    def identity(self) -> str:
        """Which history this is: a word kept in the database itself, made up by whoever asks first."""
        self._database.prepare()
        found = [row["value"] for row in self._database.show(f'SHOW TAG VALUES FROM "{_STAMP}" WITH KEY = "identity"')]
        identity = min(found, default=uuid.uuid4().hex)
        if not found or time.monotonic() - self._stamped_s > _RESTAMP_S:
            self._post(f"{_STAMP},identity={identity} since={_wall_ms()}i {_wall_ms()}\n".encode())
            self._stamped_s = time.monotonic()
        return str(identity)

    def boot(self) -> str:
        """Which run of the server this is: none differs from another, it forgets nothing that it has acknowledged."""
        return ""

    def tidy(self, now_ms: int | None = None) -> None:
        """Keeps the identity young; all else is the server's own work."""
        if time.monotonic() - self._stamped_s > _RESTAMP_S:
            self.identity()

    def counts(self) -> dict[str, int]:
        """What did not become history, and why."""
        return {"quarantined": self._quarantine.count, "expired": self._delivery.expired}

    def close(self) -> None:
        """Gives the connections back."""
        self._endpoint.close()

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, points: Points, from_ms: int, to_ms: int) -> Readings:
        """The readings of these points measured in [from_ms, to_ms), sorted by (point, measured_at), bad ones included."""
        return self._readings(FIELDS, sorted_points(points), from_ms, to_ms)

    def latest(self, points: Points, before_ms: int, *, usable: bool = False) -> Readings:
        """The newest (usable) reading of each point measured before this instant."""
        return self._readings(LAST_USABLE if usable else LAST, sorted_points(points), FIRST_MS, before_ms, whole_above=_WHOLE_ABOVE)

    def rollup(self, points: Points, from_ms: int, to_ms: int, step_ms: int) -> Rollup:
        """What the usable readings of [from_ms, to_ms) did in each stretch of step_ms, computed by the server."""
        wanted = sorted_points(points)
        stretches = f"time({step_ms}ms, {from_ms % step_ms}ms), "
        tables = self._answers(ROLLUP, wanted, from_ms, to_ms, stretches=stretches)
        ids = self._names.ids(wanted)
        found = Rollup.concat([rollup_of(table, ids) for table in tables])
        return found.take(np.lexsort((found.at, found.point)))

    def span(self) -> tuple[int, int] | None:
        """The instants of the first and the last reading; None while there is none."""
        first, last = self._ask('SELECT first("quality") FROM /.*/'), self._ask('SELECT last("quality") FROM /.*/')
        if first is None or last is None:
            return None
        return int(instants_of(first).min()), int(instants_of(last).max())

    def days(self) -> range:
        """All UTC days from the first reading to the last."""
        return days_of(self.span())

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _readings(self, what: str, points: NDArray[np.int32], from_ms: int, to_ms: int, *, whole_above: int | None = None) -> Readings:
        ids = self._names.ids(points)
        tables = self._answers(what, points, from_ms, to_ms, whole_above=whole_above)
        return resolve(Readings.concat([readings_of(table, ids) for table in tables]))

    def _answers(
        self, what: str, points: NDArray[np.int32], from_ms: int, to_ms: int, *, stretches: str = "", whole_above: int | None = None
    ) -> Iterator[pa.Table]:
        from_ms, to_ms = max(from_ms, FIRST_MS), min(to_ms, LAST_MS)
        if from_ms >= to_ms:
            return
        for group in self._names.groups(points, whole_above=whole_above):
            table = self._ask(select(what, group, from_ms, to_ms, stretches))
            if table is not None:
                yield table

    def _ask(self, question: str) -> pa.Table | None:
        """The answer to a question; None where it is empty, also for want of a database."""
        query = {**self._database.ask, "epoch": "ms", "q": question}
        try:
            return table_of(self._endpoint.ask("/query", query, {"Accept": "application/csv"}))
        except MissingError:
            return None
        except NotTakenError as error:
            raise StoreError(f"history: {error.words}") from error

    def _post(self, lines: bytes) -> None:
        try:
            self._endpoint.write(*self._database.write_to, lines)
        except MissingError:  # dropped behind our back
            self._database.prepare(again=True)
            self._endpoint.write(*self._database.write_to, lines)

    def _stored(self, points: NDArray[np.int32], from_ms: int, to_ms: int) -> tuple[Readings, NDArray[np.int64]]:
        found = self.read(points, from_ms, to_ms)
        return found, np.zeros(len(found), np.int64)

    def _newest(self, points: NDArray[np.int32]) -> Readings:
        return self.latest(points, LAST_MS)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000

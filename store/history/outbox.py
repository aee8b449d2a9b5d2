"""What goes to a server of time series: sorted out, put in line protocol, delivered.

readings ─▶ one of each instant ─▶ impossible times set apart ─▶ newer than all there ────────────────▶ lines ─▶ delivery
                                                            └─▶ late or again: compared with what stands ──┘
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from domain.reading import Readings
from store.duplicates import resolve
from store.history.delivery import Delivery, Quarantine
from store.history.frontier import Frontier, replacing
from store.history.lines import lines_of
from store.history.parts import DAY_MS, FIRST_MS, LAST_MS
from store.history.series import SeriesNames, line_head

_AT_ONCE = 100_000  # readings made into lines at once: 10 MB
_REVISION_BITS = 31

# The readings of these points measured in [from_ms, to_ms) that the server has, and the revision of each (0: never replaced).
Stored = Callable[[NDArray[np.int32], int, int], tuple[Readings, NDArray[np.int64]]]
Newest = Callable[[NDArray[np.int32]], Readings]


class Outbox:
    """Writes readings to one server; ``stored`` and ``newest`` ask it what it has.

    ``revisions``: the server keeps all readings of an instant, so one that replaces another goes to a series of its own,
    ``revision=1``, and so on; otherwise it overwrites. ``exact``: the server keeps every double as it is.
    """

    def __init__(
        self,
        names: SeriesNames,
        delivery: Delivery,
        quarantine: Quarantine,
        stored: Stored,
        newest: Newest,
        *,
        revisions: bool,
        exact: bool,
    ) -> None:
        self._names = names
        self._delivery = delivery
        self._quarantine = quarantine
        self._stored = stored
        self._newest = newest
        self._revisions = revisions
        self._exact = exact
        self._frontier = Frontier()

    def put(self, readings: Readings, earliest_ms: int = FIRST_MS, latest_ms: int = LAST_MS) -> Readings:
        """Returns when the server has (or rightly refuses) all of them; those not measured in [earliest_ms, latest_ms) are set apart.

        What it returns are those that were sent, in their order. Raises StoreError; then they may be put again without harm.
        """
        sane = (readings.measured_at >= earliest_ms) & (readings.measured_at < latest_ms)
        if not sane.all():
            self.set_apart(readings.take(~sane), "measured at an impossible time")
        one = resolve(readings.take(sane))
        if not len(one):
            return one
        points = np.unique(one.point)
        unknown = self._frontier.unknown(points)
        if len(unknown):
            self._frontier.learn(unknown, self._newest(unknown))
        beyond = self._frontier.beyond(one)
        late, revision = self._worth_writing(one.take(~beyond))
        self._frontier.reach(one)  # before they are sent: an attempt that fails may have left some there
        self._send(late, revision)
        newer = one.take(beyond)
        self._send(newer, np.zeros(len(newer), np.int64))
        return Readings.concat([late, newer])

    def missing(self, sent: Readings) -> Readings:
        """Those of the readings that the server does not show, nor better ones in their place. Raises StoreError."""
        return self._worth_writing(sent)[0]

    def set_apart(self, readings: Readings, reason: str) -> None:
        """Puts the readings into quarantine."""
        points, head_of = np.unique(readings.point, return_inverse=True)
        lines = lines_of(readings, [self._head(point, 0) for point in points.tolist()], head_of)
        self._quarantine.put(lines, reason)

    def _worth_writing(self, late: Readings) -> tuple[Readings, NDArray[np.int64]]:
        """Those of the readings that the server does not have, or has worse; and their revisions."""
        parts, revisions = [Readings.empty()], [np.empty(0, np.int64)]
        days = late.measured_at // DAY_MS
        for day in np.unique(days).tolist():
            part = late.take(days == day)
            span = int(part.measured_at.min()), int(part.measured_at.max()) + 1
            stored, revision = self._stored(np.unique(part.point), *span)
            wins, rows = replacing(stored, part)
            following = np.zeros(len(part), np.int64)
            following[rows >= 0] = revision[rows[rows >= 0]] + 1
            parts.append(part.take(wins))
            revisions.append(following[wins])
        return Readings.concat(parts), np.concatenate(revisions)

    def _send(self, readings: Readings, revision: NDArray[np.int64]) -> None:
        for at in range(0, len(readings), _AT_ONCE):
            piece = readings.take(slice(at, at + _AT_ONCE))
            number = revision[at : at + _AT_ONCE] if self._revisions else np.zeros(len(piece), np.int64)
            # A series is a point and a revision, which hardly any has.
            series, head_of = np.unique(piece.point.astype(np.int64) << _REVISION_BITS | number, return_inverse=True)
            heads = [self._head(code >> _REVISION_BITS, code & (1 << _REVISION_BITS) - 1) for code in series.tolist()]
            self._delivery.send(lines_of(piece, heads, head_of, exact=self._exact))

    def _head(self, point: int, revision: int) -> str:
        return line_head(self._names.of(point), f",revision={revision}" if revision else "")

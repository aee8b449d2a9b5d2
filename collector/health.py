"""What is known about each source: counters, and the state whose changes are logged.

It is told three ways: every second in the health file, as points beside all others (``source/ID/…``),
and changes in the log (``change_log``).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from domain.reading import Readings

# Once a minute of each source, beside what its protocol notes at every exchange (exchange_ok, latency_ms, connected).
POINTS = ("failures", "overruns", "received_bytes", "silence_s")
POINTS_EVERY_S = 60.0


class Flip(Enum):
    """What can change, in the words of the log: of one, of many, and whether it is bad news."""

    SILENT = "source is silent", "sources are silent", True
    THERE = "source is there", "sources are there", False
    SENSOR_GONE = "sensor has gone", "sensors have gone", False
    SENSOR_THERE = "sensor is there", "sensors are there", False
    UNKNOWN_SENSOR = "unknown sensor", "unknown sensors", True

    def __init__(self, one: str, many: str, bad: bool) -> None:
        self.one, self.many, self.bad = one, many, bad


@dataclass(frozen=True)
class Change:
    """One change: of whom, where that is (many are counted by it), and all that the log says about it."""

    flip: Flip
    subject: str
    where: str
    about: dict[str, str]


@dataclass
class SourceHealth:
    """The record of one device or broker. ``last_good_ms`` is in the clock's time, ``latency_ms`` in milliseconds of the wall."""

    name: str
    protocol: str
    address: str
    state: str = "new"
    reason: str = ""
    last_good_ms: int | None = None
    latency_ms: float | None = None
    polls: int = 0
    failures: int = 0
    overruns: int = 0
    bytes: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)

    def changed(self, flip: Flip, subject: str, **about: str) -> None:
        """Takes note of a change, for the log."""
        self.changes.append(Change(flip, subject, self.address, about))

    def take_changes(self) -> list[Change]:
        """What has changed since the last call."""
        taken, self.changes = self.changes, []
        return taken

    def good(self, at_ms: int, latency_ms: float | None = None) -> None:
        """A sound exchange; a change when the source was failing before."""
        self.last_good_ms = at_ms
        if latency_ms is not None:
            self.latency_ms = latency_ms
        if self.state != "good":
            if self.state == "failing":  # thousands of sources that are there from the start are no news
                self.changed(Flip.THERE, self.name, source=self.name, protocol=self.protocol, address=self.address)
            self.state, self.reason = "good", ""

    def failed(self, reason: str) -> None:
        """An exchange that failed; a change when the source was not failing before."""
        self.failures += 1
        if self.state != "failing":
            about = {"source": self.name, "protocol": self.protocol, "address": self.address, "reason": reason}
            self.changed(Flip.SILENT, self.name, **about)
        self.state, self.reason = "failing", reason

    def as_dict(self) -> dict[str, object]:
        """The record as it stands in the health file."""
        return {
            "name": self.name,
            "protocol": self.protocol,
            "address": self.address,
            "state": self.state,
            "reason": self.reason,
            "last_good_ms": self.last_good_ms,
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms, 2),
            "polls": self.polls,
            "failures": self.failures,
            "overruns": self.overruns,
            "bytes": self.bytes,
            "exceptions": dict(self.exceptions),
            "counts": dict(self.counts),
        }


def health_names(records: Sequence[SourceHealth]) -> list[str]:
    """The names of the points that tell of these sources."""
    return [f"source/{record.name}/{quantity}" for record in records for quantity in POINTS]


def health_readings(points: NDArray[np.int32], records: Sequence[SourceHealth], now_ms: int) -> Readings:
    """How the sources stand, for the points named by ``health_names``. What was never there has no silence yet."""
    rows = [
        (record.failures, record.overruns, record.bytes, np.nan if record.last_good_ms is None else (now_ms - record.last_good_ms) / 1000)
        for record in records
    ]
    values = np.array(rows, np.float64).ravel()
    known = np.isfinite(values)
    return Readings.of(points[known], np.full(known.sum(), now_ms), values[known])

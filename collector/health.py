"""What is known about each source: counters, and the state whose changes are logged."""

from collections import Counter
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger("collect")


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

    def good(self, at_ms: int, latency_ms: float | None = None) -> None:
        """A sound exchange; one line in the log when the source was failing before."""
        self.last_good_ms = at_ms
        if latency_ms is not None:
            self.latency_ms = latency_ms
        if self.state != "good":
            if self.state == "failing":  # thousands of sources that are there from the start are no news
                log.info("source is there", source=self.name, protocol=self.protocol)
            self.state, self.reason = "good", ""

    def failed(self, reason: str) -> None:
        """An exchange that failed; one line in the log when the source was not failing before."""
        self.failures += 1
        if self.state != "failing":
            log.warning("source is silent", source=self.name, protocol=self.protocol, address=self.address, reason=reason)
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

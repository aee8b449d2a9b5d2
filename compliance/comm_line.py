"""The line to one device (R4): up, degraded or lost. It says nothing about heat."""

from dataclasses import dataclass

from compliance.kernel import F64, I64

COMM_POLLS = 3
COMM_AT_LEAST_MS = 60_000


@dataclass
class CommState:
    """The line to one device: when an exchange last succeeded, and how the last polls went.

    Only polls made count: a collector that is late or stopped says nothing about the line.
    """

    last_ok_at: int = -1
    first_poll_at: int = -1
    failed: int = 0  # polls on end without an exchange
    third_failed_at: int = -1

    def take(self, at: I64, ok: F64) -> None:
        """Takes polls in order of arrival."""
        for instant, succeeded in zip(at.tolist(), (ok > 0).tolist(), strict=True):
            if self.first_poll_at < 0:
                self.first_poll_at = instant
            if succeeded:
                self.last_ok_at, self.failed = instant, 0
            else:
                self.failed += 1
                if self.failed == COMM_POLLS:
                    self.third_failed_at = instant

    def lost_since(self, now_ms: int) -> int | None:
        """Since when the line is lost, None while it is up or was never tried: no successful exchange for 3 polls, at least 60 s (R4)."""
        if self.failed < COMM_POLLS:
            return None
        since_ms = self.last_ok_at if self.last_ok_at >= 0 else self.first_poll_at
        lost_at = max(self.third_failed_at, since_ms + COMM_AT_LEAST_MS)
        return lost_at if lost_at <= now_ms else None

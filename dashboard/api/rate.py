"""How much one key may ask: a bucket that fills steadily and lets short bursts through."""

import threading
import time
from collections.abc import Callable


class Rate:
    """``per_minute`` requests by key on average, ``burst`` of them at once; in wall time, in this process."""

    def __init__(self, per_minute: float, burst: int, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self.per_s = per_minute / 60
        self.burst = burst
        self.now_s = now_s
        self._left: dict[int, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, key: int) -> float:
        """0 where a request may pass (and is counted), else in how many seconds the next one may."""
        with self._lock:
            now_s = self.now_s()
            left, at_s = self._left.get(key, (float(self.burst), now_s))
            left = min(float(self.burst), left + (now_s - at_s) * self.per_s)
            passes = left >= 1
            self._left[key] = (left - 1 if passes else left, now_s)
            return 0.0 if passes else (1 - left) / self.per_s

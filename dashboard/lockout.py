"""Refuses more guesses after too many wrong ones."""

import threading
import time
from collections import deque
from collections.abc import Callable


class Lockout:
    """Counts failures by key (an account, an address) in wall time, in this process.

    After ``most`` failures within ``window_s`` the key is locked until ``window_s`` after the last of them.
    """

    def __init__(self, most: int, window_s: float, *, keys: int = 10_000, now_s: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.window_s = window_s
        self.keys = keys
        self.now_s = now_s
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def locked_s(self, key: str) -> float:
        """For how many seconds more this key is locked; 0 when it may try."""
        with self._lock:
            failures = self._recent(key)
            if len(failures) < self.most:
                return 0.0
            return max(0.0, failures[-1] + self.window_s - self.now_s())

    def failed(self, key: str) -> None:
        """Counts one failure."""
        with self._lock:
            failures = self._recent(key)
            failures.append(self.now_s())
            self._failures[key] = failures
            if len(self._failures) > self.keys:  # a flood of made-up names must not fill the memory
                self._failures.pop(next(iter(self._failures)))

    def succeeded(self, key: str) -> None:
        """Forgets the failures of a key."""
        with self._lock:
            self._failures.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        failures = self._failures.get(key)
        if failures is None or (failures and failures[-1] + self.window_s <= self.now_s()):
            return deque(maxlen=self.most)
        return failures

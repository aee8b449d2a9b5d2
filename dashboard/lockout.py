"""Refuses more guesses after too many wrong ones."""

import threading
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Network, ip_address
from typing import Final

_SUBSCRIBER_BITS: Final = 64


def guesser_at(address: str) -> str:
    """Who guesses from this address, as far as it tells: of IPv6 the network of 64 bits, all of which one subscriber has."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found), _SUBSCRIBER_BITS), strict=False))


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
            if len(self._failures) > self.keys:  # a flood of made-up names must not fill the memory, nor free a name that is locked
                free = (one for one, times in self._failures.items() if len(times) < self.most)
                self._failures.pop(next(free, next(iter(self._failures))))

    def succeeded(self, key: str) -> None:
        """Forgets the failures of a key."""
        with self._lock:
            self._failures.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        failures = self._failures.get(key)
        if failures is None or (failures and failures[-1] + self.window_s <= self.now_s()):
            return deque(maxlen=self.most)
        return failures

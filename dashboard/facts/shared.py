"""Facts computed once and shared by all viewers for a moment, so that the cost does not grow with their number."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")


@dataclass
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    mark: object = None
    until_s: float = -1.0
    forgotten: int = 0


class Shared:
    """Keeps what ``of`` computed for ``life_s`` wall seconds. One thread computes, the others wait for it.

    Keys nobody asked for lately are forgotten, so that their number stays bounded.
    """

    def __init__(self, life_s: float = 1.0, *, most: int = 512, now_s: Callable[[], float] = time.monotonic) -> None:
        self.life_s = life_s
        self.most = most
        self.now_s = now_s
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def of(self, key: Hashable, compute: Callable[[], Value], *, life_s: float | None = None, mark: object = None) -> Value:
        """The value of ``compute`` for this key, not older than ``life_s``. What ``compute`` raises is raised, and not kept.

        ``mark`` tells what it was computed from: of another mark than now it is not kept, however young.
        """
        with self._lock:
            kept = self._kept.pop(key, None) or _Kept()
            self._kept[key] = kept  # the last asked for stand last
            while len(self._kept) > self.most:
                del self._kept[next(iter(self._kept))]
        with kept.lock:
            if self.now_s() >= kept.until_s or kept.mark != mark:
                before, life_s = kept.forgotten, self.life_s if life_s is None else life_s
                kept.value, kept.mark = compute(), mark
                with self._lock:
                    # What was forgotten while it was computed may not have in it what somebody did meanwhile.
                    lasts = kept.forgotten == before or life_s == float("inf")
                    kept.until_s = self.now_s() + life_s if lasts else -1.0
            value: Value = kept.value
            return value

    def forget(self) -> None:
        """Forgets what changes with what people do, so that they see it at once. What is kept for ever stays."""
        with self._lock:
            for kept in self._kept.values():
                kept.forgotten += 1
                if kept.until_s != float("inf"):
                    kept.until_s = -1.0


class Scoped(Shared):
    """The part of another one that belongs to a scope: the same bound, and what is forgotten there is forgotten here."""

    def __init__(self, shared: Shared, scope: Hashable) -> None:
        super().__init__()
        self._whole = shared
        self._scope = scope

    def of(self, key: Hashable, compute: Callable[[], Value], *, life_s: float | None = None, mark: object = None) -> Value:
        """As ``Shared.of``, in this scope."""
        return self._whole.of((self._scope, key), compute, life_s=life_s, mark=mark)

    def forget(self) -> None:
        """As ``Shared.forget``, for all scopes."""
        self._whole.forget()

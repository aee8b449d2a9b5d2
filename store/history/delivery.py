"""Lines to a server that may refuse some of them: what it takes is taken, what it never will is set aside, the rest is kept for later.

204                        done
400, 422 for many lines    halves, until the lines to blame are alone; those go to quarantine, counted
400 for every line         a harmless line is tried first: refused too, it is a setting, not the data, and nothing is set aside
beyond the retention       counted: the server's own rule, which a repetition would not change
413                        halves, and smaller portions from now on
"""

import os
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from domain.errors import StoreError
from store.history.endpoint import NotTakenError
from store.history.lines import Lines

AT_ONCE = 20_000  # lines of one request: about 2 MB, a tenth of what servers take by default
_PROBE = b"keepwarm_probe,kind=probe,subject=keepwarm value=1 "
_DROPPED = re.compile(r"dropp?ed[= ](\d+)")
_OF_MEASUREMENT = re.compile(r'type conflict.* on measurement \\?"(.+?)\\?"')

_log = structlog.get_logger()


class Quarantine:
    """Lines that a server refuses for what they are, kept in one text file, each group under a comment that tells when and why."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0

    def put(self, lines: Lines, reason: str) -> None:
        """Keeps the lines, on the disk when this returns. Raises StoreError when the disk does not take them."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(f"# {moment} {reason}\n".encode() + lines.data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self._path}: {error}") from error
        self.count += len(lines)
        _log.warning("history refuses readings for what they are; set aside", readings=len(lines), reason=reason, file=str(self._path))


class Delivery:
    """Sends lines by ``post`` (raises NotTakenError or StoreError); ``now_ms`` dates the harmless line.

    ``expired`` counts readings older than the server's retention.
    """

    def __init__(self, post: Callable[[bytes], None], quarantine: Quarantine, now_ms: Callable[[], int]) -> None:
        self._post = post
        self._quarantine = quarantine
        self._now_ms = now_ms
        self._at_once = AT_ONCE
        self.expired = 0

    def send(self, lines: Lines) -> None:
        """Returns when every line is taken, too old, or in quarantine.

        Raises StoreError when that is not possible now; then all of them may be sent again without harm.
        """
        todo = deque(self._portions(lines))
        poison: list[tuple[Lines, str]] = []
        sound = False  # whether the server took anything meanwhile: then a refusal is about the lines
        while todo:
            portion = todo.popleft()
            try:
                self._post(portion.data)
                sound = True
            except NotTakenError as refusal:
                if self._too_old(refusal, len(portion)):
                    continue
                if not sound and refusal.status != 413:
                    self._probe(refusal)
                    sound = True
                todo.extendleft(reversed(self._smaller(portion, refusal, poison)))
        for portion, reason in poison:
            self._quarantine.put(portion, reason)

    def _portions(self, lines: Lines) -> list[Lines]:
        return [lines.cut(at, at + self._at_once) for at in range(0, len(lines), self._at_once)]

    def _smaller(self, portion: Lines, refusal: NotTakenError, poison: list[tuple[Lines, str]]) -> list[Lines]:
        """What to try instead of this portion; lines that are to blame for certain are added to ``poison``."""
        reason = f"{refusal.status} {refusal.words}"
        if len(portion) == 1:
            poison.append((portion, reason))
            return []
        if refusal.status == 413:
            self._at_once = max(1, min(self._at_once, len(portion)) // 2)
            return self._portions(portion)
        conflict = _OF_MEASUREMENT.search(refusal.words)
        if conflict:  # somebody else's measurement of that name: no line of it will ever be taken
            those, others = portion.parted(conflict[1].replace(" ", "\\ ").encode() + b",")
            if len(those):
                poison.append((those, reason))
                return [others] if len(others) else []
        middle = len(portion) // 2
        return [portion.cut(0, middle), portion.cut(middle, len(portion))]

    def _too_old(self, refusal: NotTakenError, lines: int) -> bool:
        words = refusal.words.lower()
        if "limit exceeded" in words or "limit reached" in words:
            raise StoreError(f"the history's own limit: {refusal.words}", refused=True) from refusal
        if refusal.status == 413 or "retention" not in words or "conflict" in words or "parse" in words:
            return False
        dropped = _DROPPED.search(words)
        self.expired += int(dropped[1]) if dropped else lines
        return True

    def _probe(self, refusal: NotTakenError) -> None:
        """Raises StoreError when the server does not even take a harmless line."""
        try:
            self._post(_PROBE + b"%d\n" % self._now_ms())
        except NotTakenError as again:
            raise StoreError(f"the history takes nothing at all: {refusal.status} {refusal.words}", refused=True) from again

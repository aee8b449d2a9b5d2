"""How readings are kept: what the forwarder says of journal and history, and the disk under them."""

import shutil
from dataclasses import dataclass
from typing import Any

from dashboard.facts.town import Town
from store.health import read_health

FORWARDER = "forward"


@dataclass(frozen=True)
class Keeping:
    """``autonomy_h``: for how many hours the history may stay down before a reading is lost; None while there is no inflow to judge by.

    ``full_in_h`` is the same, only while it is few. ``failing_since_ms`` is set while the history takes nothing; ``refused`` says that
    somebody must look at its settings. ``waiting`` (since ``waiting_since_ms``), ``lost``, ``quarantined`` and ``expired`` are readings.
    """

    autonomy_h: float | None = None
    full_in_h: float | None = None
    failing_since_ms: int | None = None
    refused: bool = False
    waiting: int = 0
    lost: int = 0
    waiting_since_ms: int | None = None
    journal_bytes: int | None = None
    quarantined: int = 0
    expired: int = 0
    damaged_batches: int = 0
    history: str = ""
    error: str = ""


def keeping(town: Town) -> Keeping | None:
    """The forwarder's last word; None where it never spoke."""
    return town.shared.of("keeping", lambda: _keeping(town))


def _keeping(town: Town) -> Keeping | None:
    detail = next((health.detail for health in read_health(town.site.data) if health.component == FORWARDER), None)
    if detail is None:
        return None
    numbers = {key: int(_number(detail.get(key)) or 0) for key in ("waiting", "lost", "quarantined", "expired", "damaged_batches")}
    return Keeping(
        autonomy_h=_number(detail.get("autonomy_h")),
        full_in_h=_number(detail.get("full_in_h")),
        failing_since_ms=_whole(detail.get("failing_since_ms")),
        refused=detail.get("refused") is True,
        waiting_since_ms=_whole(detail.get("waiting_since_ms")),
        journal_bytes=_whole(detail.get("journal_bytes")),
        history=str(detail.get("history", "")),
        error=str(detail.get("error", "")),
        **numbers,
    )


@dataclass(frozen=True)
class Disk:
    """The disk that the site's data is on, in bytes, as this machine sees it."""

    free: int
    total: int

    @property
    def free_share(self) -> float:
        """What is free of it."""
        return self.free / self.total if self.total else 0.0


def disk(town: Town) -> Disk | None:
    """The disk under journal and history; None where it can't be asked."""
    try:
        found = shutil.disk_usage(town.site.data)
    except OSError:
        return None
    return Disk(found.free, found.total)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)

"""How readings are kept: what the forwarder says of journal and history."""

from dataclasses import dataclass
from typing import Any

from dashboard.facts.town import Town
from store.health import read_health

FORWARDER = "forward"


@dataclass(frozen=True)
class Keeping:
    """``autonomy_h``: for how many hours the history may stay down before a reading is lost; None while there is no inflow to judge by.

    ``full_in_h`` is the same, only while it is few. ``failing_since_ms`` is set while the history takes nothing; ``refused`` says that
    somebody must look at its settings. ``waiting`` and ``lost`` are readings.
    """

    autonomy_h: float | None = None
    full_in_h: float | None = None
    failing_since_ms: int | None = None
    refused: bool = False
    waiting: int = 0
    lost: int = 0


def keeping(town: Town) -> Keeping | None:
    """The forwarder's last word; None where it never spoke."""
    return town.shared.of("keeping", lambda: _keeping(town))


def _keeping(town: Town) -> Keeping | None:
    detail = next((health.detail for health in read_health(town.site.data) if health.component == FORWARDER), None)
    if detail is None:
        return None
    since = _number(detail.get("failing_since_ms"))
    return Keeping(
        autonomy_h=_number(detail.get("autonomy_h")),
        full_in_h=_number(detail.get("full_in_h")),
        failing_since_ms=None if since is None else int(since),
        refused=detail.get("refused") is True,
        waiting=int(_number(detail.get("waiting")) or 0),
        lost=int(_number(detail.get("lost")) or 0),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

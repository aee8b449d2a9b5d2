"""Every source of readings (a station's device, a broker) and how it stands, worst first.

points source/ID/… (of every node, through the stores) ─▶ numbers      health file of a collector on this machine ─▶ reasons
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dashboard.facts.town import Town
from domain.site import Site
from store.health import read_health

QUANTITIES: Final = ("exchange_ok", "connected", "latency_ms", "failures", "overruns", "received_bytes", "silence_s")
LOST_POLLS: Final = 3  # R4: three polls, at least a minute
LOST_LEAST_MS: Final = 60_000
LIFE_S: Final = 2.0

# Worst first.
SOURCE_STATES: Final = ("silent", "failing", "never", "good")


@dataclass(frozen=True)
class SourceRow:
    """One source. ``station_id`` is empty for a broker. ``last_good_at`` is when an exchange last succeeded, None when none ever did.

    ``state``: ``good``; ``failing``: the last exchange failed; ``silent``: none succeeded for three polls, at least a minute (R4);
    ``never``: none ever did. Numbers count since the collector's start, None where it never told. ``reason`` and ``counts`` are known of
    collectors on this machine only.
    """

    source_id: str
    protocol: str
    address: str
    station_id: str
    interval_ms: int
    state: str
    last_good_at: int | None
    latency_ms: float | None
    failures: int | None
    overruns: int | None
    received_bytes: int | None
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def source_rows(town: Town) -> list[SourceRow]:
    """Every source of the site, worst first; of equally bad ones that which was good longest ago."""
    return town.shared.of("source_rows", lambda: _source_rows(town, _expected(town.site), None), life_s=LIFE_S)


def sources_of(town: Town, station_id: str) -> list[SourceRow]:
    """The devices of one station."""

    def rows() -> list[SourceRow]:
        by_station = town.shared.of("sources_by_station", lambda: _by_station(town.site), life_s=float("inf"))
        return _source_rows(town, by_station.get(station_id, ()), station_id)

    return town.shared.of(("sources_of", station_id), rows, life_s=LIFE_S)


@dataclass(frozen=True)
class _Expected:
    source_id: str
    protocol: str
    address: str
    station_id: str
    interval_ms: int


def _expected(site: Site) -> list[_Expected]:
    devices = [
        _Expected(device.device_id, device.protocol, device.address, device.station_id, round(device.interval_s * 1000))
        for device in site.devices.values()
    ]
    # A broker whose sensors all keep silent for one interval is as good as gone.
    every_ms = round(site.room_interval_s * 1000)
    return [*devices, *(_Expected(broker.name, "mqtt", broker.url, "", every_ms) for broker in site.brokers)]


def _by_station(site: Site) -> dict[str, list[_Expected]]:
    found: dict[str, list[_Expected]] = {}
    for one in _expected(site):
        found.setdefault(one.station_id, []).append(one)
    return found


def _source_rows(town: Town, expected: Sequence[_Expected], station_id: str | None) -> list[SourceRow]:
    """``expected`` are those of this station, of the whole site for None."""
    newest = town.newest_of(_ids(town, expected, station_id))
    values = np.where(newest.known, newest.value, np.nan).reshape(len(expected), len(QUANTITIES))
    instants = newest.measured_at.reshape(len(expected), len(QUANTITIES))
    told = _told(town)
    now_ms = town.now_ms()
    rows = [
        _row(one, dict(zip(QUANTITIES, values[row].tolist(), strict=True)), instants[row].tolist(), told.get(one.source_id, {}), now_ms)
        for row, one in enumerate(expected)
    ]
    return sorted(rows, key=lambda row: (SOURCE_STATES.index(row.state), row.last_good_at or 0, row.source_id))


def _ids(town: Town, expected: Sequence[_Expected], station_id: str | None) -> NDArray[np.int32]:
    """The points that tell of the sources, source by source; looked up by name only when points have come."""

    def look_up() -> NDArray[np.int32]:
        return np.array(town.point_ids([f"source/{one.source_id}/{name}" for one in expected for name in QUANTITIES]), np.int32)

    town.points.refresh()
    return town.shared.of(("source_ids", station_id), look_up, life_s=float("inf"), mark=len(town.points))


def _told(town: Town) -> dict[str, dict[str, Any]]:
    """What the collectors of this machine say of their sources."""
    found: dict[str, dict[str, Any]] = {}
    for health in read_health(town.site.data):
        sources = health.detail.get("sources") if health.component.startswith("collect") else None
        found |= {str(source.get("name")): source for source in sources or () if isinstance(source, dict)}
    return found


def _row(one: _Expected, values: dict[str, float], instants: list[int], told: dict[str, Any], now_ms: int) -> SourceRow:
    at = dict(zip(QUANTITIES, instants, strict=True))
    goods = [at[name] for name in ("exchange_ok", "connected") if values[name] == 1.0]
    if np.isfinite(values["silence_s"]):
        goods.append(at["silence_s"] - round(values["silence_s"] * 1000))
    if isinstance(told.get("last_good_ms"), int):
        goods.append(told["last_good_ms"])
    last_good_at = max(goods, default=None)
    failed = any(values[name] == 0.0 for name in ("exchange_ok", "connected")) or told.get("state") == "failing"
    return SourceRow(
        **vars(one),
        state=_state(one, last_good_at, now_ms, failed=failed),
        last_good_at=last_good_at,
        latency_ms=None if np.isnan(values["latency_ms"]) else values["latency_ms"],
        failures=_count(values["failures"]),
        overruns=_count(values["overruns"]),
        received_bytes=_count(values["received_bytes"]),
        reason=str(told.get("reason", "")),
        counts={str(name): int(count) for name, count in {**told.get("exceptions", {}), **told.get("counts", {})}.items()},
    )


def _state(one: _Expected, last_good_at: int | None, now_ms: int, *, failed: bool) -> str:
    if last_good_at is None:
        return "never"
    if now_ms - last_good_at > max(LOST_POLLS * one.interval_ms, LOST_LEAST_MS):
        return "silent"
    return "failing" if failed else "good"


def _count(value: float) -> int | None:
    return None if np.isnan(value) else int(value)
